"""Ticks of schedules and sensors, also of those that do not tick any more."""

from collections.abc import Iterator
from functools import partial

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState

from export_pipelines.retention.candidates import Candidate, Removed

_PAGE = 1_000


def old_ticks(instance: dg.DagsterInstance, before: float) -> Iterator[Candidate]:
    """Yield the schedules and sensors, each with its ticks before a time.

    Args:
        instance: where ticks are recorded.
        before: in seconds since 1970.
    """
    for state in instance.all_instigator_state():
        yield Candidate(state.instigator_name, partial(_remove, instance, state, before))


def _remove(
    instance: dg.DagsterInstance, state: InstigatorState, before: float, dry_run: bool
) -> Removed:
    count = _count(instance, state, before)
    if count and not dry_run:
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, before)
    return Removed(count)


def _count(instance: dg.DagsterInstance, state: InstigatorState, before: float) -> int:
    """Count ticks before a time; Dagster only lists them, the newest first."""
    count = 0
    origin, selector = state.instigator_origin_id, state.selector_id
    while page := instance.get_ticks(origin, selector, before=before, limit=_PAGE):
        count += len(page)
        before = page[-1].timestamp
    return count
