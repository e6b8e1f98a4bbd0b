import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from standardwebhooks import Webhook

from export_pipelines import settings
from export_pipelines.clock import now
from export_pipelines.errors import KeyUnavailable, RequestError
from export_pipelines.registry.database import writing
from export_pipelines.registry.signing import signing_keys
from export_pipelines.runs.links import check_link
from export_pipelines.runs.views import ExportJob
from export_pipelines.webhooks import delivering, sending
from export_pipelines.webhooks.delivering import Tally, claim, deliver_due, record, send, send_test
from export_pipelines.webhooks.events import job_event
from export_pipelines_tests.servers.receiver import Receiver
from export_pipelines_tests.webhooks import registered
from export_pipelines_tests.webhooks.registered import (
    LATER,
    deliveries,
    event,
    register,
    secret,
    statuses,
    webhook,
)

JOB = ExportJob.model_validate(
    {
        "id": "1f2e",
        "status": "completed",
        "state": "completed",
        "resource_type": "products",
        "organization": "default",
        "progress": 100,
        "created_at": LATER,
        "format": "csv",
        "files": [{"name": "products.csv", "rows": 1, "bytes": 2, "sha256": "0" * 64}],
    }
)


def deliver(webhook_id: str, *, only_first: bool = False) -> Tally:
    tally = Tally()
    deliver_due(webhook_id, tally, only_first=only_first)
    return tally


def test_all_that_is_due_is_sent_in_order_and_verified(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(*(event(number) for number in range(3)))
    assert deliver(row.id) == Tally(delivered=3)
    assert receiver.events == [f"run-{number}:completed" for number in range(3)]
    for number, got in enumerate(receiver.received):
        body = Webhook(secret()).verify(got.body, dict(got.headers))
        assert body["data"] == {"id": f"run-{number}"}
        assert got.headers["content-type"] == "application/json"
        assert got.headers["user-agent"] == "export-pipelines"
    assert statuses() == ["delivered"] * 3
    assert deliver(row.id) == Tally()
    assert len(receiver.received) == 3


def test_links_are_signed_when_it_is_sent(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(job_event(JOB, "completed", LATER))
    assert "signature" not in deliveries()[0].payload
    deliver(row.id)
    data = json.loads(receiver.received[0].body)["data"]
    [file] = data["files"]
    assert data["file_url"].startswith("https://shop.example/api/v1/exports/files/1f2e?")
    for url, part in ((data["file_url"], ""), (file["url"], "products.csv")):
        query = parse_qs(urlsplit(url).query)
        assert int(query["expires"][0]) > time.time() + 290
        check_link("1f2e", part, query["expires"][0], query["signature"][0], signing_keys())
    assert "signature" not in deliveries()[0].payload


def test_a_failure_waits_and_says_why(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event())
    receiver.status = 500
    receiver.text = "of the receiver"
    assert deliver(row.id) == Tally(failed=1, reason="crm: It answered 500.")
    [stored] = deliveries()
    assert stored.status == "pending"
    assert stored.next_attempt_at > now()
    assert stored.attempts[0]["response_message"] == "Internal Server Error: of the receiver"
    assert deliver(row.id) == Tally()


def test_a_receiver_that_fails_is_left_alone_after_five_times(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(*(event(number) for number in range(8)))
    receiver.status = 503
    assert deliver(row.id).failed == 5
    assert deliver(row.id) == deliver(row.id, only_first=True) == Tally()
    receiver.status = 200
    with writing() as session:
        session.get_one(type(row), row.id).paused_until = now()
    assert deliver(row.id, only_first=True) == Tally()
    assert deliver(row.id).delivered == 8
    assert set(receiver.events) == {f"run-{number}:completed" for number in range(8)}


def test_one_that_still_fails_after_a_pause_gets_one_attempt(receiver: Receiver) -> None:
    row = register(receiver.url, failures=5, paused_until=now())
    registered.record(*(event(number) for number in range(8)))
    receiver.status = 503
    assert deliver(row.id).failed == 1
    assert webhook().failures == 6
    assert str(webhook().paused_until) > now()


def test_410_ends_all(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event(1), event(2))
    receiver.status = 410
    assert deliver(row.id).failed == 1
    assert statuses() == ["failed", "failed"]
    assert not webhook().is_active
    assert len(receiver.received) == 1


def test_who_crashes_between_sends_again(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event())
    with writing() as session:
        claimed = claim(session, row.id, only_first=False)
        assert claimed
    assert send(claimed).is_delivered
    assert deliver(row.id) == Tally()
    with writing() as session:
        session.get_one(type(claimed.row), claimed.row.id).next_attempt_at = now()
    assert deliver(row.id).delivered == 1
    assert receiver.events == ["run-1:completed"] * 2
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1


def test_nobody_else_sends_what_is_claimed(receiver: Receiver) -> None:
    row = register(receiver.url, failures=5, paused_until=now())
    registered.record(event(1), event(2))
    with writing() as session:
        first = claim(session, row.id, only_first=False)
    assert first
    assert first.row.event_id == "run-1:completed"
    with writing() as session:
        assert claim(session, row.id, only_first=False) is None
        record(session, first, sending.Answer(200, "OK", 0.1))
        second = claim(session, row.id, only_first=False)
    assert second
    assert second.row.event_id == "run-2:completed"


def test_only_what_was_never_tried(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event(1), event(2))
    with writing() as session:
        tried = claim(session, row.id, only_first=True)
        assert tried
        record(session, tried, sending.Answer(500, "", 0.1))
        session.get_one(type(tried.row), tried.row.id).next_attempt_at = now()
    assert deliver(row.id, only_first=True).delivered == 1
    assert receiver.events == ["run-2:completed"]
    assert deliver(row.id).delivered == 1


def test_a_turn_ends(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    row = register(receiver.url)
    registered.record(event(1), event(2))
    monkeypatch.setattr(delivering, "TURN_SECONDS", 0.0)
    assert deliver(row.id).delivered == 1
    assert deliver(row.id).delivered == 1


def test_a_turn_ends_when_there_is_no_answer(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event(1), event(2))
    receiver.behaviour = "close"
    assert deliver(row.id).failed == 1
    assert deliver(row.id).failed == 1


def test_what_another_version_recorded_is_sent_without_links(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event(data={"id": "1f2e", "files": [{"name": "products.csv"}]}))
    assert deliver(row.id) == Tally(delivered=1)
    assert receiver.received[0].body.decode() == deliveries()[0].payload


def test_a_webhook_that_is_not_there_or_disabled(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event())
    with writing() as session:
        session.get_one(type(row), row.id).is_active = False
    assert deliver(row.id) == deliver("nobody") == Tally()
    assert receiver.received == []


def test_without_the_key_nothing_is_lost(receiver: Receiver) -> None:
    row = register(receiver.url)
    registered.record(event())
    settings.secret_key_file().unlink()
    with pytest.raises(KeyUnavailable):
        deliver(row.id)
    assert statuses() == ["pending"]
    assert deliveries()[0].attempts_count == 0


def test_a_wrong_setting_is_no_failure_of_the_receiver(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = register(receiver.url)
    registered.record(job_event(JOB, "completed", LATER))
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "shop.example")
    with pytest.raises(RequestError, match="EXPORT_PIPELINES_PUBLIC_URL"):
        deliver(row.id)
    assert deliveries()[0].attempts_count == 0


def test_a_trial(receiver: Receiver) -> None:
    row = register(receiver.url, is_active=False)
    answer = send_test(row)
    assert (answer.code, answer.is_delivered) == (200, True)
    [got] = receiver.received
    body = Webhook(secret()).verify(got.body, dict(got.headers))
    assert (body["type"], body["data"]["webhook"]) == ("webhook.test", "crm")
    assert deliveries() == []
