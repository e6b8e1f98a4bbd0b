"""What imports leave in the drop folder: files that have ended, with their reports.

`incoming` and `processing` are never looked into.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import dagster as dg

from export_pipelines.imports import drop_folder
from export_pipelines.imports.drop_folder import DONE, FAILED
from export_pipelines.imports.file_names import plain_name
from export_pipelines.imports.report import FAILED_ENDING, REPORT_ENDING
from export_pipelines.imports.uploads import uploads_folder
from export_pipelines.retention.candidates import Candidate, Removed
from export_pipelines.retention.folders import (
    RUN_ID,
    batches,
    bytes_of,
    folders,
    last_written,
    newest,
    remove_folder,
)
from export_pipelines.retention.history import active_imports, active_runs, import_files

_REPORTS = "reports"
_ENDINGS = ("", REPORT_ENDING, f"{FAILED_ENDING}.csv", f"{FAILED_ENDING}.jsonl")
_ENDED = re.compile(r"(\d{8}T\d{6}Z)-[^/]{1,8}-.+", re.DOTALL)
_ANY = re.compile(r".*", re.DOTALL)


def old_imports(instance: dg.DagsterInstance, before: float) -> Iterator[Candidate]:
    """Yield imported files and reports that nobody has written to since a time.

    A file counts with its report and its failed rows: all of them are old, and so is the import,
    which their name tells. A file that an active run is asked to import once more stays.

    Args:
        instance: where runs are recorded.
        before: in seconds since 1970.
    """
    root = drop_folder.root()
    for end in (DONE, FAILED):
        for folder in folders(root / end, _ANY):
            for ended in batches(ended_files(folder)):
                asked = _asked(instance)
                for files in ended:
                    if _is_old(files, before, asked):
                        remove = partial(_remove_files, files)
                        is_old = partial(_is_still_old, instance, files, before)
                        yield Candidate(_place(root, files[0]), remove, is_old)
    yield from _old_reports(instance, root, before)
    yield from _old_uploads(instance, root, before)


def _old_reports(instance: dg.DagsterInstance, root: Path, before: float) -> Iterator[Candidate]:
    for batch in batches(folders(root / _REPORTS, RUN_ID)):
        at_work = _at_work(instance)
        for folder in batch:
            if folder.name not in at_work and newest(folder) < before:
                remove = partial(_remove_folder, folder)
                is_old = partial(_is_still_old_report, instance, folder, before)
                yield Candidate(_place(root, folder), remove, is_old)


def _old_uploads(instance: dg.DagsterInstance, root: Path, before: float) -> Iterator[Candidate]:
    for batch in batches(folders(uploads_folder(), RUN_ID)):
        asked = _asked(instance)
        for folder in batch:
            if newest(folder) < before and not _is_asked(folder, asked):
                remove = partial(_remove_folder, folder)
                is_old = partial(_is_still_old_upload, instance, folder, before)
                yield Candidate(_place(root, folder), remove, is_old)


def _is_still_old_upload(instance: dg.DagsterInstance, folder: Path, before: float) -> bool:
    return newest(folder) < before and not _is_asked(folder, _asked(instance))


def _is_asked(folder: Path, asked: Collection[str]) -> bool:
    return any(str(path) in asked for path in folder.iterdir())


def _at_work(instance: dg.DagsterInstance) -> set[str]:
    return {record.dagster_run.run_id for record in active_runs(instance)}


def _is_still_old_report(instance: dg.DagsterInstance, folder: Path, before: float) -> bool:
    return newest(folder) < before and folder.name not in _at_work(instance)


def ended_files(folder: Path) -> Iterator[list[Path]]:
    """Yield each file that imports have put into a folder, with what is said about it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                continue
            name = _without_endings(entry.name)
            files = [folder / f"{name}{ending}" for ending in _ENDINGS]
            there = [file for file in files if file.is_file()]
            # Each is met; the first of them stands for all.
            if there and there[0].name == entry.name:
                yield there


def _without_endings(name: str) -> str:
    for ending in _ENDINGS[1:]:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _is_old(files: Sequence[Path], before: float, asked: Collection[str]) -> bool:
    # A file keeps the time at which its owner wrote it: its name says when it was imported.
    imported = imported_at(files[0])
    if imported is None or max(imported, last_written(files)) >= before:
        return False
    return not any(str(file) in asked for file in files)


def _is_still_old(instance: dg.DagsterInstance, files: Sequence[Path], before: float) -> bool:
    return _is_old(files, before, _asked(instance))


def imported_at(file: Path) -> float | None:
    """Return what the name of an imported file says; None if it is not named by an import."""
    named = _ENDED.fullmatch(file.name)
    try:
        return datetime.strptime(named[1], "%Y%m%dT%H%M%S%z").timestamp() if named else None
    except ValueError:
        return None


def _asked(instance: dg.DagsterInstance) -> set[str]:
    """Return the files that active runs are to import."""
    runs = (record.dagster_run for record in active_imports(instance))
    return {file for run in runs for file in import_files(run)}


def _place(root: Path, path: Path) -> str:
    return plain_name(path.relative_to(root).as_posix())


def _remove_files(files: Sequence[Path], dry_run: bool) -> Removed:
    size = bytes_of(files)
    if not dry_run:
        for file in files:
            file.unlink(missing_ok=True)
    return Removed(bytes=size)


def _remove_folder(folder: Path, dry_run: bool) -> Removed:
    return remove_folder(folder, dry_run=dry_run)
