"""The rows of one CSV text, as Arrow splits them, with the numbers that people see."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from export_pipelines.errors import FileRefused, shown
from export_pipelines.readers.base import (
    MAX_BROKEN_ROWS,
    MAX_COLUMNS,
    MAX_RECORD_BYTES,
    BrokenRow,
    Content,
    size_text,
)
from export_pipelines.readers.csv_blocks import quoted, record_end

if TYPE_CHECKING:
    from pyarrow import csv as arrow_csv

_BLOCK_CELLS = 16_000_000
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")


@dataclass(frozen=True)
class CsvBlock:
    """Some rows.

    Attributes:
        columns: all columns, of texts.
        numbers: the rows' numbers.
        broken: the rows among them with too few or too many fields.
    """

    columns: list[pl.Series]
    numbers: pl.Series
    broken: tuple[BrokenRow, ...]


class CsvRows:
    """Reads one text, whose first row are the headers.

    Attributes:
        last_row: the number of the last row so far.
    """

    def __init__(self, content: Content, delimiter: str, width: int, first_row: int) -> None:
        self.last_row = first_row - 1
        self._content = content
        self._delimiter = delimiter
        self._width = width
        self._first_row = first_row
        self._broken: list[BrokenRow] = []
        self._refusal: FileRefused | None = None

    def read(self, chunks: Iterator[bytes]) -> Iterator[CsvBlock]:
        """Yield all rows but the headers, some at a time.

        Arrow is given whole blocks: it would read a file of Python's in a thread of its own, and
        end the process if that thread is still at it when Python ends.

        Raises:
            FileRefused: a quote is never closed, a row is too long, or too many are broken.
        """
        for block in self._blocks(chunks):
            self._check_blank_lines(block)
            has_headers = self.last_row < self._first_row
            columns, numbers = self._parsed(block)
            if has_headers and numbers.first() != self._first_row:
                raise self._content.refusal("has a row 1 that cannot be split into headers.")
            start = int(has_headers)
            yield CsvBlock(
                [column.slice(start) for column in columns],
                numbers.slice(start),
                tuple(self._broken),
            )

    def _blocks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield blocks of whole records."""
        delimiter = self._delimiter.encode()
        held: list[bytes] = []
        for chunk in chunks:
            held.append(chunk)
            if sum(map(len, held)) < MAX_RECORD_BYTES:
                continue
            block = b"".join(held)
            end = record_end(block, quoted(block, delimiter))
            if not end:
                raise self._content.refusal(
                    f"has a row {self.last_row + 1:,} of more than {size_text(MAX_RECORD_BYTES)}: "
                    "one of its quotes may never be closed."
                )
            yield block[:end]
            held = [block[end:]]
        block = b"".join(held)
        spans = quoted(block, delimiter)
        is_open = len(spans[0]) > len(spans[1])
        end = record_end(block, spans) if is_open else len(block)
        if end:
            yield block[:end]
        if is_open:
            raise self._content.refusal(
                f"has a quote in row {self.last_row + 1:,} that is never closed: everything after "
                "it would be one field. Close it, or double it if it is part of the text."
            )

    def _check_blank_lines(self, block: bytes) -> None:
        """Refuse blank lines that Arrow would need gigabytes for.

        Each is a byte, and makes a cell in each of perhaps a thousand columns.
        """
        lines = block.count(b"\n") + block.count(b"\r")
        if lines * self._width <= _BLOCK_CELLS:
            return
        if sum(map(block.count, _BLANK_LINES)) * self._width > _BLOCK_CELLS:
            raise self._content.refusal("has too many blank lines: remove them.")

    def _parsed(self, block: bytes) -> tuple[list[pl.Series], pl.Series]:
        """Return the columns of a block's rows, and the rows' numbers."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        self._broken = []
        names = [str(place) for place in range(self._width)]
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(block),
                read_options=arrow_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=self._leave_out,
                ),
                convert_options=_conversion(names),
            )
        except pa.ArrowInvalid as error:
            raise self._refusal or self._unreadable() from error
        return pl.DataFrame(table).get_columns(), self._numbers(table.num_rows)

    def _numbers(self, count: int) -> pl.Series:
        """Return the numbers of rows, between which there are those that were left out."""
        first = self.last_row + 1
        self.last_row += count + len(self._broken)
        numbers = pl.int_range(first, self.last_row + 1, eager=True)
        return numbers.filter(~numbers.is_in([row.row for row in self._broken]))

    def _unreadable(self) -> FileRefused:
        return self._content.refusal(
            f"cannot be split into rows and fields after row {self.last_row:,}."
        )

    def _leave_out(self, row: "arrow_csv.InvalidRow") -> str:
        """Keep a row that has another number of fields; no error can pass through Arrow here."""
        if len(self._broken) == MAX_BROKEN_ROWS:
            self._refusal = self._content.refusal(
                f"has more than {MAX_BROKEN_ROWS:,} rows with another number of fields than its "
                f"headers: is {shown(self._delimiter)} what stands between its fields?"
            )
            return "error"
        number = self.last_row + row.number
        cells = next(csv.reader(io.StringIO(row.text, newline=""), delimiter=self._delimiter), [])
        reason = (
            f"Row {number:,} has {row.actual_columns:,} fields, and there are {self._width:,} "
            f"headers. A field that has a delimiter or a line break must be in quotes."
        )
        self._broken.append(BrokenRow(number, tuple(cells[:MAX_COLUMNS]), "column_count", reason))
        return "skip"


def _conversion(names: list[str]) -> "arrow_csv.ConvertOptions":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return arrow_csv.ConvertOptions(
        check_utf8=False,
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
