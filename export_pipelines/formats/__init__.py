"""The formats of an export. A new one is a module here and a line in `FORMATS`."""

from collections.abc import Mapping
from typing import Any

from export_pipelines.formats.base import Format
from export_pipelines.formats.csv import CsvFormat
from export_pipelines.formats.excel import ExcelFormat
from export_pipelines.formats.json import JsonFormat
from export_pipelines.formats.parquet import ParquetFormat
from export_pipelines.formats.zip import ZipFormat

FORMATS: Mapping[str, Format[Any]] = {
    known.name: known
    for known in (CsvFormat(), JsonFormat(), ExcelFormat(), ZipFormat(), ParquetFormat())
}
