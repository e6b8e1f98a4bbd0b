"""Run config: the flat form of an export that launchpad, schedules, API and CLI all fill in.

One class a format: what every export has, and the format's own options. The descriptions here are
what the launchpad shows.
"""

from collections.abc import Mapping
from typing import Any, Literal, Optional, get_origin

import dagster as dg
from pydantic import Field, create_model

from export_pipelines.errors import one_of
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format
from export_pipelines.planning import ExportRequest


class ExportConfig(dg.Config):
    """What to export, and how it is cut into files."""

    resource_type: str = Field(
        default="products",
        description="What to export: products, suppliers, orders, ... "
        "`export-pipelines resource-types` lists all.",
    )
    fields: list[str] = Field(
        default=[],
        description="Fields to export, in this order. Empty: all of them. "
        "`export-pipelines resource-types products` lists them.",
    )
    exclude_fields: list[str] = Field(
        default=[], description="Fields to leave out. A field cannot be in both lists."
    )
    includes: list[str] = Field(
        default=[], description="Related resources to export with each record."
    )
    filters: Any = Field(
        default={},
        description="Which records to export: all fields must have these values, such as "
        "{is_active: true, supplier_id: '...'}. null stands for an empty field.",
    )
    max_rows_per_file: Optional[int] = Field(
        default=None,
        description="Most records of one file, header not counted; the files are then numbered "
        "from 00001. Empty: one file, however long.",
    )
    compression: Optional[str] = Field(default=None)
    file_name: str = Field(
        default="",
        description="Name of the files without number and ending. Empty: the resource type.",
    )


def export_config(output_format: Format[Any]) -> type[ExportConfig]:
    """Return the run config of exports in a format."""
    allowed = output_format.compressions
    usual = output_format.default_max_rows_per_file
    changed: dict[str, Any] = {
        "compression": (
            Optional[str],
            Field(
                default=None,
                description=f"How files are compressed: {one_of(allowed)}. Empty: {allowed[0]}.",
            ),
        ),
    }
    if usual:
        described = ExportConfig.model_fields["max_rows_per_file"].description
        changed["max_rows_per_file"] = (Optional[int], Field(default=usual, description=described))
    for name, option in output_format.options.model_fields.items():
        default = Field(default=option.default, description=option.description)
        changed[name] = (_config_type(option.annotation), default)
    title = output_format.title.title().replace(" ", "")
    return create_model(f"Export{title}Config", __base__=ExportConfig, **changed)


def _config_type(annotation: Any) -> Any:
    """Return the type by which Dagster checks a value; `planning` checks choices."""
    return str if get_origin(annotation) is Literal else annotation


EXPORT_CONFIGS: Mapping[str, type[ExportConfig]] = {
    name: export_config(output_format) for name, output_format in FORMATS.items()
}


def export_request(format_name: str, values: Mapping[str, Any]) -> ExportRequest:
    """Return the request that a run config makes: what is not for all formats is an option."""
    shared = {name: value for name, value in values.items() if name in ExportConfig.model_fields}
    options = {name: value for name, value in values.items() if name not in shared}
    return ExportRequest(format=format_name, options=options, **shared)
