"""Schedules whose last success is older than it should be (F20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import dagster as dg

from export_pipelines.clock import seconds_of, written
from export_pipelines.cron import last_time
from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.schedule_states import last_ticks, running_since

DUE_TAG = "export/due_at"
"""The tag of runs that says which time of their schedule they are for."""

_LATEST = 20


@dataclass(frozen=True)
class Late:
    """A schedule that is late.

    Attributes:
        row: the schedule.
        sentence: since when, when it succeeded last, and what became of its last run.
    """

    row: ScheduleRow
    sentence: str


def late_schedules(
    instance: dg.DagsterInstance, rows: Sequence[ScheduleRow], moment: float
) -> list[Late]:
    """Return the schedules that should have succeeded by a moment and have not.

    Args:
        instance: where runs and states are kept.
        rows: the schedules.
        moment: seconds since 1970.
    """
    found = [(row, _lateness(instance, row, moment)) for row in rows]
    return [Late(row, sentence) for row, sentence in found if sentence]


def _lateness(instance: dg.DagsterInstance, row: ScheduleRow, moment: float) -> str:
    since = running_since(instance, row.key)
    if since is None:
        return ""
    due = last_time(row.cron_expression, row.timezone, moment - row.alert_after_minutes * 60)
    if due < since:
        return ""
    success = last_success(instance, row.id)
    latest = success.tags.get(DUE_TAG, "") if success else ""
    if latest and seconds_of(latest) >= due:
        return ""
    last = f"it succeeded last at {latest}" if latest else "it has never succeeded"
    return (
        f"{row.name} is late: it was due at {_written(due)}, and {last}. {_last_run(instance, row)}"
    )


def last_success(instance: dg.DagsterInstance, schedule_id: str) -> dg.DagsterRun | None:
    """Return the run of the latest time for which a schedule succeeded; None if it never did."""
    filters = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS], tags={SCHEDULE_ID_TAG: schedule_id}
    )
    runs = instance.get_runs(filters, limit=_LATEST)
    return max(runs, key=lambda run: run.tags.get(DUE_TAG, ""), default=None)


def _last_run(instance: dg.DagsterInstance, row: ScheduleRow) -> str:
    """Return what became of the last time, in a sentence."""
    runs = instance.get_runs(dg.RunsFilter(tags={SCHEDULE_ID_TAG: row.id}), limit=1)
    ticks = last_ticks(instance, row.key, 1)
    if ticks and not ticks[0].run_ids:
        error = ticks[0].error.message.strip() if ticks[0].error else ""
        return f"Its last tick started nothing: {ticks[0].skip_reason or error or 'no reason'}"
    if not runs:
        return "There is no run of it: is the daemon running?"
    [run] = runs
    reason = run.tags.get("export/error", "")
    return f"Its last run {run.run_id} is {run.status.value}{f': {reason}' if reason else '.'}"


def _written(moment: float) -> str:
    return written(datetime.fromtimestamp(moment, timezone.utc))
