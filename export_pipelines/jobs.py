"""The export graph, and one job of it for each format."""

from typing import Any

import dagster as dg

from export_pipelines import settings
from export_pipelines.config import config_schema
from export_pipelines.formats import FORMATS
from export_pipelines.ops.delivery import check, deliver_files, finish, upload
from export_pipelines.ops.export import chunk, compress, filter_records, query, serialize
from export_pipelines.platforms.configuration import platform_config


@dg.graph
def export() -> None:
    """Exports a resource type of the catalogue to files."""
    plan, shards = chunk(filter_records(query()))
    files = shards.map(lambda shard: compress(plan, serialize(plan, shard)))
    stored, destinations = upload(plan, files.collect())
    deliveries = destinations.map(lambda destination: deliver_files(plan, stored, destination))
    finish(plan, stored, deliveries.collect())


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


def _forward_platform(config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {"check": {"config": config}}}


@dg.job(
    config=dg.ConfigMapping(
        config_fn=_forward_platform,
        config_schema={
            "platform": dg.Field(
                platform_config(),
                description="A name in platforms.yaml, or a platform written out: "
                "{sftp: {host: …, password: {env: NAME}}}.",
            )
        },
    ),
    executor_def=dg.in_process_executor,
)
def check_platform() -> None:
    """Writes, lists, reads and deletes a small file on a platform, and says what fails and why."""
    check()


export_jobs = [build_export_job(name) for name in FORMATS]
