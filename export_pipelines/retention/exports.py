"""Exports in the store whose runs ended long ago, and what is left of runs without a record.

A run's files are removed once all runs that say that they are theirs are old: one that was resumed
has those of the run before it. The tag `export/pruned_at` then says that they are gone.
"""

from collections.abc import Collection, Iterator
from functools import cached_property, partial
from pathlib import Path

import dagster as dg

from export_pipelines.clock import now, written
from export_pipelines.limits import FORMAT_TAG
from export_pipelines.platforms.base import Connection
from export_pipelines.resources import ExportStore
from export_pipelines.retention.candidates import Candidate, Removed
from export_pipelines.retention.folders import (
    RUN_ID,
    batches,
    folder_bytes,
    folders,
    newest,
    remove_folder,
)
from export_pipelines.retention.history import (
    Family,
    created_at,
    ended_at,
    ended_pages,
    families,
    family_of,
)
from export_pipelines.store import MANIFEST_NAME, stored_name

LOCATION_TAG = "export/location"
PRUNED_TAG = "export/pruned_at"


class OldExports:
    """The exports of a store that ended before a time."""

    def __init__(
        self, instance: dg.DagsterInstance, store: ExportStore, before: float | None
    ) -> None:
        """Describe them.

        Args:
            instance: where runs are recorded.
            store: keeps the exports. Those that runs have put into another one are left alone.
            before: in seconds since 1970; None if exports are kept for ever.
        """
        self._instance = instance
        self._store = store
        self._before = before
        self._named: set[str] = set()

    def candidates(self) -> Iterator[Candidate]:
        """Yield them. A platform does not say which folders it has: there, runs have to.

        Raises:
            PlatformError: the store cannot be opened.
            StorageUnavailable: its folder cannot be made.
        """
        if self._before is None:
            return
        for page in ended_pages(self._instance, self._before):
            found = [record for record in page if is_export(record) and not is_pruned(record)]
            known = families(self._instance, [record.dagster_run.run_id for record in found])
            old = [each for each in found if self.is_old(each, known[each.dagster_run.run_id])]
            if old:
                with self._store.connect() as connection:
                    for record in old:
                        remove = partial(self._remove, connection, record)
                        is_old = partial(self._is_still_old, record)
                        yield Candidate(record.dagster_run.run_id, remove, is_old)
        yield from self._without_record(self._before)

    def is_old(self, record: dg.RunRecord, family: Family) -> bool:
        """Return whether an export's files are to go: nothing that is active or new has them."""
        own = self._folders(record)
        if self._before is None or not own or family.active:
            return False
        users = [each for each in family.members if own & self._folders(each)]
        return all(ended_at(each) < self._before for each in users)

    def _is_still_old(self, record: dg.RunRecord) -> bool:
        return self.is_old(record, family_of(self._instance, record.dagster_run.run_id))

    def _folders(self, record: dg.RunRecord) -> set[str]:
        """Return the folders in this store that a run may have files in; none if in another."""
        if not is_export(record):
            return set()
        run = record.dagster_run
        location = run.tags.get(LOCATION_TAG)
        if location is None:
            return {run.run_id}
        name = location.removeprefix(self._prefix)
        is_here = location == f"{self._prefix}{name}" and RUN_ID.fullmatch(name)
        return {run.run_id, name} if is_here else set()

    @cached_property
    def _prefix(self) -> str:
        """What the places of all exports in the store begin with."""
        return self._store.location("-").removesuffix("-")

    def _remove(self, connection: Connection, record: dg.RunRecord, dry_run: bool) -> Removed:
        """Remove an export's files, the manifest first: what is left is never taken for whole."""
        run_id = record.dagster_run.run_id
        wanted = self._folders(record)
        if dry_run:
            # Another run that has the same files would find them gone.
            wanted -= self._named
            self._named |= wanted - {run_id}
        removed = [
            each
            for name in sorted(wanted)
            if (each := remove_export(connection, name, self._local(name), dry_run=dry_run)).count
        ]
        if not dry_run:
            self._instance.add_run_tags(run_id, {PRUNED_TAG: now()})
        return Removed(min(1, len(removed)), sum(each.bytes for each in removed))

    def _local(self, name: str) -> Path | None:
        """Return an export's folder, if the store is one of this machine."""
        path = self._store.path / name
        return path if f"{self._prefix}{name}" == str(path) else None

    def _without_record(self, before: float) -> Iterator[Candidate]:
        if self._local("-") is None:
            return
        for batch in batches(folders(self._store.path, RUN_ID)):
            known = families(self._instance, [folder.name for folder in batch])
            with self._store.connect() as connection:
                for folder in batch:
                    if self._is_left(folder, known[folder.name], before):
                        remove = partial(_remove_local, connection, folder)
                        is_old = partial(self._is_still_left, folder, before)
                        yield Candidate(folder.name, remove, is_old)

    def _is_left(self, folder: Path, family: Family, before: float) -> bool:
        """Return whether a folder is an old one of no run that has a record."""
        if family.active or any(folder.name in self._folders(each) for each in family.members):
            return False
        return newest(folder) < before

    def _is_still_left(self, folder: Path, before: float) -> bool:
        return self._is_left(folder, family_of(self._instance, folder.name), before)


def is_export(record: dg.RunRecord) -> bool:
    """Return whether a run is an export."""
    return FORMAT_TAG in record.dagster_run.tags


def is_pruned(record: dg.RunRecord) -> bool:
    """Return whether an export's files are gone.

    A run executed again inherits the tags of the one before: an earlier time is that one's.
    """
    return record.dagster_run.tags.get(PRUNED_TAG, "") >= written(created_at(record))


def _remove_local(connection: Connection, folder: Path, dry_run: bool) -> Removed:
    return remove_export(connection, folder.name, folder, dry_run=dry_run)


def remove_export(
    connection: Connection, name: str, folder: Path | None, *, dry_run: bool
) -> Removed:
    """Remove one folder of the store, its manifest first, and return what was in it.

    Args:
        connection: the store.
        name: the folder's name there.
        folder: where it is, if it is on this machine. Unfinished files in it go too.
        dry_run: whether to remove nothing.

    Raises:
        PlatformError: the store fails.
        OSError: a file cannot be removed.
    """
    files = connection.list(name)
    size = sum(file.bytes for file in files) if folder is None else folder_bytes(folder)
    found = bool(files) if folder is None else folder.is_dir()
    if not dry_run:
        _remove_files(connection, [file.name for file in files], stored_name(name, MANIFEST_NAME))
        if folder is not None and folder.is_dir():
            remove_folder(folder, dry_run=False)
    return Removed(int(found), size)


def _remove_files(connection: Connection, names: Collection[str], manifest: str) -> None:
    for name in sorted(names, key=lambda name: (name != manifest, name)):
        connection.delete(name)
