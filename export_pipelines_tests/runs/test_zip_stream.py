import subprocess
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export_pipelines.errors import StorageUnavailable
from export_pipelines.runs import zip_stream as module
from export_pipelines.runs.zip_stream import PIECE_BYTES, Entry, zip_stream

TEXT = b"id,name\n" + b"1,chair\n2,table\n" * 5_000
FILES = {
    "products-1.csv": TEXT,
    "größe.json": b"[]\n",
    "empty.csv": b"",
    "packed.csv.gz": bytes(range(256)) * 20,
    "packed.csv.zst": b"\x28\xb5\x2f\xfd",
    "table.parquet": b"PAR1",
    "empty.xlsx": b"",
    "inner.zip": b"PK",
}
STORED = {"packed.csv.gz", "packed.csv.zst", "table.parquet", "empty.xlsx", "inner.zip"}


def entries(files: Mapping[str, bytes]) -> list[Entry]:
    return [Entry(name, len(data), partial(BytesIO, data)) for name, data in files.items()]


def archive(files: Mapping[str, bytes]) -> bytes:
    return b"".join(zip_stream(entries(files)))


def opened(data: bytes) -> zipfile.ZipFile:
    found = zipfile.ZipFile(BytesIO(data))
    assert found.testzip() is None
    return found


def contents(data: bytes) -> dict[str, bytes]:
    with opened(data) as found:
        return {name: found.read(name) for name in found.namelist()}


def test_an_archive_holds_the_files_in_their_order() -> None:
    assert list(contents(archive(FILES)).items()) == list(FILES.items())


def test_what_is_compressed_already_is_stored() -> None:
    with opened(archive(FILES)) as found:
        stored = {each.filename for each in found.infolist() if not each.compress_type}
        sizes = {each.filename: each.compress_size for each in found.infolist()}

    assert stored == STORED
    assert all(sizes[name] == len(FILES[name]) for name in STORED)
    assert sizes["products-1.csv"] < len(TEXT) / 10


def test_equal_files_give_equal_archives() -> None:
    assert archive(FILES) == archive(FILES)


def test_an_archive_of_nothing_is_empty() -> None:
    assert contents(archive({})) == {}


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from([*FILES, "x.csv", "y.json", "z.gz"]), st.binary(max_size=300), max_size=6
    )
)
def test_any_files_come_back(files: dict[str, bytes]) -> None:
    assert contents(archive(files)) == files


def test_other_programs_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(archive(FILES))
    done = subprocess.run(["unzip", "-q", "-t", path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_large_members_have_large_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = archive(FILES)
    monkeypatch.setattr(module, "LARGE_BYTES", 4)
    large = archive(FILES)
    path = tmp_path / "a.zip"
    path.write_bytes(large)

    assert contents(large) == FILES
    # Four have 20 bytes more in front and in the directory, one of them 8 behind it.
    assert len(large) - len(small) == 4 * (20 + 20) + 8
    subprocess.run(["unzip", "-q", "-t", path], check=True)


def test_an_archive_of_very_many_members_has_a_large_end(monkeypatch: pytest.MonkeyPatch) -> None:
    small = archive(FILES)
    monkeypatch.setattr(module, "_LIMIT_16", len(FILES))
    large = archive(FILES)

    assert contents(large) == FILES
    assert len(large) - len(small) == 56 + 20
    assert large[len(small) - 22 :].startswith(b"PK\x06\x06")


def open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    names = ("a.csv", "b.gz")
    for name in names:
        with (tmp_path / name).open("wb") as file:
            file.truncate(64 << 20)
    large = [Entry(name, 64 << 20, partial(open_file, tmp_path / name)) for name in names]
    tracemalloc.start()
    try:
        size = sum(map(len, zip_stream(large)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size > 64 << 20
    assert peak < 8 * PIECE_BYTES


class Zeros(BytesIO):
    """A file of zeros that is on no disk."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self._pieces = self._left = pieces

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        return ZERO if self._left >= 0 else b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._left = self._pieces
        return 0


ZERO = bytes(PIECE_BYTES)


def test_a_member_behind_four_gigabytes_is_found(tmp_path: Path) -> None:
    count = 4_100
    size = count * PIECE_BYTES
    large = Entry("a.gz", size, partial(Zeros, count))
    with (tmp_path / "a.zip").open("wb") as file:
        for piece in zip_stream([large, *entries({"b.csv": TEXT})]):
            if piece is ZERO:
                file.seek(PIECE_BYTES, 1)
            else:
                file.write(piece)

    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert [each.file_size for each in found.infolist()] == [size, len(TEXT)]
        assert found.infolist()[1].header_offset > 1 << 32
        assert found.read("b.csv") == TEXT


@pytest.mark.parametrize("name", ["a.csv", "a.gz"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_file_of_another_size_ends_the_archive(name: str, by: int) -> None:
    entry = Entry(name, len(TEXT) + by, partial(BytesIO, TEXT))

    with pytest.raises(StorageUnavailable, match=f"{name} was changed while it was being read"):
        b"".join(zip_stream([entry]))


class Files:
    """Opens files, and remembers them."""

    def __init__(self) -> None:
        self.opened: list[BinaryIO] = []

    def open(self, data: bytes) -> BinaryIO:
        self.opened.append(BytesIO(data))
        return self.opened[-1]

    def entries(self, names: Sequence[str]) -> list[Entry]:
        return [Entry(name, len(TEXT), partial(self.open, TEXT)) for name in names]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 12))
def test_an_archive_that_is_not_wanted_any_more_closes_its_file(pieces: int) -> None:
    files = Files()
    stream = zip_stream(files.entries(["a.csv", "b.gz", "c.csv"]))
    for _ in range(pieces):
        next(stream, None)
        assert sum(not each.closed for each in files.opened) <= 1
    stream.close()

    assert all(each.closed for each in files.opened)
    assert list(stream) == []


def test_files_are_opened_when_their_turn_comes() -> None:
    files = Files()
    stream = zip_stream(files.entries(["a.gz", "b.gz"]))

    assert files.opened == []
    next(stream)
    assert len(files.opened) == 1
    assert b"".join(stream)
    assert len(files.opened) == 2


def test_a_file_that_cannot_be_opened_ends_the_archive() -> None:
    def missing() -> BinaryIO:
        raise StorageUnavailable("It is gone.")

    stream = zip_stream([*entries({"a.csv": TEXT}), Entry("b.csv", 1, missing)])
    with pytest.raises(StorageUnavailable, match="It is gone"):
        b"".join(stream)
