"""The bytes of a file as a stream, unpacked, and never more of them than are allowed."""

import errno
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO
from xml.parsers import expat

from isal import igzip, isal_zlib

from export_pipelines.errors import FileRefused
from export_pipelines.readers.base import Content, size_text

CHUNK_BYTES = 1 << 20
"""How much is unpacked at a time."""

_ERRORS: tuple[type[Exception], ...] = (  # type: ignore[assignment]
    zipfile.BadZipFile,
    zlib.error,
    isal_zlib.error,
    expat.ExpatError,
    EOFError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Meter:
    """Counts what a file unpacks to, against the most that is allowed; None for any size."""

    def __init__(self, content: Content, allowed: int | None) -> None:
        self._content = content
        self._allowed = allowed
        self._spent = 0

    def spend(self, count: int) -> None:
        """Count bytes that are held or handed on.

        Raises:
            FileRefused: they are more than are allowed.
        """
        self._spent += count
        if self._allowed is not None and self._spent > self._allowed:
            raise self._content.refusal(
                f"unpacks to more than {size_text(self._allowed)}, the most that is allowed: "
                "split it."
            )


@contextmanager
def opened_chunks(content: Content, member: str, meter: Meter) -> Iterator[Iterator[bytes]]:
    """Give what a file, or a member of an archive, unpacks to; each chunk full but the last.

    Raises:
        FileRefused: it is damaged, or too large.
    """
    with _opened(content, member) as source:
        yield _chunks(content, source, meter)


def head(content: Content, size: int) -> bytes:
    """Return the first bytes of what a file unpacks to.

    Raises:
        FileRefused: it is damaged.
    """
    with _opened(content, content.members[0]) as source, explained(content):
        return source.read(size)


@contextmanager
def explained(content: Content) -> Iterator[None]:
    """Turn what the libraries raise for files that they cannot unpack into a sentence.

    Raises:
        FileRefused: the file is damaged.
    """
    try:
        yield
    except OSError as error:
        # A damaged archive may point to places that no file has.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise damaged(content) from error
    except _ERRORS as error:
        raise damaged(content) from error


def damaged(content: Content) -> FileRefused:
    """Return the error for a file that cannot be unpacked."""
    return content.refusal("is damaged or was cut off: save or upload it again.")


@contextmanager
def opened_archive(content: Content) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive.

    Raises:
        FileRefused: it is damaged.
    """
    with explained(content):
        archive = zipfile.ZipFile(content.path)
    with archive:
        yield archive


def open_member(content: Content, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a file of a ZIP archive.

    Raises:
        FileRefused: it is damaged, encrypted, or compressed in another way than DEFLATE.
    """
    with explained(content):
        member = archive.getinfo(name)
        # Others unpack as much at a time as they like, whatever is asked for.
        if member.compress_type not in _METHODS or member.flag_bits & 1:
            raise content.refusal(
                "is an archive with a password or an unusual compression: save it without."
            )
        return archive.open(member)


def _chunks(content: Content, source: IO[bytes], meter: Meter) -> Iterator[bytes]:
    while True:
        with explained(content):
            data = source.read(CHUNK_BYTES)
        if not data:
            return
        meter.spend(len(data))
        yield data


def _opened(content: Content, member: str) -> AbstractContextManager[IO[bytes]]:
    if content.compression == "zip":
        return _opened_in_archive(content, member)
    if content.compression == "gzip":
        unpacked: IO[bytes] = igzip.open(content.path, "rb")  # type: ignore[no-untyped-call]
        return unpacked
    return content.path.open("rb")


@contextmanager
def _opened_in_archive(content: Content, member: str) -> Iterator[IO[bytes]]:
    with opened_archive(content) as archive, open_member(content, archive, member) as source:
        yield source
