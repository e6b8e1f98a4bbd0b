"""Finished exports as assets: the catalogue page of each plots its records, bytes and seconds.

Nothing here makes them; the jobs report each export as a materialization.
"""

import dagster as dg

from export_pipelines.artifacts import export_asset_key
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.formats import FORMATS

export_assets = [
    dg.AssetSpec(
        export_asset_key(resource_type, output_format.name),
        description=f"Exports of {resource_type} as {output_format.title}, with their records, "
        "bytes and seconds over time.",
        group_name=f"exports_{output_format.name}",
        kinds={output_format.name},
    )
    for output_format in FORMATS.values()
    for resource_type in ENTITIES
]
