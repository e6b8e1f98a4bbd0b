"""What a reader is: how a file that people import becomes rows of texts, a batch at a time.

A reader is one module beside this one with a subclass of `Reader`, and one line in
`readers.READERS`. Readers know nothing of what the columns mean, of databases or of Dagster. Cells
are texts in the form that a CSV export has them: times as ISO 8601 in UTC, `true` and `false`,
lists and documents as compact JSON, numbers in their shortest form. Null is an empty cell.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from export_pipelines.errors import FileRefused, RequestError, shown, unknown

ROW = "\x01row"
"""Name of the column of row numbers; no file's own column can have it."""

ABSENT = "\x00"
"""The cell of a JSON object that has no such member, which differs from null."""

BATCH_ROWS = 10_000
"""Most rows of a batch."""

BATCH_CELLS = 2_000_000
"""Most cells of a batch that is put together cell by cell."""

MAX_RECORD_BYTES = 8 << 20
"""Most bytes of one row or record; about that much text is in memory at a time."""

MAX_COLUMNS = 1_000
"""Most columns of a file."""

MAX_BROKEN_ROWS = 10_000
"""With more rows that do not fit their headers, the file as a whole is not what it should be."""

FORMULA_GUARD = r"^'([=+\-@\t\r])"
"""What a CSV export with `sanitize_formulas` begins texts with that would be formulas."""

_CHOICES = {
    "format": ["auto", "csv", "json", "jsonl", "excel", "parquet"],
    "encoding": ["auto", "utf-8", "utf-16", "latin-1"],
    "delimiter": ["auto", ",", ";", "\t", "|"],
}


@dataclass(frozen=True)
class ReadOptions:
    r"""How a file is to be read.

    Attributes:
        format: `csv`, `json`, `jsonl`, `excel` or `parquet`; `auto` to tell by the content.
        encoding: `utf-8`, `utf-16` or `latin-1` (Windows-1252, which has all of Latin-1), for text
            files; `auto` to tell by the byte order mark, UTF-8 if there is none.
        delimiter: what stands between two fields of a CSV file: `,`, `;`, `\t` or `|`; `auto` for
            the one that splits the header into the most fields.
        sheet: name of an Excel workbook's sheet; empty for the first.
        sanitized: whether to take off the `'` that a CSV export with `sanitize_formulas` put
            before formulas, in CSV and Excel files.
        max_rows: most rows with the header, of CSV and Excel files, or most records of others;
            blank rows do not count; None for any number.
        max_bytes: most bytes of the file, and of what a compressed text file unpacks to. Excel
            and Parquet files are compressed inside and may unpack to 20 times as much. None for
            any size.

    Raises:
        RequestError: there is no such format, encoding or delimiter.
    """

    format: str = "auto"
    encoding: str = "auto"
    delimiter: str = "auto"
    sheet: str = ""
    sanitized: bool = False
    max_rows: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        """Check what can be chosen from."""
        for kind, known in _CHOICES.items():
            if getattr(self, kind) not in known:
                raise RequestError(unknown(kind, getattr(self, kind), known))

    @property
    def max_unpacked_bytes(self) -> int | None:
        """Most bytes that an Excel or Parquet file may unpack to; None for any number."""
        return None if self.max_bytes is None else 20 * self.max_bytes


@dataclass(frozen=True)
class Content:
    """A file to read, and what its first bytes tell.

    Attributes:
        path: where it is.
        name: its own name, for sentences.
        options: how to read it.
        format: which kind of file it is.
        compression: `none`, `gzip`, or `zip` for an archive of CSV files.
        members: the files to read in an archive, one after the other.
    """

    path: Path
    name: str
    options: ReadOptions
    format: str = ""
    compression: str = "none"
    members: tuple[str, ...] = ("",)

    def refusal(self, predicate: str) -> FileRefused:
        """Return the error that says what is wrong: a sentence that lacks only its subject."""
        return FileRefused(f"{shown(self.name)} {predicate}")

    def check_rows(self, rows: int) -> None:
        """Check how many rows were read so far.

        Raises:
            FileRefused: there are more than are allowed.
        """
        allowed = self.options.max_rows
        if allowed is not None and rows > allowed:
            kind = "rows, header included" if self.format in ("csv", "excel") else "records"
            raise self.refusal(f"has more than {allowed:,} {kind}: split it.")


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be matched to the headers.

    Attributes:
        row: its number.
        cells: what it has.
        code: `column_count` or `not_an_object`.
        reason: a sentence that says what is wrong with it.
    """

    row: int
    cells: tuple[str, ...]
    code: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """Some of a file's rows, in order.

    Attributes:
        rows: their numbers in the column `ROW`, as a person sees them, and their texts in columns
            named by the headers.
        broken: the rows among them, or soon after them, that cannot be matched to the headers.
    """

    rows: pl.DataFrame
    broken: tuple[BrokenRow, ...] = ()


class Records(ABC):
    """The rows of an open file.

    Attributes:
        format: `csv`, `json`, `jsonl`, `excel` or `parquet`.
        details: what was found out about the file, such as its encoding and delimiter.
        headers: names of the columns, in the file's order. Those of JSON are complete only when
            all batches were read; each batch has the columns that are known by then.
    """

    def __init__(self, format: str, details: Mapping[str, str], headers: tuple[str, ...]) -> None:  # noqa: A002
        self.format = format
        self.details = details
        self.headers = headers
        self._reading: Generator[Batch, None, None] | None = None

    def batches(self) -> Iterator[Batch]:
        """Yield all rows, `BATCH_ROWS` at most at a time; to be called once.

        Raises:
            FileRefused: the file cannot be read on; what was yielded before is not to be used.
        """
        self._reading = self._read()
        return self._reading

    def close(self) -> None:
        """Stop reading, and close the file."""
        if self._reading is not None:
            self._reading.close()

    @abstractmethod
    def _read(self) -> Generator[Batch, None, None]:
        """Yield all rows."""


class Reader(ABC):
    """Reads one kind of file."""

    name: ClassVar[str]
    """Its name in `ReadOptions.format`."""

    @abstractmethod
    def open(self, content: Content) -> Records:
        """Open a file of this kind.

        Raises:
            FileRefused: it cannot be imported as it is.
        """


def size_text(count: int) -> str:
    """Return a number of bytes as a sentence has it."""
    whole, rest = divmod(count, 1 << 20)
    return f"{count:,} bytes" if rest else f"{whole:,} MB"
