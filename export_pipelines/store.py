"""The export store: a folder for each export, local or on a platform.

A file is there under its name only when it is whole, and `manifest.json`, which names them all,
comes last, after all deliveries: an export without one is not finished.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export_pipelines.artifacts import Column, ExportPlan, ExportRequest, StagedFile
from export_pipelines.errors import ExportPipelinesError, PlatformUnavailable
from export_pipelines.platforms.base import Connection
from export_pipelines.progress import after

MANIFEST_NAME = "manifest.json"

_SAID = (
    "date_from",
    "date_to",
    "includes",
    "skip_ids",
    "skip_rel_ids",
    "skip_timestamps",
    "skip_blanks",
    "skip_amount_formats",
    "dry_data",
)


@dataclass(frozen=True)
class Stored:
    """An export whose files are in the store. Its manifest is staged, and comes there last.

    Attributes:
        location: the export's folder in the store.
        files: its files, in the staging area.
        manifest: the manifest, in the staging area.
        content: what the manifest says.
    """

    location: str
    files: tuple[StagedFile, ...]
    manifest: StagedFile
    content: dict[str, Any]


def store_files(
    connection: Connection,
    run_id: str,
    files: Sequence[StagedFile],
    on_bytes: Callable[[int], None] = lambda done: None,
) -> None:
    """Put the files of an export into the store.

    Where another try has no prospect, those that were put are removed again; the staged ones stay.

    Args:
        connection: the store.
        run_id: names the export's folder.
        files: whole and checksummed, in the staging area.
        on_bytes: told the bytes that are there by now.

    Raises:
        StorageUnavailable: the local store cannot be written to.
        PlatformError: another store fails.
    """
    put: list[str] = []
    done = 0
    try:
        for file in files:
            put.append(stored_name(run_id, file.name))
            connection.put(file, put[-1], after(done, on_bytes))
            done += file.bytes
    except PlatformUnavailable:
        raise
    except BaseException:
        for name in put:
            with suppress(ExportPipelinesError):
                connection.delete(name)
        raise


def stored_name(run_id: str, name: str) -> str:
    """Return the name of an export's file in the store."""
    return f"{run_id}/{name}"


def stage_manifest(content: Mapping[str, Any], folder: Path) -> StagedFile:
    """Write a manifest into the staging area."""
    folder.mkdir(parents=True, exist_ok=True)
    data = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    path = folder / MANIFEST_NAME
    path.write_bytes(data)
    return StagedFile(str(path), path.name, 0, len(data), hashlib.sha256(data).hexdigest())


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a manifest says."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def manifest_content(
    plan: ExportPlan, files: Sequence[StagedFile], finished_at: str
) -> dict[str, Any]:
    """Return what a manifest says, in the order in which it says it."""
    return {
        "manifest_version": 1,
        "run_id": plan.run_id,
        "resource_type": plan.resource_type,
        "format": plan.format,
        "options": dict(plan.options),
        **_selection(plan.request),
        "compression": plan.compression,
        "max_rows_per_file": plan.max_rows_per_file,
        "records_count": plan.records_count,
        "columns": _columns(plan.sheets[0].columns),
        "sheets": [
            {"resource_type": sheet.resource_type, "records_count": sheet.records_count}
            for sheet in plan.sheets
        ],
        "files": [
            {"name": file.name, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for file in files
        ],
        "warnings": [
            *plan.warnings,
            *(f"{file.name}: {warning}" for file in files for warning in file.warnings),
        ],
        "started_at": plan.started_at,
        "finished_at": finished_at,
    }


def _selection(request: ExportRequest) -> dict[str, Any]:
    """Return what the request says about records and fields, as far as it says something."""
    said = {name: getattr(request, name) for name in _SAID}
    return {"filters": dict(request.filters)} | {
        name: list(value) if isinstance(value, (list, tuple)) else value
        for name, value in said.items()
        if value
    }


def _columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [
        {"name": column.name, "type": column.type.value}
        | ({"columns": _columns(column.columns)} if column.columns else {})
        for column in columns
    ]
