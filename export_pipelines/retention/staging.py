"""Folders of the staging area whose runs ended long ago, so that nobody will resume them."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg

from export_pipelines.retention.candidates import Candidate, Removed
from export_pipelines.retention.folders import RUN_ID, batches, folders, newest, remove_folder
from export_pipelines.retention.history import (
    Family,
    active_imports,
    created_at,
    families,
    family_of,
)

_IMPORT = re.compile(r"import-[0-9a-f]{16}")


def old_staging(instance: dg.DagsterInstance, parent: Path, before: float) -> Iterator[Candidate]:
    """Yield the folders of runs that ended before a time, all that execute them again included.

    Of a run without a record it is when its files were last written.

    Args:
        instance: where runs are recorded.
        parent: the staging area.
        before: in seconds since 1970.
    """
    for batch in batches(folders(parent, RUN_ID)):
        known = families(instance, [folder.name for folder in batch])
        for folder in batch:
            if _has_ended(folder, known[folder.name], before):
                is_old = partial(_still_has_ended, instance, folder, before)
                yield Candidate(folder.name, partial(_remove, folder), is_old)
    yield from _of_imports(instance, parent, before)


def _has_ended(folder: Path, family: Family, before: float) -> bool:
    return not family.active and (family.ended or newest(folder)) < before


def _still_has_ended(instance: dg.DagsterInstance, folder: Path, before: float) -> bool:
    return _has_ended(folder, family_of(instance, folder.name), before)


def _of_imports(instance: dg.DagsterInstance, parent: Path, before: float) -> Iterator[Candidate]:
    """Yield what dead imports have left, unless one of that age is still at work.

    Their folders do not tell whose they are.
    """
    for batch in batches(folders(parent, _IMPORT)):
        if _is_importing(instance, before):
            return
        for folder in batch:
            if newest(folder) < before:
                is_old = partial(_is_left, instance, folder, before)
                yield Candidate(folder.name, partial(_remove, folder), is_old)


def _is_importing(instance: dg.DagsterInstance, before: float) -> bool:
    return any(created_at(run).timestamp() < before for run in active_imports(instance))


def _is_left(instance: dg.DagsterInstance, folder: Path, before: float) -> bool:
    return newest(folder) < before and not _is_importing(instance, before)


def _remove(folder: Path, dry_run: bool) -> Removed:
    return remove_folder(folder, dry_run=dry_run)
