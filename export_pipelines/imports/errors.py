"""Row errors as frames: row, column, value, code and reason, a line for each."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from export_pipelines.errors import shown

ERROR_SCHEMA = pl.Schema(
    {
        "row": pl.UInt32(),
        "column": pl.String(),
        "value": pl.String(),
        "code": pl.String(),
        "reason": pl.String(),
    }
)
_VALUE_CHARACTERS = 100


def error_frame(errors: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return errors as a frame, their values shortened."""
    frame = pl.DataFrame(list(errors), schema=ERROR_SCHEMA)
    return frame.with_columns(shortened(frame.get_column("value")))


def errors_of(
    rows: pl.Series, values: pl.Series, *, header: str, code: str, what: str
) -> pl.DataFrame:
    """Return an error for each of some values.

    Args:
        rows: the numbers of the rows.
        values: what they have there.
        header: what the file itself calls their column.
        code: a stable name of what is wrong.
        what: what is wrong, to stand after the value: `is no number`.
    """
    cells = shortened(values)
    reasons = [
        f"{header}: {shown(cell)} {what}." if cell else f"{header} {what}." for cell in cells
    ]
    return pl.DataFrame(
        {
            "row": rows,
            "column": _all(header, rows),
            "value": cells,
            "code": _all(code, rows),
            "reason": pl.Series(reasons, dtype=pl.String),
        },
        schema=ERROR_SCHEMA,
    )


def placed(errors: pl.DataFrame) -> pl.DataFrame:
    """Return errors whose reasons are about a value alone with reasons that say which, and where.

    Args:
        errors: errors whose values may be long.
    """
    cells = shortened(errors.get_column("value"))
    reasons = [
        f"{column}: {shown(cell)}. {reason}"
        for column, cell, reason in zip(errors["column"], cells, errors["reason"], strict=True)
    ]
    return errors.with_columns(cells.alias("value"), pl.Series("reason", reasons, dtype=pl.String))


def _all(text: str, rows: pl.Series) -> pl.Series:
    return pl.Series([text]).new_from_index(0, len(rows))


def shortened(texts: pl.Series) -> pl.Series:
    """Return texts as reports show them."""
    long = (texts.str.len_chars() > _VALUE_CHARACTERS).fill_null(value=False)
    if not long.any():
        return texts
    cut = texts.str.slice(0, _VALUE_CHARACTERS) + "…"
    return texts.zip_with(~long, cut)
