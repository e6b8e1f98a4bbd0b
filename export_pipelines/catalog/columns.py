"""Columns as Arrow and Polars have them: types in spool files, and columns that are not stored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from export_pipelines.artifacts import Column, FieldType, Sheet
from export_pipelines.catalog.currencies import decimal_amount, formatted_amount

if TYPE_CHECKING:
    import pyarrow as pa

NESTING = (FieldType.OBJECT, FieldType.ARRAY)
"""Types of columns that hold other columns."""

_FIXED_TYPES = {
    FieldType.STRING: pl.String,
    FieldType.INTEGER: pl.Int64,
    FieldType.NUMBER: pl.Float64,
    FieldType.BOOLEAN: pl.Boolean,
}


def spool_schema(columns: Sequence[Column]) -> "pa.Schema":
    """Return the Arrow schema in which rows travel, whatever database they come from.

    Times are UTC milliseconds; JSON documents and lists are JSON texts; objects are structs, and
    arrays lists of them.
    """
    import pyarrow as pa

    return pa.schema([pa.field(column.name, _arrow_type(column)) for column in columns])


def _arrow_type(column: Column) -> "pa.DataType":
    import pyarrow as pa

    if column.type in NESTING:
        members = pa.struct([(each.name, _arrow_type(each)) for each in column.columns])
        return pa.large_list(members) if column.type is FieldType.ARRAY else members
    types = {
        FieldType.STRING: pa.string(),
        FieldType.INTEGER: pa.int64(),
        FieldType.NUMBER: pa.float64(),
        FieldType.BOOLEAN: pa.bool_(),
        FieldType.DATETIME: pa.timestamp("ms", "UTC"),
        FieldType.JSON: pa.string(),
        FieldType.LIST: pa.string(),
    }
    return types[column.type]


def written_frame(table: "pa.Table", sheet: Sheet) -> pl.DataFrame:
    """Return rows with the columns of a sheet, in their order, from those that were spooled."""
    frame = pl.DataFrame(table)
    return frame if sheet.columns == sheet.stored else written_columns(frame, sheet.columns)


def written_columns(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the columns to write, from the stored ones."""
    plain = [column for column in columns if column.type not in NESTING]
    found = frame.select(_expression(column).alias(column.name) for column in plain)
    if len(plain) == len(columns):
        return found
    # Not selected by their headers, which may be patterns to Polars.
    return pl.DataFrame(
        [
            _nested(frame, column) if column.type in NESTING else found.get_column(column.name)
            for column in columns
        ]
    )


def members(values: pl.Series) -> pl.DataFrame:
    """Return the objects of a column of objects or arrays, one after the other, as rows."""
    objects = values.explode(empty_as_null=False) if values.dtype == pl.List else values
    return objects.struct.unnest()


def _nested(frame: pl.DataFrame, column: Column) -> pl.Series:
    """Return a column of objects, or of arrays of them, with the members to write."""
    if column.type is FieldType.OBJECT:
        return (
            written_columns(frame, column.columns)
            .select(
                pl.when(frame.get_column(column.stored).is_not_null())
                .then(pl.struct(pl.all()))
                .alias(column.name)
            )
            .to_series()
        )
    values = frame.get_column(column.stored)
    objects = written_columns(members(values), column.columns)
    return regrouped(objects.to_struct(column.name), values)


def regrouped(objects: pl.Series, values: pl.Series) -> pl.Series:
    """Return as many objects together as each array has, in the same order.

    Args:
        objects: what became of each object.
        values: the arrays that they come from, none of them null.
    """
    lengths = values.list.len().cast(pl.Int64)
    return lists_of(objects, pl.concat([pl.Series([0]), lengths.cum_sum()]))


def lists_of(objects: pl.Series, starts: pl.Series) -> pl.Series:
    """Return a list of each run of objects; `starts` has where each begins, and the end."""
    import pyarrow as pa

    # As they are: the other level would copy all texts, here and back again.
    flat = objects.to_arrow(compat_level=pl.CompatLevel.newest())
    offsets = starts.cast(pl.Int64).to_arrow()
    return pl.Series(objects.name, pa.LargeListArray.from_arrays(offsets, flat))


def _expression(column: Column) -> pl.Expr:
    derivation = column.derivation
    if derivation is None:
        return pl.col(column.stored)
    if column.is_fixed:
        # Not a literal: rows of fixed columns alone would then be a single one.
        return pl.repeat(derivation.value, pl.len(), dtype=_FIXED_TYPES[column.type])
    derive = {"decimal": decimal_amount, "formatted": formatted_amount}[derivation.kind]
    cents = pl.col(derivation.cents)
    if derivation.less:
        cents = cents - pl.col(derivation.less)
    return derive(cents, pl.col(derivation.currency))
