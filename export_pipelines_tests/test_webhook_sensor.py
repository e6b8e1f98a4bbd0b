import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from standardwebhooks import Webhook

from export_pipelines import settings, webhook_sensor
from export_pipelines.clock import seconds_of, written
from export_pipelines.errors import RegistryUnavailable
from export_pipelines.registration import schedules
from export_pipelines.registration.transactions import registering
from export_pipelines.registration.webhooks import remove
from export_pipelines.registry.database import writing
from export_pipelines.registry.schedules import Schedule
from export_pipelines.webhook_sensor import webhook_retries, webhooks
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.servers.receiver import HOST, Receiver, start_receiver
from export_pipelines_tests.webhooks.registered import (
    deliveries,
    event,
    put,
    record,
    register,
    secret,
    statuses,
    webhook,
)

NOBODY = "No webhook is registered and enabled."


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", HOST)
    monkeypatch.setattr(webhook_sensor, "PATIENCE_SECONDS", 30.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as started:
        yield started


class Daemon:
    """Evaluates a sensor again and again, and keeps its cursor, unless a tick fails."""

    def __init__(self, sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> None:
        self.cursor: str | None = None
        self._sensor = sensor
        self._instance = instance

    def tick(self) -> str:
        """Return what a tick says."""
        context = dg.build_sensor_context(self._instance, cursor=self.cursor)
        data = self._sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return str(data.skip_message)


@pytest.fixture
def daemon(exporter: Exporter) -> Daemon:
    return Daemon(webhooks, exporter.instance)


@pytest.fixture
def retries(exporter: Exporter) -> Daemon:
    return Daemon(webhook_retries, exporter.instance)


def told(receiver: Receiver) -> list[str]:
    return [json.loads(got.body)["type"] for got in receiver.received]


def test_both_run_whenever_the_daemon_looks() -> None:
    for sensor in (webhooks, webhook_retries):
        assert sensor.minimum_interval_seconds == 1
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_nobody_is_told(daemon: Daemon, retries: Daemon) -> None:
    assert daemon.tick() == retries.tick() == NOBODY
    register("http://127.0.0.1:9/", is_active=False)
    assert daemon.tick() == NOBODY
    assert retries.tick() == "Nothing is due."
    assert not daemon.cursor


def test_an_export_from_its_creation_to_its_end(
    exporter: Exporter, daemon: Daemon, receiver: Receiver, sqlite_shop: str
) -> None:
    exporter.succeed(sqlite_shop, "csv", fields=["sku"])
    register(receiver.url, enabled_at=written(datetime.now(timezone.utc)))
    assert daemon.tick() == "Nothing is due."
    exported = exporter.succeed(sqlite_shop, "csv", fields=["sku"])
    assert daemon.tick() == "3 events recorded, 3 delivered"
    assert told(receiver) == ["export.created", "export.started", "export.completed"]
    run_id = exported.result.run_id
    assert receiver.events == [f"{run_id}:{word}" for word in ("created", "started", "completed")]
    body = Webhook(secret()).verify(receiver.received[-1].body, dict(receiver.received[-1].headers))
    job = body["data"]
    assert (job["id"], job["status"], job["format"]) == (run_id, "completed", "csv")
    assert job["total_records"] == exported.manifest["records_count"]
    assert f"/api/v1/exports/files/{run_id}?" in job["file_url"]
    assert abs(seconds_of(body["timestamp"]) - time.time()) < 60
    assert daemon.tick() == "Nothing is due."
    daemon.cursor = None
    assert daemon.tick() == "Nothing is due."
    assert len(receiver.received) == 3


def test_an_export_that_fails_right_after_the_first_webhook(
    exporter: Exporter, daemon: Daemon, receiver: Receiver, sqlite_shop: str
) -> None:
    register(receiver.url, "export.failed", enabled_at=written(datetime.now(timezone.utc)))
    exporter.run(sqlite_shop, "csv", filters={"sku_eq": "none of these"})
    receiver.status = 500
    assert daemon.tick() == "1 event recorded, 1 failed: crm: It answered 500."
    error = json.loads(receiver.received[0].body)["data"]["error"]
    assert error["error_code"] == "no_records"


@pytest.mark.parametrize(("enabled", "looked"), [(2, 2), (40, 29)])
def test_it_looks_back_to_the_first_webhook(
    daemon: Daemon, receiver: Receiver, enabled: int, looked: int
) -> None:
    today = datetime.now(timezone.utc)
    register(receiver.url, enabled_at=written(today - timedelta(days=enabled)))
    register(receiver.url, name="later", enabled_at=written(today - timedelta(days=1)))
    assert daemon.tick() == "Nothing is due."
    cursor = json.loads(str(daemon.cursor))
    assert {word: seen[0] for word, seen in cursor.items()} == dict.fromkeys(cursor, 0)
    since = (today - timedelta(days=looked)).timestamp()
    assert [seen[1] for seen in cursor.values()] == [pytest.approx(since, abs=60)] * 5


def test_a_tick_that_fails_is_made_up_for(
    exporter: Exporter,
    daemon: Daemon,
    receiver: Receiver,
    sqlite_shop: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(receiver.url, "export.completed")
    assert daemon.tick() == "Nothing is due."
    exporter.succeed(sqlite_shop, "csv", fields=["sku"])
    before = daemon.cursor
    with monkeypatch.context() as away:
        away.setenv("EXPORT_PIPELINES_REGISTRY_URL", "sqlite:////nowhere/registry.db")
        with pytest.raises(RegistryUnavailable):
            daemon.tick()
    assert daemon.cursor == before
    assert daemon.tick() == "1 event recorded, 1 delivered"


def test_what_was_recorded_before_a_crash_is_sent_after_it(
    daemon: Daemon, receiver: Receiver
) -> None:
    register(receiver.url)
    record(event())
    assert daemon.tick() == "1 delivered"


def test_who_is_down_gets_it_after_recovering(
    daemon: Daemon, retries: Daemon, receiver: Receiver
) -> None:
    register(receiver.url)
    record(event())
    receiver.behaviour = "close"
    assert daemon.tick().startswith("1 failed: crm: It closed the connection")
    assert daemon.tick() == "Nothing is due."
    assert retries.tick() == "Nothing is due."
    put(deliveries()[0], next_attempt_at=written(datetime.now(timezone.utc)))
    receiver.behaviour = "answer"
    assert daemon.tick() == "Nothing is due."
    assert retries.tick() == "1 delivered"
    assert statuses() == ["delivered"]


def test_old_deliveries_are_removed(retries: Daemon, receiver: Receiver) -> None:
    row = register(receiver.url)
    record(event(1), event(2))
    assert retries.tick() == "2 delivered"
    with writing() as session:
        session.get_one(type(row), row.id).is_active = False
    ended = datetime.now(timezone.utc) - timedelta(days=30, seconds=1)
    put(deliveries()[0], ended_at=written(ended))
    assert retries.tick() == "Nothing is due."
    assert len(deliveries()) == 2
    retries.cursor = json.dumps(time.time() - 61)
    retries.tick()
    assert [row.event_id for row in deliveries()] == ["run-2:completed"]
    retries.cursor = "x"
    assert retries.tick() == "Nothing is due."


@pytest.fixture
def stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Have a schedule that was due each minute, for two hours."""
    began = time.time() - 7_200
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        with monkeypatch.context() as earlier, registering(instance) as session:
            earlier.setattr(time, "time", lambda: began)
            asked = Schedule("Every year", _once(began + 60), alert_after_minutes=30)
            schedules.add(session, "default", asked)
        yield instance


def _once(moment: float) -> str:
    due = datetime.fromtimestamp(moment, timezone.utc)
    return f"{due.minute} {due.hour} {due.day} {due.month} *"


def test_a_late_schedule_is_told_once(stale: dg.DagsterInstance, receiver: Receiver) -> None:
    retries = Daemon(webhook_retries, stale)
    register(receiver.url, "schedule.stale")
    register(receiver.url, "export.*", name="exports")
    assert retries.tick() == "1 event recorded, 1 delivered"
    [got] = receiver.received
    body = json.loads(got.body)
    assert body["type"] == "schedule.stale"
    data: dict[str, Any] = body["data"]
    assert (data["schedule"], data["organization"]) == ("Every year", "default")
    assert data["due_at"] in data["detail"]
    assert receiver.events[0].endswith(f":{data['due_at'].partition('.')[0]}Z")
    for _ in range(2):
        retries.cursor = None
        assert retries.tick() == "Nothing is due."


def test_a_schedule_that_cannot_be_judged_keeps_nobody_waiting(
    retries: Daemon, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(receiver.url)
    record(event())
    monkeypatch.setattr(webhook_sensor, "late_schedules", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        retries.tick()
    assert statuses() == ["delivered"]


def test_without_the_registry_they_fail(
    daemon: Daemon, retries: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", "sqlite:////nowhere/registry.db")
    for each in (daemon, retries):
        with pytest.raises(RegistryUnavailable):
            each.tick()


def test_after_all_were_removed_it_begins_anew(daemon: Daemon, receiver: Receiver) -> None:
    register(receiver.url)
    daemon.tick()
    assert daemon.cursor
    with writing() as session:
        remove(session, session.merge(webhook()))
    assert daemon.tick() == NOBODY
    assert not daemon.cursor
    assert settings.home_folder().is_dir()
