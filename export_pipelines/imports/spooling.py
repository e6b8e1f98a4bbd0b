"""Rows on disk between the ops of an import, as Arrow files."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from export_pipelines.imports.artifacts import RowSpool


class SpoolWriter:
    """Writes frames of rows, a file each."""

    def __init__(self, folder: Path, name: str) -> None:
        """Write below `folder`, which is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._paths: list[str] = []
        self._rows = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows; none make no file."""
        if not len(frame):
            return
        path = self._folder / f"{self._name}-{len(self._paths):06d}.arrow"
        frame.write_ipc(path, compression="uncompressed")
        self._paths.append(str(path))
        self._rows += len(frame)

    def done(self) -> RowSpool:
        """Return what was written."""
        return RowSpool(tuple(self._paths), self._rows)


def read_spool(spool: RowSpool) -> Iterator[pl.DataFrame]:
    """Yield the rows of a spool, a file at a time."""
    for path in spool.paths:
        yield pl.read_ipc(path)


def joined(*spools: RowSpool) -> RowSpool:
    """Return spools as one."""
    paths = tuple(path for spool in spools for path in spool.paths)
    return RowSpool(paths, sum(spool.rows for spool in spools))
