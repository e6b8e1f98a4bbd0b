"""An export without Dagster, for tests of what is in its files."""

from pathlib import Path
from typing import Any

from export_pipelines.artifacts import ExportRequest, Shard, StagedFile
from export_pipelines.catalog.database import backend_of
from export_pipelines.catalog.reading import open_snapshots
from export_pipelines.compression import compress_files
from export_pipelines.formats import FORMATS
from export_pipelines.planning import count_records, plan_export, plan_sources
from export_pipelines.serialization import serialize_shard
from export_pipelines.spool import counted, spool


def made_files(
    url: str, format_name: str, folder: Path, *, readers: int = 1, **request: Any
) -> tuple[StagedFile, ...]:
    """Return the files of an export, made in a folder."""
    asked = ExportRequest(format=format_name, **request)
    backend = backend_of(url)
    output_format = FORMATS[format_name]
    with open_snapshots(url, readers * 2) as snapshots:
        plan = plan_export(
            asked, snapshots[0], backend=backend, run_id="run", started_at="2024-01-01T00:00:00Z"
        )
        plan = count_records(plan, snapshots[0], backend)
        lanes = plan_sources(plan, snapshots, backend)
        parts = spool(plan, lanes, folder / "spool", section_rows=output_format.section_rows)
    files = serialize_shard(counted(plan, parts), Shard(1, parts), folder / "files")
    return compress_files(
        files,
        "none" if output_format.compresses_itself else plan.compression,
        folder / "compressed",
        archive_name=f"{plan.file_name}.zip",
    )
