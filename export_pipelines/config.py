"""Run config: the flat form of a job that launchpad, schedules, API and CLI all fill in.

What every export has, and the format's own options beside it; what every import has. The
descriptions here and those of the options are what the launchpad shows.
"""

from collections.abc import Mapping
from typing import Any, get_type_hints

import dagster as dg
from pydantic import ConfigDict, ValidationError, create_model

from export_pipelines.artifacts import ExportRequest
from export_pipelines.config_types import choice, config_type
from export_pipelines.errors import RequestError, one_of, shown
from export_pipelines.formats.base import Format
from export_pipelines.imports.artifacts import ImportRequest
from export_pipelines.imports.values import LOCALES
from export_pipelines.platforms.configuration import platform_config


def _switch(description: str) -> dg.Field:
    return dg.Field(bool, default_value=False, description=description)


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
        description="Fields to export, in this order: name, relation.name, relation.* or *. "
        "Empty: all of the resource type's own. "
        "`export-pipelines resource-types products` lists them.",
    ),
    "exclude_fields": dg.Field(
        [str],
        default_value=[],
        description="Fields to leave out, named the same way. A field cannot be in both lists.",
    ),
    "rename": dg.Field(
        dg.Map(str, str, key_label_name="field"),  # type: ignore[no-untyped-call]
        default_value={},
        description="Other headers for fields: {sku: Item number, customer.email: E-mail}. Fields "
        "are named as in `fields`; a relation's name is that of its object or array in JSON.",
    ),
    "fixed_columns": dg.Field(
        dg.Permissive(),  # type: ignore[no-untyped-call]
        default_value={},
        description="Columns with the same value in each record, by header: {vendor: ACME, "
        "stock: 5, is_new: true}. They come last, unless `fields` names them.",
    ),
    "includes": dg.Field(
        [str],
        default_value=[],
        description="Related resources to export with each record, with all of their fields unless "
        "`fields` names some: line_items, line_items.line_item_options.",
    ),
    "filters": dg.Field(
        dg.Permissive(),  # type: ignore[no-untyped-call]
        default_value={},
        description="Which records to export: all must hold. {name_cont: FW, status_in: [placed, "
        "approved], customer_email_end: .com, is_active: true}. docs/selection.md has all 51 "
        "matchers.",
    ),
    "date_from": dg.Field(
        str,
        default_value="",
        description="First day or time of the records, such as 2026-01-31 or "
        "2026-01-31T09:00:00Z; without Z or an offset it is in the shop's time zone.",
    ),
    "date_to": dg.Field(
        str,
        default_value="",
        description="Last day or time of the records, included: 2026-01-31 is until midnight.",
    ),
    "skip_ids": _switch("Leave out the records' own ids."),
    "skip_rel_ids": _switch("Leave out ids of related resources: *_id fields, ids of included."),
    "skip_timestamps": _switch("Leave out created_at and updated_at."),
    "skip_blanks": _switch("Leave out what is empty in each record. JSON only."),
    "skip_amount_formats": _switch("Amounts as *_cents only."),
    "dry_data": _switch(
        "All skip options at once, for data that is imported again; blanks in JSON only."
    ),
    "max_records": dg.Field(
        dg.Noneable(int),
        default_value=None,
        description="Refuse to export more records than this. null: no limit.",
    ),
    "allow_empty": _switch("Write files without records if none match, instead of failing."),
    "file_name": dg.Field(
        str,
        default_value="",
        description="Name of the files without number and ending, perhaps with "
        "{resource_type}, {format}, {run_id}, {date:%Y-%m-%d} and {part:05d}. "
        "Empty: the resource type.",
    ),
    "platforms": dg.Field(
        dg.Noneable([platform_config()]),
        default_value=None,
        description="Where files are delivered, besides the export store: names of registered "
        "platforms or of platforms.yaml, or platforms written out: {sftp: {host: …, password: "
        "{env: NAME}}}. null: all registered ones that upload automatically. []: none.",
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
            choice(compressions),
            default_value=compressions[0],
            description=f"How files are compressed: {one_of(compressions)}.",
        ),
    }
    for name, option in output_format.options.model_fields.items():
        schema[name] = dg.Field(
            config_type(option),
            default_value=option.default,
            description=option.description,
        )
    return schema


def export_request(format_name: str, values: Mapping[str, Any]) -> ExportRequest:
    """Return the request that a run config makes: what is not for all formats is an option.

    Raises:
        RequestError: a value is of another type than its field.
    """
    shared = {name: value for name, value in values.items() if name in _KNOWN}
    options = {name: value for name, value in values.items() if name not in _KNOWN}
    try:
        _TYPES.model_validate(shared)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        raise RequestError(f"{name}: {problem['msg']}, not {shown(problem['input'])}.") from None
    return ExportRequest(format=format_name, options=options, **shared)


_TYPES = create_model(  # type: ignore[call-overload]
    "Types",
    __config__=ConfigDict(strict=True),
    **{name: (kind, None) for name, kind in get_type_hints(ExportRequest).items()},
)
_KNOWN = {*_SHARED, "max_rows_per_file", "compression"}


IMPORT_OPTIONS: Mapping[str, dg.Field] = {
    "format": dg.Field(
        choice(("auto", "csv", "json", "jsonl", "excel", "parquet")),
        default_value="auto",
        description="What kind of file it is. auto: as its content says, whatever its name. CSV, "
        "JSON and JSON Lines may be compressed with gzip.",
    ),
    "encoding": dg.Field(
        choice(("auto", "utf-8", "utf-16", "latin-1")),
        default_value="auto",
        description="How letters are stored in a text file. auto: UTF-8, unless its first bytes "
        "say UTF-16.",
    ),
    "delimiter": dg.Field(
        choice(("auto", ",", ";", "\t", "|")),
        default_value="auto",
        description="What stands between two fields of a CSV file. auto: as the header says.",
    ),
    "sheet": dg.Field(
        str, default_value="", description="The sheet of an Excel workbook. Empty: the first."
    ),
    "sanitized": _switch(
        "Take off the `'` that an export with sanitize_formulas put before formulas."
    ),
    "mapping": dg.Field(
        str,
        default_value="",
        description="A mapping file that says what foreign headers mean: its path, or its name in "
        "the folder of mappings. Empty: headers are names of fields.",
    ),
    "locale": dg.Field(
        choice(("", *LOCALES)),
        default_value="",
        description="How dates are written besides 2026-01-31: en-US has the month first, en-GB "
        "and en-CA the day.",
    ),
    "on_error": dg.Field(
        choice(("abort", "skip")),
        default_value="abort",
        description="What happens if rows are wrong. abort: nothing is imported. skip: the others "
        "are.",
    ),
    "max_error_ratio": dg.Field(
        float,
        default_value=0.1,
        description="With on_error skip: if a larger part of the rows is wrong than this, from 0 "
        "to 1, nothing is imported.",
    ),
    "dry_run": _switch("Do everything but write, and say what would be created and updated."),
}


def import_schema() -> dict[str, dg.Field]:
    """Return the run config of imports."""
    files = dg.Field(
        [str],
        description="Files to import, as paths. Those in the drop folder are taken from it, and "
        "end in done or failed; others stay where they are. platform:NAME/FOLDER/FILE is a file "
        "on a platform, which is taken from there.",
    )
    return {"files": files, **IMPORT_OPTIONS}


def import_request(resource_type: str, values: Mapping[str, Any]) -> ImportRequest:
    """Return the request that a run config makes.

    Raises:
        RequestError: there are no files, or a ratio is not one from 0 to 1.
    """
    request = ImportRequest(resource_type, **values)
    if not request.files:
        raise RequestError("files is empty: name at least one file to import.")
    if not 0 <= request.max_error_ratio <= 1:
        ratio = request.max_error_ratio
        raise RequestError(f"max_error_ratio is {ratio}: it must be from 0 to 1, such as 0.1.")
    return request
