"""The drop folder: where files wait, are worked on, and end.

    incoming/<resource type>/<file>                 dropped by people and programs
    processing/<claim>/<resource type>/<file>       taken by a run
    done/<resource type>/<claim>-<file>             imported, its report beside it
    failed/<resource type>/<claim>-<file>           not imported, its report beside it

A file is in one of them at any moment: it moves by renaming, last of all. A claim is a folder that
its run keeps locked; the lock ends with the process, however that ends, and somebody else can take
the claim over, with the same name. So a file ends once, and is applied once.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from export_pipelines import settings
from export_pipelines.imports.file_names import key_of, short_name

INCOMING = "incoming"
PROCESSING = "processing"
DONE = "done"
FAILED = "failed"

_LOCK = ".lock"
_RUNS = ".runs"
_LOOK_SECONDS = 2.0
_WAIT_SECONDS = 0.05
_HIDDEN = (".part", ".tmp", ".partial", ".crdownload")
_RUN_CHARACTERS = 8

_LOCKS: dict[Path, BinaryIO] = {}
"""The claims of this process: a lock lasts as long as its file is open."""


@dataclass(frozen=True)
class Taken:
    """A file in `processing`.

    Attributes:
        claim: the claim's folder.
        resource_type: the folder it was dropped in.
        path: where it is now.
    """

    claim: Path
    resource_type: str
    path: Path

    @property
    def key(self) -> str:
        """What names this drop of the file for ever."""
        return f"{self.claim.name}/{self.resource_type}/{key_of(self.path.name)}"


def root() -> Path:
    """Return the drop folder."""
    return settings.imports_folder()


def make_folders(resource_types: Iterable[str]) -> None:
    """Make the folders that people drop files in."""
    for name in resource_types:
        (root() / INCOMING / name).mkdir(parents=True, exist_ok=True)


def is_waiting(path: Path) -> bool:
    """Return whether a path is one of a file in a folder of `incoming`."""
    return path.parent.parent == root() / INCOMING


def is_taken(path: Path) -> bool:
    """Return whether a path is one of a file in a claim."""
    return path.parent.parent.parent == root() / PROCESSING


def astray() -> list[Path]:
    """Return the files in `incoming` that are in no folder of it, which nobody will take."""
    return sorted(path for path in (root() / INCOMING).glob("*") if _is_whole(path))


def waiting() -> Iterator[Path]:
    """Yield the files that wait, oldest first: no hidden ones, and none that are being copied."""
    folder = root() / INCOMING
    found = []
    for path in folder.glob("*/*"):
        # Runs take files at any moment.
        with suppress(FileNotFoundError):
            if _is_whole(path):
                found.append((path.stat().st_mtime_ns, path.name, path))
    yield from (path for *_, path in sorted(found))


def _is_whole(path: Path) -> bool:
    return not is_unfinished(path.name) and not path.is_symlink() and path.is_file()


def is_unfinished(name: str) -> bool:
    """Return whether a name is one of a file that is hidden, or that is being copied."""
    return name.startswith((".", "~")) or name.lower().endswith(_HIDDEN)


def claim_name(run_id: str, now: datetime) -> str:
    """Return a new claim's name: when it was made and by which run, the latter whole."""
    return f"{now:%Y%m%dT%H%M%SZ}-{run_id}"


def run_of(claim: Path) -> str:
    """Return the run that made a claim."""
    return claim.name.partition("-")[2]


def make_claim(claim: str) -> Path:
    """Make a claim that nobody else can take over, and return its folder.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = root() / PROCESSING / claim
    while not _lock(folder, wait=True):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def take(path: Path, claim: str) -> Taken | None:
    """Move a waiting file into a claim; None if it is gone, taken by another run.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = root() / PROCESSING / claim
    target = folder / path.parent.name / path.name
    while path.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _lock(folder, wait=True):
            continue
        with suppress(FileNotFoundError):
            path.rename(target)
            return Taken(folder, target.parent.name, target)
    release(folder)
    return None


def take_over(path: Path) -> Taken | None:
    """Take a file that a dead run has left in its claim; None if it is gone, or worked on.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = path.parent.parent
    until = time.monotonic() + _LOOK_SECONDS
    while path.is_file():
        if _lock(folder):
            return Taken(folder, path.parent.name, path) if path.is_file() else None
        # Somebody who looks for abandoned claims has each of them for a moment.
        if time.monotonic() > until:
            return None
        time.sleep(_WAIT_SECONDS)
    return None


def _lock(folder: Path, *, wait: bool = False) -> bool:
    """Lock a claim for as long as this process lives; False if it is another's, or was removed."""
    if folder in _LOCKS:
        return True
    try:
        lock = (folder / _LOCK).open("wb")
    except FileNotFoundError:
        return False
    with ExitStack() as opened:
        opened.enter_context(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before may have removed it with its folder.
            if (folder / _LOCK).stat().st_ino != os.fstat(lock.fileno()).st_ino:
                return False
        except (BlockingIOError, FileNotFoundError):
            return False
        opened.pop_all()
    _LOCKS[folder] = lock
    return True


def begin_work(run_id: str) -> None:
    """Show that a run is at work, for as long as this process lives.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = root() / _RUNS / run_id
    while not _lock(folder, wait=True):
        folder.mkdir(parents=True, exist_ok=True)


def is_at_work(run_id: str) -> bool:
    """Return whether a process is at work for a run; what a dead one has left is removed."""
    folder = root() / _RUNS / run_id
    if folder in _LOCKS:
        return True
    if not folder.is_dir():
        return False
    if not _lock(folder):
        return True
    release(folder)
    return False


def end_work(run_id: str) -> None:
    """End what `begin_work` began."""
    release(root() / _RUNS / run_id)


def claims() -> list[str]:
    """Return the names of the claims in `processing`."""
    return sorted(folder.name for folder in (root() / PROCESSING).glob("*"))


def abandoned() -> Iterator[tuple[Path, list[Path]]]:
    """Yield the claims that no process works on, with their files; empty ones are removed."""
    for run in (root() / _RUNS).glob("*"):
        is_at_work(run.name)
    for folder in sorted((root() / PROCESSING).glob("*")):
        if folder in _LOCKS or not folder.is_dir() or not _lock(folder):
            continue
        files = [path for path in sorted(folder.glob("*/*")) if path.is_file()]
        release(folder)
        if files:
            yield folder, files


def leave(folder: Path) -> None:
    """End this process's work on a claim if no file of it is left; of several there may be."""
    if not any(path.is_file() for path in folder.glob("*/*")):
        release(folder)


def release(folder: Path) -> None:
    """End this process's work on a claim, and remove its folder if no file is in it."""
    for inner in folder.glob("*/"):
        _remove_empty(inner)
    lock = _LOCKS.pop(folder, None)
    if not [each for each in folder.glob("*") if each.name != _LOCK]:
        (folder / _LOCK).unlink(missing_ok=True)
        _remove_empty(folder)
    if lock:
        lock.close()


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Another file has come into it, or it is gone.
        return


def finish(taken: Taken, *, succeeded: bool, beside: Mapping[str, bytes]) -> Path:
    """Move a file to where it ends, after what is said about it, and return its new place.

    Args:
        taken: the file.
        succeeded: whether it was imported.
        beside: what to write beside it: contents by what follows its name.

    Raises:
        OSError: the folder cannot be written to; the file is where it was.
    """
    folder = root() / (DONE if succeeded else FAILED) / taken.resource_type
    folder.mkdir(parents=True, exist_ok=True)
    name = end_name(taken)
    for ending, content in beside.items():
        write_whole(folder / f"{name}{ending}", content)
    target = folder / name
    taken.path.rename(target)
    for changed in (folder, taken.path.parent):
        _flush(changed)
    return target


def _flush(folder: Path) -> None:
    """Bring a folder's list of files to the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def end_name(taken: Taken) -> str:
    """Return the name that a file has where it ends: that of its claim, shortened, and its own."""
    moment, _, run_id = taken.claim.name.partition("-")
    return f"{moment}-{run_id[:_RUN_CHARACTERS]}-{short_name(taken.path.name)}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.tmp")
    with hidden.open("wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    hidden.rename(path)
