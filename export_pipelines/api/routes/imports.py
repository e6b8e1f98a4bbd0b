"""Imports: a file is sent, checked and written into the catalogue as a job."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from fastapi import APIRouter, Form, Query, Response, UploadFile
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
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
from export_pipelines.limits import IMPORT_TAG
from export_pipelines.mapping import is_path, mapping_path, read_mapping
from export_pipelines.runs.listing import Wanted, find
from export_pipelines.runs.views import ImportJob, view

router = APIRouter(tags=["imports"], route_class=Upload)
JobId = Annotated[str, InPath(description="The job's id.", max_length=100)]
_CHUNK_BYTES = 1 << 20


def _option(name: str, default: Any, **limits: Any) -> Any:
    return Field(default=default, description=IMPORT_OPTIONS[name].description, **limits)


class ImportForm(BaseModel):
    """A file to import, and how."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="CSV, Excel, JSON, JSON Lines or Parquet.")
    resource_type: str = Field(
        default="products",
        description="What is in it.",
        json_schema_extra={"enum": list(TABLES)},
    )
    dry_run: bool = _option("dry_run", False)
    format: str = _option("format", "auto")
    encoding: str = _option("encoding", "auto")
    delimiter: str = _option("delimiter", "auto")
    sheet: str = _option("sheet", "")
    sanitized: bool = _option("sanitized", False)
    mapping: str = Field(
        default="", description="The name of a mapping file of the server. Empty: none."
    )
    locale: str = _option("locale", "")
    on_error: str = _option("on_error", "abort")
    max_error_ratio: float = _option("max_error_ratio", 0.1, ge=0, le=1)


@router.post("/imports/jobs", status_code=202)
def create_import_job(
    form: Annotated[ImportForm, Form(media_type="multipart/form-data")],
    caller: ImportsWriter,
    starts: Starts,
    address: Address,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ImportJob:
    """Imports a file: creates the rows that are new, and updates the others."""
    if form.resource_type not in TABLES:
        raise RequestError(unknown("resource type for imports", form.resource_type, list(TABLES)))
    if form.mapping:
        _check_mapping(form.mapping, form.resource_type)
    run_id = _start(starts, caller.organization, form, idempotency_key)
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
    id: JobId,
    caller: ImportsWriter,
    starts: Starts,
    address: Address,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ImportJob:
    """Goes on with an import that failed, from the step that failed, as a new job."""
    find(starts.instance, id, caller.organization, "import")
    run_id = jobs.resume(starts, caller.organization, id, idempotency_key)
    return _answer(starts, run_id, caller.organization, address, response)


def _check_mapping(name: str, resource_type: str) -> None:
    """Refuse a mapping file that is not in the folder of mappings, or that cannot be used.

    Raises:
        RequestError: it is not there, or says something wrong.
    """
    if is_path(name):
        raise RequestError(
            f"mapping: {shown(name)} is no name of a mapping file of the server: write it without "
            "folder and ending."
        )
    read_mapping(mapping_path(name)).check_resource_type(resource_type)


def _start(starts: Launcher, organization: str, form: ImportForm, key: str | None) -> str:
    options = form.model_dump(exclude={"file", "resource_type"})
    import_request(form.resource_type, {"files": [form.file.filename or ""], **options})

    def start(tags: Mapping[str, str]) -> str:
        path = _kept(form.file)
        try:
            config = {"files": [str(path)], **options}
            return starts.launch(f"import_{form.resource_type}", config, tags)
        except ExportPipelinesError:
            drop_upload(path)
            raise

    content = _sha256(form.file) if key else ""
    request = {"import": form.resource_type, "name": form.file.filename, "content": content}
    return once(starts.instance, organization, key, {**request, **options}, start)


def _sha256(file: UploadFile) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: UploadFile) -> Iterator[bytes]:
    file.file.seek(0)
    while chunk := file.file.read(_CHUNK_BYTES):
        yield chunk


def _kept(file: UploadFile) -> Path:
    try:
        return keep_upload(file.filename or "", _chunks(file))
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
