"""From a file to rows of texts on disk: the whole file, or a sentence that says why not."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import polars as pl

from export_pipelines import settings
from export_pipelines.errors import ExportPipelinesError, FileRefused
from export_pipelines.imports.artifacts import Claim, Extract, ImportRequest, Refusal
from export_pipelines.imports.errors import error_frame
from export_pipelines.imports.spooling import SpoolWriter
from export_pipelines.mapping import mapping_path, read_mapping
from export_pipelines.readers import open_records
from export_pipelines.readers.base import ROW, BrokenRow, ReadOptions

SANITIZED = "sanitized"
"""The detail of a file from whose texts the `'` before formulas was taken off."""

_HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How large an imported file may be.

    Attributes:
        rows: most rows, the header included; None for any number.
        bytes: most bytes; None for any number.
    """

    rows: int | None
    bytes: int | None


def require_settings() -> None:
    """Check the settings that imports go by, before a file is taken.

    Raises:
        RequestError: one of them is wrong.
    """
    settings.max_import_rows()
    settings.max_import_bytes()
    settings.currency()
    settings.time_zone()


def read_file(
    claim: Claim,
    folder: Path,
    limits: Limits,
    started_at: str,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Extract:
    """Return a file's rows as texts, spooled below `folder`; or why it is refused.

    Args:
        claim: the file.
        folder: where the rows go.
        limits: beyond them the whole file is refused.
        started_at: the time, ISO 8601 in UTC.
        on_rows: told the rows read so far.

    Raises:
        OSError: the file, or the disk that rows are spooled to, fails.
    """
    try:
        options = read_options(claim.request, limits)
        return _read(claim, folder, options, started_at, on_rows)
    except ExportPipelinesError as error:
        refused = Refusal(str(error), error.code)
        path = Path(claim.path)
        size = path.stat().st_size if path.exists() else 0
        return Extract(claim, bytes=size, refused=refused, started_at=started_at)


def read_options(request: ImportRequest, limits: Limits) -> ReadOptions:
    """Return how a file is read: as it was asked for, or else as its mapping file says.

    Raises:
        RequestError: the mapping file is wrong.
    """
    asked = {
        name: getattr(request, name)
        for name in ("format", "encoding", "delimiter", "sheet", "sanitized")
    }
    if request.mapping:
        default = ReadOptions()
        mapped = read_mapping(mapping_path(request.mapping)).read
        asked |= {
            name: value for name, value in mapped.items() if asked[name] == getattr(default, name)
        }
    return ReadOptions(**asked, max_rows=limits.rows, max_bytes=limits.bytes)


def _read(
    claim: Claim,
    folder: Path,
    options: ReadOptions,
    started_at: str,
    on_rows: Callable[[int], None],
) -> Extract:
    path = Path(claim.path)
    if not path.is_file():
        raise FileRefused(f"There is no file {path}.")
    good, errors = SpoolWriter(folder, "texts"), SpoolWriter(folder, "broken-errors")
    broken = SpoolWriter(folder, "broken")
    sanitized = {SANITIZED: "true"} if options.sanitized else {}
    rows = 0
    with ThreadPoolExecutor(1) as pool, open_records(path, options, claim.name) as records:
        digest = pool.submit(_digest, path)
        for batch in records.batches():
            good.write(batch.rows)
            if batch.broken:
                errors.write(_errors(batch.broken))
                broken.write(_cells(batch.broken))
            rows += len(batch.rows) + len(batch.broken)
            on_rows(rows)
    return Extract(
        claim,
        records.format,
        {**records.details, **sanitized},
        records.headers,
        good.done(),
        errors.done(),
        broken.done(),
        rows,
        path.stat().st_size,
        digest.result(),
        started_at=started_at,
    )


def _errors(broken: Iterable[BrokenRow]) -> pl.DataFrame:
    return error_frame(
        {"row": row.row, "column": "", "value": None, "code": row.code, "reason": row.reason}
        for row in broken
    )


def _cells(broken: Iterable[BrokenRow]) -> pl.DataFrame:
    """Return the cells of broken rows in columns named by their places."""
    found = list(broken)
    width = max((len(row.cells) for row in found), default=0)
    columns: dict[str, list[str | int | None]] = {ROW: [row.row for row in found]}
    for place in range(width):
        columns[str(place)] = [
            row.cells[place] if place < len(row.cells) else None for row in found
        ]
    schema = {ROW: pl.UInt32(), **{str(place): pl.String() for place in range(width)}}
    return pl.DataFrame(columns, schema=schema)


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as source:
        while piece := source.read(_HASHED_BYTES):
            digest.update(piece)
    return digest.hexdigest()
