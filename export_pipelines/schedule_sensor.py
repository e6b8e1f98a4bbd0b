"""The sensor that says which schedules are late; it starts no runs."""

import time

import dagster as dg

from export_pipelines.registry.schedules import all_schedules
from export_pipelines.staleness import late_schedules

SECONDS = 60


@dg.sensor(
    name="stale_schedules",
    description="Says which schedules have not succeeded when they should have: its ticks are the "
    "alert, and have the reason.",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def stale_schedules(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Says which schedules have not succeeded when they should have."""
    rows = [row for row, _ in all_schedules()]
    late = late_schedules(context.instance, rows, time.time())
    for each in late:
        context.log.warning(each.sentence)
    words = " ".join(each.sentence for each in late)
    return dg.SkipReason(words or "All schedules are on time.")
