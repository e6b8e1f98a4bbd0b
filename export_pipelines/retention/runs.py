"""Records of runs that ended long ago, with their events, logs and what steps handed on."""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from export_pipelines.errors import RegistryUnavailable
from export_pipelines.imports import drop_folder
from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.retention.candidates import Candidate, Removed
from export_pipelines.retention.folders import bytes_of, folder_bytes
from export_pipelines.retention.history import Family, ended_pages, families, import_files
from export_pipelines.retention.scheduled import last_successes

HasFiles = Callable[[dg.RunRecord, Family], bool]
"""Tells whether a run is an export that still has files."""


def old_runs(
    instance: dg.DagsterInstance, before: float, has_files: HasFiles
) -> Iterator[Candidate]:
    """Yield the runs that ended before a time, as did all that execute them again.

    A run of which something is left keeps its record: an export that has files, an import whose
    file is still in `processing`, or was cancelled and is still waiting. So does the last success
    of a registered schedule, without which the schedule would be late; while the registry does not
    answer, all runs of schedules do.

    Args:
        instance: where runs are recorded.
        before: in seconds since 1970.
        has_files: tells whether an export still has files.

    Raises:
        RegistryUnavailable: in the end, if runs were kept since the registry does not answer.
    """
    unanswered: RegistryUnavailable | None = None
    for page in ended_pages(instance, before):
        old = _old(instance, page, before, has_files)
        try:
            kept = last_successes(instance, [record.dagster_run for record in old])
        except RegistryUnavailable as error:
            unanswered = error
            kept = {_run_id(record) for record in old if _is_scheduled(record)}
        for record in old:
            run_id = _run_id(record)
            if run_id not in kept:
                is_old = partial(_is_still_old, instance, record, before, has_files)
                yield Candidate(run_id, partial(_removed, instance, run_id), is_old)
    if unanswered:
        raise unanswered


def _old(
    instance: dg.DagsterInstance,
    records: Sequence[dg.RunRecord],
    before: float,
    has_files: HasFiles,
) -> list[dg.RunRecord]:
    """Return those of some runs that nothing needs any more, as it is now."""
    known = families(instance, [_run_id(record) for record in records])
    claimed = {drop_folder.run_of(Path(claim)) for claim in drop_folder.claims()}
    return [
        record
        for record in records
        if _is_over(record, known[_run_id(record)], before, claimed)
        and not has_files(record, known[_run_id(record)])
    ]


def _is_still_old(
    instance: dg.DagsterInstance, record: dg.RunRecord, before: float, has_files: HasFiles
) -> bool:
    return bool(_old(instance, [record], before, has_files))


def _is_over(record: dg.RunRecord, family: Family, before: float, claimed: Collection[str]) -> bool:
    """Return whether a run's whole family ended before a time, and none of its files waits."""
    if family.active or family.ended >= before or _run_id(record) in claimed:
        return False
    return not _keeps_files_waiting(record.dagster_run)


def _is_scheduled(record: dg.RunRecord) -> bool:
    return SCHEDULE_ID_TAG in record.dagster_run.tags


def _run_id(record: dg.RunRecord) -> str:
    return record.dagster_run.run_id


def _keeps_files_waiting(run: dg.DagsterRun) -> bool:
    """Return whether a cancelled run is why files are not imported; on platforms they may be."""
    if run.status is not dg.DagsterRunStatus.CANCELED:
        return False
    return any(
        file.startswith("platform:") or _is_waiting(Path(file)) for file in import_files(run)
    )


def _is_waiting(file: Path) -> bool:
    return drop_folder.is_waiting(file) and file.is_file()


def _removed(instance: dg.DagsterInstance, run_id: str, dry_run: bool) -> Removed:
    size = folder_bytes(_outputs(instance, run_id)) + bytes_of(_event_files(instance, run_id))
    if not dry_run:
        remove_run(instance, run_id)
    return Removed(bytes=size)


def remove_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete all of a run, its record last: what is left of one that was not deleted is found.

    Raises:
        OSError: a file cannot be removed.
    """
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    outputs = _outputs(instance, run_id)
    if outputs.is_dir():
        shutil.rmtree(outputs)
    _remove_events(instance, run_id)
    instance.run_storage.delete_run(run_id)


def _outputs(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.storage_directory()) / run_id


def _remove_events(instance: dg.DagsterInstance, run_id: str) -> None:
    events = instance.event_log_storage
    if not isinstance(events, SqliteEventLogStorage):
        events.delete_events(run_id)
        return
    # Dagster would empty the run's database, or make it to do so, and keep it.
    with events.index_connection() as connection:
        events.delete_events_for_run(connection, run_id)
    for file in _event_files(instance, run_id):
        file.unlink(missing_ok=True)


def _event_files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """Return the files of a run's events: on SQLite each run has a database of its own."""
    events = instance.event_log_storage
    if not isinstance(events, SqliteEventLogStorage):
        return []
    database = Path(events.path_for_shard(run_id))
    return sorted(database.parent.glob(f"{database.name}*"))
