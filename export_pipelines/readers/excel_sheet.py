"""The rows of one sheet of an Excel workbook, as texts."""

import re
from collections.abc import Generator
from contextlib import closing
from typing import NamedTuple
from xml.parsers import expat

from export_pipelines.errors import FileRefused, shown
from export_pipelines.formats.workbook import column_letters
from export_pipelines.readers.base import MAX_RECORD_BYTES, size_text
from export_pipelines.readers.excel_package import Attributes, Package, Workbook
from export_pipelines.readers.excel_values import (
    boolean_text,
    iso_time_text,
    number_text,
    time_text,
    unescaped,
)
from export_pipelines.readers.headers import Headers
from export_pipelines.readers.unpacking import damaged

_MAX_ROW = 1_048_576
_MAX_COLUMN = 16_384
_LETTERS = re.compile(r"[A-Z]{1,3}")


class Row(NamedTuple):
    """A row with a value, however many blank ones come before it.

    Attributes:
        number: its number.
        cells: its texts; null for those that are empty.
        size: how many characters they have together.
    """

    number: int
    cells: list[str | None]
    size: int


def sheet_rows(
    package: Package, workbook: Workbook, headers: Headers | None
) -> Generator[Row, None, None]:
    """Yield the rows of a sheet that are not blank.

    Args:
        package: the workbook's archive.
        workbook: which sheet, and what its cells refer to.
        headers: how many columns there are, so that all rows have as many; None for any number.

    Raises:
        FileRefused: the sheet cannot be read, or has values in a column without a header.
    """
    sheet = _Sheet(package, workbook, headers)
    parser = expat.ParserCreate()
    parser.StartElementHandler = sheet.start
    parser.EndElementHandler = sheet.end
    parser.CharacterDataHandler = sheet.characters
    with closing(package.parsed(workbook.part, parser)) as pieces:
        for _ in pieces:
            rows, sheet.rows = sheet.rows, []
            yield from rows


class _Sheet:
    """Takes what the parser finds.

    Attributes:
        rows: what was found since they were last taken.
    """

    def __init__(self, package: Package, workbook: Workbook, headers: Headers | None) -> None:
        self.rows: list[Row] = []
        self._package = package
        self._workbook = workbook
        self._headers = headers
        self._width = headers.width if headers else 0
        self._prefix: str | None = None
        self._number = 0
        self._cells: list[str | None] = []
        self._size = 0
        self._places: dict[str, int] = {}
        self._place = -1
        self._type = "n"
        self._style = "0"
        self._value: str | None = None
        self._reading = False
        self._phonetic = False
        self._computed = False

    def start(self, name: str, attributes: Attributes) -> None:
        """Begin an element; the most frequent are asked for first."""
        if self._prefix:
            name = name.removeprefix(self._prefix)
        if name == "c":
            self._begin_cell(attributes)
        elif name in ("v", "t"):
            if not self._phonetic:
                self._reading = True
                self._value = self._value or ""
        elif name == "row":
            self._begin_row(attributes)
        elif name == "f":
            self._computed = True
        elif name == "rPh":
            self._phonetic = True
        elif self._prefix is None:
            self._prefix = name[: name.find(":") + 1]

    def characters(self, data: str) -> None:
        """Add to a value."""
        if self._reading:
            self._value = f"{self._value}{data}"

    def end(self, name: str) -> None:
        """End an element."""
        if self._prefix:
            name = name.removeprefix(self._prefix)
        if name in ("v", "t"):
            self._reading = False
        elif name == "c":
            if self._value is not None:
                self._end_cell(self._value)
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self._phonetic = False

    def _begin_row(self, attributes: Attributes) -> None:
        number = attributes.get("r")
        before = self._number
        if number is None:
            self._number += 1
        elif number.isdecimal() and len(number) < 9:
            self._number = int(number)
        if not before < self._number <= _MAX_ROW:
            raise damaged(self._package.content)
        self._cells = [None] * self._width
        self._place = -1
        self._size = 0

    def _begin_cell(self, attributes: Attributes) -> None:
        reference = attributes.get("r")
        if reference is None:
            self._place += 1
        else:
            letters = reference.rstrip("0123456789")
            place = self._places.get(letters)
            self._place = self._new_place(letters) if place is None else place
        self._type = attributes.get("t", "n")
        self._style = attributes.get("s", "0")
        self._value = None
        self._computed = False

    def _new_place(self, letters: str) -> int:
        place = -1
        if _LETTERS.fullmatch(letters):
            for letter in letters:
                place = (place + 1) * 26 + ord(letter) - ord("A")
        if not 0 <= place < _MAX_COLUMN:
            raise damaged(self._package.content)
        self._places[letters] = place
        return place

    def _end_cell(self, value: str) -> None:
        try:
            text = self._text(value)
        except (ValueError, IndexError) as error:
            raise self._unreadable(value) from error
        if text is None:
            return
        if self._place >= len(self._cells):
            self._widen()
        self._cells[self._place] = text
        self._size += len(text)

    def _text(self, value: str) -> str | None:
        """Return a cell's text, or null if it is empty.

        Raises:
            ValueError: it is not what its type says.
            IndexError: it refers to a shared text that there is none of.
        """
        match self._type:
            case "s":
                if not value.isdecimal():
                    raise ValueError(value)
                return self._workbook.texts[int(value)]
            case "n":
                return self._number_text(value.strip())
            case "inlineStr" | "str":
                return unescaped(value)
            case "b":
                return boolean_text(value.strip())
            case "d":
                return iso_time_text(value)
            case "e":
                return value
        raise ValueError(self._type)

    def _number_text(self, value: str) -> str | None:
        if not value:
            return None
        if self._style in self._workbook.time_styles:
            return time_text(value, from_1904=self._workbook.from_1904)
        return number_text(value, computed=self._computed)

    def _widen(self) -> None:
        if self._headers is not None:
            self._headers.refuse_unnamed(self._place, self._number)
        self._cells += [None] * (self._place + 1 - len(self._cells))

    def _end_row(self) -> None:
        if self._size > MAX_RECORD_BYTES:
            raise self._package.content.refusal(
                f"has a row {self._number:,} of more than {size_text(MAX_RECORD_BYTES)}: shorten "
                "its texts."
            )
        # Texts that cells share are unpacked once, and handed on as often as they are used.
        self._package.meter.spend(self._size)
        if any(cell is not None for cell in self._cells):
            self.rows.append(Row(self._number, self._cells, self._size))

    def _unreadable(self, value: str) -> FileRefused:
        cell = f"{column_letters(self._place)}{self._number}"
        return self._package.content.refusal(
            f"has a value in cell {cell} that cannot be read: {shown(value)}. Correct it."
        )
