"""Parquet files: columns of any type as the texts that a CSV export would have."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from export_pipelines.readers.base import (
    BATCH_CELLS,
    BATCH_ROWS,
    MAX_RECORD_BYTES,
    Batch,
    Content,
    Reader,
    Records,
    size_text,
)
from export_pipelines.readers.headers import Headers, without_blank_rows
from export_pipelines.readers.parquet_texts import decoded_bytes, texts_of
from export_pipelines.readers.unpacking import damaged, explained

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

_BATCH_BYTES = 4 * MAX_RECORD_BYTES


class ParquetReader(Reader):
    """Reads Parquet files."""

    name = "parquet"

    def open(self, content: Content) -> Records:
        """Read the columns, and check the rows and the size that the file says it has."""
        with _explained(content), _opened(content) as file:
            names = tuple(file.schema_arrow.names)
            rows, size = file.metadata.num_rows, _unpacked_size(file.metadata)
        content.check_rows(rows)
        allowed = content.options.max_unpacked_bytes
        if allowed is not None and size > allowed:
            raise content.refusal(f"unpacks to more than {size_text(allowed)}: split it.")
        return _ParquetRecords(content, Headers(names, content))


class _ParquetRecords(Records):
    def __init__(self, content: Content, headers: Headers) -> None:
        super().__init__("parquet", {}, headers.names)
        self._content = content
        self._headers = headers

    def _read(self) -> Generator[Batch, None, None]:
        row = 1
        size = min(BATCH_ROWS, BATCH_CELLS // self._headers.width)
        with _explained(self._content), _opened(self._content) as file:
            for batch in file.iter_batches(size, use_threads=False):
                for piece in self._pieces(batch, row):
                    found = self._batch(piece, row)
                    row += piece.num_rows
                    if found.rows.height:
                        yield found

    def _pieces(self, batch: "pa.RecordBatch", row: int) -> "Iterator[pa.RecordBatch]":
        """Cut a batch where texts that the file has once stand in so many rows that it is huge."""
        if sum(map(decoded_bytes, batch.columns)) <= _BATCH_BYTES:
            yield batch
            return
        if batch.num_rows == 1:
            raise self._content.refusal(
                f"has a row {row:,} of more than {size_text(_BATCH_BYTES)}: shorten its texts."
            )
        half = batch.num_rows // 2
        yield from self._pieces(batch.slice(0, half), row)
        yield from self._pieces(batch.slice(half), row + half)

    def _batch(self, batch: "pa.RecordBatch", first: int) -> Batch:
        numbers = pl.int_range(first, first + batch.num_rows, eager=True)
        columns = [
            texts_of(column, place, self._content) for place, column in enumerate(batch.columns)
        ]
        return Batch(without_blank_rows(self._headers.frame(columns, numbers)))


@contextmanager
def _opened(content: Content) -> "Iterator[parquet.ParquetFile]":
    """Open a file so that a text that stands in many rows stays one text in memory."""
    import pyarrow as pa
    from pyarrow import parquet

    with pa.OSFile(str(content.path)) as source:
        metadata = parquet.read_metadata(source)
        schema = metadata.schema
        texts = [
            schema.column(place).path
            for place in range(metadata.num_columns)
            if schema.column(place).physical_type == "BYTE_ARRAY"
        ]
        yield parquet.ParquetFile(
            source, metadata=metadata, read_dictionary=texts, buffer_size=1 << 16
        )


@contextmanager
def _explained(content: Content) -> Iterator[None]:
    import pyarrow as pa

    try:
        with explained(content):
            yield
    except pa.ArrowException as error:
        raise damaged(content) from error


def _unpacked_size(metadata: Any) -> int:
    """Return how many bytes a file unpacks to, as it says itself, and at least one for each cell.

    What it says of each column is not asked for: where that is damaged, Arrow ends the process.
    """
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    said: int = sum(group.total_byte_size for group in groups)
    cells: int = metadata.num_rows * metadata.num_columns
    return max(said, cells)
