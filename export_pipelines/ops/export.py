"""The steps that make the files of an export. Each calls one plain function and reports."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from export_pipelines.artifacts import ExportPlan, Shard, StagedFile
from export_pipelines.clock import now
from export_pipelines.compression import compress_files
from export_pipelines.config import export_request
from export_pipelines.formats import FORMATS
from export_pipelines.ops.reporting import (
    explained,
    file_metadata,
    own_organization,
    preview,
    progress,
    publish_tags,
    rate,
    require_own_slot,
    spooled_bytes,
    sql_metadata,
)
from export_pipelines.planning import (
    connection_count,
    count_again,
    count_records,
    plan_export,
    plan_sources,
    require_records,
)
from export_pipelines.resources import Catalog, Staging
from export_pipelines.serialization import serialize_shard
from export_pipelines.spool import counted, spool


class QueryConfig(dg.Config):
    """What the job's own config becomes for its first op."""

    format: str = Field(description="The format's name.")
    request: Any = Field(description="The job's run config.")


@dg.op(tags={"dagster/kind/sql": ""})
def query(context: dg.OpExecutionContext, config: QueryConfig, catalog: Catalog) -> ExportPlan:
    """Resolves resource type and fields into SQL, and refuses what does not exist."""
    with explained(context), catalog.snapshots() as (snapshot,):
        require_own_slot(context)
        request = export_request(config.format, config.request)
        plan = plan_export(
            request,
            snapshot,
            backend=catalog.backend,
            run_id=context.run_id,
            started_at=now(),
            organization=own_organization(context),
        )
    publish_tags(context, {"export/resource_type": plan.resource_type})
    columns = [column.name for column in plan.sheets[0].columns]
    context.add_output_metadata({"columns": columns, "sql": sql_metadata(plan)})
    return plan


@dg.op(name="filter", tags={"dagster/kind/sql": ""})
def filter_records(
    context: dg.OpExecutionContext, plan: ExportPlan, catalog: Catalog
) -> ExportPlan:
    """Adds the filters to the SQL and counts the records; none is an error."""
    began = time.monotonic()
    with explained(context), catalog.snapshots() as (snapshot,):
        plan = count_records(plan, snapshot, catalog.backend)
    publish_tags(context, {"export/records_count": str(plan.records_count)})
    counts = {"records_count": plan.records_count, **rate(plan.records_count, began)}
    context.add_output_metadata({**counts, "sql": sql_metadata(plan)})
    return plan


@dg.op(
    out={"plan": dg.Out(ExportPlan), "shards": dg.DynamicOut(Shard)},
    tags={"dagster/kind/arrow": ""},
)
def chunk(
    context: dg.OpExecutionContext, plan: ExportPlan, catalog: Catalog, staging: Staging
) -> Iterator[dg.Output[ExportPlan] | dg.DynamicOutput[Shard]]:
    """Reads the records once, in one snapshot, and cuts them into the rows of each file."""
    folder = staging.run_folder(plan.run_id) / "spool"
    began = time.monotonic()
    report = progress(context, "chunk", plan.records_count)
    rows_of = FORMATS[plan.format].section_rows
    connections = connection_count(plan)
    with explained(context, remove=folder), catalog.snapshots(connections) as snapshots:
        lanes = plan_sources(plan, snapshots, catalog.backend)
        lines = plan.sheets[0].has_lines
        # How many rows lines make of the records is known only when they are read.
        most = max(0, plan.records_count - 1) if lines else plan.records_count
        parts = spool(
            plan,
            lanes,
            folder,
            section_rows=rows_of,
            on_rows=lambda rows: report.report(min(rows, most)),
        )
        plan = count_again(plan, snapshots[0], catalog.backend) if lines else counted(plan, parts)
        require_records(plan)
    publish_tags(context, {"export/records_count": str(plan.records_count)})
    rows = sum(sheet.records_count or 0 for sheet in plan.sheets)
    counts = {"parts": len(parts), "bytes": spooled_bytes(parts), **rate(rows, began)}
    metadata = {**counts, "preview": preview(plan, parts)}
    yield dg.Output(plan, "plan", metadata=metadata)
    yield dg.DynamicOutput(Shard(1, parts), "shard_1", "shards")


@dg.op(tags={"dagster/kind/polars": ""})
def serialize(
    context: dg.OpExecutionContext, plan: ExportPlan, shard: Shard, staging: Staging
) -> list[StagedFile]:
    """Turns the rows into files of the format."""
    folder = staging.run_folder(plan.run_id) / f"files_{shard.number}"
    began = time.monotonic()
    total = len(shard.parts)
    report = progress(context, "serialize", total)
    with explained(context, remove=folder):
        files = serialize_shard(
            plan, shard, folder, on_part=lambda done: report.report(done, f"{done}/{total}")
        )
    rows = sum(file.rows for file in files)
    context.add_output_metadata({**file_metadata(files), **rate(rows, began)})
    return list(files)


@dg.op
def compress(
    context: dg.OpExecutionContext, plan: ExportPlan, files: list[StagedFile], staging: Staging
) -> list[StagedFile]:
    """Compresses or archives the files, and takes their sizes and checksums."""
    folder = staging.run_folder(plan.run_id) / "compressed"
    began = time.monotonic()
    report = progress(context, "compress", sum(file.bytes for file in files))
    inside = FORMATS[plan.format].compresses_itself
    with explained(context, remove=folder):
        compressed = compress_files(
            files,
            "none" if inside else plan.compression,
            folder,
            archive_name=f"{plan.file_name}.zip",
            on_bytes=report.report,
        )
    rows = sum(file.rows for file in compressed)
    context.add_output_metadata({**file_metadata(compressed), **rate(rows, began)})
    return list(compressed)
