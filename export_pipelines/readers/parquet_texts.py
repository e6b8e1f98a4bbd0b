"""Columns of Arrow as texts in the form that a CSV export has them."""

import json
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from export_pipelines.formats.csv import TIME_FORMAT
from export_pipelines.formats.workbook import column_letters
from export_pipelines.readers.base import Content

if TYPE_CHECKING:
    import pyarrow as pa

_ESCAPES = {
    **{chr(code): f"\\u{code:04x}" for code in range(0x20)},
    **{character: json.dumps(character)[1:-1] for character in '\b\f\n\r\t"\\'},
}


def decoded_bytes(column: "pa.Array") -> int:
    """Return how many bytes a column has once each row has a copy of its texts."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(column.type):
        lengths = compute.binary_length(column.dictionary).cast(pa.int64())
        return compute.sum(lengths.take(column.indices)).as_py() or 0
    if pa.types.is_struct(column.type):
        return sum(map(decoded_bytes, column.flatten()))
    if _is_list(column.type):
        return decoded_bytes(column.flatten())
    return int(column.nbytes)


def texts_of(column: "pa.Array", place: int, content: Content) -> pl.Series:
    """Return a column as texts.

    Args:
        column: what a file has, of any type.
        place: which column it is, from 0, for sentences.
        content: the file.

    Raises:
        FileRefused: its type, or one of its values, has no text.
    """
    import pyarrow as pa

    where = f"column {place + 1} ({column_letters(place)})"
    column.validate(full=True)
    try:
        texts = _texts(column)
    except (pl.exceptions.PolarsError, pa.ArrowException, RecursionError, TypeError, ValueError):
        raise content.refusal(
            f"has values in {where} that have no text: their type is {column.type}. Leave the "
            "column out, or store texts in it."
        ) from None
    if texts.str.contains("\0", literal=True).any():
        raise content.refusal(f"has a NUL character in {where}: remove it.")
    return texts


def _texts(column: "pa.Array") -> pl.Series:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        return _lists(column) if _is_list_of_texts(column.type) else _documents(column)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        # The same moments, whatever the name of their zone.
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    values = pl.Series(column)
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.to_string(TIME_FORMAT)
    texts = values.cast(pl.String)
    if values.dtype.is_float():
        return texts.str.strip_suffix(".0")
    if values.dtype.is_decimal():
        whole = ~texts.str.contains(".", literal=True)
        return texts.zip_with(whole, texts.str.strip_chars_end("0").str.strip_suffix("."))
    return texts


def _lists(column: "pa.Array") -> pl.Series:
    """Return lists of texts as JSON, without a loop over them."""
    values = pl.Series("values", _plain(column))
    text = pl.concat_str(pl.lit('"'), pl.element().str.replace_many(_ESCAPES), pl.lit('"'))
    joined = pl.col("values").list.eval(text.fill_null("null")).list.join(",")
    return values.to_frame().select(pl.concat_str(pl.lit("["), joined, pl.lit("]"))).to_series()


def _plain(column: "pa.Array") -> "pa.Array":
    """Return lists with a copy of their texts, which were kept once each."""
    import pyarrow as pa

    return column.cast(pa.large_list(pa.large_string()))


def _documents(column: "pa.Array") -> pl.Series:
    texts = [
        None
        if value is None
        else json.dumps(
            value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain_value
        )
        for value in column.to_pylist()
    ]
    return pl.Series(texts, dtype=pl.String)


def _plain_value(value: Any) -> Any:
    """Return a value that JSON has no type for as one that it has."""
    if isinstance(value, datetime):
        moment = value.astimezone(timezone.utc) if value.tzinfo else value
        return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(type(value))


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_list_of_texts(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if not _is_list(kind):
        return False
    inner = kind.value_type
    if pa.types.is_dictionary(inner):
        inner = inner.value_type
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))
