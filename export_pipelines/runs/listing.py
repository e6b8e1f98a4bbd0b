"""Jobs of an organization, one or a page of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

from export_pipelines.errors import NotRegistered, shown
from export_pipelines.limits import FORMAT_TAG, ORGANIZATION_TAG, organization_of
from export_pipelines.runs.views import IMPORT_TAG, is_job

KIND_TAGS = {"export": FORMAT_TAG, "import": IMPORT_TAG}


@dataclass(frozen=True)
class Wanted:
    """Which jobs are listed.

    Attributes:
        organization: whose; None for all.
        kind: `export` or `import`.
        tags: values of tags that must be the same.
        statuses: of runs; empty for any.
        created_from: the earliest creation; None for any.
        created_to: the latest creation; None for any.
    """

    organization: str | None
    kind: str
    tags: dict[str, str]
    statuses: Sequence[dg.DagsterRunStatus] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None


def find(
    instance: dg.DagsterInstance, run_id: str, organization: str | None, kind: str | None = None
) -> RunRecord:
    """Return the run of a job.

    Args:
        instance: where it is recorded.
        run_id: its run's.
        organization: whose it must be; None for anybody's.
        kind: `export` or `import`; None for either.

    Raises:
        NotRegistered: there is none, or it is somebody else's: the answer is the same.
    """
    record = instance.get_run_record_by_id(run_id)
    if record and _is_wanted(record.dagster_run, organization, kind):
        return record
    raise NotRegistered(f"There is no {kind or 'job'} {shown(run_id)}.")


def _is_wanted(run: dg.DagsterRun, organization: str | None, kind: str | None) -> bool:
    if not is_job(run) or (kind and KIND_TAGS[kind] not in run.tags):
        return False
    return organization is None or organization_of(run) == organization


def page(
    instance: dg.DagsterInstance, wanted: Wanted, limit: int, cursor: str | None
) -> tuple[list[RunRecord], str | None]:
    """Return the newest jobs, and the cursor of the next page; None if there is no more.

    Args:
        instance: where they are recorded.
        wanted: which.
        limit: how many at most.
        cursor: that of a page before; None for the first.
    """
    tags = dict(wanted.tags)
    if wanted.organization is not None:
        tags[ORGANIZATION_TAG] = wanted.organization
    filters = dg.RunsFilter(
        statuses=list(wanted.statuses) or None,
        tags=tags,
        created_after=wanted.created_from,
        created_before=wanted.created_to,
    )
    tag = KIND_TAGS[wanted.kind]
    found: list[RunRecord] = []
    while len(found) <= limit:
        batch = instance.get_run_records(filters, limit=limit + 1, cursor=cursor)
        found += [record for record in batch if tag in record.dagster_run.tags]
        if len(batch) <= limit:
            break
        cursor = batch[-1].dagster_run.run_id
    chosen = found[:limit]
    return chosen, chosen[-1].dagster_run.run_id if len(found) > limit else None
