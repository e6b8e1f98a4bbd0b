"""Files that were sent to be imported: each in a folder of its own, whole before it is read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from export_pipelines import settings
from export_pipelines.errors import FileRefused, RequestError, shown
from export_pipelines.imports.drop_folder import is_unfinished
from export_pipelines.naming import is_file_name

UPLOADS = "uploads"


def uploads_folder() -> Path:
    """Return the folder of all uploads, in the drop folder."""
    return settings.imports_folder() / UPLOADS


def keep_upload(name: str, chunks: Iterator[bytes]) -> Path:
    """Write what is sent to a file, and return it.

    Args:
        name: the file's, as its sender calls it.
        chunks: its bytes.

    Raises:
        RequestError: it has a name that no file here may have.
        FileRefused: it is longer than files may be, or empty.
        OSError: it cannot be written; nothing is left of it.
    """
    if not is_file_name(name) or is_unfinished(name):
        raise RequestError(
            f"file: {shown(name)} cannot be a file's name here: use one such as products.csv."
        )
    folder = uploads_folder() / str(uuid4())
    folder.mkdir(parents=True)
    try:
        path = folder / name
        with path.open("wb") as target:
            _write(target, chunks)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path


def drop_upload(path: Path) -> None:
    """Remove an upload that nobody is going to import."""
    shutil.rmtree(path.parent, ignore_errors=True)


def _write(target: BinaryIO, chunks: Iterator[bytes]) -> None:
    limit = settings.max_import_bytes()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if limit is not None and size > limit:
            raise FileRefused(
                f"The file has more than {limit:,} bytes: split it, or raise "
                "EXPORT_PIPELINES_MAX_IMPORT_BYTES."
            )
        target.write(chunk)
    if not size:
        raise FileRefused("The file is empty: send one with a header and rows.")
