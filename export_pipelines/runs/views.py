"""A run as a job: the one shape in which the API, webhooks and the command line show it."""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Annotated, Any, Literal

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord
from pydantic import BaseModel, Field, PrivateAttr

from export_pipelines.clock import written
from export_pipelines.limits import FORMAT_TAG, IMPORT_TAG, organization_of

_STATES = {
    dg.DagsterRunStatus.NOT_STARTED: "pending",
    dg.DagsterRunStatus.QUEUED: "pending",
    dg.DagsterRunStatus.STARTING: "pending",
    dg.DagsterRunStatus.STARTED: "in_progress",
    dg.DagsterRunStatus.SUSPENDED: "in_progress",
    dg.DagsterRunStatus.MANAGED: "in_progress",
    dg.DagsterRunStatus.CANCELING: "in_progress",
    dg.DagsterRunStatus.SUCCESS: "completed",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "interrupted",
}
STATUSES = {
    "processing": ("pending", "in_progress"),
    "completed": ("completed",),
    "failed": ("failed",),
    "cancelled": ("interrupted",),
}
"""Statuses by the states that they are made of (features P20, P22; X21)."""

_SETTLED_RUNS = 1_000
_DIGITS = 18

Status = Literal["processing", "completed", "failed", "cancelled"]
State = Literal["pending", "in_progress", "completed", "failed", "interrupted"]


class JobError(BaseModel):
    """Why a job failed."""

    error_code: str = Field(description="A stable name, such as no_records.")
    detail: str = Field(description="What is wrong, where, and what to do.")


class JobFile(BaseModel):
    """A file of an export."""

    name: str
    rows: int = Field(description="Rows in it, without a header.")
    bytes: int
    sha256: str
    url: str | None = Field(
        default=None, description="Downloads it without a key, for 5 minutes from now."
    )


class JobDelivery(BaseModel):
    """What a platform got of an export."""

    platform: str
    location: str
    files: int
    bytes: int


class Job(BaseModel):
    """What exports and imports have alike."""

    id: str = Field(description="The id of its run.")
    status: Status
    state: State = Field(description="The same in more detail: `pending` waits for its turn.")
    resource_type: str
    organization: str
    progress: int = Field(ge=0, le=100, description="How much is done, in percent.")
    step: str | None = Field(default=None, description="What it is working on.")
    error: JobError | None = None
    resumed_from: str | None = Field(default=None, description="The job that it goes on with.")
    created_at: str
    started_at: str | None = None
    completed_at: str | None = Field(default=None, description="When it ended, however it did.")


class ExportJob(Job):
    """An export (P20, P22)."""

    kind: Literal["export"] = "export"
    format: str
    total_records: int | None = Field(
        default=None, description="Records that match; null until they are counted."
    )
    parts: str | None = Field(default=None, description="Files done of all files, as in 37/100.")
    file_url: str | None = Field(
        default=None,
        description="Downloads the file, or several as a ZIP, without a key, for 5 minutes from "
        "now; null until it is completed.",
    )
    files: list[JobFile] = []
    deliveries: list[JobDelivery] = []
    warnings: list[str] = []
    files_removed_at: str | None = Field(
        default=None, description="When its files were removed, as they were old."
    )
    schedule: str | None = None
    profile: str | None = None

    _folder: str = PrivateAttr("")

    @property
    def folder(self) -> str:
        """Its folder's name in the export store: a run that was resumed has the first one's."""
        return self._folder or self.id


class ImportJob(Job):
    """An import."""

    kind: Literal["import"] = "import"
    dry_run: bool = False
    rows: int | None = None
    created: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    failed: int | None = Field(default=None, description="Rows that are wrong.")


AnyJob = Annotated[ExportJob | ImportJob, Field(discriminator="kind")]


def is_job(run: dg.DagsterRun) -> bool:
    """Return whether a run is an export or an import."""
    return FORMAT_TAG in run.tags or IMPORT_TAG in run.tags


def view(instance: dg.DagsterInstance, record: RunRecord) -> ExportJob | ImportJob:
    """Return a run as a job, without links: those are signed when it is read.

    Args:
        instance: where it is recorded.
        record: an export's or an import's.
    """
    if FORMAT_TAG in record.dagster_run.tags:
        return _export(instance, record)
    return _import(record)


def state_of(run: dg.DagsterRun) -> State:
    """Return a run's state."""
    return _STATES[run.status]  # type: ignore[return-value]


def run_statuses(status: str) -> list[dg.DagsterRunStatus]:
    """Return the statuses of runs that a job's status or state stands for; none for no status."""
    states = STATUSES.get(status, (status,))
    return [each for each, state in _STATES.items() if state in states]


def _export(instance: dg.DagsterInstance, record: RunRecord) -> ExportJob:
    run = record.dagster_run
    tags = run.tags
    removed = _removed_at(record)
    manifest: Mapping[str, Any] = {}
    deliveries: list[Mapping[str, Any]] = []
    if run.status is dg.DagsterRunStatus.SUCCESS:
        manifest, deliveries = made(instance, run.run_id)
    job = ExportJob(
        **_shared(record, "export"),
        format=tags[FORMAT_TAG],
        resource_type=tags.get("export/resource_type") or _asked_type(run),
        total_records=_number(tags.get("export/records_count")),
        parts=tags.get("export/parts") or None,
        files=[] if removed else manifest.get("files", []),
        deliveries=[JobDelivery.model_validate(each) for each in deliveries],
        warnings=manifest.get("warnings", []),
        files_removed_at=removed,
        schedule=tags.get("export/schedule") or None,
        profile=tags.get("export/profile") or None,
    )
    job._folder = manifest.get("run_id", "")
    return job


def _removed_at(record: RunRecord) -> str | None:
    """Return when files were removed; an earlier time is of the run whose tags were inherited."""
    removed = record.dagster_run.tags.get("export/pruned_at", "")
    return removed if removed >= _created_at(record) else None


def _created_at(record: RunRecord) -> str:
    return written(record.create_timestamp.replace(tzinfo=timezone.utc))


def _import(record: RunRecord) -> ImportJob:
    run = record.dagster_run
    names = ("rows", "created", "updated", "unchanged", "failed")
    counts = {name: _number(run.tags.get(f"import/{name}")) for name in names}
    return ImportJob(
        **_shared(record, "import"),
        **counts,
        resource_type=run.tags[IMPORT_TAG],
        dry_run=bool(run.run_config.get("dry_run")),
    )


def _shared(record: RunRecord, kind: str) -> dict[str, Any]:
    run = record.dagster_run
    state = state_of(run)
    status = next(status for status, states in STATUSES.items() if state in states)
    tags = run.tags
    return {
        "id": run.run_id,
        "status": status,
        "state": state,
        "organization": organization_of(run),
        "progress": 100 if state == "completed" else _progress(tags.get(f"{kind}/progress")),
        "step": (tags.get(f"{kind}/stage") or None) if state == "in_progress" else None,
        "error": _error(record, kind, status),
        "resumed_from": run.parent_run_id,
        "created_at": _created_at(record),
        "started_at": _time(record.start_time),
        "completed_at": _time(record.end_time),
    }


def _error(record: RunRecord, kind: str, status: str) -> JobError | None:
    run = record.dagster_run
    if status not in ("failed", "cancelled"):
        return None
    code = run.tags.get(f"{kind}/error_code")
    if code:
        return JobError(error_code=code, detail=run.tags.get(f"{kind}/error", ""))
    if status == "cancelled":
        when = "while it ran" if record.start_time else "before it began"
        return JobError(error_code="interrupted", detail=f"It was cancelled {when}.")
    return JobError(
        error_code="failed",
        detail=f"An unexpected error: the log of run {run.run_id} has it. Tell the people who run "
        "this server.",
    )


@lru_cache(maxsize=_SETTLED_RUNS)
def made(
    instance: dg.DagsterInstance, run_id: str
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return the manifest and the deliveries of an export that has succeeded.

    Args:
        instance: where it is recorded.
        run_id: its run's.
    """
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    for each in found.records:
        materialization = each.asset_materialization
        if materialization and "manifest" in materialization.metadata:
            manifest = _json(materialization.metadata["manifest"].value)
            return manifest, _json(materialization.metadata["deliveries"].value)
    return {}, []


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _asked_type(run: dg.DagsterRun) -> str:
    asked = run.run_config.get("resource_type")
    return asked if isinstance(asked, str) and asked else "products"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) <= _DIGITS else None


def _progress(text: str | None) -> int:
    return min(_number(text) or 0, 100)


def _time(seconds: float | None) -> str | None:
    return written(datetime.fromtimestamp(seconds, timezone.utc)) if seconds else None
