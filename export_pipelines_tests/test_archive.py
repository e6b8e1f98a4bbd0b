import gzip
import io
import random
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines import archive
from export_pipelines.archive import GzipWriter, Piece, ZipWriter, deflate
from export_pipelines.errors import DataError

PIECES = st.lists(st.binary(max_size=200), max_size=4)


def gzipped(pieces: list[bytes]) -> bytes:
    target = io.BytesIO()
    writer = GzipWriter(target)
    for piece in pieces:
        writer.add(deflate(piece))
    writer.finish()
    return target.getvalue()


def zipped(members: dict[str, list[bytes]], *, large: bool = False) -> bytes:
    target = io.BytesIO()
    writer = ZipWriter(target)
    for name, pieces in members.items():
        writer.begin(name, large=large)
        for piece in pieces:
            writer.add(deflate(piece))
    writer.finish()
    return target.getvalue()


class Sparse:
    """A target that keeps what is written and can be moved on as if more had been."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytes] = {}
        self._at = 0

    def write(self, data: bytes) -> int:
        self._blocks[self._at] = bytes(data)
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def read(self, offset: int, size: int) -> bytes:
        start = max(known for known in self._blocks if known <= offset)
        return self._blocks[start][offset - start :][:size]

    @property
    def target(self) -> BinaryIO:
        return cast(BinaryIO, self)


@given(pieces=PIECES)
def test_gzip_is_one_member_of_all_pieces(pieces: list[bytes]) -> None:
    data = gzipped(pieces)
    assert gzip.decompress(data) == b"".join(pieces)
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(data) == b"".join(pieces)
    assert reader.eof
    assert reader.unused_data == b""


@given(
    members=st.dictionaries(st.text("abcé/漢.", min_size=1, max_size=6), PIECES),
    large=st.booleans(),
)
def test_zip_holds_all_members(members: dict[str, list[bytes]], large: bool) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped(members, large=large))) as found:
        assert found.testzip() is None
        assert found.namelist() == list(members)
        for name, pieces in members.items():
            assert found.read(name) == b"".join(pieces)
            info = found.getinfo(name)
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.file_size == sum(map(len, pieces))


def test_pieces_may_end_within_a_character() -> None:
    text = "é漢👩‍👧" * 50
    data = text.encode()
    pieces = [data[start : start + 1] for start in range(len(data))]
    assert gzip.decompress(gzipped(pieces)).decode() == text
    with zipfile.ZipFile(io.BytesIO(zipped({"a": pieces}))) as found:
        assert found.read("a").decode() == text


def test_pieces_can_be_made_in_any_order() -> None:
    raw = [bytes([number]) * 1000 for number in range(5)]
    backwards = [deflate(piece) for piece in reversed(raw)]
    target = io.BytesIO()
    writer = GzipWriter(target)
    for piece in reversed(backwards):
        writer.add(piece)
    writer.finish()
    assert target.getvalue() == gzipped(raw)
    assert len(target.getvalue()) < 300


def test_small_members_are_written_whole() -> None:
    target = io.BytesIO()
    writer = ZipWriter(target)
    writer.member("a.xml", b"<a/>")
    writer.member("empty", b"")
    writer.finish()
    with zipfile.ZipFile(target) as found:
        assert {name: found.read(name) for name in found.namelist()} == {
            "a.xml": b"<a/>",
            "empty": b"",
        }


@pytest.mark.parametrize("large", [False, True])
def test_extracted_files_can_be_read_by_their_names(tmp_path: Path, large: bool) -> None:
    members = {"a.csv": [b"x" * 5000, b"y"], "é 漢.csv": [], "c": [b"z"]}
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(members, large=large))
    unzip = shutil.which("unzip")
    if unzip:
        locale = {"LC_ALL": "C.UTF-8"}
        done = subprocess.run([unzip, path, "-d", tmp_path], capture_output=True, env=locale)
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        shutil.unpack_archive(path, tmp_path)
    for name, pieces in members.items():
        assert (tmp_path / name).read_bytes() == b"".join(pieces)
    with zipfile.ZipFile(path) as found:
        for info in found.infolist():
            # Names in UTF-8 on a Unix-like system, from where owners can read and write files.
            assert (info.create_system, info.flag_bits) == (3, 0x800)
            assert info.external_attr >> 16 == 0o100644


@pytest.mark.parametrize("count", [0xFFFE, 0xFFFF, 0x10001])
def test_more_members_than_sixteen_bits_count(count: int) -> None:
    target = io.BytesIO()
    writer = ZipWriter(target)
    empty = deflate(b"")
    for number in range(count):
        writer.begin(str(number))
        writer.add(empty)
    writer.finish()
    assert (b"PK\x06\x06" in target.getvalue()[-98:]) is (count >= 0xFFFF)
    with zipfile.ZipFile(target) as found:
        assert len(found.namelist()) == count
        assert found.read(str(count - 1)) == b""


def test_members_beyond_four_gigabytes_are_found() -> None:
    sparse = Sparse()
    writer = ZipWriter(sparse.target)
    writer.member("near", b"near")
    far = 5 << 32
    writer._end_member()
    sparse.seek(far)
    writer.member("far", b"far away")
    writer.finish()
    end = sparse.tell() - 22
    signature, *_, count, size, start, comment = struct.unpack("<4s4H2IH", sparse.read(end, 22))
    assert (signature, count, start, comment) == (b"PK\x05\x06", 2, 0xFFFFFFFF, 0)
    locator = struct.unpack("<4sIQI", sparse.read(end - 20, 20))
    assert locator[0] == b"PK\x06\x07"
    record = struct.unpack("<4sQ2H2I4Q", sparse.read(locator[2], 56))
    assert record[:2] == (b"PK\x06\x06", 44)
    assert record[6:9] == (2, 2, size)
    directory = record[9]
    assert struct.unpack("<I", sparse.read(directory, 46)[42:])[0] == 0
    entry_at = directory + 46 + len("near")
    entry = struct.unpack("<4s6H3I5H2I", sparse.read(entry_at, 46))
    assert entry[0] == b"PK\x01\x02"
    assert (entry[8], entry[9]) == (len(deflate(b"far away").deflated) + 2, 8)
    assert (entry[11], entry[-1]) == (12, 0xFFFFFFFF)
    extra = struct.unpack("<HHQ", sparse.read(entry_at + 46 + len("far"), 12))
    assert extra == (1, 8, far)
    assert sparse.read(far, 4) == b"PK\x03\x04"


def test_sizes_beyond_four_gigabytes() -> None:
    sparse = Sparse()
    writer = ZipWriter(sparse.target)
    writer.begin("big", large=True)
    block = b"\0" * 1_000_000
    piece = deflate(block)
    repeated = 5_000
    for _ in range(repeated):
        writer.add(piece)
    writer.finish()
    local = struct.unpack("<4s5H3I2H", sparse.read(0, 30))
    assert (local[1], local[-4], local[-3]) == (45, 0xFFFFFFFF, 0xFFFFFFFF)
    raw, deflated = struct.unpack("<HHQQ", sparse.read(0, 53)[33:])[2:]
    assert raw == repeated * len(block) > 1 << 32
    assert deflated == repeated * len(piece.deflated) + 2
    end = struct.unpack("<4s4H2IH", sparse.read(sparse.tell() - 22, 22))
    entry_at = end[6]
    entry = struct.unpack("<4s6H3I5H2I", sparse.read(entry_at, 46))
    assert (entry[8], entry[9]) == (deflated, 0xFFFFFFFF)
    assert struct.unpack("<HHQ", sparse.read(entry_at + 49, 12)) == (1, 8, raw)


def test_readers_understand_records_for_what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A low limit puts the same records into an archive small enough to be read here."""
    monkeypatch.setattr(archive, "_LIMIT_32", 1_000)
    pack = struct.pack

    def marked(layout: str, *values: Any) -> bytes:
        limited = "I" in layout and values[0] != b"PK\x06\x07"
        return pack(layout, *(0xFFFFFFFF if limited and v == 1_000 else v for v in values))

    monkeypatch.setattr(struct, "pack", marked)
    noise = random.Random(1).randbytes(5_000)
    data = zipped({"a": [noise], "b": [noise, noise]}, large=True)
    monkeypatch.undo()
    assert b"PK\x06\x06" in data
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert [found.getinfo(name).extract_version for name in "ab"] == [45, 45]
        assert found.getinfo("b").header_offset > 5_000
        assert (found.read("a"), found.read("b")) == (noise, noise + noise)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 1 << 32])
def test_a_member_that_was_not_begun_as_large_is_refused(size: int) -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return size

    writer = ZipWriter(io.BytesIO())
    writer.begin("big.xml")
    writer.add(Piece(Long(), b""))
    with pytest.raises(
        DataError, match=r"big\.xml is larger than 4 GiB.*smaller max_rows_per_file"
    ):
        writer.finish()


def test_a_gzip_of_more_than_four_gigabytes_wraps_its_size() -> None:
    sparse = Sparse()
    writer = GzipWriter(sparse.target)
    block = b"\0" * 1_000_000
    piece = deflate(block)
    for _ in range(5_000):
        writer.add(piece)
    writer.finish()
    assert struct.unpack("<I", sparse.read(sparse.tell() - 8, 8)[4:])[0] == 5_000_000_000 % 2**32
