from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from export_pipelines.clock import written
from export_pipelines.errors import NotRegistered, RequestError
from export_pipelines.registry import deliveries
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import DeliveryRow, WebhookRow

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
LEASE = NOW + timedelta(minutes=1)


def ago(seconds: float) -> str:
    return written(NOW - timedelta(seconds=seconds))


def add_webhook(name: str = "crm", **values: Any) -> WebhookRow:
    fixed = {
        "id": name,
        "organization": "default",
        "name": name,
        "is_active": True,
        "created_at": ago(0),
        "updated_at": ago(0),
        "url": "http://127.0.0.1:9/",
        "topics": ["*"],
        "secrets": "",
        "failures": 0,
        "enabled_at": ago(0),
        "paused_until": None,
        "disabled_reason": "",
    }
    row = WebhookRow(**{**fixed, **values})
    with writing() as session:
        session.add(row)
    return row


def add(number: int, webhook_id: str = "crm", **values: Any) -> None:
    """Store a delivery that was recorded so many seconds ago, and is due."""
    fixed = {
        "id": f"{webhook_id}-{number}",
        "organization": "default",
        "webhook_id": webhook_id,
        "event_id": f"run-{number}:completed",
        "topic": "export.completed",
        "payload": "{}",
        "status": "pending",
        "next_attempt_at": ago(0),
        "attempts": [],
        "attempts_count": 0,
        "created_at": ago(number),
        "ended_at": None,
    }
    with writing() as session:
        session.add(DeliveryRow(**{**fixed, **values}))


def ids(rows: Sequence[DeliveryRow]) -> list[str]:
    return [row.id for row in rows]


def claimed(webhook_id: str = "crm", *, only_first: bool = False) -> str | None:
    with writing() as session:
        found = deliveries.claim(session, webhook_id, NOW, LEASE, only_first=only_first)
        return found[1].id if found else None


def due(*, only_first: bool = False) -> list[str]:
    with reading() as session:
        found = deliveries.due(session, NOW, only_first=only_first)
        return [row.id for row in found]


def stored(number: int) -> DeliveryRow:
    with reading() as session:
        return session.get_one(DeliveryRow, f"crm-{number}")


@pytest.mark.usefixtures("url")
def test_pages_from_the_newest_on() -> None:
    row = add_webhook()
    for number in range(1, 6):
        add(number, status="failed" if number % 2 else "delivered")
    add(9, created_at=ago(2))
    add(1, "other")
    with reading() as session:
        first, cursor = deliveries.page(session, row, limit=3)
        rest, end = deliveries.page(session, row, limit=3, cursor=cursor)
        failed, no_more = deliveries.page(session, row, status="failed", limit=3)
    assert ids(first) == ["crm-1", "crm-9", "crm-2"]
    assert ids(rest) == ["crm-3", "crm-4", "crm-5"]
    assert end is no_more is None
    assert ids(failed) == ["crm-1", "crm-3", "crm-5"]


def test_pages_that_there_are_not() -> None:
    row = add_webhook()
    with reading() as session:
        assert deliveries.page(session, row, limit=3) == ([], None)
        with pytest.raises(RequestError, match="is no cursor"):
            deliveries.page(session, row, limit=3, cursor="x")
        with pytest.raises(RequestError, match="There is no status 'lost'"):
            deliveries.page(session, row, limit=3, status="lost")


def test_the_oldest_is_claimed_first_and_nobody_else_gets_it() -> None:
    add_webhook()
    add(1)
    add(3)
    add(2)
    add(5, next_attempt_at=written(NOW + timedelta(seconds=1)))
    add(6, status="delivered")
    assert [claimed() for _ in range(4)] == ["crm-3", "crm-2", "crm-1", None]
    assert stored(3).next_attempt_at == written(LEASE)


def test_what_is_claimed_and_not_recorded_is_claimed_again() -> None:
    add_webhook()
    add(1)
    assert claimed() == "crm-1"
    with writing() as session:
        found = deliveries.claim(session, "crm", LEASE, LEASE, only_first=True)
        assert found


def test_after_a_pause_one_is_claimed() -> None:
    add_webhook(paused_until=ago(0))
    add(1)
    add(2)
    assert claimed(only_first=True) is None
    assert claimed() == "crm-2"
    assert claimed() is None


@pytest.mark.parametrize("values", [{"is_active": False}, {"paused_until": written(LEASE)}])
def test_nothing_is_claimed(values: dict[str, Any]) -> None:
    add_webhook(**values)
    add(1)
    assert claimed() is None
    assert claimed("nobody") is None
    assert due() == due(only_first=True) == []


@pytest.mark.usefixtures("url")
def test_webhooks_that_something_is_due_for() -> None:
    for name in ("a", "b", "c", "d", "e"):
        add_webhook(name)
    add_webhook("failing", failures=1)
    add_webhook("paused", failures=5, paused_until=ago(1))
    add(1, "a", attempts_count=1)
    add(2, "b")
    add(9, "b", status="failed")
    add(3, "c", attempts_count=2)
    add(1, "c")
    add(4, "d", next_attempt_at=written(LEASE))
    add(9, "failing")
    add(5, "paused")
    assert due() == ["c", "b", "a", "failing", "paused"]
    assert due(only_first=True) == ["b", "c", "failing"]


def test_only_what_was_never_tried_is_claimed() -> None:
    add_webhook()
    add(2, attempts_count=1)
    add(1)
    assert claimed(only_first=True) == "crm-1"
    assert claimed(only_first=True) is None
    assert claimed() == "crm-2"


def test_redelivery() -> None:
    row = add_webhook()
    add(1, status="failed", ended_at=ago(0), next_attempt_at=written(LEASE), attempts_count=4)
    add(2, status="delivered", ended_at=ago(0))
    with writing() as session:
        deliveries.redeliver(session, row, "run-1:completed", NOW)
        deliveries.redeliver(session, row, "crm-2", NOW)
    assert (stored(1).status, stored(1).ended_at, stored(1).attempts_count) == ("pending", None, 4)
    assert [claimed(), claimed()] == ["crm-2", "crm-1"]


def test_redelivery_that_is_not_possible() -> None:
    row = add_webhook(is_active=False)
    add(1, status="failed", ended_at=ago(0))
    add(2, "other")
    with writing() as session:
        with pytest.raises(RequestError, match="enable it first"):
            deliveries.redeliver(session, row, "run-1:completed", NOW)
        with pytest.raises(NotRegistered, match="was never told"):
            deliveries.redeliver(session, row, "run-2:completed", NOW)
    assert stored(1).status == "failed"


def test_what_ends_and_what_follows() -> None:
    add(1, next_attempt_at=written(LEASE))
    add(2, next_attempt_at=ago(5))
    add(3, status="delivered", ended_at=ago(3))
    add(1, "other", next_attempt_at=written(LEASE))
    with writing() as session:
        deliveries.hurry(session, "crm", NOW)
        assert deliveries.was_told_since(session, "crm", ago(3))
        assert not deliveries.was_told_since(session, "crm", ago(2))
        assert not deliveries.was_told_since(session, "other", ago(9))
        assert deliveries.recorded(session, ["run-1:completed", "run-8:failed"]) == {
            "run-1:completed"
        }
    assert (stored(1).next_attempt_at, stored(2).next_attempt_at) == (ago(0), ago(5))
    with writing() as session:
        deliveries.give_up(session, "crm", NOW)
    assert [(stored(n).status, stored(n).ended_at) for n in (1, 2, 3)] == [
        ("failed", ago(0)),
        ("failed", ago(0)),
        ("delivered", ago(3)),
    ]
    with reading() as session:
        other = session.get_one(DeliveryRow, "other-1")
    assert (other.status, other.next_attempt_at) == ("pending", written(LEASE))


def test_old_ones_are_removed() -> None:
    add(1, status="failed", ended_at=ago(100))
    add(2, status="delivered", ended_at=ago(99))
    add(1_000)
    add(1, "other", status="delivered", ended_at=ago(50))
    row = add_webhook()
    with writing() as session:
        deliveries.prune(session, NOW - timedelta(seconds=99.5))
        assert ids(deliveries.page(session, row, limit=9)[0]) == ["crm-2", "crm-1000"]
        deliveries.forget(session, "crm")
        assert deliveries.page(session, row, limit=9) == ([], None)
        assert session.get(DeliveryRow, "other-1")
