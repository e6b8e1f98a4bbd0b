"""JSON arrays of objects, JSON Lines, and objects one after the other, read as a stream.

Numbers keep the text that they have in the file, also in the documents that a member may be.
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

import polars as pl

from export_pipelines.errors import shown
from export_pipelines.readers.base import (
    ABSENT,
    BATCH_CELLS,
    BATCH_ROWS,
    MAX_COLUMNS,
    MAX_RECORD_BYTES,
    ROW,
    Batch,
    BrokenRow,
    Content,
    Reader,
    Records,
)
from export_pipelines.readers.json_text import NUMBER, JsonText, Value
from export_pipelines.readers.text import encoding_of, opened_text
from export_pipelines.readers.unpacking import Meter, head

_NUMBER_IN_DOCUMENT = re.compile(r'"\\u0000([^"]*)"')
_WORDS = {True: "true", False: "false", None: None}
_SHOWN_CHARACTERS = 1_000


class JsonReader(Reader):
    """Reads an array of objects."""

    name = "json"

    def open(self, content: Content) -> Records:
        """Find out the encoding."""
        return _JsonRecords(content)


class JsonLinesReader(JsonReader):
    """Reads objects that stand one after the other, on a line each or laid out in any way."""

    name = "jsonl"


class _JsonRecords(Records):
    def __init__(self, content: Content) -> None:
        encoding = encoding_of(head(content, 4), content)[0]
        super().__init__(
            content.format, {"encoding": encoding, "compression": content.compression}, ()
        )
        self._content = content
        self._batch = _JsonBatch(content)

    def _read(self) -> Generator[Batch, None, None]:
        meter = Meter(self._content, self._content.options.max_bytes)
        with opened_text(self._content, self._content.members[0], meter) as chunks:
            for count, (row, value) in enumerate(self._values(chunks), start=1):
                self._content.check_rows(count)
                self._batch.add(row, value)
                if self._batch.is_full:
                    yield self._batch.taken()
        if self._batch.is_begun:
            yield self._batch.taken()
        self.headers = tuple(self._batch.names)

    def _values(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, Value]]:
        text = JsonText(self._content, chunks)
        if not text.peek():
            raise self._content.refusal("is empty: it has no rows.")
        return self._array(text) if self.format == "json" else self._lines(text)

    def _lines(self, text: JsonText) -> Generator[tuple[int, Value], None, None]:
        while text.peek():
            value = text.take()
            yield value.line, value

    def _array(self, text: JsonText) -> Generator[tuple[int, Value], None, None]:
        text.skip()
        row = 0
        while text.peek() != "]" or row:
            row += 1
            yield row, text.take(row)
            follows = text.peek()
            if follows == "]":
                break
            if follows != ",":
                text.refuse(_end_or("there must be , or ] after a record.", follows))
            text.skip()
            text.peek()
        text.skip()
        if text.peek():
            text.refuse("there must be nothing after the ] that ends the array.")


def _end_or(reason: str, follows: str) -> str:
    return reason if follows else "the file ends before its array; it may have been cut off."


class _JsonBatch:
    """Puts records together.

    Attributes:
        names: all names of members so far, in order of their first appearance.
    """

    def __init__(self, content: Content) -> None:
        self.names: dict[str, None] = {}
        self._content = content
        self._rows: list[int] = []
        self._records: list[dict[str, str | None]] = []
        self._broken: list[BrokenRow] = []
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether no more records should be held."""
        count = len(self._rows) + len(self._broken)
        return (
            count >= BATCH_ROWS
            or self._size >= MAX_RECORD_BYTES
            or count * len(self.names) >= BATCH_CELLS
        )

    @property
    def is_begun(self) -> bool:
        """Whether there is any record."""
        return bool(self._rows or self._broken)

    def add(self, row: int, value: Value) -> None:
        """Add a record; what is none is kept as a broken row."""
        self._size += value.size
        record = value.content
        if not isinstance(record, dict):
            self._add_broken(row, record, "is no JSON object.")
            return
        if value.repeated is not None:
            name = shown(value.repeated)
            self._add_broken(row, record, f"has the member {name} more than once.")
            return
        self.names.update(dict.fromkeys(record))
        if ROW in record:
            raise self._content.refusal(
                f"has a member {shown(ROW)} in row {row:,}, which no member may be named: rename "
                "it."
            )
        if len(self.names) > MAX_COLUMNS:
            raise self._content.refusal(
                f"has objects with more than {MAX_COLUMNS:,} different members: remove those that "
                "are not to be imported."
            )
        self._rows.append(row)
        self._records.append(self._cells(row, record))

    def taken(self) -> Batch:
        """Return the records as rows, and begin anew."""
        columns = [pl.Series(ROW, self._rows, pl.UInt32)]
        for name in self.names:
            cells = [record.get(name, ABSENT) for record in self._records]
            columns.append(_without_marks(pl.Series(name, cells, pl.String)))
        batch = Batch(pl.DataFrame(columns), tuple(self._broken))
        self._rows, self._records, self._broken, self._size = [], [], [], 0
        return batch

    def _cells(self, row: int, record: dict[str, Any]) -> dict[str, str | None]:
        try:
            return {
                name: member if member.__class__ is str else _cell(member)
                for name, member in record.items()
            }
        except RecursionError as error:
            raise self._content.refusal(f"has a row {row:,} that is nested too deeply.") from error

    def _add_broken(self, row: int, value: Any, reason: str) -> None:
        text = self._cells(row, {"": value})[""] or "null"
        cells = (text.removeprefix(NUMBER)[:_SHOWN_CHARACTERS],)
        self._broken.append(BrokenRow(row, cells, "not_an_object", f"Row {row:,} {reason}"))


def _cell(member: Any) -> str | None:
    """Return a member as a text, in which a number still has its mark; null is none."""
    if isinstance(member, str):
        return member
    if isinstance(member, (dict, list)):
        text = json.dumps(member, separators=(",", ":"), ensure_ascii=False)
        return _NUMBER_IN_DOCUMENT.sub(r"\1", text)
    return _WORDS[member]


def _without_marks(cells: pl.Series) -> pl.Series:
    # An absent member is the mark alone.
    numbers = (cells.str.len_bytes() > 1) & cells.str.starts_with(NUMBER)
    if not numbers.any():
        return cells
    return cells.zip_with(~numbers.fill_null(value=False), cells.str.strip_prefix(NUMBER))
