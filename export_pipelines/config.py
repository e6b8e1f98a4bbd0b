"""Run config: the flat form of an export that launchpad, schedules, API and CLI all fill in.

What every export has, and the format's own options beside it. The descriptions here and those of
the options are what the launchpad shows.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import dagster as dg
from pydantic.fields import FieldInfo

from export_pipelines.errors import one_of
from export_pipelines.formats.base import Format
from export_pipelines.planning import ExportRequest

_SHARED: Mapping[str, dg.Field] = {
    "resource_type": dg.Field(
        str,
        default_value="products",
        description="What to export: products, suppliers, orders, ... "
        "`export-pipelines resource-types` lists all.",
    ),
    "fields": dg.Field(
        [str],
        default_value=[],
        description="Fields to export, in this order. Empty: all of them. "
        "`export-pipelines resource-types products` lists them.",
    ),
    "exclude_fields": dg.Field(
        [str],
        default_value=[],
        description="Fields to leave out. A field cannot be in both lists.",
    ),
    "includes": dg.Field(
        [str], default_value=[], description="Related resources to export with each record."
    ),
    "filters": dg.Field(
        dg.Permissive(),  # type: ignore[no-untyped-call]
        default_value={},
        description="Which records to export: all fields must have these values, such as "
        "{is_active: true, supplier_id: '...'}. null stands for an empty field.",
    ),
    "file_name": dg.Field(
        str,
        default_value="",
        description="Name of the files without number and ending. Empty: the resource type.",
    ),
}


def config_schema(output_format: Format[Any]) -> dict[str, dg.Field]:
    """Return the run config of exports in a format."""
    compressions = output_format.compressions
    rows = output_format.default_max_rows_per_file
    schema = {
        **_SHARED,
        "max_rows_per_file": dg.Field(
            dg.Noneable(int),
            default_value=rows,
            description="Most records of one file, header not counted; the files are then numbered "
            f"from 00001. null: {f'{rows:,}' if rows else 'one file, however long'}.",
        ),
        "compression": dg.Field(
            _choice(compressions),
            default_value=compressions[0],
            description=f"How files are compressed: {one_of(compressions)}.",
        ),
    }
    for name, option in output_format.options.model_fields.items():
        schema[name] = dg.Field(
            _config_type(option),
            default_value=option.default,
            description=option.description,
        )
    return schema


def export_request(format_name: str, values: Mapping[str, Any]) -> ExportRequest:
    """Return the request that a run config makes: what is not for all formats is an option."""
    known = {*_SHARED, "max_rows_per_file", "compression"}
    shared = {name: value for name, value in values.items() if name in known}
    options = {name: value for name, value in values.items() if name not in known}
    return ExportRequest(format=format_name, options=options, **shared)


def _config_type(option: FieldInfo) -> Any:
    if get_origin(option.annotation) is Literal:
        return _choice(get_args(option.annotation))
    return {bool: bool, list[str]: [str]}[option.annotation]  # type: ignore[index]


def _choice(values: tuple[str, ...]) -> dg.Enum:
    """Return a type that says what it allows, in the launchpad and when a value is refused."""
    name = " | ".join(value if value.isalnum() else repr(value) for value in values)
    return dg.Enum(name, [dg.EnumValue(value) for value in values])
