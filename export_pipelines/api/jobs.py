"""What the API does alike to exports and imports: list, read, cancel, resume, delete."""

from datetime import datetime, timezone
from functools import partial
from typing import Annotated, Literal, TypeAlias

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord
from fastapi import Query, Response
from pydantic import BaseModel

from export_pipelines.api.idempotency import once
from export_pipelines.api.launching import Launcher
from export_pipelines.api.problems import Conflict
from export_pipelines.errors import RequestError, shown
from export_pipelines.retention.history import family_of
from export_pipelines.runs.links import with_links
from export_pipelines.runs.listing import Wanted, find, page
from export_pipelines.runs.views import (
    AnyJob,
    ExportJob,
    ImportJob,
    State,
    Status,
    run_statuses,
    view,
)

POLL_SECONDS = "1"
"""How long a caller is told to wait before it asks again."""

StatusFilter: TypeAlias = Annotated[
    Status | State | None, Query(description="A status, or a state.")
]
Moment: TypeAlias = Annotated[
    str | None,
    Query(
        description="ISO 8601, such as 2026-03-15T09:00:00Z; UTC unless it says otherwise.",
        max_length=40,
    ),
]


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    items: list[AnyJob]
    next_cursor: str | None


def moment(name: str, text: str | None) -> datetime | None:
    """Return a time that a query names.

    Raises:
        RequestError: it is none.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(
            timezone.utc
        )
    except (ValueError, OverflowError):
        raise RequestError(
            f"{name}: {shown(text)} is no time: write it as 2026-03-15T09:00:00Z."
        ) from None


def list_jobs(
    instance: dg.DagsterInstance, wanted: Wanted, limit: int, cursor: str | None, address: str
) -> JobPage:
    """Return a page of jobs with links to their files.

    Raises:
        RequestError: the cursor is none of theirs.
    """
    records, following = page(instance, wanted, limit, cursor)
    return JobPage(
        items=[shown_job(instance, each, address) for each in records], next_cursor=following
    )


def shown_job(
    instance: dg.DagsterInstance, record: RunRecord, address: str
) -> ExportJob | ImportJob:
    """Return a job with links to its files."""
    job = view(instance, record)
    return with_links(job, address) if isinstance(job, ExportJob) else job


def read(
    launcher: Launcher,
    kind: Literal["export", "import"],
    run_id: str,
    organization: str,
    address: str,
) -> ExportJob | ImportJob:
    """Return a job of an organization.

    Raises:
        NotRegistered: it has none of that id.
    """
    record = find(launcher.instance, run_id, organization, kind)
    return shown_job(launcher.instance, record, address)


def resume(launcher: Launcher, organization: str, run_id: str, key: str | None) -> str:
    """Start what is left of a job that failed, and return the new run's id.

    Args:
        launcher: starts it.
        organization: whose job it is.
        run_id: the job's.
        key: the caller's name for this request, if it has one.

    Raises:
        Conflict: it cannot be gone on with, or the same request is being carried out.
        BeingResumed: another run goes on with it.
        TooManyExports: its organization has no room.
        RequestError: the key was given to another request.
    """
    start = partial(launcher.resume, run_id)
    return once(launcher.instance, organization, key, {"resume": run_id}, start)


def accepted(job: ExportJob | ImportJob, response: Response, address: str) -> None:
    """Say where a job can be read that was started or changed, and when."""
    response.headers["Location"] = f"{address}/{job.kind}s/jobs/{job.id}"
    response.headers["Retry-After"] = POLL_SECONDS


def require_unneeded(instance: dg.DagsterInstance, record: RunRecord) -> list[RunRecord]:
    """Refuse to delete a job that is going on, or that another one needs to go on or be resumed.

    Args:
        instance: where it is recorded.
        record: the job's.

    Returns:
        Those that were completed of the other jobs that go on with one another.

    Raises:
        Conflict: it is needed.
    """
    if not record.dagster_run.is_finished:
        raise Conflict("The job is still going on: cancel it, or wait for its end.")
    run_id = record.dagster_run.run_id
    members = family_of(instance, run_id).members
    others = [each for each in members if each.dagster_run.run_id != run_id]
    for run in (each.dagster_run for each in others):
        if run.parent_run_id == run_id and not run.is_success:
            raise Conflict(
                f"The job {run.run_id} needs what this one had finished: wait until it is "
                "completed, or delete that one first."
            )
    return [each for each in others if each.dagster_run.is_success]


def require_going_on(record: RunRecord) -> None:
    """Refuse what is only done to jobs that have not ended.

    Raises:
        Conflict: it has.
    """
    if record.dagster_run.is_finished:
        status = record.dagster_run.status.value.lower()
        raise Conflict(f"The job has ended already, and its run is {status}.")


def statuses(asked: str | None) -> list[dg.DagsterRunStatus]:
    """Return the statuses of runs that a filter stands for; none for all."""
    return run_statuses(asked) if asked else []
