"""Files of any bytes, read whole."""

import gzip
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from export_pipelines.errors import FileRefused
from export_pipelines.readers import open_records
from export_pipelines.readers.base import BATCH_ROWS, ROW, BrokenRow, ReadOptions
from export_pipelines_tests.formats.test_csv import as_text

DELIMITERS = st.sampled_from(",;\t|")
Cells = dict[str, str | None]


@dataclass(frozen=True)
class Read:
    """What is in a file.

    Attributes:
        format: its kind.
        details: what was found out.
        headers: its headers.
        rows: each row's number and cells.
        broken: the rows that fit no headers.
    """

    format: str
    details: dict[str, str]
    headers: tuple[str, ...]
    rows: dict[int, Cells]
    broken: tuple[BrokenRow, ...]

    @property
    def cells(self) -> list[list[str | None]]:
        return [list(row.values()) for row in self.rows.values()]


@contextmanager
def stored(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stored"
        path.write_bytes(data)
        yield path


def read(data: bytes, name: str = "things.txt", **options: Any) -> Read:
    """Read a file of these bytes."""
    with stored(data) as path:
        return read_path(path, name, **options)


def read_path(path: Path, name: str = "", **options: Any) -> Read:
    """Read a file."""
    rows: dict[int, Cells] = {}
    broken: list[BrokenRow] = []
    with open_records(path, ReadOptions(**options), name) as records:
        for batch in records.batches():
            assert batch.rows.height <= BATCH_ROWS
            assert batch.rows.height or batch.broken
            assert batch.rows.columns[0] == ROW
            for row in batch.rows.to_dicts():
                number = row.pop(ROW)
                assert number not in rows
                rows[number] = row
            broken += batch.broken
    assert list(rows) == sorted(rows)
    return Read(records.format, dict(records.details), records.headers, rows, tuple(broken))


def refusal(data: bytes, name: str = "things.txt", **options: Any) -> str:
    """Return why a file is refused."""
    with pytest.raises(FileRefused) as refused:
        read(data, name, **options)
    sentence = str(refused.value)
    assert sentence.startswith(repr(name))
    assert sentence.endswith((".", "?"))
    return sentence


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """Return a ZIP archive."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def gzip_of(piece: bytes, times: int, first: bytes = b"", last: bytes = b"") -> bytes:
    """Return the gzip of a piece repeated, in members, so that it is never held as a whole."""
    ends = (gzip.compress(end) if end else b"" for end in (first, last))
    return gzip.compress(piece).join((next(ends), *[b""] * (times - 1), next(ends)))


def text_of(value: Any) -> str | float | None:
    """Return what the cell of a value is read as; numbers with a point are compared as numbers."""
    return None if value is None else as_text(value)


def assert_cells(cells: Cells, row: Mapping[str, Any]) -> None:
    """Check that a row's cells are those of its values."""
    assert list(cells) == list(row)
    for name, value in row.items():
        cell = cells[name]
        if isinstance(value, float):
            assert cell is not None
            assert float(cell) == value or (value != value and cell == "NaN")
        else:
            assert cell == text_of(value)


def assert_rows(found: Read, rows: Sequence[Mapping[str, Any]], first: int) -> None:
    """Check that all rows were read, but those that are blank."""
    expected = {
        number: row
        for number, row in enumerate(rows, start=first)
        if any(value is not None for value in row.values())
    }
    assert list(found.rows) == list(expected)
    for number, row in expected.items():
        assert_cells(found.rows[number], row)
    assert not found.broken
