"""Folders that are named by a run, how old what is in them is, and their removal."""

import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from export_pipelines.retention.candidates import Removed
from export_pipelines.retention.history import PAGE

RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Folders of other names are somebody else's."""

_T = TypeVar("_T")


def folders(parent: Path, name: re.Pattern[str]) -> Iterator[Path]:
    """Yield the folders in another one whose name is of a form; no links, none if it is missing."""
    if not parent.is_dir():
        return
    with os.scandir(parent) as entries:
        for entry in entries:
            if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield parent / entry.name


def batches(found: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield what is found in lists of a bounded length."""
    rest = iter(found)
    while batch := list(islice(rest, PAGE)):
        yield batch


def newest(folder: Path) -> float:
    """Return when a file below a folder was last written, in seconds since 1970.

    Of a folder without files it is when something was last removed from it, or put there. One that
    is gone by now is as new as can be.
    """
    times = [found.st_mtime for found in _found(_files(folder))]
    times = times or [found.st_mtime for found in _found([folder])]
    return max(times, default=math.inf)


def last_written(files: Iterable[Path]) -> float:
    """Return when one of some files was last written; if all are gone, as new as can be."""
    return max((found.st_mtime for found in _found(files)), default=math.inf)


def bytes_of(files: Iterable[Path]) -> int:
    """Return the size of some files, as far as they are there."""
    return sum(found.st_size for found in _found(files))


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; 0 if it is not there."""
    return bytes_of(_files(folder))


def remove_folder(folder: Path, *, dry_run: bool) -> Removed:
    """Remove a folder with all that is in it, and return what that is.

    Raises:
        OSError: something in it cannot be removed.
    """
    size = folder_bytes(folder)
    if not dry_run:
        shutil.rmtree(folder)
    return Removed(bytes=size)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield Path(parent, name)


def _found(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    """Yield what is known of paths; runs and people remove some at any moment."""
    for path in paths:
        with suppress(FileNotFoundError):
            yield path.lstat()
