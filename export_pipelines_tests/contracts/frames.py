"""Rows of every type with any values, and files that a format makes of them without a database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from io import BytesIO
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from export_pipelines.artifacts import (
    Column,
    ExportPlan,
    ExportRequest,
    FieldType,
    Part,
    Segment,
    Sheet,
    Statement,
)
from export_pipelines.catalog.columns import NESTING, spool_schema, written_frame
from export_pipelines.formats import FORMATS

COLUMNS = tuple(Column(kind.value, kind) for kind in FieldType if kind not in NESTING)

NESTED_COLUMNS = (
    *COLUMNS,
    Column("owner", FieldType.OBJECT, columns=COLUMNS),
    Column(
        "lines",
        FieldType.ARRAY,
        columns=(*COLUMNS, Column("options", FieldType.ARRAY, columns=COLUMNS[:2])),
    ),
)
"""Columns of every type at three levels."""

_UTC = timezone.utc
_AWKWARD = [
    *"\"',;|\t\r\n=+-@\\ _x",
    "\x01",
    "\x1f",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeff",
    "\uffff",
]
# Not NUL: Postgres stores none, and the csv module of Python 3.10 reads none.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.lists(st.sampled_from([*_AWKWARD, "_x0041_", "👩‍👧", "é", "0", "1", "e5"]), max_size=6).map(
        "".join
    ),
)
_DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
_TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(_UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def json_text(value: Any) -> str:
    """Return a document as the catalogue stores it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_VALUES: Mapping[FieldType, st.SearchStrategy[Any]] = {
    FieldType.STRING: TEXTS,
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.NUMBER: st.floats(),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATETIME: _TIMES,
    FieldType.JSON: _DOCUMENTS.map(json_text),
    FieldType.LIST: st.lists(TEXTS, max_size=3).map(json_text),
}


def values_of(kind: FieldType) -> st.SearchStrategy[Any]:
    """Make values of a type, as the catalogue stores them."""
    return _VALUES[kind]


def rows_of(columns: Sequence[Column] = COLUMNS) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Make rows; any value may be null."""
    return st.lists(_objects(columns), max_size=8)


def _objects(columns: Sequence[Column]) -> st.SearchStrategy[dict[str, Any]]:
    names = [column.name for column in columns]
    values = st.tuples(*map(_values, columns))
    return values.map(lambda found: dict(zip(names, found, strict=True)))


def _values(column: Column) -> st.SearchStrategy[Any]:
    if column.type is FieldType.ARRAY:
        return st.lists(_objects(column.columns), max_size=3)
    if column.type is FieldType.OBJECT:
        return st.none() | _objects(column.columns)
    return st.none() | _VALUES[column.type]


@dataclass(frozen=True)
class Made:
    """A file's bytes, and what had to be changed."""

    data: bytes
    warnings: tuple[tuple[str, int], ...]


def plan_of(
    format_name: str, *sheets: Sheet, options: Mapping[str, Any] | None = None, **changes: Any
) -> ExportPlan:
    """Return a plan for rows that come from nowhere."""
    values: dict[str, Any] = {
        "run_id": "run",
        "format": format_name,
        "options": FORMATS[format_name].options.model_validate(options or {}).model_dump(),
        "sheets": sheets,
        "request": ExportRequest(format_name),
        "time_zone": "UTC",
        "extensions": (),
        "max_rows_per_file": None,
        "compression": FORMATS[format_name].compressions[0],
        "file_name": "things",
        "part_name": "things-{part:05d}",
        "started_at": "2024-01-01T00:00:00Z",
    }
    return ExportPlan(**values | changes)


def sheet_of(columns: Sequence[Column] = COLUMNS, name: str = "things") -> Sheet:
    """Return a sheet of stored columns."""
    return Sheet(name, tuple(columns), tuple(columns), tuple(columns), Statement("SELECT"))


def made_file(
    format_name: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column] = COLUMNS,
    *,
    segment_rows: int = 3,
    skip_blanks: bool = False,
    **options: Any,
) -> Made:
    """Return one file of rows, encoded a few at a time."""
    sheet = replace(sheet_of(columns), skip_blanks=skip_blanks)
    plan = plan_of(format_name, sheet, options=options)
    output_format = FORMATS[format_name]
    chosen = output_format.options.model_validate(options)
    cuts = range(0, len(rows), segment_rows)
    pieces = [rows[start : start + segment_rows] for start in cuts]
    segments = tuple(
        Segment("", 0, start, len(piece)) for start, piece in zip(cuts, pieces, strict=True)
    )
    target = BytesIO()
    writer = output_format.open(target, Part(1, segments), plan, chosen)
    warnings: list[tuple[str, int]] = []
    for segment, piece in zip(segments, pieces, strict=True):
        table = pa.Table.from_pylist([dict(row) for row in piece], spool_schema(columns))
        encoded = output_format.encode(written_frame(table, sheet), segment, sheet, chosen)
        writer.write(segment, encoded)
        warnings += encoded.warnings
    writer.finish()
    return Made(target.getvalue(), tuple(warnings))
