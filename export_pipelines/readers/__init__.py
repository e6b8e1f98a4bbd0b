"""Readers of the files that people import. A new one is a module here and a line in `READERS`."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from export_pipelines.readers.base import Content, Reader, ReadOptions, Records
from export_pipelines.readers.csv import CsvReader
from export_pipelines.readers.detection import detected
from export_pipelines.readers.excel import ExcelReader
from export_pipelines.readers.json import JsonLinesReader, JsonReader
from export_pipelines.readers.parquet import ParquetReader

READERS: Mapping[str, Reader] = {
    known.name: known
    for known in (CsvReader(), JsonReader(), JsonLinesReader(), ExcelReader(), ParquetReader())
}


@contextmanager
def open_records(path: Path, options: ReadOptions, name: str = "") -> Iterator[Records]:
    """Open a file that somebody wants to import.

    Args:
        path: where it is.
        options: how to read it, and how large it may be.
        name: the file's own name, for sentences; empty if that is the path's.

    Raises:
        FileRefused: it cannot be imported as it is.
    """
    content = detected(Content(path, name or path.name, options))
    with closing(READERS[content.format].open(content)) as records:
        yield records
