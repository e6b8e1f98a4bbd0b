r"""CSV as RFC 4180 has it, with `\n` line ends: text in quotes where it must be, quotes doubled.

Empty text is `""`, an empty field is nothing; times are ISO 8601 in UTC; true and false. In files
of one column an empty field is `""` too: many readers take a blank line for no row.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Literal

import polars as pl
from pydantic import Field

from export_pipelines.artifacts import Column, Segment, Sheet
from export_pipelines.formats.base import Encoded, Options, TextFormat

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.3fZ"

_BOM = b"\xef\xbb\xbf"
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?$"


class CsvOptions(Options):
    """How CSV files are written."""

    utf8_bom: bool = Field(
        default=True,
        description="Begin each file with a UTF-8 byte order mark, which Excel needs to read "
        "accents. Programs that read CSV as plain UTF-8 are better off without it.",
    )
    delimiter: Literal[",", ";", "\t", "|"] = Field(
        default=",",
        description="What stands between two fields: `,`, `;` (Excel in much of Europe), "
        "a tab or `|`.",
    )
    sanitize_formulas: bool = Field(
        default=False,
        description="Put `'` before text that a spreadsheet would run as a formula: text that "
        "begins with `=`, `+`, `-`, `@`, a tab or a carriage return. Numbers stay numbers.",
    )


class CsvFormat(TextFormat[CsvOptions]):
    """Comma-separated values."""

    name = "csv"
    title = "CSV"
    options = CsvOptions

    def extension(self, options: CsvOptions) -> str:
        """Return `.csv`."""
        del options
        return ".csv"

    def head(self, columns: Sequence[Column], options: CsvOptions) -> bytes:
        """Return the byte order mark, if it is wanted, and the header line."""
        headers = pl.DataFrame(
            {str(number): [str(column.name)] for number, column in enumerate(columns)}
        )
        if options.sanitize_formulas:
            headers = headers.with_columns(_sanitize(pl.all()))
        return (_BOM if options.utf8_bom else b"") + _csv(headers, options.delimiter)

    def encode(
        self, frame: pl.DataFrame, segment: Segment, sheet: Sheet, options: CsvOptions
    ) -> Encoded:
        """Return the rows as lines."""
        del segment, sheet
        if options.sanitize_formulas:
            frame = frame.with_columns(_sanitize(pl.col(pl.String)))
        return Encoded(_csv(frame, options.delimiter))


def _csv(frame: pl.DataFrame, delimiter: str) -> bytes:
    target = BytesIO()
    frame.write_csv(
        target,
        include_header=False,
        separator=delimiter,
        datetime_format=TIME_FORMAT,
        null_value='""' if frame.width == 1 else "",
    )
    return target.getvalue()


def _sanitize(text: pl.Expr) -> pl.Expr:
    harmful = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return pl.when(harmful).then("'" + text).otherwise(text).name.keep()
