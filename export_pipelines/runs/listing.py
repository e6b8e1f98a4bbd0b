"""Jobs of an organization, one or a page of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

from export_pipelines import settings
from export_pipelines.catalog.entities import TABLES
from export_pipelines.errors import NotRegistered, RequestError, shown
from export_pipelines.limits import FORMAT_TAG, IMPORT_TAG, ORGANIZATION_TAG, organization_of
from export_pipelines.runs.views import is_job

KIND_TAGS = {"export": FORMAT_TAG, "import": IMPORT_TAG}
_MOST_AT_ONCE = 1_000


@dataclass(frozen=True)
class Wanted:
    """Which jobs are listed.

    Attributes:
        organization: whose; None for all.
        kind: `export` or `import`.
        tags: values of tags that must be the same.
        statuses: of runs; empty for any.
        created_from: the earliest creation, with its zone; None for any.
        created_to: the latest creation, with its zone, to the millisecond; None for any.
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

    Raises:
        RequestError: it is none of theirs.
    """
    _require_cursor(instance, wanted, cursor)
    filters = _filters(wanted)
    found: list[RunRecord] = []
    size = limit + 1
    while len(found) <= limit:
        batch = instance.get_run_records(filters, limit=size, cursor=cursor)
        found += [
            record
            for record in batch
            if _is_wanted(record.dagster_run, wanted.organization, wanted.kind)
        ]
        if len(batch) < size:
            break
        cursor = batch[-1].dagster_run.run_id
        size = max(size, min(2 * size, _MOST_AT_ONCE))
    chosen = found[:limit]
    return chosen, chosen[-1].dagster_run.run_id if len(found) > limit else None


def _require_cursor(instance: dg.DagsterInstance, wanted: Wanted, cursor: str | None) -> None:
    if cursor is None:
        return
    try:
        find(instance, cursor, wanted.organization, wanted.kind)
    except NotRegistered:
        raise RequestError(
            f"cursor {shown(cursor)} is not that of a page of {wanted.kind}s: use that of the page "
            "before as it is, or begin again without one."
        ) from None


def _filters(wanted: Wanted) -> dg.RunsFilter:
    """Return what the database can tell: not which runs have no organization's tag."""
    tags: dict[str, str | Sequence[str]] = {}
    if wanted.kind == "import":
        # Nearly all runs are exports: those are found faster without an index, imports with it.
        tags[IMPORT_TAG] = list(TABLES)
    tags.update(wanted.tags)
    if wanted.organization not in (None, settings.organization()):
        tags[ORGANIZATION_TAG] = str(wanted.organization)
    return dg.RunsFilter(
        statuses=list(wanted.statuses) or None,
        tags=tags,
        created_after=_shifted(wanted.created_from, timedelta(microseconds=-1)),
        created_before=_shifted(wanted.created_to, timedelta(milliseconds=1)),
    )


def _shifted(moment: datetime | None, by: timedelta) -> datetime | None:
    """Return a time in UTC, as Dagster takes all to be; it leaves out the very moment itself."""
    if moment is None:
        return None
    try:
        return moment.astimezone(timezone.utc) + by
    except OverflowError:
        return moment.replace(tzinfo=timezone.utc)
