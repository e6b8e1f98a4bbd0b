"""The headers of a file: what they may be, and the columns that have none."""

from collections.abc import Sequence

import polars as pl

from export_pipelines.errors import shown
from export_pipelines.formats.workbook import column_letters
from export_pipelines.readers.base import FORMULA_GUARD, MAX_COLUMNS, ROW, Content


class Headers:
    """The headers of a file, without the blanks around them.

    Attributes:
        names: those that are not empty, in order.
        places: where the columns are that they belong to, from 0.
        width: how many columns there are with and without a header.

    Raises:
        FileRefused: there is none, there are too many, or two are the same.
    """

    def __init__(self, cells: Sequence[str], content: Content) -> None:
        self._content = content
        self.width = len(cells)
        if self.width > MAX_COLUMNS:
            raise content.refusal(
                f"has {self.width:,} columns; {MAX_COLUMNS:,} are allowed: remove those that are "
                "not to be imported."
            )
        trimmed = [cell.strip() for cell in self._without_guards(cells)]
        self.places = tuple(place for place, name in enumerate(trimmed) if name)
        self.names = tuple(filter(None, trimmed))
        self._unnamed = [place for place, name in enumerate(trimmed) if not name]
        if not self.names:
            raise content.refusal(
                "has no headers: its first row must have the names of the columns."
            )
        self._check_names(trimmed)

    def frame(self, columns: Sequence[pl.Series], numbers: pl.Series) -> pl.DataFrame:
        """Return rows with the columns that have a header, named by it.

        Args:
            columns: all columns of the file, of texts.
            numbers: the rows' numbers.

        Raises:
            FileRefused: a column without a header has a value.
        """
        for place in self._unnamed:
            filled = columns[place].is_not_null()
            if filled.any():
                self.refuse_unnamed(place, numbers.filter(filled).item(0))
        named = [
            columns[place].alias(name) for place, name in zip(self.places, self.names, strict=True)
        ]
        return pl.DataFrame([numbers.cast(pl.UInt32).alias(ROW), *named])

    def refuse_unnamed(self, place: int, row: int) -> None:
        """Refuse the file because a column without a header has a value in a row.

        Raises:
            FileRefused: always.
        """
        raise self._content.refusal(
            f"has no header for column {place + 1} ({column_letters(place)}), which has a value "
            f"in row {row:,}: give it a header, or empty it."
        )

    def _without_guards(self, cells: Sequence[str]) -> Sequence[str]:
        if not self._content.options.sanitized:
            return cells
        return unguarded(pl.Series(cells, dtype=pl.String)).to_list()

    def _check_names(self, trimmed: Sequence[str]) -> None:
        places: dict[str, int] = {}
        for place, name in enumerate(trimmed):
            if "\0" in name or name == ROW:
                raise self._content.refusal(
                    f"has a character in the header of column {place + 1} "
                    f"({column_letters(place)}) that no header may have: correct it."
                )
            if name and name in places:
                first = places[name]
                raise self._content.refusal(
                    f"has the header {shown(name)} twice, in columns {first + 1} "
                    f"({column_letters(first)}) and {place + 1} ({column_letters(place)}): "
                    "rename or remove one of them."
                )
            places[name] = place


def unguarded(texts: pl.Series) -> pl.Series:
    """Return texts without the `'` that a CSV export puts before formulas."""
    return texts.str.replace(FORMULA_GUARD, "$1")


def without_blank_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that have a value beside their number."""
    values = [column.is_not_null() for column in frame.get_columns() if column.name != ROW]
    if not values:
        return frame.clear()
    filled = values[0]
    for more in values[1:]:
        filled = filled | more
    return frame if filled.all() else frame.filter(filled)
