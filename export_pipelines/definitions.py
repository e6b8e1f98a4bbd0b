"""Everything that Dagster loads from this project, by name; nothing imports this module."""

import dagster as dg

from export_pipelines.assets import export_assets
from export_pipelines.jobs import check_platform, export_jobs, import_jobs
from export_pipelines.platform_sensor import import_platforms
from export_pipelines.resources import Catalog, ExportStore, Staging
from export_pipelines.sensors import import_drop_folder

defs = dg.Definitions(
    assets=export_assets,
    jobs=[*export_jobs, *import_jobs, check_platform],
    sensors=[import_drop_folder, import_platforms],
    resources={"catalog": Catalog(), "staging": Staging(), "store": ExportStore()},
)
