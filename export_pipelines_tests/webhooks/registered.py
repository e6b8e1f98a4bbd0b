"""Webhooks and deliveries of tests, in a real registry."""

from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import select

from export_pipelines.clock import seconds_of, written
from export_pipelines.registration import webhooks as registration
from export_pipelines.registration.webhooks import Webhook
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.registry.rows import require
from export_pipelines.registry.secrets import decrypt
from export_pipelines.webhooks import outbox
from export_pipelines.webhooks.events import Event

LATER = "2099-01-01T09:00:00.000Z"
"""A time after any webhook of a test was registered."""


def register(
    url: str, *topics: str, name: str = "crm", organization: str = "default", **values: Any
) -> WebhookRow:
    """Store a webhook that was enabled a week ago, unless `values` of its row say otherwise."""
    old = written(datetime.now(timezone.utc) - timedelta(days=7))
    with writing() as session:
        row, _ = registration.add(session, organization, Webhook(name, url, topics or ("*",)))
        times = dict.fromkeys(("created_at", "enabled_at", "updated_at"), old)
        for key, value in {**times, **values}.items():
            setattr(row, key, value)
    return row


def event(number: int = 1, topic: str = "export.completed", **values: Any) -> Event:
    """Return an event; it is not of a real job."""
    word = topic.rpartition(".")[2]
    fixed = {"id": f"run-{number}:{word}", "organization": "default", "at": LATER}
    return Event(**{**fixed, "topic": topic, "data": {"id": f"run-{number}"}, **values})


def record(*events: Event, moment: datetime | None = None) -> int:
    """Record events."""
    with writing() as session:
        return outbox.record(session, events, moment or datetime.now(timezone.utc))


def webhook(name: str = "crm", organization: str = "default") -> WebhookRow:
    """Return a webhook as it is now."""
    with reading() as session:
        return require(session, WebhookRow, organization, name)


def secret(name: str = "crm") -> str:
    """Return what its receiver knows."""
    return decrypt(webhook(name))["secret"]


def deliveries() -> list[DeliveryRow]:
    """Return all deliveries, the oldest first."""
    with reading() as session:
        chosen = select(DeliveryRow).order_by(DeliveryRow.created_at, DeliveryRow.id)
        return list(session.scalars(chosen))


def put(row: DeliveryRow, **values: Any) -> None:
    """Store other values of a delivery."""
    with writing() as session:
        found = session.get_one(DeliveryRow, row.id)
        for name, value in values.items():
            setattr(found, name, value)


def statuses() -> list[str]:
    """Return what became of all deliveries, of the oldest first."""
    return [row.status for row in deliveries()]


def at(text: str) -> datetime:
    """Return a stored time."""
    return datetime.fromtimestamp(seconds_of(text), timezone.utc)
