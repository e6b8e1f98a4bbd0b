"""A folder of this machine, or one that is mounted on it."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import Field

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import (
    ExportPipelinesError,
    PlatformError,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
    is_disk_full,
    storage_error,
)
from export_pipelines.platforms.base import (
    Connection,
    Platform,
    Receipt,
    RemoteFile,
    file_sha256,
    hidden_name,
    is_hidden,
)


class Local(Platform):
    """A folder of this machine, or one that is mounted on it."""

    platform_type: Literal["local"] = "local"
    folder: str = Field(
        description="An absolute path. The folder must be there, so that files for a disk that is "
        "not mounted do not fill another.",
        json_schema_extra={"of_machine": True},
    )

    @property
    def location(self) -> str:
        """The folder."""
        return str(Path(self.folder))

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the folder."""
        folder = Path(self.folder)
        if not folder.is_absolute():
            raise PlatformMisconfigured(
                f"folder: {self.folder} is not an absolute path.", field="folder"
            )
        if not folder.is_dir():
            raise PlatformMisconfigured(
                f"folder: there is no folder {folder} on this machine: create it, or mount its "
                "disk.",
                field="folder",
            )
        yield _LocalConnection(folder, _copy, _refused)


@contextmanager
def open_store(folder: Path) -> Iterator[Connection]:
    """Open a folder that only this project writes to, made if need be.

    On the staging area's disk files get a second name there instead of a copy. Where people work on
    what was delivered that would change the first one too.

    Raises:
        StorageUnavailable: the folder cannot be made.
    """
    with _explained(storage_error):
        folder.mkdir(parents=True, exist_ok=True)
    yield _LocalConnection(folder, _link_or_copy, storage_error)


class _LocalConnection(Connection):
    def __init__(
        self,
        folder: Path,
        take: Callable[[StagedFile, Path], None],
        explain: Callable[[OSError], ExportPipelinesError],
    ) -> None:
        self._folder = folder
        self._take = take
        self._explain = explain

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        target = self._folder / name
        if not Path(file.path).is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file.path)
        with _explained(self._explain):
            if _is_same(file, target):
                on_bytes(file.bytes)
                return Receipt(0, "sha256")
            target.parent.mkdir(parents=True, exist_ok=True)
            hidden = self._folder / hidden_name(name, file.sha256)
            try:
                hidden.unlink(missing_ok=True)
                self._take(file, hidden)
                _flush(hidden)
                hidden.replace(target)
            finally:
                hidden.unlink(missing_ok=True)
            _flush(target.parent)
        on_bytes(file.bytes)
        return Receipt(file.bytes, "sha256")

    def get(self, name: str, target: Path) -> None:
        if not (self._folder / name).is_file():
            raise FileNotFoundError(name)
        with _explained(self._explain):
            shutil.copyfile(self._folder / name, target)

    def list(self, folder: str = "") -> list[RemoteFile]:
        with _explained(self._explain):
            below = self._folder / folder
            found = below.iterdir() if below.is_dir() else ()
            return sorted(
                (
                    RemoteFile(path.relative_to(self._folder).as_posix(), path.stat().st_size)
                    for path in found
                    if path.is_file() and not is_hidden(path.name)
                ),
                key=lambda file: file.name,
            )

    def delete(self, name: str) -> None:
        with _explained(self._explain):
            path = self._folder / name
            path.unlink(missing_ok=True)
            # As in a bucket, a folder is there as long as something is in it.
            if path.parent != self._folder:
                with suppress(OSError):
                    path.parent.rmdir()


def _is_same(file: StagedFile, target: Path) -> bool:
    if not target.is_file() or target.stat().st_size != file.bytes:
        return False
    return target.samefile(file.path) or file_sha256(target) == file.sha256


def _link_or_copy(file: StagedFile, hidden: Path) -> None:
    try:
        os.link(file.path, hidden)
    except OSError:
        # Another disk, or one without hard links.
        _copy(file, hidden)


def _copy(file: StagedFile, hidden: Path) -> None:
    shutil.copyfile(file.path, hidden)
    if file_sha256(hidden) != file.sha256:
        raise PlatformUnavailable(
            f"{hidden.parent} holds other bytes than were written there: check its disk."
        )


def _flush(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut cannot empty a named file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_OF_A_MOMENT = {
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EIO,
    errno.ENETUNREACH,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""What a disk says that is mounted over a network."""


def _refused(error: OSError) -> PlatformError:
    where = error.filename2 or error.filename or "the folder"
    if error.errno in _OF_A_MOMENT:
        return PlatformUnavailable(f"The disk of {where} does not answer: {error.strerror}.")
    if is_disk_full(error):
        return PlatformRefused(f"The disk of {where} is full: make room there.")
    return PlatformRefused(
        f"{where} cannot be used: {error.strerror or error}. Correct the folder or its permissions."
    )


@contextmanager
def _explained(explain: Callable[[OSError], ExportPipelinesError]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain(error) from None
