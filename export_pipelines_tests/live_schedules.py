"""Registers schedules while the daemon runs, kills it, restarts all, and says what was started."""

import os
import random
import signal
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg

from export_pipelines import settings
from export_pipelines.catalog.sample import generate
from export_pipelines.clock import seconds_of, written
from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.records import open_instance
from export_pipelines.registration import profiles, schedules
from export_pipelines.registration.transactions import registering
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.schedules import Schedule, all_schedules
from export_pipelines.schedule_states import last_ticks
from export_pipelines.staleness import DUE_TAG
from export_pipelines_tests.killing import processes_of
from export_pipelines_tests.webserver import start_webserver

EACH_MINUTE = 4
LAST_TICKS_SECONDS = 240

Due = tuple[str, str]
"""A schedule's id, and a time at which it is due, as the tags of its runs have it."""


@dataclass(frozen=True)
class Outcome:
    """What became of schedules.

    Attributes:
        expected: when which was due.
        started: for which of these a run was started.
        overlapped: for which there was none, since the run before was still going on.
        late: by how many seconds runs were started late.
        statuses: how the runs ended.
    """

    expected: list[Due]
    started: list[Due]
    overlapped: list[Due]
    late: list[float]
    statuses: set[dg.DagsterRunStatus]


def run_live(count: int, minutes: int) -> Outcome:
    """Register schedules at random seconds of some minutes, and wait for all that they are due.

    The daemon is killed while it starts the runs of a minute, and another minute comes while
    nothing runs.

    Args:
        count: how many schedules; three of ten are registered five seconds before a full minute.
        minutes: over how many minutes.
    """
    home = settings.home_folder()
    home.mkdir(parents=True)
    generate(settings.database_url(), products=50)
    due: dict[str, list[datetime]] = {}
    with open_instance() as instance:
        with registering(instance) as session:
            suppliers = Profile("suppliers", "csv", {"resource_type": "suppliers"}, [])
            profiles.add(session, "default", suppliers)
        with start_webserver(home):
            first = _minute_of(time.time()) + timedelta(minutes=1)
            for number, moment in enumerate(_registration_times(first, count, minutes)):
                _sleep_until(moment)
                schedule_id, times = _register(instance, number)
                due[schedule_id] = times
            killed = first + timedelta(minutes=minutes + 1)
            _sleep_until(killed + timedelta(seconds=0.6))
            _kill_daemon(home)
            _sleep_until(killed + timedelta(seconds=56))
        expected = [(each, written(time)) for each, times in due.items() for time in times]
        with start_webserver(home):
            return _wait(instance, sorted(expected))


def _minute_of(moment: float) -> datetime:
    return datetime.fromtimestamp(moment - moment % 60, timezone.utc)


def _sleep_until(moment: datetime) -> None:
    time.sleep(max(0, moment.timestamp() - time.time()))


def _registration_times(first: datetime, count: int, minutes: int) -> list[datetime]:
    """Return random times, and some five seconds before a minute is full."""
    late = count * 3 // 10
    seconds = [random.uniform(0, minutes * 60) for _ in range(count - late)]
    last = [minute * 60 + 55 for minute in range(minutes)]
    seconds += [last[number % minutes] + number / 10 for number in range(late)]
    return [first + timedelta(seconds=each) for each in sorted(seconds)]


def _register(instance: dg.DagsterInstance, number: int) -> tuple[str, list[datetime]]:
    """Register a schedule for the next minute and the one after the next; some for each minute."""
    now = time.time()
    minutes = range(1, 4) if number % EACH_MINUTE == 0 else (1, 3)
    due = [_minute_of(now) + timedelta(minutes=minute) for minute in minutes]
    cron = f"{','.join(str(each.minute) for each in due)} * * * *"
    asked = schedules.check("default", Schedule(f"Number {number}", cron, profile="suppliers"))
    with registering(instance) as session:
        row = schedules.add(session, "default", asked)
    return row.id, [each for each in due if each.timestamp() > seconds_of(row.created_at)]


def _kill_daemon(home: Path) -> None:
    for pid in processes_of(home):
        if b"dagster._daemon\0run" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def _wait(instance: dg.DagsterInstance, expected: list[Due]) -> Outcome:
    deadline = max(seconds_of(due) for _, due in expected) + LAST_TICKS_SECONDS
    while True:
        outcome = _look(instance, expected)
        ended = all(status.value in ("SUCCESS", "FAILURE") for status in outcome.statuses)
        done = len(outcome.started) + len(outcome.overlapped) >= len(expected)
        if time.time() > deadline or (done and ended):
            return outcome
        time.sleep(1)


def _look(instance: dg.DagsterInstance, expected: list[Due]) -> Outcome:
    records = [
        record
        for record in instance.get_run_records()
        if SCHEDULE_ID_TAG in record.dagster_run.tags
    ]
    skipped = [
        (row.id, written(datetime.fromtimestamp(tick.timestamp, timezone.utc)))
        for row, _ in all_schedules()
        for tick in last_ticks(instance, row.key, 10)
        if "still going on" in (tick.skip_reason or "")
    ]
    tags = [record.dagster_run.tags for record in records]
    late = [
        record.create_timestamp.replace(tzinfo=timezone.utc).timestamp()
        - seconds_of(record.dagster_run.tags[DUE_TAG])
        for record in records
    ]
    return Outcome(
        expected,
        sorted((each[SCHEDULE_ID_TAG], each[DUE_TAG]) for each in tags),
        sorted(skipped),
        sorted(late),
        {record.dagster_run.status for record in records},
    )
