"""Folders of the staging area whose runs ended long ago, so that nobody will resume them."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg

from export_pipelines.retention.candidates import Candidate, Removed
from export_pipelines.retention.folders import RUN_ID, batches, folders, newest, remove_folder
from export_pipelines.retention.history import active_imports, created_at, families

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
            family = known[folder.name]
            if not family.active and (family.ended or newest(folder)) < before:
                yield Candidate(folder.name, partial(_remove, folder))
    yield from _of_imports(instance, parent, before)


def _of_imports(instance: dg.DagsterInstance, parent: Path, before: float) -> Iterator[Candidate]:
    """Yield what dead imports have left, unless one of that age is still at work.

    Their folders do not tell whose they are.
    """
    for batch in batches(folders(parent, _IMPORT)):
        if any(created_at(run).timestamp() < before for run in active_imports(instance)):
            return
        for folder in batch:
            if newest(folder) < before:
                yield Candidate(folder.name, partial(_remove, folder))


def _remove(folder: Path, dry_run: bool) -> Removed:
    return remove_folder(folder, dry_run=dry_run)
