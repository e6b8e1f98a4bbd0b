from collections.abc import Iterator
from pathlib import Path

import pytest

from export_pipelines.errors import FileRefused, RequestError
from export_pipelines.imports.uploads import drop_upload, keep_upload, uploads_folder


def left() -> list[Path]:
    return sorted(uploads_folder().rglob("*"))


def test_a_file_is_kept_under_its_name_until_it_is_dropped() -> None:
    first = keep_upload("products.csv", iter([b"sku\n", b"A-1\n"]))
    second = keep_upload("products.csv", iter([b"sku\n"]))
    assert first.name == second.name == "products.csv"
    assert (first.read_bytes(), second.read_bytes()) == (b"sku\nA-1\n", b"sku\n")
    drop_upload(first)
    assert left() == [second.parent, second]


@pytest.mark.parametrize("name", ["", ".", "..", "../x.csv", "a/b.csv", ".x.csv", "x.csv.part"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="cannot be a file's name"):
        keep_upload(name, iter([b"sku\n"]))
    assert left() == []


def test_of_what_is_too_long_or_empty_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", "5")
    assert keep_upload("five.csv", iter([b"abc", b"de"]))
    before = left()
    with pytest.raises(FileRefused, match="more than 5 bytes"):
        keep_upload("six.csv", iter([b"abc", b"def"]))
    with pytest.raises(FileRefused, match="empty"):
        keep_upload("none.csv", iter([]))
    assert left() == before


def test_a_broken_connection_leaves_nothing() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"sku\n"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        keep_upload("half.csv", chunks())
    assert left() == []
