"""What is downloaded of an export, and where it is: files of the export store, or a link to one."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO
from uuid import uuid4

from export_pipelines import settings
from export_pipelines.errors import (
    NotRegistered,
    RequestError,
    StorageUnavailable,
    shown,
    storage_error,
    unknown,
)
from export_pipelines.naming import is_file_name
from export_pipelines.resources import LINK_SECONDS, ExportStore
from export_pipelines.runs.views import ExportJob, JobFile
from export_pipelines.store import stored_name

_LISTED_NAMES = 20


class NotCompleted(RequestError):
    """An export has no files yet: wait for its end."""

    code = "not_completed"


class NoFiles(RequestError):
    """An export ended without files: export again."""

    code = "no_files"


class FilesRemoved(RequestError):
    """The files of an export were removed, as they were old: export again."""

    code = "files_removed"


@dataclass(frozen=True)
class Download:
    """Files of an export that are in the store, of the sizes that they should have.

    Attributes:
        job: the export.
        files: one or more.
        store: has them.
        folder: where they are, if the store is a folder of this machine.
        link: of one file that a platform has: a signed address that serves it for 5 minutes, which
            is a secret for as long; None for others, and from platforms that sign none.
    """

    job: ExportJob
    files: Sequence[JobFile]
    store: ExportStore
    folder: Path | None
    link: str | None = None

    def open_file(self, file: JobFile) -> BinaryIO:
        """Open one of the files; the caller closes it.

        What a platform has is fetched whole first. The copy is gone once it is closed.

        Args:
            file: one of them.

        Raises:
            StorageUnavailable: it is not there any more, or is another one; or the copy cannot be
                written.
            PlatformError: the platform fails.
        """
        source = self._read(self.folder, file) if self.folder else self._fetch(file)
        size = os.fstat(source.fileno()).st_size
        if size != file.bytes:
            source.close()
            raise _other_size(self.job, file, size)
        return source

    def _read(self, folder: Path, file: JobFile) -> BinaryIO:
        try:
            return (folder / file.name).open("rb")
        except FileNotFoundError:
            raise _missing(self.job, file) from None
        except OSError as error:
            raise _unreadable(self.job, file, error) from None

    def _fetch(self, file: JobFile) -> BinaryIO:
        # Staging areas are pruned, so that the copy goes even if this process is killed.
        folder = settings.staging_folder() / str(uuid4())
        try:
            folder.mkdir(parents=True)
            copy = folder / file.name
            with self.store.connect() as connection:
                connection.get(stored_name(self.job.folder, file.name), copy)
            return copy.open("rb")
        except FileNotFoundError:
            raise _missing(self.job, file) from None
        except OSError as error:
            raise storage_error(error) from None
        finally:
            # What is open can be read to its end without a name.
            shutil.rmtree(folder, ignore_errors=True)


def find_download(job: ExportJob, part: str, store: ExportStore | None = None) -> Download:
    """Return what is downloaded of an export, having seen that it is there.

    Args:
        job: the export.
        part: the name of one of its files; empty for all.
        store: where its files are; that of the settings by default.

    Raises:
        NotCompleted: it is pending or running.
        NoFiles: it failed or was cancelled.
        FilesRemoved: they were removed, as they were old.
        NotRegistered: it has no such file.
        StorageUnavailable: a file is not in the store, or has another size than it should have.
        RequestError: the store is a platform that is disabled.
        PlatformError: the store is a platform that fails.
    """
    files = _chosen(job, part)
    store = store or ExportStore()
    folder = store.path / job.folder
    if store.location(job.folder) == str(folder):
        _require(job, files, {file.name: _size(job, folder, file) for file in files})
        return Download(job, files, store, folder)
    with store.connect() as connection:
        listed = connection.list(job.folder)
        _require(job, files, {each.name.rpartition("/")[2]: each.bytes for each in listed})
        link = None
        if len(files) == 1:
            link = connection.link(stored_name(job.folder, files[0].name), LINK_SECONDS)
    return Download(job, files, store, None, link)


def _chosen(job: ExportJob, part: str) -> list[JobFile]:
    _require_files(job)
    if not part:
        return job.files
    chosen = [file for file in job.files if file.name == part]
    if chosen:
        return chosen
    names = [file.name for file in job.files]
    if len(names) <= _LISTED_NAMES:
        raise NotRegistered(unknown("file", part, names))
    raise NotRegistered(
        f"There is no file {shown(part)}: read export {job.id}, which names its {len(names):,} "
        "files."
    )


def _require_files(job: ExportJob) -> None:
    if job.status == "processing":
        raise NotCompleted(
            f"Export {job.id} is not completed yet, {job.progress} % of it are done: read it again "
            "until its status is completed, then download it."
        )
    if job.status == "failed":
        detail = job.error.detail if job.error else "Its run has the reason."
        raise NoFiles(f"Export {job.id} has failed, so there is nothing to download. {detail}")
    if job.status == "cancelled":
        raise NoFiles(
            f"Export {job.id} was cancelled, so there is nothing to download: start it again."
        )
    if job.files_removed_at:
        raise FilesRemoved(
            f"The files of export {job.id} were removed at {job.files_removed_at}, as they were "
            "old: export again."
        )
    if not job.files or not all(map(is_file_name, [job.folder, *_names(job)])):
        raise NoFiles(f"The record of export {job.id} does not name its files: export again.")


def _names(job: ExportJob) -> list[str]:
    return [file.name for file in job.files]


def _size(job: ExportJob, folder: Path, file: JobFile) -> int | None:
    """Return a file's size; None if there is none, as a link to elsewhere is none."""
    try:
        found = (folder / file.name).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(job, file, error) from None
    return found.st_size if S_ISREG(found.st_mode) else None


def _require(job: ExportJob, files: Sequence[JobFile], sizes: Mapping[str, int | None]) -> None:
    for file in files:
        size = sizes.get(file.name)
        if size is None:
            raise _missing(job, file)
        if size != file.bytes:
            raise _other_size(job, file, size)


def _missing(job: ExportJob, file: JobFile) -> StorageUnavailable:
    return StorageUnavailable(
        f"{file.name} of export {job.id} is not in the export store: it was removed there, or "
        "another store is set in EXPORT_PIPELINES_STORE or EXPORT_PIPELINES_HOME now. Put it back, "
        "or export again."
    )


def _other_size(job: ExportJob, file: JobFile, size: int) -> StorageUnavailable:
    return StorageUnavailable(
        f"{file.name} of export {job.id} has {size:,} bytes in the export store instead of "
        f"{file.bytes:,}: it was changed there, or its disk is damaged. Export again."
    )


def _unreadable(job: ExportJob, file: JobFile, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"{file.name} of export {job.id} cannot be read in the export store: {error.strerror}. "
        "Correct the permissions of its folder, or check its disk."
    )
