"""Columns as Arrow and Polars have them: types in spool files, and derived columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from export_pipelines.artifacts import Column, FieldType, Sheet
from export_pipelines.catalog.currencies import decimal_amount, formatted_amount

if TYPE_CHECKING:
    import pyarrow as pa


def spool_schema(columns: Sequence[Column]) -> "pa.Schema":
    """Return the Arrow schema in which rows travel, whatever database they come from.

    Times are UTC milliseconds; JSON documents and lists are JSON texts.
    """
    import pyarrow as pa

    types = {
        FieldType.STRING: pa.string(),
        FieldType.INTEGER: pa.int64(),
        FieldType.NUMBER: pa.float64(),
        FieldType.BOOLEAN: pa.bool_(),
        FieldType.DATETIME: pa.timestamp("ms", "UTC"),
        FieldType.JSON: pa.string(),
        FieldType.LIST: pa.string(),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in columns])


def written_frame(table: "pa.Table", sheet: Sheet) -> pl.DataFrame:
    """Return rows with the columns of a sheet, in their order, from those that were read."""
    frame = pl.DataFrame(table)
    if sheet.columns == sheet.stored:
        return frame
    return frame.select(_expression(column).alias(column.name) for column in sheet.columns)


def _expression(column: Column) -> pl.Expr:
    derivation = column.derivation
    if derivation is None:
        return pl.col(column.name)
    derive = {"decimal": decimal_amount, "formatted": formatted_amount}[derivation.kind]
    return derive(pl.col(derivation.cents), pl.col(derivation.currency))
