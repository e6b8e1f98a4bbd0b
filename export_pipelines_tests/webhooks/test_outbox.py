import json
from datetime import datetime, timedelta, timezone

import pytest

from export_pipelines.clock import now, written
from export_pipelines.registry.database import reading
from export_pipelines.registry.deliveries import webhooks
from export_pipelines.webhooks.outbox import is_wanted
from export_pipelines_tests.webhooks.registered import deliveries, event, record, register

URL = "http://127.0.0.1:9/"


def test_each_webhook_that_subscribes_is_told_once() -> None:
    first = register(URL, "export.*", name="first")
    second = register(URL, "export.completed", "import.failed", name="second")
    register(URL, "import.*", name="import")
    register(URL, name="disabled", is_active=False)
    register(URL, name="other", organization="other")
    assert record(event(), event(topic="export.started")) == 2
    assert record(event(), event(), event(2)) == 1
    told = [(row.webhook_id, row.event_id) for row in deliveries()]
    assert sorted(told) == sorted(
        [
            (first.id, "run-1:completed"),
            (first.id, "run-1:started"),
            (first.id, "run-2:completed"),
            (second.id, "run-1:completed"),
            (second.id, "run-2:completed"),
        ]
    )


def test_a_delivery() -> None:
    webhook = register(URL)
    moment = datetime.now(timezone.utc)
    asked = event()
    record(asked, moment=moment)
    [row] = deliveries()
    assert (row.organization, row.webhook_id, row.topic) == (
        "default",
        webhook.id,
        "export.completed",
    )
    assert (row.status, row.attempts, row.attempts_count, row.ended_at) == ("pending", [], 0, None)
    assert row.next_attempt_at == row.created_at == written(moment)
    assert json.loads(row.payload)["data"] == asked.data


def test_the_order_of_events_is_kept() -> None:
    register(URL)
    moment = datetime.now(timezone.utc)
    record(*(event(number) for number in range(20)), moment=moment)
    record(event(20), moment=moment + timedelta(milliseconds=1))
    assert [row.event_id for row in deliveries()] == [f"run-{n}:completed" for n in range(21)]


def test_what_happened_before_it_was_enabled_is_not_told() -> None:
    moment = datetime.now(timezone.utc)
    register(URL, enabled_at=now())
    assert record(event(1, at=written(moment - timedelta(seconds=1)))) == 0
    assert record(event(2, at=written(moment + timedelta(seconds=1)))) == 1


@pytest.mark.parametrize(
    ("organization", "topic", "wanted"),
    [
        ("default", "export.completed", True),
        ("default", "import.completed", False),
        ("other", "export.completed", False),
        ("north", "export.completed", False),
    ],
)
def test_whether_anybody_is_told(organization: str, topic: str, wanted: bool) -> None:
    register(URL, "export.*")
    register(URL, name="disabled", is_active=False)
    register(URL, organization="north", is_active=False)
    with reading() as session:
        assert is_wanted(webhooks(session), organization, [topic]) is wanted
