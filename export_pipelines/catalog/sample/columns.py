"""Arrow columns made from numpy arrays and words."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Columns = Mapping[str, pa.Array]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@cache
def _words(words: tuple[Any, ...]) -> pa.StringArray:
    return pa.array(words, type=pa.string())


def take(words: Sequence[str | None], index: Integers) -> pa.StringArray:
    """Return `words[index]` as a column."""
    return _words(tuple(words)).take(pa.array(index))


def join(*parts: Any) -> pa.StringArray:
    """Return the parts, columns or texts, put one after the other; null where one is null."""
    return pc.binary_join_element_wise(*parts, "")


def digits(values: Integers, width: int) -> pa.StringArray:
    """Return the last `width` decimal digits of each value, with leading zeros."""
    places = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return _fixed_width(((values[:, None] // places) % 10 + ord("0")).astype(np.uint8))


def plain(values: Integers) -> pa.StringArray:
    """Return each value in decimal."""
    return pa.array(values).cast(pa.string())


def ean13(values: Integers) -> pa.StringArray:
    """Return each value of at most 12 digits with its EAN-13 check digit."""
    return digits(values * 10 + _check_digit(values, 12), 13)


def ean8(values: Integers) -> pa.StringArray:
    """Return each value of at most 7 digits with its EAN-8 check digit."""
    return digits(values * 10 + _check_digit(values, 7), 8)


def moments(milliseconds: Integers, null: Mask | None = None) -> pa.TimestampArray:
    """Return UTC timestamps of milliseconds since 1970, null where `null` says so."""
    return pa.array(milliseconds, mask=null).cast(pa.timestamp("ms", "UTC"))


def integers(values: Integers, null: Mask | None = None) -> pa.Int64Array:
    """Return integers, null where `null` says so."""
    return pa.array(values, type=pa.int64(), mask=null)


def constant(value: Any, rows: int) -> pa.Array:
    """Return one value for all rows."""
    return pa.repeat(pa.scalar(value), rows)


def nullify(column: pa.Array, null: Mask | None) -> pa.Array:
    """Return the column with nulls where `null` says so."""
    if null is None or not null.any():
        return column
    return pc.if_else(pa.array(null), pa.scalar(None, column.type), column)


def replace(column: pa.Array, where: Mask, values: pa.Array) -> pa.Array:
    """Return the column with the values at `where` replaced, in order."""
    return pc.replace_with_mask(column, pa.array(where), values.cast(column.type))


def sprinkle(
    column: pa.Array, numbers: Integers, values: Sequence[Any], *, every: int = 997
) -> pa.Array:
    """Return the column with `values` in the first rows of the table and in one of `every` rows."""
    pool = pa.array(values, type=None if not isinstance(values[0], str) else pa.string())
    where = (numbers < len(values)) | (numbers % every == every - 1)
    if not where.any():
        return column
    chosen = numbers[where]
    index = np.where(chosen < len(values), chosen, chosen // every) % len(values)
    return replace(column, where, pool.take(pa.array(index)))


def _check_digit(values: Integers, length: int) -> Integers:
    """Weigh the digits 3, 1, 3, ... from the right."""
    total = np.zeros(len(values), dtype=np.int64)
    for place in range(length):
        total += (values // 10**place) % 10 * (3 if place % 2 == 0 else 1)
    return (-total) % 10


def _fixed_width(text: npt.NDArray[np.uint8]) -> pa.StringArray:
    rows, width = text.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(
        rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))
    )
