"""What the formats that write text share: plain column names, and the bytes of texts."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from export_pipelines.artifacts import Column


def plainly_named(
    frame: pl.DataFrame, columns: Sequence[Column]
) -> tuple[pl.DataFrame, tuple[Column, ...]]:
    """Return rows and columns named by their positions.

    Polars takes names such as `*` and `^a$` for patterns, and other columns' names may be in use.
    """
    named = frame.clone()
    named.columns = [f"column_{position}" for position in range(len(columns))]
    return named, tuple(
        replace(column, name=name) for column, name in zip(columns, named.columns, strict=True)
    )


def values_of(frame: pl.DataFrame, column: Column) -> pl.Series:
    """Return a column's values, whatever its name may mean to Polars."""
    return frame.get_column(column.name).alias("values")


def joined_bytes(texts: pl.Series) -> "pa.Buffer | bytes":
    """Return all texts of a column, none of them null, one after the other in UTF-8."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets = array.buffers()[1]
    data = array.buffers()[2]
    if data is None or offsets is None:
        return b""
    bounds = memoryview(offsets).cast("q")
    first, last = bounds[array.offset], bounds[array.offset + len(array)]
    return data.slice(first, last - first)
