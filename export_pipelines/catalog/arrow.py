"""The Arrow types of table columns, and what each database's driver stores them as."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table, types

from export_pipelines.catalog.models.types import UtcDateTime


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow types in which a table's columns are read and written."""
    return pa.schema(
        [pa.field(column.name, _arrow_type(column.type), column.nullable) for column in table.c]
    )


def _arrow_type(column_type: types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(column_type, UtcDateTime):
        return pa.timestamp("ms", "UTC")
    if isinstance(column_type, types.DateTime):
        return pa.timestamp("ms", "UTC" if column_type.timezone else None)
    if isinstance(column_type, types.Date):
        return pa.date32()
    if isinstance(column_type, types.Boolean):
        return pa.bool_()
    if isinstance(column_type, types.Integer):
        return pa.int64()
    if isinstance(column_type, types.Float):
        return pa.float64()
    if isinstance(column_type, types.Numeric):
        return pa.decimal128(column_type.precision or 38, column_type.scale or 0)
    if isinstance(column_type, types.LargeBinary):
        return pa.binary()
    return pa.string()


def insert_schema(table: Table, names: list[str]) -> pa.Schema:
    """Return the types of some of a table's columns, in the given order.

    Raises:
        ValueError: the table lacks one of them.
    """
    whole = arrow_schema(table)
    unknown = [name for name in names if name not in table.c]
    if unknown:
        raise ValueError(f"Table {table.name} has no column {', '.join(unknown)}.")
    return pa.schema([whole.field(name).with_nullable(True) for name in names])


def sqlite_schema(schema: pa.Schema) -> pa.Schema:
    """Return what SQLite stores: it has neither timestamps nor booleans."""
    return pa.schema(
        [
            field.with_type(pa.int64())
            if pa.types.is_timestamp(field.type) or pa.types.is_boolean(field.type)
            else field
            for field in schema
        ]
    )


def convert(batch: pa.RecordBatch, schema: pa.Schema, stored: pa.Schema) -> pa.RecordBatch:
    """Return the batch with the columns of `schema`, as `stored` by the database.

    Digits of timestamps beyond milliseconds are cut off.

    Raises:
        ValueError: a value does not fit its type.
    """
    columns = [batch.column(name) for name in schema.names]
    for position, column in enumerate(columns):
        if pa.types.is_timestamp(column.type) and column.type.unit in ("us", "ns"):
            columns[position] = pc.floor_temporal(column, unit="millisecond")
    columns = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
    converted = pa.RecordBatch.from_arrays(columns, schema=schema)
    return converted if stored == schema else converted.cast(stored)
