"""Parquet: typed columns for data engineers, compressed inside the file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from export_pipelines.artifacts import Column, ExportPlan, FieldType, Part, Segment, Sheet
from export_pipelines.catalog.columns import NESTING, members, regrouped, spool_schema
from export_pipelines.errors import DataError
from export_pipelines.formats.base import Encoded, FileWriter, Format, Options

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP_ROWS = 100_000


class ParquetOptions(Options):
    """How Parquet files are written."""


class ParquetFormat(Format[ParquetOptions]):
    """Apache Parquet."""

    name = "parquet"
    title = "Parquet"
    options = ParquetOptions
    compressions = ("zstd", "gzip", "none")
    compresses_itself = True
    nests = True

    def extension(self, options: ParquetOptions) -> str:
        """Return `.parquet`."""
        del options
        return ".parquet"

    def encode(
        self, frame: pl.DataFrame, segment: Segment, sheet: Sheet, options: ParquetOptions
    ) -> Encoded:
        """Return the rows with lists as lists."""
        del segment, options
        decoded = _with_lists(frame, sheet.columns, sheet.resource_type)
        table = decoded.to_arrow(compat_level=pl.CompatLevel.oldest())
        return Encoded(table.cast(file_schema(sheet)))

    def open(
        self, target: BinaryIO, part: Part, plan: ExportPlan, options: ParquetOptions
    ) -> FileWriter:
        """Begin a file with the export's schema."""
        del part, options
        return _ParquetWriter(target, plan)


class _ParquetWriter:
    def __init__(self, target: BinaryIO, plan: ExportPlan) -> None:
        from pyarrow import parquet

        schema = file_schema(plan.sheets[0])
        self._writer = parquet.ParquetWriter(target, schema, compression=plan.compression)
        self._held: list[pa.Table] = []

    def write(self, segment: Segment, encoded: Encoded) -> None:
        del segment
        self._held.append(encoded.data)
        if sum(table.num_rows for table in self._held) >= _ROW_GROUP_ROWS:
            self._write_row_group()

    def finish(self) -> None:
        self._write_row_group()
        self._writer.close()

    def _write_row_group(self) -> None:
        import pyarrow as pa

        if self._held:
            rows = pa.concat_tables(self._held).combine_chunks()
            self._writer.write_table(rows, row_group_size=rows.num_rows)
            self._held = []


def file_schema(sheet: Sheet) -> "pa.Schema":
    """Return the schema of a sheet's files: that of its rows, with lists as lists of texts."""
    import pyarrow as pa

    fields = zip(sheet.columns, spool_schema(sheet.columns), strict=True)
    return pa.schema([pa.field(field.name, _type(column, field.type)) for column, field in fields])


def _type(column: Column, stored: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if column.type is FieldType.LIST:
        return pa.list_(pa.string())
    if column.type is FieldType.ARRAY:
        return pa.list_(_members(column, stored.value_type))
    return _members(column, stored) if column.type is FieldType.OBJECT else stored


def _members(column: Column, stored: "pa.StructType") -> "pa.StructType":
    import pyarrow as pa

    return pa.struct(
        [
            (inner.name, _type(inner, stored.field(place).type))
            for place, inner in enumerate(column.columns)
        ]
    )


def _with_lists(frame: pl.DataFrame, columns: Sequence[Column], resource_type: str) -> pl.DataFrame:
    """Return rows with the texts of lists, at every level, as lists.

    Raises:
        DataError: a text is not a list of texts.
    """
    decoded = []
    for column in columns:
        values = frame.get_column(column.name)
        if column.type is FieldType.LIST:
            decoded.append(_decoded(values, column, resource_type))
        elif column.type in NESTING:
            inner = _with_lists(members(values), column.columns, resource_type)
            objects = inner.to_struct(column.name)
            if column.type is FieldType.ARRAY:
                objects = regrouped(objects, values)
            else:
                objects = objects.zip_with(
                    values.is_not_null(), pl.Series([None], dtype=objects.dtype)
                )
            decoded.append(objects)
    return frame.with_columns(decoded)


def _decoded(values: pl.Series, column: Column, resource_type: str) -> pl.Series:
    try:
        # A name may be a pattern to Polars.
        return values.alias("values").str.json_decode(pl.List(pl.String)).alias(column.name)
    except pl.exceptions.ComputeError:
        raise DataError(
            f"{resource_type}: a value of {column.name} is not a list of texts, which "
            "Parquet needs: correct it, or leave the field out with exclude_fields."
        ) from None
