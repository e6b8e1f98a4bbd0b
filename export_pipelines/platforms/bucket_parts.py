"""Files cut into the parts that a bucket takes them in, and their digests."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from export_pipelines.artifacts import StagedFile
from export_pipelines.platforms.base import PIECE_BYTES, file_sha256

PART_BYTES = 16 << 20
_MAX_PARTS = 10_000


@dataclass(frozen=True)
class Part:
    """A piece of a file that is sent and verified by itself; it is read when a digest is asked for.

    Attributes:
        path: the file.
        number: from 1.
        start: where it begins in the file.
        size: its bytes.
    """

    path: Path
    number: int
    start: int
    size: int

    @property
    def md5(self) -> bytes:
        """Its MD5."""
        return self._digests[0]

    @property
    def sha256(self) -> bytes:
        """Its SHA-256."""
        return self._digests[1]

    @property
    def checksum(self) -> str:
        """Its SHA-256 as the S3 protocol writes it."""
        return b64encode(self.sha256).decode()

    @cached_property
    def _digests(self) -> tuple[bytes, bytes]:
        of_md5, of_sha256, left = md5(usedforsecurity=False), sha256(), self.size
        with self.path.open("rb") as source:
            source.seek(self.start)
            while left and (piece := source.read(min(PIECE_BYTES, left))):
                of_md5.update(piece)
                of_sha256.update(piece)
                left -= len(piece)
        if left:
            raise _changed(self.path)
        return of_md5.digest(), of_sha256.digest()

    def is_as_listed(self, listed: Mapping[str, Any]) -> bool:
        """Return whether a part that the server lists has the same content."""
        if listed["Size"] != self.size:
            return False
        if "ChecksumSHA256" in listed:
            return bool(listed["ChecksumSHA256"] == self.checksum)
        return bool(listed["ETag"].strip('"') == self.md5.hex())


def cut_parts(file: StagedFile) -> tuple[Part, ...]:
    """Return a file's parts, always the same for the same size.

    Raises:
        OSError: the file is not there.
    """
    path, size = Path(file.path), part_bytes(file.bytes)
    if path.stat().st_size != file.bytes:
        raise _changed(path)
    # An empty file has one part, others have none that is empty.
    starts = range(0, max(1, file.bytes), size)
    return tuple(
        Part(path, number, start, min(size, file.bytes - start))
        for number, start in enumerate(starts, start=1)
    )


def require_unchanged(file: StagedFile) -> None:
    """Read a whole file, to be sure that it is the one that was staged.

    Raises:
        OSError: it cannot be read, or holds something else.
    """
    if file_sha256(Path(file.path)) != file.sha256:
        raise _changed(Path(file.path))


def _changed(path: Path) -> OSError:
    return OSError(f"{path} has changed since it was written.")


def part_bytes(file_bytes: int) -> int:
    """Return the size of a file's parts, in whole MiB, so that they are no more than allowed."""
    needed = -(-file_bytes // _MAX_PARTS)
    return max(PART_BYTES, -(-needed // PIECE_BYTES) * PIECE_BYTES)


def checksum_of(parts: Sequence[Part]) -> str:
    """Return the SHA-256 that the protocol gives a file: that of its parts' if it has many."""
    if len(parts) == 1:
        return parts[0].checksum
    digest = sha256(b"".join(part.sha256 for part in parts)).digest()
    return f"{b64encode(digest).decode()}-{len(parts)}"


def tag_of(parts: Sequence[Part]) -> str:
    """Return the ETag that the protocol gives a file of many parts."""
    digest = md5(b"".join(part.md5 for part in parts), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(parts)}"
