"""From a request to an export plan: every name checked, every default filled in, rows counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from export_pipelines.artifacts import ExportPlan, Sheet
from export_pipelines.catalog.entities import Entity, entity
from export_pipelines.catalog.predicates import All, parse_filters
from export_pipelines.catalog.reading import Snapshot
from export_pipelines.catalog.select import build_select, choose_fields, compile_select
from export_pipelines.errors import NoRecords, RequestError, one_of
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format

_NAME_CHARACTERS = 100
_FORBIDDEN_IN_NAMES = '/\\:*?"<>|'


@dataclass(frozen=True)
class ExportRequest:
    """What somebody asked to export. `config` says what each field means."""

    format: str
    resource_type: str = "products"
    fields: Sequence[str] = ()
    exclude_fields: Sequence[str] = ()
    includes: Sequence[str] = ()
    filters: Mapping[str, Any] = field(default_factory=dict)
    max_rows_per_file: int | None = None
    compression: str | None = None
    file_name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def plan_export(
    request: ExportRequest, *, backend: str, run_id: str, started_at: str
) -> ExportPlan:
    """Resolve a request's names into what is read and written; filters come with `count_records`.

    Args:
        request: what was asked for.
        backend: `sqlite` or `postgresql`, for the SQL.
        run_id: the job's id.
        started_at: when work began, ISO 8601 in UTC.

    Raises:
        RequestError: something asked for does not exist or does not fit together.
    """
    if request.format not in FORMATS:
        raise RequestError(
            f"There is no format {request.format!r}. Choose one of {one_of(list(FORMATS))}."
        )
    output_format = FORMATS[request.format]
    asked = entity(request.resource_type)
    options = _options(output_format, request.options)
    if request.includes:
        raise RequestError(
            f"includes: {asked.name} has no related resources that can be included. Leave it empty."
        )
    if not isinstance(request.filters, Mapping):
        raise RequestError(
            f"filters must be fields and their values, such as {{is_active: true}}, "
            f"not {request.filters!r}."
        )
    parse_filters(request.filters, asked)
    sheets = [_sheet(asked, request.fields, request.exclude_fields, backend)]
    for name in output_format.resource_types(asked.name, options)[1:]:
        sheets.append(_sheet(entity(name), (), (), backend))
    return ExportPlan(
        run_id=run_id,
        format=output_format.name,
        options=options.model_dump(),
        sheets=tuple(sheets),
        filters=dict(request.filters),
        max_rows_per_file=_max_rows(output_format, request.max_rows_per_file),
        compression=_compression(output_format, request.compression),
        file_name=_file_name(request.file_name, asked),
        started_at=started_at,
    )


def count_records(plan: ExportPlan, snapshot: Snapshot, backend: str) -> ExportPlan:
    """Add the filters to the SQL of the resource type asked for, and count what matches.

    Raises:
        NoRecords: nothing matches.
        RequestError: a filter cannot be applied.
        CatalogUnavailable: the database fails.
    """
    asked = entity(plan.resource_type)
    fields = choose_fields(asked, [column.name for column in plan.sheets[0].columns])
    chosen = build_select(asked, fields, parse_filters(plan.filters, asked))
    statement = compile_select(chosen, backend)
    count = snapshot.count(statement)
    if not count:
        raise NoRecords(
            f"No {asked.name} match the filters {dict(plan.filters)}: nothing was exported."
            if plan.filters
            else f"There are no {asked.name} in the catalogue: nothing was exported. "
            "'export-pipelines sample' makes a sample shop."
        )
    first = replace(plan.sheets[0], statement=statement, records_count=count)
    return replace(plan, sheets=(first, *plan.sheets[1:]))


def _sheet(
    asked: Entity, fields: Sequence[str], exclude_fields: Sequence[str], backend: str
) -> Sheet:
    chosen = choose_fields(asked, fields, exclude_fields)
    statement = compile_select(build_select(asked, chosen, All(())), backend)
    return Sheet(asked.name, tuple(found.column for found in chosen), statement)


def _options(output_format: Format[Any], options: Mapping[str, Any]) -> Any:
    try:
        return output_format.options.model_validate(dict(options))
    except ValidationError as error:
        known = output_format.options.model_fields
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        if name not in known:
            raise RequestError(
                f"{output_format.title} exports have no option {name!r}. "
                + (f"Their options are {one_of(list(known))}." if known else "They have none.")
            ) from None
        raise RequestError(f"Option {name!r}: {problem['msg']}, not {problem['input']!r}.") from None


def _max_rows(output_format: Format[Any], asked: int | None) -> int | None:
    if asked is None:
        return output_format.default_max_rows_per_file
    if asked < 1:
        raise RequestError(f"max_rows_per_file must be 1 or more, not {asked}.")
    return asked


def _compression(output_format: Format[Any], asked: str | None) -> str:
    allowed = output_format.compressions
    if asked is None:
        return allowed[0]
    if asked not in allowed:
        raise RequestError(
            f"{output_format.title} files cannot be compressed with {asked!r}. "
            f"Choose one of {one_of(allowed)}, or leave compression out."
        )
    return asked


def _file_name(asked: str, exported: Entity) -> str:
    name = asked or exported.name
    harmful = sorted({c for c in name if c in _FORBIDDEN_IN_NAMES or not c.isprintable()})
    if harmful or name != name.strip(" .") or len(name) > _NAME_CHARACTERS:
        raise RequestError(
            f"file_name {name!r} cannot be a file's name: use at most {_NAME_CHARACTERS} "
            f"characters, none of {' '.join(_FORBIDDEN_IN_NAMES)}, no blank or dot at its ends."
        )
    return name
