"""Bytes of a column of texts, without a Python object for each."""

import polars as pl
import pyarrow as pa


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
