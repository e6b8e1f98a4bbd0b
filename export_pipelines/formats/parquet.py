"""Parquet: typed columns for data engineers, compressed inside the file."""

from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from export_pipelines.artifacts import ExportPlan, FieldType, Part, Segment, Sheet
from export_pipelines.catalog.columns import spool_schema
from export_pipelines.errors import DataError, one_of
from export_pipelines.formats.base import Encoded, FileWriter, Format, Options
from export_pipelines.formats.text import values_of

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

    def extension(self, options: ParquetOptions) -> str:
        """Return `.parquet`."""
        del options
        return ".parquet"

    def encode(
        self, frame: pl.DataFrame, segment: Segment, sheet: Sheet, options: ParquetOptions
    ) -> Encoded:
        """Return the rows with lists as lists."""
        del segment, options
        lists = [column for column in sheet.columns if column.type is FieldType.LIST]
        try:
            decoded = frame.with_columns(
                values_of(frame, column).str.json_decode(pl.List(pl.String)).alias(column.name)
                for column in lists
            )
        except pl.exceptions.ComputeError:
            names = one_of([column.name for column in lists])
            raise DataError(
                f"{sheet.resource_type}: a value of {names} is not a list of texts, which "
                "Parquet needs: correct it, or leave the field out with exclude_fields."
            ) from None
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

    return pa.schema(
        field.with_type(pa.list_(pa.string())) if column.type is FieldType.LIST else field
        for column, field in zip(sheet.columns, spool_schema(sheet.columns), strict=True)
    )
