"""Any rows that a table of the catalogue can hold, awkward ones too."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Column, Connection, String, Table

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.entities import TABLES
from export_pipelines.catalog.keys import format_key
from export_pipelines.catalog.models import Base
from export_pipelines_tests.contracts.frames import TEXTS, values_of

ORDER = ("extension_templates", "extension_fields", "suppliers", "products", "customers", "skus")
"""Tables that are generated, those first that others refer to."""

_KEYS = st.builds(format_key, st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
_CODES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "XXX"])
_AMOUNTS = st.integers(-(2**50), 2**50)
"""Larger ones are not exact as decimal numbers, which exports have beside them."""

_FORMS: Mapping[str, st.SearchStrategy[Any]] = {
    "currency_code": _CODES,
    "country_code": st.sampled_from(["DE", "FR", "JP"]),
    "slug": st.from_regex(r"[a-z0-9._-]{1,20}", fullmatch=True),
    "is_bundle": st.just(value=False),
}

_CUSTOM = "product_extension_values"
_CUSTOM_VALUES: Mapping[str, st.SearchStrategy[str | None]] = {
    "string": TEXTS,
    "integer": st.integers(-(2**63), 2**63 - 1).map(str),
    "float": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "boolean": st.sampled_from(["true", "false", "", None]),
    "date": st.dates().map(lambda day: day.isoformat()),
}

Catalogue = dict[str, list[dict[str, Any]]]


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    """Make rows of some tables that refer to each other."""
    made: Catalogue = {}
    for name in ORDER:
        table = TABLES[name].table
        unique = [column.name for column in table.c if column.unique] + ["id"]
        row = _rows(table, made)
        rows = [] if row.is_empty else draw(st.lists(row, max_size=6))
        made[name] = _distinct(rows, unique)
    made["extension_fields"] = _distinct(made["extension_fields"], ["slug"])
    made[_CUSTOM] = [
        {"product_id": product["id"], "field_id": field["id"], "value": draw(_CUSTOM_VALUES[kind])}
        for product in made["products"]
        for field in made["extension_fields"]
        if (kind := field["type"]) and draw(st.booleans())
    ]
    return made


def _rows(table: Table, made: Catalogue) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({column.name: _values(column, made) for column in table.c})


def _values(column: "Column[Any]", made: Catalogue) -> st.SearchStrategy[Any]:
    found = _present(column, made)
    return st.none() | found if column.nullable else found


def _present(column: "Column[Any]", made: Catalogue) -> st.SearchStrategy[Any]:
    if column.primary_key:
        return _KEYS
    if column.foreign_keys:
        target = next(iter(column.foreign_keys)).column.table.name
        known = [row["id"] for row in made.get(target, [])]
        return st.sampled_from(known) if known else st.nothing()
    if column.name in _FORMS:
        return _FORMS[column.name]
    if "values" in column.info:
        return st.sampled_from(column.info["values"])
    if "amount" in column.info:
        return _AMOUNTS
    kind = TABLES[column.table.name].stored_fields[column.name].type
    if kind is FieldType.STRING:
        length = column.type.length if isinstance(column.type, String) else None
        return TEXTS.map(lambda text: text[:length])
    if kind in (FieldType.JSON, FieldType.LIST):
        # Documents are objects or lists; what is neither is not told from a text in JSON.
        return values_of(kind).map(json.loads).filter(lambda value: isinstance(value, (dict, list)))
    found = values_of(kind)
    return found.filter(math.isfinite) if kind is FieldType.NUMBER else found


def _distinct(rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> list[dict[str, Any]]:
    """Leave out rows that share a value that no two rows may share."""
    seen: set[tuple[str, Any]] = set()
    kept = []
    for row in sorted(rows, key=lambda row: str(row["id"])):
        values = {(name, row[name]) for name in unique if row[name] is not None}
        if not values & seen:
            seen |= values
            kept.append(row)
    return kept


def insert(connection: Connection, made: Catalogue) -> None:
    """Put generated rows into a database."""
    for name in (*ORDER, _CUSTOM):
        if made.get(name):
            connection.execute(Base.metadata.tables[name].insert(), made[name])
