"""Topics: the kinds of events that webhooks are told of, and subscriptions to them (C61)."""

from collections.abc import Collection, Sequence

from export_pipelines.errors import RequestError, unknown

CREATED, STARTED, COMPLETED, FAILED, CANCELLED = WORDS = (
    "created",
    "started",
    "completed",
    "failed",
    "cancelled",
)
STALE = "schedule.stale"
TEST = "webhook.test"
"""Sent when somebody asks for it; nobody subscribes to it."""

TOPICS = (*(f"{kind}.{word}" for kind in ("export", "import") for word in WORDS), STALE)
SUBSCRIPTIONS = (*TOPICS, "export.*", "import.*", "*")


def check_topics(asked: Sequence[str]) -> list[str]:
    """Return subscriptions, each once, in their own order.

    Raises:
        RequestError: there is none, or one is unknown.
    """
    if not asked:
        raise RequestError("A webhook needs topics: name some, or * for all.")
    for topic in asked:
        if topic not in SUBSCRIPTIONS:
            raise RequestError(unknown("topic", topic, list(SUBSCRIPTIONS)))
    return [topic for topic in SUBSCRIPTIONS if topic in asked]


def is_subscribed(subscriptions: Collection[str], topic: str) -> bool:
    """Return whether a topic is among subscriptions."""
    kind = topic.partition(".")[0]
    return any(each in subscriptions for each in (topic, f"{kind}.*", "*"))
