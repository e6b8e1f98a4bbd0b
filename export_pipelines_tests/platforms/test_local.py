import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from export_pipelines.errors import (
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
    StorageUnavailable,
)
from export_pipelines.platforms.base import Connection, hidden_name
from export_pipelines.platforms.local import Local, open_store
from export_pipelines_tests.contracts.platforms import random_bytes, staged

_NO_FILES = Path("/sys/kernel")
"""A folder that takes no files, not even from root."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "delivered"
    made.mkdir()
    return made


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let the operating system refuse to write more than some bytes to any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def everything(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_location_is_the_folder(folder: Path) -> None:
    assert Local(folder=f"{folder}/").location == str(folder)


@pytest.mark.parametrize("wrong", ["", "exports", "./exports", "~/exports"])
def test_a_relative_path_is_a_mistake(wrong: str) -> None:
    with (
        pytest.raises(PlatformMisconfigured, match="not an absolute path") as raised,
        Local(folder=wrong).connect(),
    ):
        pass
    assert raised.value.field == "folder"


def test_a_folder_is_not_made(folder: Path) -> None:
    missing = folder / "not mounted"
    with (
        pytest.raises(PlatformMisconfigured, match="create it, or mount its disk") as raised,
        Local(folder=str(missing)).connect(),
    ):
        pass
    assert raised.value.field == "folder"
    assert str(missing) in str(raised.value)
    assert not missing.exists()


def test_a_file_is_no_folder(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(PlatformMisconfigured), Local(folder=str(folder / "file")).connect():
        pass


def test_delivered_files_are_copies(folder: Path, tmp_path: Path) -> None:
    file = staged(tmp_path / "a.csv", b"abc")
    with Local(folder=str(folder)).connect() as connection:
        receipt = connection.put(file, "a.csv")
        assert (receipt.sent, receipt.verified) == (3, "sha256")
    delivered = folder / "a.csv"
    assert not delivered.samefile(file.path)
    delivered.write_bytes(b"edited there")
    assert Path(file.path).read_bytes() == b"abc"


def test_stored_files_are_second_names(folder: Path, tmp_path: Path) -> None:
    file = staged(tmp_path / "a.csv", b"abc")
    with open_store(folder / "made" / "here") as connection:
        connection.put(file, "run/a.csv")
        assert (folder / "made" / "here" / "run" / "a.csv").samefile(file.path)
        assert connection.put(file, "run/a.csv").sent == 0
    Path(file.path).unlink()
    assert everything(folder) == {"made/here/run/a.csv": b"abc"}


def test_a_store_copies_from_another_disk(folder: Path) -> None:
    other = Path("/dev/shm")
    assert other.stat().st_dev != folder.stat().st_dev, "the test needs two disks"
    source = staged(other / f"{folder.parent.name}.csv", b"abc")
    try:
        with open_store(folder) as connection:
            connection.put(source, "a.csv")
        assert everything(folder) == {"a.csv": b"abc"}
        assert not (folder / "a.csv").samefile(source.path)
    finally:
        Path(source.path).unlink()


def test_a_store_says_why_its_folder_cannot_be_made(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable), open_store(folder / "file" / "store"):
        pass


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_disk_that_takes_no_more_keeps_what_was_there(
    folder: Path, tmp_path: Path, old: bytes | None
) -> None:
    file = staged(tmp_path / "new.csv", random_bytes(500_000))
    with Local(folder=str(folder)).connect() as connection:
        if old is not None:
            connection.put(staged(tmp_path / "old.csv", old), "a.csv")
        before = everything(folder)
        with small_files(100_000), pytest.raises(PlatformRefused) as raised:
            connection.put(file, "a.csv")
        assert everything(folder) == before
        assert str(folder) in str(raised.value)
        connection.put(file, "a.csv")
    assert everything(folder) == {"a.csv": Path(file.path).read_bytes()}


def test_a_full_disk_is_called_full(folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"abc")
    with (
        Local(folder=str(folder)).connect() as connection,
        pytest.raises(PlatformRefused, match="full: make room there"),
    ):
        connection.get("a.csv", Path("/dev/full"))


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    file = staged(tmp_path / "a.csv", b"abc")
    with (
        Local(folder=str(_NO_FILES)).connect() as connection,
        pytest.raises(PlatformRefused, match=str(_NO_FILES)) as raised,
    ):
        connection.put(file, "a.csv")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_name_that_is_a_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "a.csv").mkdir()
    (folder / "a.csv" / "inner").write_bytes(b"inner")
    with (
        Local(folder=str(folder)).connect() as connection,
        pytest.raises(PlatformRefused, match=r"a\.csv"),
    ):
        connection.put(staged(tmp_path / "a.csv", b"abc"), "a.csv")
    assert everything(folder) == {"a.csv/inner": b"inner"}


def test_a_folders_name_that_is_a_file(folder: Path, tmp_path: Path) -> None:
    (folder / "2026").write_bytes(b"a file")
    with (
        Local(folder=str(folder)).connect() as connection,
        pytest.raises(PlatformRefused, match="2026"),
    ):
        connection.put(staged(tmp_path / "a.csv", b"abc"), "2026/a.csv")
    assert everything(folder) == {"2026": b"a file"}


def test_other_bytes_than_were_promised_are_not_delivered(folder: Path, tmp_path: Path) -> None:
    file = staged(tmp_path / "a.csv", b"abc")
    changed = replace(file, sha256="0" * 64)
    with (
        Local(folder=str(folder)).connect() as connection,
        pytest.raises(PlatformUnavailable, match="other bytes"),
    ):
        connection.put(changed, "a.csv")
    assert everything(folder) == {}


def test_what_an_earlier_try_left_is_replaced(folder: Path, tmp_path: Path) -> None:
    file = staged(tmp_path / "a.csv", b"abc")
    (folder / hidden_name("a.csv", file.sha256)).write_bytes(b"ab")
    with Local(folder=str(folder)).connect() as connection:
        assert connection.list() == []
        connection.put(file, "a.csv")
    assert everything(folder) == {"a.csv": b"abc"}


def test_a_file_of_the_same_size_is_compared(folder: Path, tmp_path: Path) -> None:
    (folder / "a.csv").write_bytes(b"abd")
    with Local(folder=str(folder)).connect() as connection:
        assert connection.put(staged(tmp_path / "a.csv", b"abc"), "a.csv").sent == 3
    assert everything(folder) == {"a.csv": b"abc"}


def put_of(connection: Connection, tmp_path: Path, name: str) -> None:
    connection.put(staged(tmp_path / "x", b"x"), name)


def test_folders_go_with_their_last_file(folder: Path, tmp_path: Path) -> None:
    with Local(folder=str(folder)).connect() as connection:
        put_of(connection, tmp_path, "run/a.csv")
        put_of(connection, tmp_path, "run/b.csv")
        connection.delete("run/a.csv")
        assert everything(folder) == {"run/b.csv": b"x"}
        connection.delete("run/b.csv")
    assert list(folder.iterdir()) == []
