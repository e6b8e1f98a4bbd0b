"""Files cut into the parts that a bucket takes them in, and their digests."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Any, BinaryIO

from export_pipelines.artifacts import StagedFile
from export_pipelines.platforms.base import PIECE_BYTES

PART_BYTES = 16 << 20
_MAX_PARTS = 10_000


@dataclass(frozen=True)
class Part:
    """A piece of a file that is sent and verified by itself.

    Attributes:
        number: from 1.
        start: where it begins in the file.
        size: its bytes.
        md5: its digest.
        sha256: its digest.
    """

    number: int
    start: int
    size: int
    md5: bytes
    sha256: bytes

    @property
    def checksum(self) -> str:
        """Its SHA-256 as the S3 protocol writes it."""
        return b64encode(self.sha256).decode()

    def is_as_listed(self, listed: Mapping[str, Any]) -> bool:
        """Return whether a part that the server lists has the same content."""
        if listed["Size"] != self.size:
            return False
        if "ChecksumSHA256" in listed:
            return bool(listed["ChecksumSHA256"] == self.checksum)
        return bool(listed["ETag"].strip('"') == self.md5.hex())


def read_parts(file: StagedFile) -> tuple[Part, ...]:
    """Return a file's parts, always the same for the same content.

    Raises:
        OSError: the file cannot be read, or is not the one that was staged.
    """
    whole = sha256()
    with Path(file.path).open("rb") as source:
        parts = tuple(_read_parts(source, part_bytes(file.bytes), whole.update))
    if whole.hexdigest() != file.sha256:
        raise OSError(f"{file.path} has changed since it was written.")
    return parts


def part_bytes(file_bytes: int) -> int:
    """Return the size of a file's parts, in whole MiB, so that they are no more than allowed."""
    needed = -(-file_bytes // _MAX_PARTS)
    return max(PART_BYTES, -(-needed // PIECE_BYTES) * PIECE_BYTES)


def _read_parts(source: BinaryIO, size: int, on_piece: Callable[[bytes], None]) -> Iterator[Part]:
    number, start, ended = 1, 0, False
    while not ended:
        of_md5, of_sha256, left = md5(usedforsecurity=False), sha256(), size
        while left and (piece := source.read(min(PIECE_BYTES, left))):
            of_md5.update(piece)
            of_sha256.update(piece)
            on_piece(piece)
            left -= len(piece)
        ended = left > 0
        # An empty file has one part, others have none that is empty.
        if left < size or number == 1:
            yield Part(number, start, size - left, of_md5.digest(), of_sha256.digest())
        number, start = number + 1, start + size - left


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


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, as hexadecimal digits."""
    digest = md5(usedforsecurity=False)
    with path.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
