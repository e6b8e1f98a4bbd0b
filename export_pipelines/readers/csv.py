"""CSV files: Arrow parses them in blocks; nothing is done row by row.

A row of nothing but empty fields is blank, as an empty line is. Nothing between two delimiters is
null; `""` is empty text.
"""

import csv
import io
from collections.abc import Generator
from itertools import chain

from export_pipelines.errors import shown
from export_pipelines.readers.base import (
    BATCH_ROWS,
    MAX_RECORD_BYTES,
    Batch,
    Content,
    Reader,
    Records,
    size_text,
)
from export_pipelines.readers.csv_rows import CsvBlock, CsvRows
from export_pipelines.readers.headers import Headers, unguarded, without_blank_rows
from export_pipelines.readers.text import encoding_of, opened_text
from export_pipelines.readers.unpacking import Meter, head

# After the header, to see whether a quote in it swallows what follows.
_END = "\x04"
_DELIMITERS = (",", ";", "\t", "|")
_HEADER_BYTES = 1 << 16


class CsvReader(Reader):
    """Reads CSV files, and archives of CSV files that have the same headers."""

    name = "csv"

    def open(self, content: Content) -> Records:
        """Find out the encoding, the delimiter and the headers."""
        cells, delimiter = _header(content, content.members[0], content.options.delimiter)
        for member in content.members[1:]:
            if _header(content, member, delimiter)[0] != cells:
                raise content.refusal(
                    f"is an archive of CSV files with different headers: those of {shown(member)} "
                    f"are not those of {shown(content.members[0])}. Import the files one by one."
                )
        encoding = encoding_of(head(content, 4), content)[0]
        details = {"encoding": encoding, "delimiter": delimiter, "compression": content.compression}
        if content.compression == "zip":
            details["files"] = str(len(content.members))
        return _CsvRecords(content, details, Headers(cells, content), delimiter)


def _header(content: Content, member: str, delimiter: str) -> tuple[list[str], str]:
    """Return the fields of the first record, and the delimiter that splits it into the most."""
    text = ""
    for size in (_HEADER_BYTES, MAX_RECORD_BYTES):
        text, whole = _begin(content, member, size)
        asked = _DELIMITERS if delimiter == "auto" else (delimiter,)
        found = [(_first_record(text, each, whole=whole), each) for each in asked]
        (cells, complete), best = max(found, key=lambda one: len(one[0][0]))
        if complete:
            break
        if whole:
            raise content.refusal("has a quote in row 1 that is never closed: correct the headers.")
    else:
        raise content.refusal(
            f"has a row 1 of more than {size_text(MAX_RECORD_BYTES)}: it is no CSV file, or one of "
            "its quotes is never closed."
        )
    if not text.strip():
        raise content.refusal("is empty: it has no rows.")
    if not any(cell.strip() for cell in cells):
        raise content.refusal(
            "has no headers: its first row must have the names of the columns, and is blank."
        )
    return cells, best


def _begin(content: Content, member: str, size: int) -> tuple[str, bool]:
    """Return the first bytes of a text, and whether that is all of it."""
    pieces, total = [], 0
    with opened_text(content, member, Meter(content, content.options.max_bytes)) as chunks:
        for chunk in chunks:
            pieces.append(chunk)
            total += len(chunk)
            if total > size:
                break
    data = b"".join(pieces)
    return data[:size].decode(errors="ignore"), total <= size


def _first_record(text: str, delimiter: str, *, whole: bool) -> tuple[list[str], bool]:
    """Return the fields of the first record, and whether its end is in the text."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    lines = io.StringIO(text, newline="")
    rows = csv.reader(chain(lines, [_END]), delimiter=delimiter)
    cells = next(rows)
    if not text or lines.tell() < len(text):
        return ([] if not text else cells), True
    return cells, whole and next(rows, None) == [_END]


class _CsvRecords(Records):
    def __init__(
        self, content: Content, details: dict[str, str], headers: Headers, delimiter: str
    ) -> None:
        super().__init__("csv", details, headers.names)
        self._content = content
        self._headers = headers
        self._delimiter = delimiter
        self._meter = Meter(content, content.options.max_bytes)
        self._records = 0

    def _read(self) -> Generator[Batch, None, None]:
        first_row = 1
        for member in self._content.members:
            rows = CsvRows(self._content, self._delimiter, self._headers.width, first_row)
            with opened_text(self._content, member, self._meter) as chunks:
                for block in rows.read(chunks):
                    yield from self._batches(block)
            # The headers of the next file are no row of their own.
            first_row = rows.last_row

    def _batches(self, block: CsvBlock) -> Generator[Batch, None, None]:
        columns = block.columns
        if self._content.options.sanitized:
            columns = [unguarded(column) for column in columns]
        rows = without_blank_rows(self._headers.frame(columns, block.numbers))
        self._records += rows.height + len(block.broken)
        self._content.check_rows(self._records + 1)
        for start in range(0, rows.height or bool(block.broken), BATCH_ROWS):
            yield Batch(rows.slice(start, BATCH_ROWS), () if start else block.broken)
