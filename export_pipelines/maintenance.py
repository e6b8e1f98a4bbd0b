"""What keeps the home folder and Dagster's records from growing for ever."""

import dagster as dg

from export_pipelines import settings
from export_pipelines.jobs import prune

prune_daily = dg.ScheduleDefinition(
    name="prune_daily",
    job=prune,
    cron_schedule="30 3 * * *",
    execution_timezone=settings.time_zone(),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes what is old each night: exports, staging, imported files, runs and ticks.",
)
