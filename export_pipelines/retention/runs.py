"""Records of runs that ended long ago, with their events, logs and what steps handed on."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from export_pipelines.imports import drop_folder
from export_pipelines.retention.candidates import Candidate, Removed
from export_pipelines.retention.folders import bytes_of, folder_bytes
from export_pipelines.retention.history import Family, ended_pages, families, import_files


def old_runs(
    instance: dg.DagsterInstance,
    before: float,
    has_files: Callable[[dg.RunRecord, Family], bool],
) -> Iterator[Candidate]:
    """Yield the runs that ended before a time, as did all that execute them again.

    A run of which something is left keeps its record: an export that has files, an import whose
    file is still in `processing`, or was cancelled and is still waiting.

    Args:
        instance: where runs are recorded.
        before: in seconds since 1970.
        has_files: tells whether an export still has files.
    """
    for page in ended_pages(instance, before):
        known = families(instance, [record.dagster_run.run_id for record in page])
        claimed = {drop_folder.run_of(Path(claim)) for claim in drop_folder.claims()}
        for record in page:
            run = record.dagster_run
            family = known[run.run_id]
            if family.active or family.ended >= before or run.run_id in claimed:
                continue
            if not has_files(record, family) and not _keeps_files_waiting(run):
                yield Candidate(run.run_id, partial(_remove, instance, run.run_id))


def _keeps_files_waiting(run: dg.DagsterRun) -> bool:
    """Return whether a cancelled run is why files are not imported; on platforms they may be."""
    if run.status is not dg.DagsterRunStatus.CANCELED:
        return False
    return any(
        file.startswith("platform:") or _is_waiting(Path(file)) for file in import_files(run)
    )


def _is_waiting(file: Path) -> bool:
    return drop_folder.is_waiting(file) and file.is_file()


def _remove(instance: dg.DagsterInstance, run_id: str, dry_run: bool) -> Removed:
    """Delete all of a run, its record last: what is left of one that was not deleted is found."""
    storage = Path(instance.storage_directory()) / run_id
    size = folder_bytes(storage) + bytes_of(_event_files(instance, run_id))
    if not dry_run:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        if storage.is_dir():
            shutil.rmtree(storage)
        _remove_events(instance, run_id)
        instance.run_storage.delete_run(run_id)
    return Removed(bytes=size)


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
