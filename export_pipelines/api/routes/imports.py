"""Imports: a file is sent, checked and written into the catalogue as a job."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi import Path as InPath
from starlette.responses import FileResponse

from export_pipelines.api import jobs
from export_pipelines.api.dependencies import (
    Address,
    Cursor,
    IdempotencyKey,
    ImportsWriter,
    Limit,
    Records,
    Starts,
)
from export_pipelines.api.idempotency import once
from export_pipelines.api.launching import Launcher
from export_pipelines.api.operations import Upload
from export_pipelines.catalog.entities import TABLES
from export_pipelines.config import IMPORT_OPTIONS, import_request
from export_pipelines.errors import (
    ExportPipelinesError,
    NotRegistered,
    RequestError,
    shown,
    storage_error,
    unknown,
)
from export_pipelines.imports.uploads import drop_upload, keep_upload
from export_pipelines.limits import IMPORT_TAG, ORGANIZATION_TAG
from export_pipelines.runs.listing import Wanted, find
from export_pipelines.runs.views import ImportJob, view

router = APIRouter(tags=["imports"], route_class=Upload)
JobId = Annotated[str, InPath(description="The job's id.", max_length=100)]
_CHUNK_BYTES = 1 << 20


@router.post("/imports/jobs", status_code=202)
def create_import_job(
    caller: ImportsWriter,
    starts: Starts,
    address: Address,
    response: Response,
    file: Annotated[UploadFile, File(description="CSV, Excel, JSON, JSON Lines or Parquet.")],
    resource_type: Annotated[
        str, Form(description="What is in it.", json_schema_extra={"enum": list(TABLES)})
    ] = "products",
    dry_run: Annotated[bool, Form(description=IMPORT_OPTIONS["dry_run"].description)] = False,
    format: Annotated[str, Form(description=IMPORT_OPTIONS["format"].description)] = "auto",
    encoding: Annotated[str, Form(description=IMPORT_OPTIONS["encoding"].description)] = "auto",
    delimiter: Annotated[str, Form(description=IMPORT_OPTIONS["delimiter"].description)] = "auto",
    sheet: Annotated[str, Form(description=IMPORT_OPTIONS["sheet"].description)] = "",
    sanitized: Annotated[bool, Form(description=IMPORT_OPTIONS["sanitized"].description)] = False,
    mapping: Annotated[
        str, Form(description="The name of a mapping file of the server. Empty: none.")
    ] = "",
    locale: Annotated[str, Form(description=IMPORT_OPTIONS["locale"].description)] = "",
    on_error: Annotated[str, Form(description=IMPORT_OPTIONS["on_error"].description)] = "abort",
    max_error_ratio: Annotated[
        float, Form(ge=0, le=1, description=IMPORT_OPTIONS["max_error_ratio"].description)
    ] = 0.1,
    idempotency_key: IdempotencyKey = None,
) -> ImportJob:
    """Imports a file: creates the rows that are new, and updates the others."""
    if resource_type not in TABLES:
        raise RequestError(unknown("resource type for imports", resource_type, list(TABLES)))
    if mapping and Path(mapping).name != mapping:
        raise RequestError(f"mapping: {shown(mapping)} is no name of a mapping file.")
    options: dict[str, Any] = {
        "dry_run": dry_run, "format": format, "encoding": encoding, "delimiter": delimiter,
        "sheet": sheet, "sanitized": sanitized, "mapping": mapping, "locale": locale,
        "on_error": on_error, "max_error_ratio": max_error_ratio,
    }  # fmt: skip
    import_request(resource_type, {"files": [file.filename or ""], **options})
    run_id = _start(starts, caller.organization, resource_type, file, options, idempotency_key)
    return _answer(starts, run_id, caller.organization, address, response)


@router.get("/imports/jobs")
def list_import_jobs(
    caller: ImportsWriter,
    records: Records,
    address: Address,
    resource_type: Annotated[
        str | None, Query(description="What is imported.", max_length=100)
    ] = None,
    status: jobs.StatusFilter = None,
    created_from: jobs.Moment = None,
    created_to: jobs.Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> jobs.JobPage:
    """Lists imports, the newest first."""
    wanted = Wanted(
        caller.organization,
        "import",
        {IMPORT_TAG: resource_type} if resource_type is not None else {},
        jobs.statuses(status),
        jobs.moment("created_from", created_from),
        jobs.moment("created_to", created_to),
    )
    return jobs.list_jobs(records, wanted, limit, cursor, address)


@router.get("/imports/jobs/{id}")
def get_import_job(
    id: JobId, caller: ImportsWriter, starts: Starts, address: Address, response: Response
) -> ImportJob:
    """Returns the status of an import."""
    job = jobs.read(starts, "import", id, caller.organization, address)
    if job.status == "processing":
        response.headers["Retry-After"] = jobs.POLL_SECONDS
    return _import(job)


@router.get("/imports/jobs/{id}/report", response_class=Response)
def get_import_report(id: JobId, caller: ImportsWriter, records: Records) -> Response:
    """Downloads what an import says about its file: counts, and each wrong row with its reason."""
    return _left(records, id, caller.organization, "report")


@router.get("/imports/jobs/{id}/failed-rows", response_class=Response)
def get_failed_rows(id: JobId, caller: ImportsWriter, records: Records) -> Response:
    """Downloads the wrong rows of a file, as they were, to correct them and import them again."""
    return _left(records, id, caller.organization, "failed_rows")


@router.post("/imports/jobs/{id}/cancel", status_code=202)
def cancel_import_job(
    id: JobId, caller: ImportsWriter, starts: Starts, address: Address, response: Response
) -> ImportJob:
    """Cancels an import that has not ended; of its file either all is written or nothing."""
    jobs.require_going_on(find(starts.instance, id, caller.organization, "import"))
    starts.cancel(id)
    return _answer(starts, id, caller.organization, address, response)


@router.post("/imports/jobs/{id}/resume", status_code=202)
def resume_import_job(
    id: JobId, caller: ImportsWriter, starts: Starts, address: Address, response: Response
) -> ImportJob:
    """Goes on with an import that failed, from the step that failed, as a new job."""
    find(starts.instance, id, caller.organization, "import")
    return _answer(starts, starts.resume(id), caller.organization, address, response)


def _start(
    starts: Launcher,
    organization: str,
    resource_type: str,
    file: UploadFile,
    options: Mapping[str, Any],
    key: str | None,
) -> str:
    def start(tags: Mapping[str, str]) -> str:
        path = _kept(file)
        try:
            config = {"files": [str(path)], **options}
            tagged = {ORGANIZATION_TAG: organization, **tags}
            return starts.launch(f"import_{resource_type}", config, tagged)
        except ExportPipelinesError:
            drop_upload(path)
            raise

    request = {"import": resource_type, "name": file.filename, "size": file.size, **options}
    return once(starts.instance, organization, key, request, start)


def _kept(file: UploadFile) -> Path:
    def chunks() -> Iterator[bytes]:
        while chunk := file.file.read(_CHUNK_BYTES):
            yield chunk

    try:
        return keep_upload(file.filename or "", chunks())
    except OSError as error:
        raise storage_error(error) from None


def _left(records: dg.DagsterInstance, run_id: str, organization: str, what: str) -> Response:
    """Return a file that an import has left, of the first of its files that has one.

    Raises:
        NotRegistered: there is none.
    """
    job = view(records, find(records, run_id, organization, "import"))
    kinds = {dg.DagsterEventType.STEP_OUTPUT, dg.DagsterEventType.STEP_FAILURE}
    for record in records.get_records_for_run(run_id, of_type=kinds).records:
        event = record.event_log_entry.get_dagster_event()
        path = Path(str(_metadata(event).get(what, "")))
        if path.is_file():
            return FileResponse(path, filename=path.name)
    kind = what.replace("_", " ")
    raise NotRegistered(f"The import {job.id} is {job.status} and has no {kind}, or none any more.")


def _metadata(event: dg.DagsterEvent) -> dict[str, Any]:
    if event.is_successful_output:
        found = event.step_output_data.metadata
    else:
        failure = event.step_failure_data.user_failure_data
        found = failure.metadata if failure else {}
    return {name: value.value for name, value in found.items()}


def _import(job: Any) -> ImportJob:
    assert isinstance(job, ImportJob)  # noqa: S101 - what was found is one
    return job


def _answer(
    starts: Launcher, run_id: str, organization: str, address: str, response: Response
) -> ImportJob:
    job = _import(jobs.read(starts, "import", run_id, organization, address))
    jobs.accepted(job, response, address)
    return job
