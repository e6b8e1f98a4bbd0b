"""Registered schedules as schedules of Dagster, and what becomes of each of their ticks.

Definitions say when; what is exported, and where to, is read from the registry at the tick.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import takewhile
from typing import Any

import dagster as dg
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)

from export_pipelines.clock import seconds_of, written
from export_pipelines.cron import dagster_cron, due_times, is_due
from export_pipelines.errors import RegistryUnavailable, one_of
from export_pipelines.jobs import export_jobs
from export_pipelines.limits import ACTIVE, ORGANIZATION_TAG, SCHEDULE_ID_TAG
from export_pipelines.platforms.configuration import is_disabled
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.registry.profiles import BUILT_IN, Profile
from export_pipelines.registry.schedules import all_schedules, find_by_key
from export_pipelines.schedule_states import is_registered, last_ticks, running_since, write_state
from export_pipelines.staleness import DUE_TAG

SCHEDULE_TAG = "export/schedule"
PROFILE_TAG = "export/profile"
NOTE_TAG = "export/note"

_LOADING_SECONDS = 180
"""A new definition is known to the daemon within two of its minutes."""

# A run that a dead daemon has made and not queued goes nowhere.
_GOING_ON = [status for status in ACTIVE if status is not dg.DagsterRunStatus.NOT_STARTED]

_JOBS = {job.name: job for job in export_jobs}


def registered_schedules() -> list[dg.ScheduleDefinition]:
    """Return the definitions of all registered schedules, where definitions are made.

    Runs, and programs that use a job, load the same definitions and need none of these.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    if not DefinitionsLoadContext.is_set():
        return []
    if DefinitionsLoadContext.get().load_type is not DefinitionsLoadType.INITIALIZATION:
        return []
    return [build_schedule(row, profile) for row, profile in all_schedules()]


def build_schedule(row: ScheduleRow, profile: Profile | None) -> dg.ScheduleDefinition:
    """Return the definition of a registered schedule; without its profile it says so when due."""
    job = _job_of(profile or BUILT_IN)

    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        found = evaluate(context, row.key, job.name)
        yield from [found] if isinstance(found, dg.SkipReason) else found

    return dg.ScheduleDefinition(
        name=row.key,
        job=job,
        cron_schedule=dagster_cron(row.cron_expression, row.timezone),
        execution_timezone=row.timezone,
        execution_fn=tick,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if row.is_active
        else dg.DefaultScheduleStatus.STOPPED,
        description=f"{row.name}: exports the profile {row.profile}.",
        metadata={"organization": row.organization, "profile": row.profile},
    )


class ChangedJobError(Exception):
    """A profile has another format now; the tick is tried again, when that is loaded."""


def evaluate(
    context: dg.ScheduleEvaluationContext, key: str, job_name: str
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return the run of a due schedule, or why there is none this time.

    The first time there are more if it was due while its definition was being loaded.

    Args:
        context: the tick's.
        key: the schedule's name in Dagster.
        job_name: the job that its definition is bound to.

    Raises:
        RegistryUnavailable: the registry does not answer; Dagster tries the tick again.
        ChangedJobError: it has to be another job by now.
    """
    due = context.scheduled_execution_time.timestamp()
    found = find_by_key(key)
    if found is None:
        if is_registered(context.instance, key):
            raise RegistryUnavailable(
                "The registry does not have this schedule, which was not removed: is its database "
                "the right one, and its disk there?"
            )
        return dg.SkipReason("This schedule was removed.")
    row, profile = found
    if _was_stopped(context.instance, row):
        return dg.SkipReason("This schedule is disabled.")
    if not is_due(row.cron_expression, row.timezone, due):
        return dg.SkipReason(
            f"This schedule was changed to {row.cron_expression} in {row.timezone}, which is not "
            "due now."
        )
    if profile is None or not profile.is_active:
        state = "is disabled" if profile else "does not exist"
        return dg.SkipReason(f"Nothing was exported: the profile {row.profile} {state}.")
    times = [*_due_while_loading(context.instance, row, due), due]
    going = _going_on(context.instance, row, times)
    if going:
        return dg.SkipReason(
            f"The run before this one is still going on: {going}. This time nothing was exported."
        )
    if _job_of(profile).name != job_name:
        raise ChangedJobError(f"The profile {row.profile} has another format now: tried again.")
    requests = [_request(row, profile, each) for each in times]
    if NOTE_TAG in requests[-1].tags:
        context.log.warning(requests[-1].tags[NOTE_TAG])
    return requests


def _due_while_loading(instance: dg.DagsterInstance, row: ScheduleRow, due: float) -> list[float]:
    """Return when a schedule was due that Dagster did not know yet.

    Dagster makes up for the latest time only, which is right for a daemon that was down, but not
    for a schedule that was registered seconds before it was due.
    """
    since = running_since(instance, row.key)
    if since is None or due - since > _LOADING_SECONDS:
        return []
    if any(since <= tick.timestamp < due for tick in last_ticks(instance, row.key, 2)):
        return []
    times = (each.timestamp() for each in due_times(row.cron_expression, row.timezone, since))
    return list(takewhile(lambda each: each < due, times))


def _was_stopped(instance: dg.DagsterInstance, row: ScheduleRow) -> bool:
    """Return whether a schedule was disabled, and nobody has started it since.

    A daemon that is at a tick meanwhile writes the state back that it has read before.
    """
    since = running_since(instance, row.key)
    if row.is_active or since is None or since > seconds_of(row.updated_at):
        return False
    write_state(instance, row.key, row.cron_expression, is_active=False)
    return True


def _request(row: ScheduleRow, profile: Profile, due: float) -> dg.RunRequest:
    named = row.platforms if row.platforms is not None else profile.platforms
    platforms, disabled = _apart(named, row.organization)
    moment = _written(due)
    tags = {
        ORGANIZATION_TAG: row.organization,
        SCHEDULE_TAG: row.name,
        SCHEDULE_ID_TAG: row.id,
        PROFILE_TAG: row.profile,
        DUE_TAG: moment,
    }
    if disabled:
        verb = "are" if len(disabled) > 1 else "is"
        tags[NOTE_TAG] = f"Not delivered to {one_of(disabled)}, which {verb} disabled."
    config: dict[str, Any] = {**profile.request, "platforms": platforms}
    return dg.RunRequest(run_key=f"{row.id}:{moment}", run_config=config, tags=tags)


def _apart(names: Sequence[str] | None, organization: str) -> tuple[list[str] | None, list[str]]:
    """Return the platforms that are delivered to, and those that are disabled."""
    if names is None:
        return None, []
    disabled = [name for name in names if is_disabled(name, organization)]
    return [name for name in names if name not in disabled], disabled


def _going_on(instance: dg.DagsterInstance, row: ScheduleRow, times: Sequence[float]) -> str:
    """Return the run of an earlier tick that has not ended; empty without one.

    A tick that was interrupted is evaluated again: its own runs are none of an earlier one.
    """
    filters = dg.RunsFilter(statuses=_GOING_ON, tags={SCHEDULE_ID_TAG: row.id})
    own = [_written(each) for each in times]
    runs = instance.get_runs(filters)
    return next((run.run_id for run in runs if run.tags.get(DUE_TAG) not in own), "")


def _written(moment: float) -> str:
    return written(datetime.fromtimestamp(moment, timezone.utc))


def _job_of(profile: Profile) -> dg.JobDefinition:
    return _JOBS.get(f"export_{profile.format}", _JOBS[f"export_{BUILT_IN.format}"])
