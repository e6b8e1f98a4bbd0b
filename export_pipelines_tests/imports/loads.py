"""Files that are read and checked, up to where the catalogue is asked about their rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

from export_pipelines.catalog.database import adbc_write, backend_of
from export_pipelines.catalog.entities import entity
from export_pipelines.imports.applying import apply_file
from export_pipelines.imports.artifacts import Loaded, Validated
from export_pipelines.imports.loading import Load
from export_pipelines.imports.row_rules import shop_defaults
from export_pipelines.imports.shape import Shape
from export_pipelines.imports.spooling import read_spool
from export_pipelines_tests.imports.batches import validate

NOW = datetime(2026, 1, 31, 9, tzinfo=timezone.utc)


def validated_of(path: Path, key: str = "", **request: Any) -> Validated:
    """Read and check a file; each is a claim of its own unless a key is given."""
    found = validate(path, **request)
    claim = replace(found.extract.claim, key=key or uuid4().hex)
    return replace(found, extract=replace(found.extract, claim=claim))


def apply(url: str, path: Path, key: str = "", now: datetime = NOW, **request: Any) -> Loaded:
    """Import a file as far as the report."""
    found = validated_of(path, key, **request)
    known = entity(found.extract.claim.request.resource_type)
    folder = path.parent / f"{path.name}-loaded"
    return apply_file(url, found, folder, defaults=shop_defaults(known, "EUR"), now=now)


@contextmanager
def loading(url: str, path: Path, **request: Any) -> Iterator[Load]:
    """Yield the rows of a file in a temporary table, compared with nothing yet."""
    found = validated_of(path, **request)
    known = entity(found.extract.claim.request.resource_type)
    with adbc_write(url) as connection:
        load = Load(connection, shape_of(found, url, defaults=shop_defaults(known, "EUR")))
        load.stage(read_spool(found.spool), read_spool(found.custom))
        yield load


def shape_of(found: Validated, url: str, **changes: Any) -> Shape:
    """Return what is known of the rows of a file."""
    values: dict[str, Any] = {
        "entity": entity(found.extract.claim.request.resource_type),
        "backend": backend_of(url),
        "columns": found.columns,
        "given_id": found.given_id,
        "absent": found.absent,
        "create_only": found.create_only,
        "made": found.made,
        "defaults": {},
        "custom": found.custom_ids,
        "now": NOW,
        "currency": found.assumed_currency,
    }
    return Shape(**values | changes)
