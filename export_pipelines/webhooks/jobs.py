"""Events of jobs, made from what has become of their runs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

from export_pipelines.clock import written
from export_pipelines.limits import FORMAT_TAG, organization_of
from export_pipelines.runs.views import is_job, state_of, view
from export_pipelines.webhooks.changes import Change
from export_pipelines.webhooks.events import Event, job_event, job_event_id
from export_pipelines.webhooks.topics import CREATED, STARTED

Wants = Callable[[str, str], bool]
"""Whether anybody in an organization is told of a topic."""


def event_ids(changes: Sequence[Change]) -> list[str]:
    """Return the ids of the events that changes may make."""
    return [job_event_id(change.run_id, word) for change in changes for word in _words(change)]


def job_events(
    instance: dg.DagsterInstance,
    changes: Sequence[Change],
    known: set[str],
    wants: Wants,
    moment: float,
) -> list[Event]:
    """Return the events of jobs, in the order in which they happened.

    Runs that are no jobs make none, nor do those that were deleted. A run whose status has not
    followed yet makes them later.

    Args:
        instance: where runs are recorded.
        changes: what has become of runs.
        known: ids of events that were recorded before.
        wants: whether anybody is told.
        moment: seconds since 1970.
    """
    new = [change for change in changes if not known.issuperset(event_ids([change]))]
    run_ids = sorted({change.run_id for change in new})
    found = instance.get_run_records(dg.RunsFilter(run_ids=run_ids)) if run_ids else []
    records = {record.dagster_run.run_id: record for record in found}
    events: list[Event] = []
    for change in new:
        record = records.get(change.run_id)
        if record and is_job(record.dagster_run) and _has_followed(record, change, moment):
            events += _events(instance, record, change, known, wants)
    return events


def _words(change: Change) -> tuple[str, ...]:
    """Return what is told: runs of the command line are never queued, and created all the same."""
    return (CREATED, STARTED) if change.word == STARTED else (change.word,)


def _has_followed(record: RunRecord, change: Change, moment: float) -> bool:
    run = record.dagster_run
    if change.word == CREATED or change.is_settled(moment):
        return True
    return run.is_finished if change.word != STARTED else state_of(run) != "pending"


def _events(
    instance: dg.DagsterInstance, record: RunRecord, change: Change, known: set[str], wants: Wants
) -> Iterator[Event]:
    run = record.dagster_run
    kind = "export" if FORMAT_TAG in run.tags else "import"
    for word in _words(change):
        is_new = job_event_id(run.run_id, word) not in known
        if is_new and wants(organization_of(run), f"{kind}.{word}"):
            yield job_event(view(instance, record), word, _at(record, change, word))


def _at(record: RunRecord, change: Change, word: str) -> str:
    if word == change.word:
        return written(datetime.fromtimestamp(change.at, timezone.utc))
    return written(record.create_timestamp.replace(tzinfo=timezone.utc))
