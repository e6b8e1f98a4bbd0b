import pytest

from export_pipelines.errors import RequestError
from export_pipelines.webhooks.topics import TOPICS, check_topics, is_subscribed


def test_topics() -> None:
    assert TOPICS == (
        "export.created",
        "export.started",
        "export.completed",
        "export.failed",
        "export.cancelled",
        "import.created",
        "import.started",
        "import.completed",
        "import.failed",
        "import.cancelled",
        "schedule.stale",
    )


def test_each_topic_once_and_in_order() -> None:
    assert check_topics(["export.*", "import.failed", "export.*"]) == ["import.failed", "export.*"]


@pytest.mark.parametrize("asked", [[], ["export"], ["*.created"], ["export.complete"], [""]])
def test_unknown_topics_are_refused(asked: list[str]) -> None:
    with pytest.raises(RequestError, match="topic"):
        check_topics(asked)


def test_a_near_topic_is_named() -> None:
    with pytest.raises(RequestError, match=r"Did you mean export\.completed"):
        check_topics(["export.complete"])


@pytest.mark.parametrize(
    ("subscription", "told"),
    [
        ("*", set(TOPICS)),
        ("export.*", {topic for topic in TOPICS if topic.startswith("export.")}),
        ("import.*", {topic for topic in TOPICS if topic.startswith("import.")}),
        ("schedule.stale", {"schedule.stale"}),
        ("export.failed", {"export.failed"}),
    ],
)
def test_subscriptions(subscription: str, told: set[str]) -> None:
    assert {topic for topic in TOPICS if is_subscribed([subscription], topic)} == told
