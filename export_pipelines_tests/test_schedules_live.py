"""Schedules that are registered while the daemon runs, through its death and a restart.

It takes some minutes of real time, and mostly waits.
"""

import os
import random
import signal
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.catalog.sample import generate
from export_pipelines.clock import seconds_of
from export_pipelines.execution import open_instance
from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.registration import profiles, schedules
from export_pipelines.registration.transactions import registering
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.schedules import Schedule, all_schedules
from export_pipelines.schedule_states import last_ticks
from export_pipelines.staleness import DUE_TAG
from export_pipelines_tests.killing import processes_of
from export_pipelines_tests.webserver import start_webserver

pytestmark = pytest.mark.timeout(600)

COUNT = 20
LAST_MOMENT = 6
MEDIAN_SECONDS = 10
WORST_SECONDS = 75

Due = dict[str, list[datetime]]
"""The due times of schedules, by id."""


def minute_of(moment: float) -> datetime:
    return datetime.fromtimestamp(moment - moment % 60, timezone.utc)


def sleep_until(moment: datetime) -> None:
    time.sleep(max(0, moment.timestamp() - time.time()))


def registration_times(first: datetime) -> list[datetime]:
    """Return when schedules are registered: at random in two minutes, some at the last moment."""
    seconds = [random.uniform(0, 120) for _ in range(COUNT - LAST_MOMENT)]
    seconds += [55, 55.2, 55.4, 115, 115.2, 115.4]
    return [first + timedelta(seconds=each) for each in sorted(seconds)]


def register(instance: dg.DagsterInstance, number: int) -> tuple[str, list[datetime]]:
    """Register a schedule for the next minute and the one after the next."""
    now = time.time()
    due = [minute_of(now) + timedelta(minutes=minutes) for minutes in (1, 3)]
    cron = f"{due[0].minute},{due[1].minute} * * * *"
    asked = schedules.check("default", Schedule(f"Number {number}", cron, profile="suppliers"))
    with registering(instance) as session:
        row = schedules.add(session, "default", asked)
    # What was due between the clock's reading and the registration is due no more.
    return row.id, [each for each in due if each.timestamp() > now]


def kill_daemon(home: Path) -> None:
    for pid in processes_of(home):
        if b"dagster._daemon\0run" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def wait_for_runs(instance: dg.DagsterInstance, due: Due) -> list[dg.RunRecord]:
    """Return the runs of all schedules, when all are there and have ended."""
    last = max(each for times in due.values() for each in times)
    expected = sum(map(len, due.values()))
    deadline = last.timestamp() + WORST_SECONDS + 30
    while True:
        records = [
            record
            for record in instance.get_run_records()
            if SCHEDULE_ID_TAG in record.dagster_run.tags
        ]
        ended = all(record.dagster_run.is_finished for record in records)
        if time.time() > deadline or (len(records) >= expected and ended):
            return records
        time.sleep(1)


def test_every_due_minute_fires_once(capsys: pytest.CaptureFixture[str]) -> None:
    home = settings.home_folder()
    home.mkdir(parents=True)
    generate(settings.database_url(), products=50)
    due: Due = {}
    with open_instance() as instance:
        request = {"resource_type": "suppliers"}
        with registering(instance) as session:
            profiles.add(session, "default", Profile("suppliers", "csv", request, []))
        with start_webserver(home):
            first = minute_of(time.time()) + timedelta(minutes=1)
            for number, moment in enumerate(registration_times(first)):
                sleep_until(moment)
                schedule_id, times = register(instance, number)
                due[schedule_id] = times
            # While the first ticks of a minute are worked on.
            sleep_until(first + timedelta(minutes=3, seconds=0.6))
            kill_daemon(home)
            # The next minute comes while nothing runs.
            sleep_until(first + timedelta(minutes=3, seconds=56))
        with start_webserver(home):
            records = wait_for_runs(instance, due)
        fired = sorted(
            (record.dagster_run.tags[SCHEDULE_ID_TAG], record.dagster_run.tags[DUE_TAG])
            for record in records
        )
        late = sorted(
            record.create_timestamp.replace(tzinfo=timezone.utc).timestamp()
            - seconds_of(record.dagster_run.tags[DUE_TAG])
            for record in records
        )
        skipped = [
            (row.name, tick.timestamp, tick.skip_reason, tick.error)
            for row, _ in all_schedules()
            for tick in last_ticks(instance, row.key, 10)
            if not tick.run_ids
        ]
        statuses = {record.dagster_run.status for record in records}
    with capsys.disabled():
        print(f"\n{len(late)} ticks: median {median(late):.1f} s late, worst {late[-1]:.1f} s.")  # noqa: T201
    expected = sorted(
        (schedule_id, each.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        for schedule_id, times in due.items()
        for each in times
    )
    assert fired == expected, skipped
    assert statuses == {dg.DagsterRunStatus.SUCCESS}
    assert median(late) < MEDIAN_SECONDS
    assert late[-1] < WORST_SECONDS
