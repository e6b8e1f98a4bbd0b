"""Rows of texts as readers make them, and what checking them says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import entity
from export_pipelines.imports.artifacts import Claim, Extract, ImportRequest, Validated
from export_pipelines.imports.checking import check_file
from export_pipelines.imports.headers import resolve_headers
from export_pipelines.imports.reading import Limits, read_file
from export_pipelines.imports.row_rules import Rules
from export_pipelines.imports.validation import Checked, check_rows
from export_pipelines.imports.values import Times
from export_pipelines.readers.base import ROW

ANY_SIZE = Limits(None, None)
STARTED = "2026-01-31T09:00:00.000Z"

CUSTOM = tuple(
    ExtensionField(f"F{number}", "care", kind, kind, "T1")
    for number, kind in enumerate(("string", "integer", "float", "boolean", "date"))
)
"""A custom field of each type: `template:care:integer`."""

Cells = Sequence[str | None]


def rows_of(columns: Mapping[str, Cells]) -> pl.DataFrame:
    """Return rows that begin in row 2, below the headers."""
    height = len(next(iter(columns.values())))
    numbers = pl.Series(ROW, range(2, height + 2), pl.UInt32)
    return pl.DataFrame(
        [numbers, *(pl.Series(name, cells, pl.String) for name, cells in columns.items())]
    )


def rules_of(headers: Sequence[str], resource_type: str = "products", **changes: Any) -> Rules:
    found = entity(resource_type)
    targets = resolve_headers(found, headers, CUSTOM)
    return Rules(found, targets, Times("Europe/Paris"), "EUR", **changes)


def check(columns: Mapping[str, Cells], resource_type: str = "products") -> Checked:
    """Check rows of some columns."""
    return check_rows(rules_of(list(columns), resource_type), rows_of(columns))


def errors(checked: Checked) -> list[tuple[int, str, str]]:
    """Return the row, the column and the code of each error."""
    return checked.errors.select("row", "column", "code").rows()


def claim_of(path: Path, **request: Any) -> Claim:
    resource_type = request.pop("resource_type", "products")
    return Claim("key", path.name, str(path), ImportRequest(resource_type, **request))


def read(path: Path, **request: Any) -> Extract:
    """Read a file, and spool its rows beside it."""
    folder = path.parent / f"{path.name}-texts"
    return read_file(claim_of(path, **request), folder, ANY_SIZE, STARTED)


def validate(path: Path, **request: Any) -> Validated:
    """Read a file and check its rows."""
    folder = path.parent / f"{path.name}-rows"
    return check_file(
        read(path, **request), folder, CUSTOM, currency="EUR", time_zone="Europe/Paris"
    )
