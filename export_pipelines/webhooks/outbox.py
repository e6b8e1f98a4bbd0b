"""Recording who is to be told of an event, once, before anything is sent."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
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

    A webhook is told of what happens after it was enabled, and of each event once.

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
        session.add_all(_delivery(row, event, number, written(moment)) for row in told)
        added += bool(told)
    return added


def _is_told(webhook: WebhookRow, event: Event) -> bool:
    return (
        webhook.organization == event.organization
        and webhook.enabled_at <= event.at
        and is_subscribed(webhook.topics, event.topic)
    )


def _delivery(webhook: WebhookRow, event: Event, number: int, at: str) -> DeliveryRow:
    return DeliveryRow(
        id=f"{number:08x}{str(uuid4())[8:]}",
        organization=event.organization,
        webhook_id=webhook.id,
        event_id=event.id,
        topic=event.topic,
        payload=event.payload,
        status=deliveries.PENDING,
        next_attempt_at=at,
        attempts=[],
        attempts_count=0,
        created_at=at,
        ended_at=None,
    )
