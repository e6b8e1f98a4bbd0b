"""Runs by which it is known when registered schedules succeeded last."""

from collections.abc import Sequence

import dagster as dg
from sqlalchemy import select

from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.registry.database import reading
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.staleness import last_success


def last_successes(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun]) -> set[str]:
    """Return the last success of each registered schedule that some runs are of.

    Args:
        instance: where runs are recorded.
        runs: about a page of them.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    tagged = {run.tags[SCHEDULE_ID_TAG] for run in runs if SCHEDULE_ID_TAG in run.tags}
    if not tagged:
        return set()
    with reading() as session:
        registered = select(ScheduleRow.id).where(ScheduleRow.id.in_(tagged))
        schedule_ids = list(session.scalars(registered))
    successes = [last_success(instance, schedule_id) for schedule_id in schedule_ids]
    return {run.run_id for run in successes if run}
