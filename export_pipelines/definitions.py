"""Everything that Dagster loads from this project, by name; nothing imports this module."""

import dagster as dg

from export_pipelines.assets import export_assets
from export_pipelines.jobs import check_platform, export_jobs, import_jobs, prune
from export_pipelines.maintenance import prune_daily
from export_pipelines.platform_sensor import import_platforms
from export_pipelines.resources import Catalog, ExportStore, Staging
from export_pipelines.schedule_sensor import stale_schedules
from export_pipelines.schedules import registered_schedules
from export_pipelines.sensors import import_drop_folder
from export_pipelines.webhook_sensor import webhook_retries, webhooks

defs = dg.Definitions(
    assets=export_assets,
    jobs=[*export_jobs, *import_jobs, check_platform, prune],
    schedules=[prune_daily, *registered_schedules()],
    sensors=[
        import_drop_folder,
        import_platforms,
        stale_schedules,
        webhooks,
        webhook_retries,
    ],
    resources={"catalog": Catalog(), "staging": Staging(), "store": ExportStore()},
)
