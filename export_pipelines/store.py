"""The export store on a local disk: a folder for each finished export.

A file is there under its name only when it is whole, and `manifest.json`, which names them all,
comes last: an export without one is not finished.
"""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export_pipelines.artifacts import Column, ExportPlan, ExportRequest, StagedFile

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
class Manifest:
    """What a finished export consists of.

    Attributes:
        folder: the export's folder in the store.
        content: what `manifest.json` says.
    """

    folder: str
    content: dict[str, Any]


def publish(
    plan: ExportPlan, files: Sequence[StagedFile], store: Path, *, finished_at: str
) -> Manifest:
    """Put the files of an export into the store, then write its manifest.

    If that fails, the files that were put are removed again; the staged ones stay.

    Args:
        plan: the export.
        files: its files, whole and checksummed, in the staging area.
        store: the export store.
        finished_at: when work ended, ISO 8601 in UTC.

    Raises:
        OSError: the store cannot be written to.
    """
    folder = store / plan.run_id
    folder.mkdir(parents=True, exist_ok=True)
    content = manifest_content(plan, files, finished_at)
    # What fails after the manifest has its name takes the manifest back first.
    put: list[Path] = [folder / MANIFEST_NAME]
    try:
        for file in files:
            put.append(folder / file.name)
            _put(Path(file.path), put[-1])
        _write_whole(folder / MANIFEST_NAME, json.dumps(content, indent=2, ensure_ascii=False))
    except BaseException:
        for path in put:
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            folder.rmdir()
        raise
    return Manifest(str(folder), content)


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


def _put(source: Path, target: Path) -> None:
    """Give a staged file its name in the store; the staged one stays, for a retry of the upload."""
    hidden = target.with_name(f".{target.name}.part")
    hidden.unlink(missing_ok=True)
    try:
        try:
            os.link(source, hidden)
        except OSError:
            # Another disk, or one without hard links.
            shutil.copyfile(source, hidden)
        _flush(hidden)
        hidden.replace(target)
    finally:
        hidden.unlink(missing_ok=True)


def _write_whole(path: Path, text: str) -> None:
    hidden = path.with_name(f".{path.name}.part")
    try:
        hidden.write_text(text + "\n", encoding="utf-8")
        _flush(hidden)
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut cannot empty a named file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
