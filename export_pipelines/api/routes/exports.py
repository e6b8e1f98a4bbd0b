"""Exports: `POST /exports/{format}/{resource_type}`, and their jobs (P03-P23)."""

import shutil
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import dagster as dg
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel
from starlette.convertors import StringConvertor, register_url_convertor

from export_pipelines import settings
from export_pipelines.api import jobs
from export_pipelines.api.bodies import ExportBody, export_body
from export_pipelines.api.callers import SIGNING_KEYS
from export_pipelines.api.dependencies import (
    Address,
    Cursor,
    ExportsReader,
    ExportsWriter,
    IdempotencyKey,
    Limit,
    Records,
    Starts,
)
from export_pipelines.api.downloads import download
from export_pipelines.api.idempotency import once
from export_pipelines.api.launching import Launcher
from export_pipelines.api.operations import Operation
from export_pipelines.api.outward import SENDERS
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.errors import RequestError, storage_error, unknown
from export_pipelines.execution import check_export
from export_pipelines.formats import FORMATS
from export_pipelines.limits import FORMAT_TAG
from export_pipelines.resources import ExportStore
from export_pipelines.retention.exports import remove_export
from export_pipelines.retention.runs import remove_run
from export_pipelines.runs.links import LinkRefused, check_link
from export_pipelines.runs.listing import Wanted, find
from export_pipelines.runs.views import ExportJob, view

router = APIRouter(tags=["exports"], route_class=Operation)
links = APIRouter(tags=["exports"], route_class=Operation)
"""What is open to everybody who has a link."""
_READERS = CapacityLimiter(2)
"""More threads that read jobs at once only keep each other from it."""


ResourceType = Annotated[
    str, Path(description="What to export.", json_schema_extra={"enum": list(ENTITIES)})
]
JobId = Annotated[str, Path(description="The job's id.", max_length=100)]
Part = Annotated[
    str,
    Query(description="The name of one of its files; without it all of them.", max_length=255),
]


class ResourceTypeView(BaseModel):
    """What can be exported."""

    name: str
    description: str
    formats: list[str]


class ResourceTypes(BaseModel):
    """All that can be exported."""

    items: list[ResourceTypeView]


@router.get("/exports/types")
def list_export_types(caller: ExportsReader) -> ResourceTypes:
    """Lists all resource types, and the formats they can be exported in (N06)."""
    return ResourceTypes(
        items=[
            ResourceTypeView(name=each.name, description=each.description, formats=list(FORMATS))
            for each in ENTITIES.values()
        ]
    )


@router.get("/exports/jobs")
def list_export_jobs(
    caller: ExportsReader,
    records: Records,
    address: Address,
    format: Annotated[
        str | None, Query(description="A format.", json_schema_extra={"enum": list(FORMATS)})
    ] = None,
    resource_type: Annotated[
        str | None, Query(description="What is exported.", max_length=100)
    ] = None,
    status: jobs.StatusFilter = None,
    schedule: Annotated[
        str | None, Query(description="The name of the schedule that started it.")
    ] = None,
    created_from: jobs.Moment = None,
    created_to: jobs.Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> jobs.JobPage:
    """Lists exports, the newest first (N32, N34)."""
    tags = {
        FORMAT_TAG: format,
        "export/resource_type": resource_type,
        "export/schedule": schedule,
    }
    wanted = Wanted(
        caller.organization,
        "export",
        {name: value for name, value in tags.items() if value is not None},
        jobs.statuses(status),
        jobs.moment("created_from", created_from),
        jobs.moment("created_to", created_to),
    )
    return jobs.list_jobs(records, wanted, limit, cursor, address)


@router.get("/exports/jobs/{id}", response_model=ExportJob)
async def get_export_job(
    id: JobId, caller: ExportsReader, starts: Starts, address: Address
) -> Response:
    """Returns the status of an export, with new links to its files (P21, P22)."""
    read = partial(jobs.read, starts, "export", id, caller.organization, address)
    job = await to_thread.run_sync(read, limiter=_READERS)
    again = {"Retry-After": jobs.POLL_SECONDS} if job.status == "processing" else {}
    # It is asked for more often than anything: to check it against its own type takes a third.
    return Response(job.model_dump_json(), headers=again, media_type="application/json")


@router.delete("/exports/jobs/{id}", status_code=204)
def delete_export_job(id: JobId, caller: ExportsWriter, records: Records) -> None:
    """Deletes an export that has ended: its files in the export store, then its record."""
    record = find(records, id, caller.organization, "export")
    others = jobs.require_unneeded(records, record)
    run_id = record.dagster_run.run_id
    name = _export(view(records, record)).folder
    try:
        # A job that was resumed leaves its folder to the one that completed it.
        if name not in {_export(view(records, each)).folder for each in others}:
            folder = None if settings.store_platform() else settings.exports_folder() / name
            with ExportStore().connect() as connection:
                remove_export(connection, name, folder, dry_run=False)
        shutil.rmtree(settings.staging_folder() / run_id, ignore_errors=True)
        remove_run(records, run_id)
    except OSError as error:
        raise storage_error(error) from None


@router.post("/exports/jobs/{id}/cancel", status_code=202)
def cancel_export_job(
    id: JobId, caller: ExportsWriter, starts: Starts, address: Address, response: Response
) -> ExportJob:
    """Cancels an export that has not ended; nothing of it is published."""
    jobs.require_going_on(find(starts.instance, id, caller.organization, "export"))
    starts.cancel(id)
    return _answer(starts, id, caller.organization, address, response)


@router.post("/exports/jobs/{id}/resume", status_code=202)
def resume_export_job(
    id: JobId,
    caller: ExportsWriter,
    starts: Starts,
    address: Address,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ExportJob:
    """Goes on with an export that failed, from the step that failed, as a new job."""
    find(starts.instance, id, caller.organization, "export")
    run_id = jobs.resume(starts, caller.organization, id, idempotency_key)
    return _answer(starts, run_id, caller.organization, address, response)


@router.head("/exports/jobs/{id}/download", include_in_schema=False)
@router.get("/exports/jobs/{id}/download", response_class=Response)
async def download_export(
    id: JobId, request: Request, caller: ExportsReader, records: Records, part: Part = ""
) -> Response:
    """Downloads the file of a completed export, or several as a ZIP (P23)."""
    sent = partial(_sent, records, id, part, request, organization=caller.organization)
    return await to_thread.run_sync(sent, limiter=SENDERS)


@links.head("/exports/files/{id}", include_in_schema=False)
@links.get("/exports/files/{id}", response_class=Response)
async def follow_link(
    id: JobId,
    request: Request,
    records: Records,
    part: Part = "",
    expires: Annotated[str, Query(description="The link's end.", max_length=40)] = "",
    signature: Annotated[str, Query(description="The link's signature.", max_length=200)] = "",
) -> Response:
    """Downloads what a link to a file is good for, without a key (C11, N27)."""
    link = (id, part, expires, signature)
    try:
        check_link(*link, await SIGNING_KEYS.recent())
    except LinkRefused:
        check_link(*link, await SIGNING_KEYS.current())
    sent = partial(_sent, records, id, part, request, signed=True)
    return await to_thread.run_sync(sent, limiter=SENDERS)


def _sent(
    records: dg.DagsterInstance,
    run_id: str,
    part: str,
    request: Request,
    *,
    organization: str | None = None,
    signed: bool = False,
) -> Response:
    job = _export(view(records, find(records, run_id, organization, "export")))
    return download(job, part, request.headers, head=request.method == "HEAD", signed=signed)


def _export(job: Any) -> ExportJob:
    assert isinstance(job, ExportJob)  # noqa: S101 - what was found is one
    return job


def _answer(
    starts: Launcher, run_id: str, organization: str, address: str, response: Response
) -> ExportJob:
    job = _export(jobs.read(starts, "export", run_id, organization, address))
    jobs.accepted(job, response, address)
    return job


def _start(
    starts: Launcher,
    organization: str,
    format_name: str,
    config: Mapping[str, Any],
    key: str | None,
) -> str:
    def start(tags: Mapping[str, str]) -> str:
        check_export(starts.instance, format_name, config, organization)
        return starts.launch(f"export_{format_name}", config, tags)

    request = {"format": format_name, "config": dict(config)}
    return once(starts.instance, organization, key, request, start)


def _add_format(format_name: str) -> None:
    """Add the route of a format, whose body has the format's own options."""
    body_type = export_body(format_name)

    def create(
        resource_type: ResourceType,
        caller: ExportsWriter,
        starts: Starts,
        address: Address,
        response: Response,
        body: body_type | None = None,  # type: ignore[valid-type]
        idempotency_key: IdempotencyKey = None,
    ) -> ExportJob:
        asked: ExportBody = body or body_type()
        config = {"resource_type": resource_type, **asked.run_config()}
        run_id = _start(starts, caller.organization, format_name, config, idempotency_key)
        return _answer(starts, run_id, caller.organization, address, response)

    router.add_api_route(
        f"/exports/{format_name}/{{resource_type}}",
        create,
        methods=["POST"],
        status_code=202,
        name=f"create_{format_name}_export",
        operation_id=f"create_{format_name}_export",
        summary=f"Export as {FORMATS[format_name].title}",
        description="Starts an export, and answers its job at once: read that until it is "
        "completed. What cannot succeed is refused here.",
    )


for _name in FORMATS:
    _add_format(_name)


class _UnknownFormat(StringConvertor):
    """What may be a format: none of the other names that follow `/exports/`."""

    regex = "(?!(?:types|jobs|files|platforms|profiles|schedules)/)[^/]+"


register_url_convertor("unknown_format", _UnknownFormat())


@router.post("/exports/{format:unknown_format}/{resource_type}", include_in_schema=False)
def refuse_unknown_format(format: str, resource_type: str, caller: ExportsWriter) -> None:
    """Says which formats there are."""
    raise RequestError(unknown("format", format, list(FORMATS)))
