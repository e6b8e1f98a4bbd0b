"""From a request to an export plan: every name checked, every default filled in, rows counted."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from pydantic import ValidationError

from export_pipelines import settings
from export_pipelines.artifacts import (
    ExportPlan,
    ExportRequest,
    Sheet,
    Statement,
)
from export_pipelines.catalog.entities import EXTENDED, Entity, entity
from export_pipelines.catalog.extensions import read_extension_fields
from export_pipelines.catalog.filters import parse_selection
from export_pipelines.catalog.headers import fixed_fields, with_headers
from export_pipelines.catalog.predicates import All
from export_pipelines.catalog.reading import Snapshot
from export_pipelines.catalog.related import joined
from export_pipelines.catalog.select import (
    KeyRange,
    build_key_at,
    build_select,
    compile_select,
)
from export_pipelines.catalog.selection import Chosen, Skips, choose
from export_pipelines.catalog.sheets import build_sheet, levels_left_out
from export_pipelines.concurrency import worker_count
from export_pipelines.errors import (
    NoRecords,
    RequestError,
    TooManyRecords,
    one_of,
    shown,
    unknown,
)
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format
from export_pipelines.naming import file_names, name_values
from export_pipelines.platforms.configuration import find_destinations
from export_pipelines.spool import Source, cut_rows

_ROWS_WORTH_SPLITTING = 100_000


def plan_export(
    request: ExportRequest,
    snapshot: Snapshot,
    *,
    backend: str,
    run_id: str,
    started_at: str,
    organization: str = "",
) -> ExportPlan:
    """Resolve a request's names into what is read and written; filters come with `count_records`.

    Args:
        request: what was asked for.
        snapshot: the catalogue, for its custom fields.
        backend: `sqlite` or `postgresql`, for the SQL.
        run_id: the job's id.
        started_at: when work began, ISO 8601 in UTC.
        organization: whose registered platforms are meant; empty for that of the settings.

    Raises:
        RequestError: something asked for does not exist or does not fit together.
        CatalogUnavailable: the database fails.
        PlatformMisconfigured, KeyUnavailable, RegistryUnavailable: a platform cannot be opened.
    """
    if request.format not in FORMATS:
        raise RequestError(unknown("format", request.format, list(FORMATS)))
    output_format = FORMATS[request.format]
    asked = entity(request.resource_type)
    options = _options(output_format, request.options)
    names = output_format.resource_types(asked.name, options)
    time_zone = settings.time_zone()
    owner = organization or settings.organization()
    values = name_values(
        resource_type=asked.name,
        format_name=request.format,
        run_id=run_id,
        started_at=started_at,
        time_zone=time_zone,
    )
    file_name, part_name = file_names(request.file_name or asked.name, values)
    extended = EXTENDED in [entity(name).name for name in names]
    plan = ExportPlan(
        run_id=run_id,
        request=request,
        format=output_format.name,
        options=options.model_dump(),
        sheets=(),
        time_zone=time_zone,
        extensions=read_extension_fields(snapshot, backend) if extended else (),
        max_rows_per_file=_max_rows(output_format, request.max_rows_per_file),
        compression=_compression(output_format, request.compression),
        file_name=file_name,
        part_name=part_name,
        organization=owner,
        destinations=find_destinations(request.platforms, owner),
        started_at=started_at,
    )
    chosen = _chosen(plan)
    warnings = _warnings(output_format, chosen, request)
    selected_records(plan)
    first = _asked_sheet(plan, chosen, _always(chosen.entity), backend)
    others = [_whole_sheet(plan, name, backend) for name in names[1:]]
    return replace(plan, sheets=(first, *others), warnings=warnings)


def selected_records(plan: ExportPlan) -> All:
    """Return which records an export takes.

    Raises:
        RequestError: a filter or a date is wrong.
    """
    return parse_selection(plan.request, _asked(plan), plan.time_zone)


def count_records(plan: ExportPlan, snapshot: Snapshot, backend: str) -> ExportPlan:
    """Add the filters to the SQL of the resource type asked for, and count what matches.

    Raises:
        NoRecords: nothing matches, and that is not allowed.
        TooManyRecords: more match than are allowed.
        CatalogUnavailable: the database fails.
    """
    predicate = selected_records(plan)
    sheet = _asked_sheet(plan, _chosen(plan), predicate, backend)
    counted = replace(sheet, records_count=_count(plan, predicate, snapshot, backend))
    return require_records(replace(plan, sheets=(counted, *plan.sheets[1:])))


def count_again(plan: ExportPlan, snapshot: Snapshot, backend: str) -> ExportPlan:
    """Count the records that a snapshot sees; others may have been written since they were counted.

    Raises:
        CatalogUnavailable: the database fails.
    """
    count = _count(plan, selected_records(plan), snapshot, backend)
    first = replace(plan.sheets[0], records_count=count)
    return replace(plan, sheets=(first, *plan.sheets[1:]))


def require_records(plan: ExportPlan) -> ExportPlan:
    """Return a counted plan.

    Raises:
        NoRecords: it counts none, and that is not allowed.
        TooManyRecords: it counts more than are allowed.
    """
    request = plan.request
    limit = _max_records(request)
    if limit is not None and plan.records_count > limit:
        raise TooManyRecords(
            f"{plan.records_count:,} {plan.resource_type} match, and max_records allows "
            f"{limit:,}: nothing was exported. Choose fewer by filters, or raise max_records."
        )
    if plan.records_count or request.allow_empty:
        return plan
    narrowed = {**request.filters}
    narrowed |= {name: getattr(request, name) for name in ("date_from", "date_to")}
    narrowed = {name: value for name, value in narrowed.items() if value != ""}
    always = "".join(
        f" Only those with {name} = {str(value).lower()} are ever exported."
        for name, value in _asked(plan).always.items()
        if not narrowed or any(name in predicate for predicate in narrowed)
    )
    raise NoRecords(
        f"No {plan.resource_type} match {shown(narrowed)}: nothing was exported.{always} "
        "Loosen the filters, or set allow_empty for a file without records."
        if narrowed
        else f"There are no {plan.resource_type} in the catalogue: nothing was exported.{always} "
        "'export-pipelines sample' makes a sample shop; allow_empty allows a file without records."
    )


def reader_count(plan: ExportPlan) -> int:
    """Return over how many connections records are read: more than one is worth it for many.

    Records that may become several rows are read over one: where each begins is not known before.
    """
    if plan.sheets[0].has_lines or plan.records_count < _ROWS_WORTH_SPLITTING:
        return 1
    return worker_count()


def connection_count(plan: ExportPlan) -> int:
    """Return how many connections an export reads over, those for related records included."""
    readers = reader_count(plan)
    return readers * 2 if any(sheet.related for sheet in plan.sheets) else readers


def plan_sources(
    plan: ExportPlan, snapshots: Sequence[Snapshot], backend: str
) -> list[list[Source]]:
    """Return what is to be read over each connection, one source after the other.

    The resource type asked for is cut into ranges of its keys, which are read side by side.

    Args:
        plan: with its filters applied.
        snapshots: `connection_count` connections that see the same rows; fewer read less at once.
        backend: `sqlite` or `postgresql`.

    Raises:
        CatalogUnavailable: the database fails.
    """
    paired = any(sheet.related for sheet in plan.sheets) and len(snapshots) > 1
    readers = snapshots[::2] if paired else snapshots
    beside = snapshots[1::2] if paired else snapshots
    if plan.sheets[0].has_lines:
        readers = readers[:1]
    lanes = [
        [_source(0, first_row, plan.sheets[0], statement, reader, other)]
        for reader, other, (first_row, statement) in zip(
            readers, beside, _ranges(plan, readers, backend), strict=False
        )
    ]
    for number, sheet in enumerate(plan.sheets[1:], start=1):
        lanes[0].append(_source(number, 0, sheet, sheet.statement, readers[0], beside[0]))
    return lanes


def _source(
    number: int,
    first_row: int,
    sheet: Sheet,
    statement: Statement,
    reader: Snapshot,
    beside: Snapshot,
) -> Source:
    records = reader.stream(statement, sheet.read)
    return Source(number, first_row, joined(records, sheet, beside) if sheet.related else records)


def _ranges(
    plan: ExportPlan, snapshots: Sequence[Snapshot], backend: str
) -> list[tuple[int, Statement]]:
    """Return the first row of each range and the statement that reads it."""
    sheet = plan.sheets[0]
    if len(snapshots) == 1:
        return [(0, sheet.statement)]
    asked = _asked(plan)
    predicate = selected_records(plan)
    rows = _count(plan, predicate, snapshots[0], backend)
    unit = cut_rows(plan)
    step = max(1, -(-rows // (len(snapshots) * unit))) * unit
    starts = [0]
    keys: list[str | None] = [None]
    for start in range(step, step * len(snapshots), step):
        key = snapshots[0].value(compile_select(build_key_at(asked, predicate, start), backend))
        if key is None:
            break
        starts.append(start)
        keys.append(key)
    read = [column.name for column in sheet.read]
    bounds = zip(keys, [*keys[1:], None], strict=True)
    chosen = (build_select(asked, read, predicate, KeyRange(*bound)) for bound in bounds)
    return [
        (start, compile_select(found, backend)) for start, found in zip(starts, chosen, strict=True)
    ]


def _asked(plan: ExportPlan) -> Entity:
    return entity(plan.request.resource_type, plan.extensions)


def _always(asked: Entity) -> All:
    return parse_selection(ExportRequest(""), asked, "UTC")


def _count(plan: ExportPlan, predicate: All, snapshot: Snapshot, backend: str) -> int:
    asked = _asked(plan)
    return snapshot.count(compile_select(build_select(asked, [asked.key.name], predicate), backend))


def _chosen(plan: ExportPlan) -> Chosen:
    request = plan.request
    return choose(
        _asked(plan),
        request.fields,
        request.exclude_fields,
        request.includes,
        _skips(request),
        fixed_fields(request.fixed_columns),
    )


def _skips(request: ExportRequest) -> Skips:
    dry = request.dry_data
    return Skips(
        ids=dry or request.skip_ids,
        rel_ids=dry or request.skip_rel_ids,
        timestamps=dry or request.skip_timestamps,
        amount_formats=dry or request.skip_amount_formats,
    )


def _sheet(plan: ExportPlan, chosen: Chosen, predicate: All, backend: str) -> Sheet:
    output_format = FORMATS[plan.format]
    blanks = plan.request.skip_blanks or plan.request.dry_data
    return build_sheet(
        chosen,
        predicate,
        backend,
        nests=output_format.nests,
        skip_blanks=blanks and output_format.skips_blanks,
    )


def _asked_sheet(plan: ExportPlan, chosen: Chosen, predicate: All, backend: str) -> Sheet:
    sheet = _sheet(plan, chosen, predicate, backend)
    return replace(sheet, columns=with_headers(sheet.columns, plan.request.rename))


def _whole_sheet(plan: ExportPlan, name: str, backend: str) -> Sheet:
    found = entity(name, plan.extensions)
    return _sheet(plan, choose(found), _always(found), backend)


def _warnings(
    output_format: Format[Any], chosen: Chosen, request: ExportRequest
) -> tuple[str, ...]:
    """Return what was asked for and is not done because the format cannot hold it.

    Raises:
        RequestError: it cannot leave out what is empty.
    """
    warnings = []
    if request.skip_blanks and not output_format.skips_blanks:
        sentence = (
            f"skip_blanks is for JSON only: in {output_format.title} all records have the same "
            "columns."
        )
        if not chosen.entity.model.__ignores_skip_blanks__:
            raise RequestError(f"{sentence} Leave it out, or export as JSON.")
        warnings.append(f"{sentence} It was ignored.")
    deeper = () if output_format.nests else levels_left_out(chosen)
    if deeper:
        warnings.append(
            f"{output_format.title} holds one level of related resources: {one_of(deeper)} "
            "is left out. JSON holds all."
        )
    return tuple(warnings)


def _max_records(request: ExportRequest) -> int | None:
    limits = [limit for limit in (request.max_records, settings.max_records()) if limit is not None]
    if any(limit < 1 for limit in limits):
        raise RequestError(f"max_records must be 1 or more, not {min(limits)}.")
    return min(limits, default=None)


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
