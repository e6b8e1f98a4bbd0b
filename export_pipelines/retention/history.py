"""Runs that have ended, a page at a time, and which of them belong together."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

import dagster as dg
from dagster._core.storage.tags import ROOT_RUN_ID_TAG

PAGE = 100
"""How many runs, or folders, are looked at together."""

_ENDED = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)
_ACTIVE = [status for status in dg.DagsterRunStatus if status not in _ENDED]


@dataclass(frozen=True)
class Family:
    """The runs that execute one another again, as far as there are records of them.

    Attributes:
        active: whether one of them is pending or running.
        members: all of them.
    """

    active: bool
    members: tuple[dg.RunRecord, ...]

    @property
    def ended(self) -> float:
        """When the last of them ended, in seconds since 1970; 0 if there is no record."""
        return max(map(ended_at, self.members), default=0.0)


def ended_at(record: dg.RunRecord) -> float:
    """Return when a run ended, in seconds since 1970; when it changed last if that is unknown."""
    return record.end_time or record.update_timestamp.replace(tzinfo=timezone.utc).timestamp()


def created_at(record: dg.RunRecord) -> datetime:
    """Return when a run was recorded."""
    return record.create_timestamp.replace(tzinfo=timezone.utc)


def import_files(run: dg.DagsterRun) -> set[str]:
    """Return the files that a run is asked to import; none if it is no import."""
    if "import/resource_type" not in run.tags:
        return set()
    return {str(file) for file in cast(Mapping[str, Any], run.run_config)["files"]}


def ended_pages(instance: dg.DagsterInstance, before: float) -> Iterator[list[dg.RunRecord]]:
    """Yield the runs that ended before a time, the newest first; those of a page may be deleted.

    Args:
        instance: where runs are recorded.
        before: in seconds since 1970.
    """
    created_before = datetime.fromtimestamp(before, timezone.utc)
    filters = dg.RunsFilter(statuses=list(_ENDED), created_before=created_before)
    page = instance.get_run_records(filters, limit=PAGE)
    while page:
        # A page is found by the last run of the one before, which must still be there.
        last = page[-1].dagster_run.run_id
        following = instance.get_run_records(filters, limit=PAGE, cursor=last)
        yield [record for record in page if ended_at(record) < before]
        page = following


def active_runs(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    """Return the runs that are pending or running now."""
    return instance.get_run_records(dg.RunsFilter(statuses=_ACTIVE))


def active_imports(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    """Return the imports that are pending or running now."""
    return [record for record in active_runs(instance) if import_files(record.dagster_run)]


def families(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, Family]:
    """Return each run's family, as it is now; a run may have no record any more.

    Args:
        instance: where runs are recorded.
        run_ids: about a page of them.
    """
    if not run_ids:
        return {}
    own = instance.get_run_records(dg.RunsFilter(run_ids=list(run_ids)))
    roots = {run_id: run_id for run_id in run_ids}
    roots |= {record.dagster_run.run_id: _root(record) for record in own}
    members = _members(instance, sorted(set(roots.values())))
    used = _used(active_runs(instance))
    return {
        run_id: Family(bool({run_id, root} & used), tuple(members[root]))
        for run_id, root in roots.items()
    }


def family_of(instance: dg.DagsterInstance, run_id: str) -> Family:
    """Return a run's family, as it is now; it may have no record any more."""
    return families(instance, [run_id])[run_id]


def _members(
    instance: dg.DagsterInstance, roots: Sequence[str]
) -> defaultdict[str, list[dg.RunRecord]]:
    """Return the runs that executed others again by the first of those, which is one of them."""
    tagged = dg.RunsFilter(tags={ROOT_RUN_ID_TAG: list(roots)})
    first = instance.get_run_records(dg.RunsFilter(run_ids=list(roots)))
    members: defaultdict[str, list[dg.RunRecord]] = defaultdict(list)
    for record in (*first, *instance.get_run_records(tagged)):
        members[_root(record)].append(record)
    return members


def _root(record: dg.RunRecord) -> str:
    run = record.dagster_run
    return run.root_run_id or run.run_id


def _used(active: Sequence[dg.RunRecord]) -> set[str]:
    """Return active runs, those that they execute again, and the first of those."""
    runs = [record.dagster_run for record in active]
    names = {name for run in runs for name in (run.run_id, run.parent_run_id, run.root_run_id)}
    return {name for name in names if name}
