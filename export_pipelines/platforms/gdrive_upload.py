"""A file on its way to Google Drive: read a chunk at a time, and sent in slices."""

import hashlib
import mimetypes
from collections.abc import Iterator
from typing import Any, BinaryIO

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformUnavailable

CHUNK_BYTES = 16 << 20
_SLICE_BYTES = 1 << 17


class LostSessionError(Exception):
    """Google has forgotten an upload that was begun."""


class Content:
    """A staged file as it is sent: its last bytes only go if it is still what was staged.

    Attributes:
        size: its bytes.
        sent: bytes that went over the line by now.
    """

    def __init__(self, source: BinaryIO, file: StagedFile) -> None:
        self.size = file.bytes
        self.sent = 0
        self._source = source
        self._file = file
        self._digest = hashlib.sha256()
        self._hashed = 0

    def media(self, name: str) -> Any:
        """Return it as Google's client takes it, to be stored under a name."""
        from googleapiclient.http import MediaIoBaseUpload

        media = MediaIoBaseUpload(
            self._source, _media_type(name), chunksize=CHUNK_BYTES, resumable=True
        )
        # A request that breaks off may be sent again, which a stream cannot.
        media.has_stream = lambda: False
        media.getbytes = self.chunk
        return media

    def chunk(self, start: int, length: int) -> "Chunk":
        """Return some of it.

        Raises:
            PlatformUnavailable: it would be the last of a file that has changed.
        """
        self._source.seek(start)
        data = self._source.read(length)
        end = start + len(data)
        if end > self._hashed:
            self._digest.update(memoryview(data)[self._hashed - start :])
            self._hashed = end
        if end >= self.size or len(data) < length:
            self._require_unchanged()
        return Chunk(self, data)

    def _require_unchanged(self) -> None:
        if (self._hashed, self._digest.hexdigest()) != (self.size, self._file.sha256):
            raise PlatformUnavailable(
                f"{self._file.path} has changed since it was written; Google Drive keeps what it "
                "had."
            )


class Chunk:
    """Bytes that are sent in slices, so that a slow line is not taken for a silent one."""

    def __init__(self, content: Content, data: bytes) -> None:
        self._content = content
        self._data = data

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._data)

    def __iter__(self) -> Iterator[memoryview]:
        """Yield the slices, from the first each time."""
        for start in range(0, len(self._data), _SLICE_BYTES):
            piece = memoryview(self._data)[start : start + _SLICE_BYTES]
            yield piece
            self._content.sent += len(piece)


def next_chunk(request: Any) -> Any:
    """Send the next chunk of an upload, or what Google has not got of the last one.

    Returns:
        The file as Google describes it once it is whole, None before.

    Raises:
        LostSessionError: the upload has to begin again.
    """
    from googleapiclient.errors import HttpError

    try:
        _, stored = request.next_chunk(num_retries=0)
    except HttpError as error:
        if request.resumable_uri and error.resp.status in (404, 410):
            raise LostSessionError from None
        raise
    return stored


def _media_type(name: str) -> str:
    guessed, compression = mimetypes.guess_type(name)
    if compression:
        return f"application/{compression}"
    return guessed or "application/octet-stream"
