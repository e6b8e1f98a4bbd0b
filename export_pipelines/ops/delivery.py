"""The steps that bring the files of an export where they should be, and the test of a platform."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import dagster as dg

from export_pipelines import settings
from export_pipelines.artifacts import Destination, ExportPlan, StagedFile, export_asset_key
from export_pipelines.clock import now
from export_pipelines.delivery import Delivery, Shipment, deliver
from export_pipelines.errors import RequestError
from export_pipelines.journal import Journal
from export_pipelines.naming import folder_name, name_values
from export_pipelines.ops.reporting import (
    duration,
    explained,
    file_metadata,
    own_organization,
    progress,
    publish_tags,
    rate,
)
from export_pipelines.platforms.base import CheckedStep, Platform
from export_pipelines.platforms.configuration import (
    label_of,
    open_active,
    open_platform,
    platform_config,
)
from export_pipelines.resources import ExportStore, Staging
from export_pipelines.store import (
    MANIFEST_NAME,
    Stored,
    manifest_content,
    stage_manifest,
    store_files,
    stored_name,
)

RETRIES = 5
_RETRY_POLICY = dg.RetryPolicy(
    max_retries=RETRIES, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


@dg.op(
    out={"stored": dg.Out(Stored), "destinations": dg.DynamicOut(Destination)},
    retry_policy=_RETRY_POLICY,
)
def upload(
    context: dg.OpExecutionContext,
    plan: ExportPlan,
    files: list[list[StagedFile]],
    staging: Staging,
    store: ExportStore,
) -> Iterator[dg.Output[Stored] | dg.DynamicOutput[Destination]]:
    """Puts the files into the export store; deliveries to platforms follow, the manifest last."""
    began = time.monotonic()
    ordered = [file for group in files for file in group]
    report = progress(context, "upload", sum(file.bytes for file in ordered))
    content = manifest_content(plan, ordered, now())
    with explained(context, retries=RETRIES):
        manifest = stage_manifest(content, staging.run_folder(plan.run_id))
        location = store.location(plan.run_id)
        with store.connect() as connection:
            store_files(connection, plan.run_id, ordered, report.report)
    publish_tags(context, {"export/location": location})
    counts = {**file_metadata(ordered), **rate(plan.records_count, began)}
    stored = Stored(location, tuple(ordered), manifest, content)
    yield dg.Output(stored, "stored", metadata={**counts, "location": location})
    for destination in plan.destinations:
        yield dg.DynamicOutput(destination, destination.key, "destinations")


@dg.op(name="deliver", retry_policy=_RETRY_POLICY)
def deliver_files(
    context: dg.OpExecutionContext,
    plan: ExportPlan,
    stored: Stored,
    destination: Destination,
    staging: Staging,
) -> Delivery:
    """Brings the files to a platform, their manifest last; a new try sends what is missing."""
    began = time.monotonic()
    size = sum(file.bytes for file in stored.files)
    report = progress(context, "deliver", size)
    with explained(context, retries=RETRIES, about=destination.label):
        platform = open_active(destination.asked, plan.organization)
        shipment = shipment_of(plan, stored, platform)
        notes = staging.run_folder(plan.run_id) / "deliveries" / f"{destination.key}.jsonl"
        journal = Journal(notes, f"{platform.location}/{shipment.folder}")
        with platform.connect() as connection:
            sent = deliver(connection, shipment, journal, report.report)
    location = platform.location_of(shipment.folder)
    verified = tuple(sorted(journal.verified))
    made = Delivery(destination.label, location, len(stored.files), size, sent, verified)
    seconds = round(time.monotonic() - began, 3)
    said = {**asdict(made), "verified": ", ".join(verified), "seconds": seconds}
    context.add_output_metadata(said)
    return made


def shipment_of(plan: ExportPlan, stored: Stored, platform: Platform) -> Shipment:
    """Return what goes to a platform, in the folder that its pattern names.

    The manifest is named after the files, with their ending, so that each format has its own.
    """
    values = name_values(
        resource_type=plan.resource_type,
        format_name=plan.format,
        run_id=plan.run_id,
        started_at=plan.started_at,
        time_zone=plan.time_zone,
    )
    first = stored.files[0].name
    stems = (plan.part_name.format(part=1), plan.file_name)
    ending = next(first.removeprefix(stem) for stem in stems if first.startswith(stem))
    return Shipment(
        plan.run_id,
        stored.files,
        stored.manifest,
        folder_name(platform.subfolder, values),
        f"{plan.file_name}{ending}.{MANIFEST_NAME}",
    )


@dg.op(retry_policy=_RETRY_POLICY)
def finish(
    context: dg.OpExecutionContext,
    plan: ExportPlan,
    stored: Stored,
    deliveries: list[Delivery],
    staging: Staging,
    store: ExportStore,
) -> dict[str, Any]:
    """Puts the manifest into the export store, which says that the export is finished."""
    with explained(context, retries=RETRIES), store.connect() as connection:
        connection.put(stored.manifest, stored_name(plan.run_id, MANIFEST_NAME))
    publish_tags(context, {"export/progress": "100"})
    warnings = list(stored.content["warnings"])
    try:
        address = settings.public_url()
    except RequestError as error:
        # The export is there, and wants no more than a link to it.
        address = ""
        warnings.append(str(error))
    context.log_event(materialization(plan, stored, deliveries, context.run_id, address))
    for warning in warnings:
        context.log.warning(warning)
    shutil.rmtree(staging.run_folder(plan.run_id), ignore_errors=True)
    return {
        "location": stored.location,
        "manifest": stored.content,
        "deliveries": [asdict(delivery) for delivery in deliveries],
    }


@dg.op(config_schema={"platform": dg.Field(platform_config())})
def check(context: dg.OpExecutionContext) -> None:
    """Writes, lists, reads and deletes a small file on a platform, and says what fails and why."""
    asked = context.op_config["platform"]
    label = label_of(asked)
    with explained(context, about=label):
        platform = open_platform(asked, own_organization(context))
        steps = platform.check()
    context.add_output_metadata({"location": platform.location, "steps": _table(steps)})
    for step in steps:
        outcome = step.error or "passed"
        context.log.info(f"{label}: {step.name}: {outcome} ({step.seconds:.2f} s)")
        if step.error:
            with explained(context, about=f"{label}: {step.name}"):
                raise step.error


def _table(steps: list[CheckedStep]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "step": step.name,
                    "outcome": str(step.error or "passed"),
                    "seconds": round(step.seconds, 3),
                }
            )
            for step in steps
        ]
    )


def materialization(
    plan: ExportPlan, stored: Stored, deliveries: list[Delivery], run_id: str, address: str
) -> dg.AssetMaterialization:
    """Return the event by which the UI plots an export's records, bytes and seconds over time.

    Without the web server's address it has no link to the files.
    """
    download = f"{address}/api/v1/exports/jobs/{run_id}/download"
    manifest = stored.content
    return dg.AssetMaterialization(
        asset_key=export_asset_key(plan.resource_type, plan.format),
        description=f"{plan.records_count:,} {plan.resource_type} as {plan.format}",
        metadata={
            **({"download": dg.MetadataValue.url(download)} if address else {}),
            "records": plan.records_count,
            "bytes": sum(file["bytes"] for file in manifest["files"]),
            "files": len(manifest["files"]),
            "seconds": duration(manifest["started_at"], now()),
            "folder": dg.MetadataValue.path(stored.location),
            "manifest": dg.MetadataValue.json(manifest),
            "deliveries": dg.MetadataValue.json([asdict(delivery) for delivery in deliveries]),
        },
    )
