"""The export graph, and one job of it for each format."""

from typing import Any

import dagster as dg

from export_pipelines import settings
from export_pipelines.config import config_schema
from export_pipelines.formats import FORMATS
from export_pipelines.ops.export import chunk, compress, filter_records, query, serialize, upload


@dg.graph
def export() -> None:
    """Exports a resource type of the catalogue to files."""
    plan, shards = chunk(filter_records(query()))
    files = shards.map(lambda shard: compress(plan, serialize(plan, shard)))
    upload(plan, files.collect())


def build_export_job(format_name: str) -> dg.JobDefinition:
    """Return the job that exports in a format, with that format's flat run config."""
    output_format = FORMATS[format_name]

    def forward(config: dict[str, Any]) -> dict[str, Any]:
        first = {"format": format_name, "request": config}
        return {
            "ops": {"query": {"config": first}},
            "loggers": {"console": {"config": {"log_level": settings.log_level()}}},
        }

    return export.to_job(
        name=f"export_{format_name}",
        description=f"Exports a resource type of the catalogue as {output_format.title}.",
        config=dg.ConfigMapping(config_fn=forward, config_schema=config_schema(output_format)),
        tags={"export/format": format_name},
        # A step in a process of its own costs seconds; the work itself is done by threads.
        executor_def=dg.in_process_executor,
    )


export_jobs = [build_export_job(name) for name in FORMATS]
