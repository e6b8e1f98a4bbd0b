"""The export graph, one job of it for each format; the import graph, one for each resource type."""

from typing import Any

import dagster as dg

from export_pipelines import settings
from export_pipelines.catalog.entities import TABLES
from export_pipelines.config import config_schema, import_schema
from export_pipelines.formats import FORMATS
from export_pipelines.imports.headers import upsert_keys
from export_pipelines.limits import IMPORT_TAG
from export_pipelines.ops import ingest, pruning
from export_pipelines.ops.delivery import check, deliver_files, finish, upload
from export_pipelines.ops.export import chunk, compress, filter_records, query, serialize
from export_pipelines.platforms.configuration import platform_config
from export_pipelines.resources import Catalog, ExportStore, Staging


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
                description="A platform's name, or a platform written out: "
                "{sftp: {host: …, password: {env: NAME}}}.",
            )
        },
    ),
    executor_def=dg.in_process_executor,
)
def check_platform() -> None:
    """Writes, lists, reads and deletes a small file on a platform, and says what fails and why."""
    check()


def _forward_days(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "ops": {"remove_old": {"config": config}},
        "loggers": {"console": {"config": {"log_level": settings.log_level()}}},
    }


@dg.job(
    config=dg.ConfigMapping(config_fn=_forward_days, config_schema=dict(pruning.PRUNE_FIELDS)),
    tags={"dagster/priority": "-10"},
    # Dagster warns of its own doing where it has to bind the job of a schedule.
    resource_defs={"staging": Staging(), "store": ExportStore()},
    executor_def=dg.in_process_executor,
)
def prune() -> None:
    """Removes what is older than it is kept for, and not in use; with dry_run it lists that."""
    pruning.remove_old()


@dg.graph
def import_files() -> None:
    """Imports files into a table of the catalogue."""

    def one(claim: Any) -> None:
        ingest.report(ingest.load(ingest.validate(ingest.read(claim))))

    ingest.claim().map(one)


def build_import_job(resource_type: str) -> dg.JobDefinition:
    """Return the job that imports files of a resource type."""

    def forward(config: dict[str, Any]) -> dict[str, Any]:
        first = {"resource_type": resource_type, "request": config}
        return {
            "ops": {"claim": {"config": first}},
            "loggers": {"console": {"config": {"log_level": settings.log_level()}}},
        }

    keys = ", ".join(" with ".join(key) for key in upsert_keys(TABLES[resource_type]))
    return import_files.to_job(
        name=f"import_{resource_type}",
        description=f"Imports {resource_type} from CSV, Excel, JSON, JSON Lines and Parquet files: "
        f"creates those that are new and updates the others, known by {keys}.",
        config=dg.ConfigMapping(config_fn=forward, config_schema=import_schema()),
        tags={
            IMPORT_TAG: resource_type,
            # Nobody's export waits behind imports, however many there are.
            "import/queue": "imports",
            "dagster/priority": "-10",
        },
        # Dagster warns of its own doing where it has to bind the jobs of a sensor.
        resource_defs={"catalog": Catalog(), "staging": Staging()},
        # A claim is locked by the process that has taken it.
        executor_def=dg.in_process_executor,
    )


export_jobs = [build_export_job(name) for name in FORMATS]
import_jobs = [build_import_job(name) for name in TABLES]
