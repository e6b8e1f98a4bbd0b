"""Several files as one ZIP archive that is made while it is sent, in the memory of a few pieces.

`archive.ZipWriter` goes back to the head of each member, which is on its way here already. So the
checksum and the sizes of a member come after it, or are read before it where nothing is compressed.
Equal files give equal archives.
"""

import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from export_pipelines.archive import LARGE_BYTES, deflate
from export_pipelines.errors import StorageUnavailable

PIECE_BYTES = 1 << 20
"""How much of a file is in memory at a time."""

_COMPRESSED = (".gz", ".parquet", ".xlsx", ".zip", ".zst")
_FINAL_BLOCK = b"\x03\x00"
_STORED, _DEFLATED = 0, 8
_SUMS_FOLLOW = 0x8
_UTF8_NAME = 0x800
_EPOCH_DATE = 0x21  # 1980-01-01, the earliest a ZIP can hold
_UNIX = 3 << 8  # for any other system unzip takes names to be in an old code page
_FILE_MODE = 0o100644 << 16
_LIMIT_16, _LIMIT_32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """A file that becomes a member.

    Attributes:
        name: the member's.
        bytes: its size.
        open: opens it, when its turn comes.
    """

    name: str
    bytes: int
    open: Callable[[], BinaryIO]


@dataclass
class _Member:
    name: bytes
    method: int
    is_large: bool
    offset: int
    crc: int = 0
    raw_bytes: int = 0
    packed_bytes: int = 0

    @property
    def version(self) -> int:
        return 45 if self.is_large else 20

    @property
    def flags(self) -> int:
        return _UTF8_NAME | (_SUMS_FOLLOW if self.method == _DEFLATED else 0)


def zip_stream(entries: Sequence[Entry]) -> Generator[bytes, None, None]:
    """Yield an archive in pieces; to close it closes the file that is being read.

    Args:
        entries: its members, in order. What is compressed already is stored as it is.

    Raises:
        StorageUnavailable: a file cannot be read, or is not of its size.
    """
    offset = 0
    members = []
    for entry in entries:
        method = _STORED if entry.name.endswith(_COMPRESSED) else _DEFLATED
        member = _Member(entry.name.encode(), method, entry.bytes >= LARGE_BYTES, offset)
        members.append(member)
        with entry.open() as source:
            for piece in _member(member, entry, source):
                offset += len(piece)
                yield piece
    directory = 0
    for member in members:
        record = _directory_entry(member)
        directory += len(record)
        yield record
    yield _directory_end(len(members), directory, offset)


def _member(member: _Member, entry: Entry, source: BinaryIO) -> Iterator[bytes]:
    if member.method == _STORED:
        _add_up(member, entry, source)
        source.seek(0)
        yield _local_header(member)
        yield from _pieces(source)
        return
    yield _local_header(member)
    for raw in _pieces(source):
        member.crc = isal_zlib.crc32(raw, member.crc)
        member.raw_bytes += len(raw)
        deflated = deflate(raw).deflated
        member.packed_bytes += len(deflated)
        yield deflated
    _require_size(member, entry)
    member.packed_bytes += len(_FINAL_BLOCK)
    sizes = "QQ" if member.is_large else "II"
    sums = (member.crc, member.packed_bytes, member.raw_bytes)
    yield _FINAL_BLOCK + struct.pack(f"<4sI{sizes}", b"PK\x07\x08", *sums)


def _add_up(member: _Member, entry: Entry, source: BinaryIO) -> None:
    for raw in _pieces(source):
        member.crc = isal_zlib.crc32(raw, member.crc)
        member.raw_bytes += len(raw)
    member.packed_bytes = member.raw_bytes
    _require_size(member, entry)


def _require_size(member: _Member, entry: Entry) -> None:
    if member.raw_bytes != entry.bytes:
        raise StorageUnavailable(
            f"{entry.name} was changed while it was being read: {member.raw_bytes:,} bytes instead "
            f"of {entry.bytes:,}. Download again."
        )


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(PIECE_BYTES):
        yield piece


def _local_header(member: _Member) -> bytes:
    sizes = (member.packed_bytes, member.raw_bytes)
    extra = b""
    if member.is_large:
        extra = struct.pack("<HHQQ", 1, 16, member.raw_bytes, member.packed_bytes)
        sizes = (_LIMIT_32, _LIMIT_32)
    fields = (member.version, member.flags, member.method, 0, _EPOCH_DATE, member.crc, *sizes)
    lengths = (len(member.name), len(extra))
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", *fields, *lengths) + member.name + extra


def _directory_entry(member: _Member) -> bytes:
    sizes = (member.raw_bytes, member.packed_bytes)
    large = [*sizes] if member.is_large else []
    raw, packed = (_LIMIT_32, _LIMIT_32) if member.is_large else sizes
    if member.offset >= _LIMIT_32:
        large.append(member.offset)
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = 45 if large else 20
    fields = (_UNIX | version, version, member.flags, member.method, 0, _EPOCH_DATE)
    rest = (len(member.name), len(extra), 0, 0, 0, _FILE_MODE, min(member.offset, _LIMIT_32))
    packed_fields = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", *fields, member.crc, packed, raw, *rest
    )
    return packed_fields + member.name + extra


def _directory_end(count: int, size: int, start: int) -> bytes:
    large = b""
    if count >= _LIMIT_16 or max(size, start) >= _LIMIT_32:
        where = (count, count, size, start)
        large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, *where)
        large += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)
    count = min(count, _LIMIT_16)
    size, start = min(size, _LIMIT_32), min(start, _LIMIT_32)
    return large + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)
