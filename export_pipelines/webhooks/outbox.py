"""Recording who is to be told of an event, once, before anything is sent."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.orm import Session

from export_pipelines.clock import written
from export_pipelines.registry import deliveries
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.webhooks.events import Event
from export_pipelines.webhooks.topics import is_subscribed


def is_wanted(webhooks: Iterable[WebhookRow], organization: str, topics: Collection[str]) -> bool:
    """Return whether any webhook of an organization subscribes to one of some topics."""
    return any(
        row.is_active
        and row.organization == organization
        and any(is_subscribed(row.topics, topic) for topic in topics)
        for row in webhooks
    )


def record(session: Session, events: Sequence[Event], moment: datetime) -> int:
    """Record events for the webhooks that subscribe to them, and return how many were new.

    A webhook is told of what happens after it was registered, and of each event once.

    Args:
        session: of `writing`.
        events: in the order in which they are sent.
        moment: now.
    """
    webhooks = [row for row in deliveries.webhooks(session) if row.is_active]
    known = deliveries.recorded_pairs(session, {event.id for event in events})
    added = 0
    for number, event in enumerate(events):
        told = [row for row in webhooks if _is_told(row, event) and (row.id, event.id) not in known]
        known |= {(row.id, event.id) for row in told}
        # What is recorded at the same moment is told apart, as it is sent in order of time.
        at = written(moment + timedelta(milliseconds=number))
        session.add_all(_delivery(row, event, at, written(moment)) for row in told)
        added += bool(told)
    return added


def _is_told(webhook: WebhookRow, event: Event) -> bool:
    return (
        webhook.organization == event.organization
        and webhook.created_at <= event.at
        and is_subscribed(webhook.topics, event.topic)
    )


def _delivery(webhook: WebhookRow, event: Event, at: str, due: str) -> DeliveryRow:
    return DeliveryRow(
        id=str(uuid4()),
        organization=event.organization,
        webhook_id=webhook.id,
        event_id=event.id,
        topic=event.topic,
        payload=event.payload,
        status=deliveries.PENDING,
        next_attempt_at=due,
        attempts=[],
        attempts_count=0,
        created_at=at,
        ended_at=None,
    )
