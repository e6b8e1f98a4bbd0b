"""From a request to an export plan: every name checked, every default filled in, rows counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pydantic import ValidationError

from export_pipelines.artifacts import ExportPlan, Sheet, Statement
from export_pipelines.catalog.entities import Entity, entity
from export_pipelines.catalog.predicates import All, parse_filters
from export_pipelines.catalog.reading import Snapshot
from export_pipelines.catalog.select import (
    KeyRange,
    build_key_at,
    build_select,
    choose_fields,
    compile_select,
    stored_fields,
)
from export_pipelines.concurrency import worker_count
from export_pipelines.errors import NoRecords, RequestError, one_of, shown, unknown
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format
from export_pipelines.spool import Source, cut_rows

_NAME_BYTES = 200
_NAMES_TAKEN = ("manifest",)
_ROWS_WORTH_SPLITTING = 100_000
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
        raise RequestError(unknown("format", request.format, list(FORMATS)))
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
            f"not {shown(request.filters)}."
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
    stored = [asked.fields[column.name] for column in plan.sheets[0].stored]
    chosen = build_select(asked, stored, parse_filters(plan.filters, asked))
    statement = compile_select(chosen, backend)
    count = snapshot.count(statement)
    first = replace(plan.sheets[0], statement=statement, records_count=count)
    return require_records(replace(plan, sheets=(first, *plan.sheets[1:])))


def require_records(plan: ExportPlan) -> ExportPlan:
    """Return a counted plan.

    Raises:
        NoRecords: it counts none.
    """
    if plan.records_count:
        return plan
    raise NoRecords(
        f"No {plan.resource_type} match the filters {shown(dict(plan.filters))}: "
        "nothing was exported. Loosen the filters."
        if plan.filters
        else f"There are no {plan.resource_type} in the catalogue: nothing was exported. "
        "'export-pipelines sample' makes a sample shop."
    )


def reader_count(plan: ExportPlan) -> int:
    """Return over how many connections it is worth reading: more than one for many rows."""
    return worker_count() if plan.records_count >= _ROWS_WORTH_SPLITTING else 1


def plan_sources(
    plan: ExportPlan, snapshots: Sequence[Snapshot], backend: str
) -> list[list[Source]]:
    """Return what is to be read over each connection, one source after the other.

    The resource type asked for is cut into ranges of its keys, which are read side by side.

    Args:
        plan: with its filters applied.
        snapshots: connections that see the same rows.
        backend: `sqlite` or `postgresql`.

    Raises:
        CatalogUnavailable: the database fails.
    """
    columns = plan.sheets[0].stored
    lanes = [
        [Source(0, first_row, snapshot.stream(statement, columns))]
        for snapshot, (first_row, statement) in zip(
            snapshots, _ranges(plan, snapshots, backend), strict=False
        )
    ]
    for number, sheet in enumerate(plan.sheets[1:], start=1):
        rows = snapshots[0].stream(sheet.statement, sheet.stored)
        lanes[0].append(Source(number, 0, rows))
    return lanes


def _ranges(
    plan: ExportPlan, snapshots: Sequence[Snapshot], backend: str
) -> list[tuple[int, Statement]]:
    """Return the first row of each range and the statement that reads it."""
    statement = plan.sheets[0].statement
    rows = snapshots[0].count(statement) if len(snapshots) > 1 else 0
    if not rows:
        return [(0, statement)]
    asked = entity(plan.resource_type)
    predicate = parse_filters(plan.filters, asked)
    unit = cut_rows(plan)
    step = -(-rows // (len(snapshots) * unit)) * unit
    starts = [0]
    keys: list[str | None] = [None]
    for start in range(step, step * len(snapshots), step):
        key = snapshots[0].value(compile_select(build_key_at(asked, predicate, start), backend))
        if key is None:
            break
        starts.append(start)
        keys.append(key)
    stored = [asked.fields[column.name] for column in plan.sheets[0].stored]
    bounds = zip(keys, [*keys[1:], None], strict=True)
    chosen = (build_select(asked, stored, predicate, KeyRange(*bound)) for bound in bounds)
    return [
        (start, compile_select(found, backend)) for start, found in zip(starts, chosen, strict=True)
    ]


def _sheet(
    asked: Entity, fields: Sequence[str], exclude_fields: Sequence[str], backend: str
) -> Sheet:
    chosen = choose_fields(asked, fields, exclude_fields)
    stored = stored_fields(asked, chosen)
    return Sheet(
        asked.name,
        tuple(found.column for found in chosen),
        tuple(found.column for found in stored),
        compile_select(build_select(asked, stored, All(())), backend),
    )


def _options(output_format: Format[Any], options: Mapping[str, Any]) -> Any:
    try:
        return output_format.options.model_validate(dict(options))
    except ValidationError as error:
        known = output_format.options.model_fields
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        if name not in known:
            shared = [each.name for each in fields(ExportRequest) if each.name != "options"]
            raise RequestError(
                unknown(f"{output_format.title} export option", name, [*known, *shared])
            ) from None
        raise RequestError(
            f"Option {name!r}: {problem['msg']}, not {shown(problem['input'])}."
        ) from None


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
            f"{output_format.title} files cannot be compressed with {shown(asked)}. "
            f"Choose one of {one_of(allowed)}, or leave compression out."
        )
    return asked


def _file_name(asked: str, exported: Entity) -> str:
    name = asked or exported.name
    harmful = sorted({c for c in name if c in _FORBIDDEN_IN_NAMES or not c.isprintable()})
    # What cannot be encoded is not printable, so it is harmful already.
    too_long = not harmful and len(name.encode()) > _NAME_BYTES
    if harmful or too_long or name != name.strip(" .") or name.lower() in _NAMES_TAKEN:
        raise RequestError(
            f"file_name {shown(name)} cannot be a file's name: use at most {_NAME_BYTES} "
            f"bytes, none of {' '.join(_FORBIDDEN_IN_NAMES)}, no blank or dot at its ends, "
            f"and not {one_of(_NAMES_TAKEN)}."
        )
    return name
