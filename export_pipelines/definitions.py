"""Everything that Dagster loads from this project, by name; nothing imports this module."""

import dagster as dg

from export_pipelines.assets import export_assets
from export_pipelines.jobs import check_platform, export_jobs
from export_pipelines.resources import Catalog, ExportStore, Staging

defs = dg.Definitions(
    assets=export_assets,
    jobs=[*export_jobs, check_platform],
    resources={"catalog": Catalog(), "staging": Staging(), "store": ExportStore()},
)
