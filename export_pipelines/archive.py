"""DEFLATE in pieces that threads can make, and the ZIP and GZIP containers around them.

The standard library's `zipfile` and `gzip` compress in one thread, ten times slower; the containers
are the same for any reader. Nothing in them depends on the clock, so equal input gives equal files.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from export_pipelines.errors import DataError

PIECE_BYTES = 4 << 20
"""How much uncompressed data one thread takes at a time."""

LARGE_BYTES = 0xF0000000
"""From this size on a member is begun as large: deflating can make data longer by a little."""

_LEVEL = 2
_FINAL_BLOCK = b"\x03\x00"
_LIMIT_32 = 0xFFFFFFFF
_EPOCH_DATE = 0x21  # 1980-01-01, the earliest a ZIP can hold
_UTF8_NAME = 0x800
_UNIX = 3 << 8  # for any other system unzip takes names to be in an old code page
_FILE_MODE = 0o100644 << 16
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True)
class Piece:
    """Some bytes and the same bytes deflated, ready to follow the piece before it."""

    raw: "memoryview | bytes"
    deflated: bytes


def deflate(raw: "memoryview | bytes") -> Piece:
    """Compress bytes on their own, so that pieces made in any order can be joined in theirs."""
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    deflated = compressor.compress(raw) + compressor.flush(isal_zlib.Z_FULL_FLUSH)
    return Piece(raw, deflated)


class _Deflated:
    """Counts what goes through a stream of pieces."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.crc = 0
        self.raw_bytes = 0
        self.deflated_bytes = 0

    def add(self, piece: Piece) -> None:
        self.crc = isal_zlib.crc32(piece.raw, self.crc)
        self.raw_bytes += len(piece.raw)
        self._write(piece.deflated)

    def end(self) -> None:
        self._write(_FINAL_BLOCK)

    def _write(self, deflated: bytes) -> None:
        self.deflated_bytes += len(deflated)
        self._target.write(deflated)


class GzipWriter:
    """Writes one gzip member of pieces."""

    def __init__(self, target: BinaryIO) -> None:
        target.write(_GZIP_HEADER)
        self._target = target
        self._stream = _Deflated(target)

    def add(self, piece: Piece) -> None:
        """Add the next piece."""
        self._stream.add(piece)

    def finish(self) -> None:
        """Write the checksum and the size."""
        self._stream.end()
        size = self._stream.raw_bytes & _LIMIT_32
        self._target.write(struct.pack("<II", self._stream.crc, size))


@dataclass(frozen=True)
class _Member:
    name: bytes
    offset: int
    crc: int
    raw_bytes: int
    deflated_bytes: int


class ZipWriter:
    """Writes a ZIP archive, one member after the other, to a target that can seek.

    Members and archives of more than 4 GiB get ZIP64 records; a member is only allowed to be
    that large if it was begun with `large=True`, because its header comes first.
    """

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._members: list[_Member] = []
        self._begun: tuple[bytes, int, bool] | None = None
        self._stream = _Deflated(target)

    def begin(self, name: str, *, large: bool = False) -> None:
        """Begin a member, ending the one before."""
        self._end_member()
        encoded = name.encode()
        self._begun = (encoded, self._target.tell(), large)
        self._stream = _Deflated(self._target)
        self._target.write(_local_header(_Member(encoded, 0, 0, 0, 0), large=large))

    def add(self, piece: Piece) -> None:
        """Add the next piece of the member."""
        self._stream.add(piece)

    def member(self, name: str, content: bytes) -> None:
        """Write a small member whole."""
        self.begin(name)
        self.add(deflate(content))

    def finish(self) -> None:
        """Write the directory."""
        self._end_member()
        start = self._target.tell()
        for member in self._members:
            self._target.write(_directory_entry(member))
        size = self._target.tell() - start
        self._target.write(_directory_end(len(self._members), size, start))

    def _end_member(self) -> None:
        if self._begun is None:
            return
        self._stream.end()
        name, offset, large = self._begun
        stream = self._stream
        member = _Member(name, offset, stream.crc, stream.raw_bytes, stream.deflated_bytes)
        if not large and max(member.raw_bytes, member.deflated_bytes) >= _LIMIT_32:
            raise DataError(
                f"{name.decode()} is larger than 4 GiB, the most that this format can hold: "
                "choose a smaller max_rows_per_file."
            )
        end = self._target.tell()
        self._target.seek(offset)
        self._target.write(_local_header(member, large=large))
        self._target.seek(end)
        self._members.append(member)
        self._begun = None


def _local_header(member: _Member, *, large: bool) -> bytes:
    sizes = (member.deflated_bytes, member.raw_bytes)
    extra = struct.pack("<HHQQ", 1, 16, member.raw_bytes, member.deflated_bytes) if large else b""
    if large:
        sizes = (_LIMIT_32, _LIMIT_32)
    fields = (45 if large else 20, _UTF8_NAME, 8, 0, _EPOCH_DATE, member.crc, *sizes)
    lengths = (len(member.name), len(extra))
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", *fields, *lengths) + member.name + extra


def _directory_entry(member: _Member) -> bytes:
    values = (member.raw_bytes, member.deflated_bytes, member.offset)
    large = [value for value in values if value >= _LIMIT_32]
    raw, deflated, offset = (min(value, _LIMIT_32) for value in values)
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = 45 if large else 20
    fields = (_UNIX | version, version, _UTF8_NAME, 8, 0, _EPOCH_DATE, member.crc, deflated, raw)
    rest = (len(member.name), len(extra), 0, 0, 0, _FILE_MODE, offset)
    return struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *fields, *rest) + member.name + extra


def _directory_end(count: int, size: int, start: int) -> bytes:
    large = b""
    if count >= 0xFFFF or max(size, start) >= _LIMIT_32:
        where = (count, count, size, start)
        large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, *where)
        large += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)
    count = min(count, 0xFFFF)
    size, start = min(size, _LIMIT_32), min(start, _LIMIT_32)
    return large + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)
