"""Excel workbooks (.xlsx): one sheet, read as a stream.

The XML of the rows is parsed as it is unpacked: in flat memory, and several times faster than the
library for workbooks, which also cannot tell an empty text from an empty cell.
"""

from collections.abc import Generator
from contextlib import closing

import polars as pl

from export_pipelines.errors import shown
from export_pipelines.readers.base import (
    BATCH_CELLS,
    BATCH_ROWS,
    MAX_RECORD_BYTES,
    Batch,
    Content,
    Reader,
    Records,
)
from export_pipelines.readers.excel_package import Package, Workbook, read_workbook
from export_pipelines.readers.excel_sheet import Row, sheet_rows
from export_pipelines.readers.headers import Headers, unguarded
from export_pipelines.readers.unpacking import Meter, opened_archive


class ExcelReader(Reader):
    """Reads a sheet of an Excel workbook."""

    name = "excel"

    def open(self, content: Content) -> Records:
        """Find the sheet, and read what its cells refer to and its headers."""
        meter = Meter(content, content.options.max_unpacked_bytes)
        with opened_archive(content) as archive:
            package = Package(content, archive, meter)
            workbook = read_workbook(package)
            with closing(sheet_rows(package, workbook, None)) as rows:
                first = next(rows, None)
        if first is None:
            raise content.refusal(f"has no rows in its sheet {shown(workbook.sheet)}.")
        if first.number != 1:
            raise content.refusal(
                f"has nothing in row 1 of its sheet {shown(workbook.sheet)}, which must have the "
                "headers: remove the blank rows above them."
            )
        headers = Headers([cell or "" for cell in first.cells], content)
        return _ExcelRecords(content, workbook, headers, meter)


class _ExcelRecords(Records):
    def __init__(
        self, content: Content, workbook: Workbook, headers: Headers, meter: Meter
    ) -> None:
        super().__init__("excel", {"sheet": workbook.sheet}, headers.names)
        self._content = content
        self._workbook = workbook
        self._headers = headers
        self._meter = meter

    def _read(self) -> Generator[Batch, None, None]:
        held: list[Row] = []
        size = 0
        limit = min(BATCH_ROWS, BATCH_CELLS // self._headers.width)
        with opened_archive(self._content) as archive:
            package = Package(self._content, archive, self._meter)
            with closing(sheet_rows(package, self._workbook, self._headers)) as rows:
                for count, row in enumerate(rows, start=1):
                    self._content.check_rows(count)
                    if row.number == 1:
                        continue
                    held.append(row)
                    size += row.size
                    if len(held) >= limit or size >= MAX_RECORD_BYTES:
                        yield self._batch(held)
                        held, size = [], 0
        if held:
            yield self._batch(held)

    def _batch(self, rows: list[Row]) -> Batch:
        numbers = pl.Series([row.number for row in rows])
        cells = zip(*(row.cells for row in rows), strict=True)
        columns = [pl.Series(column, dtype=pl.String) for column in cells]
        if self._content.options.sanitized:
            columns = [unguarded(column) for column in columns]
        return Batch(self._headers.frame(columns, numbers))
