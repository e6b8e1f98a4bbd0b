from datetime import datetime, timedelta, timezone

import pytest

from export_pipelines.clock import written
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.webhooks import outcomes
from export_pipelines.webhooks.sending import Answer
from export_pipelines_tests.webhooks.registered import (
    at,
    deliveries,
    event,
    record,
    register,
    statuses,
    webhook,
)

URL = "http://127.0.0.1:9/"
GOOD, BAD, GONE, NOBODY = (Answer(code, "said", 0.25) for code in (200, 500, 410, None))
DAY = timedelta(days=1)
BEGAN = datetime.now(timezone.utc).replace(microsecond=0)


def attempt(row: DeliveryRow, answer: Answer, moment: datetime, url: str = URL) -> DeliveryRow:
    """Record an attempt, and return its delivery."""
    with writing() as session:
        outcomes.record(session, row.id, url, answer, moment, 0.0)
    return next(each for each in deliveries() if each.id == row.id)


@pytest.fixture
def pending() -> DeliveryRow:
    register(URL)
    record(event(), moment=BEGAN)
    return deliveries()[0]


def test_a_delivery_that_arrives(pending: DeliveryRow) -> None:
    row = attempt(pending, GOOD, BEGAN + DAY)
    assert (row.status, row.ended_at, row.attempts_count) == ("delivered", written(BEGAN + DAY), 1)
    assert row.attempts == [
        {
            "at": written(BEGAN + DAY),
            "response_code": 200,
            "response_message": "said",
            "seconds": 0.25,
        }
    ]


def test_waiting_doubles_until_three_days_are_over(pending: DeliveryRow) -> None:
    row, waits, moment = pending, [], BEGAN
    while row.status == "pending":
        row = attempt(row, BAD, moment)
        waits.append(at(row.next_attempt_at) - moment)
        moment = at(row.next_attempt_at)
    seconds = [wait.total_seconds() for wait in waits]
    assert seconds[:5] == [5, 10, 20, 40, 80]
    assert max(seconds) == 6 * 3_600
    assert row.status == "failed"
    assert at(str(row.ended_at)) == BEGAN + 3 * DAY
    assert row.attempts_count == len(seconds) > 20
    assert len(row.attempts) == 10
    assert row.attempts[-1]["at"] == row.ended_at


def test_one_that_never_took_anything_for_three_days_is_disabled(pending: DeliveryRow) -> None:
    record(event(2), moment=BEGAN + DAY)
    row, moment = pending, BEGAN
    while row.status == "pending":
        assert webhook().is_active
        row = attempt(row, NOBODY, moment)
        moment = at(row.next_attempt_at)
    stored = webhook()
    assert not stored.is_active
    assert stored.disabled_reason == "Nothing could be delivered for 3 days. said"
    assert stored.updated_at == row.ended_at
    assert stored.paused_until is None
    assert statuses() == ["failed", "failed"]


@pytest.mark.parametrize("but", ["took another", "was enabled meanwhile", "was tried once"])
def test_one_that_is_not_hopeless_is_not_disabled(pending: DeliveryRow, but: str) -> None:
    record(event(2), moment=BEGAN + DAY)
    if but == "took another":
        attempt(deliveries()[1], GOOD, BEGAN + DAY)
    with writing() as session:
        row = session.get_one(WebhookRow, pending.webhook_id)
        row.failures = 0 if but == "was tried once" else 9
        if but == "was enabled meanwhile":
            row.updated_at = written(BEGAN + DAY)
    assert attempt(pending, BAD, BEGAN + 3 * DAY).status == "failed"
    assert webhook().is_active
    assert deliveries()[1].status != "failed"


def test_410_disables_at_once(pending: DeliveryRow) -> None:
    record(event(2), moment=BEGAN + timedelta(milliseconds=1))
    attempt(pending, GONE, BEGAN)
    stored = webhook()
    assert not stored.is_active
    assert stored.disabled_reason.startswith("It answered 410")
    assert statuses() == ["failed", "failed"]
    assert {row.ended_at for row in deliveries()} == {written(BEGAN)}
    assert [row.attempts_count for row in deliveries()] == [1, 0]


def test_five_failures_in_a_row_are_a_pause_that_grows(pending: DeliveryRow) -> None:
    pauses = []
    for _ in range(12):
        attempt(pending, BAD, BEGAN)
        until = webhook().paused_until
        pauses.append((at(until) - BEGAN).total_seconds() if until else 0)
    assert pauses == [0, 0, 0, 0, 30, 60, 120, 240, 480, 600, 600, 600]
    assert webhook().failures == 12


def test_a_success_ends_the_pause_and_the_others_follow(pending: DeliveryRow) -> None:
    for number in range(2, 5):
        record(event(number), moment=BEGAN + timedelta(milliseconds=number))
    for row in deliveries()[1:]:
        attempt(row, BAD, BEGAN)
    for _ in range(2):
        attempt(pending, BAD, BEGAN)
    assert webhook().paused_until
    moment = BEGAN + timedelta(seconds=1)
    attempt(pending, GOOD, moment)
    assert (webhook().paused_until, webhook().failures) == (None, 0)
    assert {row.next_attempt_at for row in deliveries()[1:]} == {written(moment)}


def test_a_success_between_failures_counts_anew(pending: DeliveryRow) -> None:
    record(event(2), moment=BEGAN + timedelta(milliseconds=1))
    other = deliveries()[1]
    for _ in range(4):
        attempt(other, BAD, BEGAN)
    due = deliveries()[1].next_attempt_at
    attempt(pending, GOOD, BEGAN)
    assert (webhook().failures, webhook().paused_until) == (0, None)
    assert deliveries()[1].next_attempt_at == due
    attempt(other, BAD, BEGAN)
    assert webhook().paused_until is None


def test_another_url_is_not_judged(pending: DeliveryRow) -> None:
    row = attempt(pending, GONE, BEGAN, url="http://127.0.0.1:8/")
    assert (row.status, row.attempts_count) == ("pending", 1)
    assert (webhook().is_active, webhook().failures) == (True, 0)


def test_who_comes_late_does_not_take_a_success_back(pending: DeliveryRow) -> None:
    attempt(pending, GOOD, BEGAN)
    row = attempt(pending, BAD, BEGAN + DAY)
    assert (row.status, row.ended_at, row.attempts_count) == ("delivered", written(BEGAN), 2)


def test_what_was_removed_meanwhile_is_forgotten(pending: DeliveryRow) -> None:
    with writing() as session:
        session.delete(session.get_one(WebhookRow, pending.webhook_id))
    assert attempt(pending, BAD, BEGAN).attempts_count == 0
    with writing() as session:
        session.delete(session.get_one(DeliveryRow, pending.id))
        outcomes.record(session, pending.id, URL, BAD, BEGAN, 0.0)
    assert deliveries() == []
