"""Ticks of schedules and sensors, also of those that do not tick any more or are gone."""

from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorTick
from dagster._core.storage.schedules.schema import JobTickTable
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage
from sqlalchemy import func, select

from export_pipelines.errors import StorageUnavailable
from export_pipelines.retention.candidates import Candidate, Removed


def old_ticks(instance: dg.DagsterInstance, before: float) -> Iterator[Candidate]:
    """Yield the schedules and sensors that have ticks before a time, each with those.

    Args:
        instance: where ticks are recorded.
        before: in seconds since 1970.

    Raises:
        StorageUnavailable: ticks are not recorded in an SQL database.
    """
    storage = instance.schedule_storage
    if not isinstance(storage, SqlScheduleStorage):
        raise StorageUnavailable(
            "Dagster does not record ticks in an SQL database, so that old ones cannot be found: "
            "name SQLite or Postgres as the storage in dagster.yaml."
        )
    counts = _counts(storage, before)
    for tick in sorted(storage.get_ticks_by_ids(list(counts)), key=lambda tick: tick.tick_id):
        remove = partial(_remove, instance, tick, counts[tick.tick_id], before)
        yield Candidate(tick.instigator_name, remove)


def _counts(storage: SqlScheduleStorage, before: float) -> dict[int, int]:
    """Return how many ticks before a time each schedule and sensor has, by the first of them.

    Dagster lists ticks of those only that have a state, which one that was removed has not.
    """
    moment = datetime.fromtimestamp(before, timezone.utc)
    # Ticks of old versions of Dagster have no selector.
    owner = func.coalesce(JobTickTable.c.selector_id, JobTickTable.c.job_origin_id)
    found = (
        select(func.min(JobTickTable.c.id), func.count())
        .where(JobTickTable.c.timestamp < moment)
        .group_by(owner)
    )
    return {int(first): int(count) for first, count in storage.execute(found)}


def _remove(
    instance: dg.DagsterInstance, tick: InstigatorTick, count: int, before: float, dry_run: bool
) -> Removed:
    if not dry_run:
        instance.purge_ticks(tick.instigator_origin_id, tick.selector_id or "", before)
    return Removed(count)
