"""What an export must hold, worked out without the package: plain drivers, plain Python."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg2
import psycopg2.extras
from sqlalchemy import Boolean, Float, Integer, Table, make_url
from sqlalchemy.types import TypeEngine

from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.types import Json, StringList, UtcDateTime

Row = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (UtcDateTime, "time"),
    (StringList, "list"),
    (Json, "json"),
    (Boolean, "bool"),
    (Integer, "int"),
    (Float, "float"),
)
_NOT_AMOUNTS = {"report_amount_cents"}
_DECIMALS = {"price_cents": "price", "cost_price_cents": "cost_price"}
WRITTEN = {
    "BHD": ("BHD ", 3, ".", ","),
    "BRL": ("R$", 2, ",", "."),
    "CLP": ("$", 0, "", "."),
    "DKK": ("kr.", 2, ",", "."),
    "EUR": ("€", 2, ",", "."),
    "GBP": ("£", 2, ".", ","),
    "ISK": ("kr", 0, "", "."),
    "JOD": ("JOD ", 3, ".", ","),
    "JPY": ("¥", 0, "", ","),
    "KRW": ("₩", 0, "", ","),
    "KWD": ("KWD ", 3, ".", ","),
    "OMR": ("OMR ", 3, ".", ","),
    "TND": ("TND ", 3, ".", ","),
    "USD": ("$", 2, ".", ","),
    "VND": ("₫", 0, "", "."),
}


@dataclass(frozen=True)
class Expected:
    """The columns of an export, in order, and its rows."""

    kinds: Mapping[str, str]
    rows: Sequence[Row]


@cache
def expected_export(url: str, resource_type: str) -> Expected:
    """Read a table through its database's plain driver and add what is derived."""
    table = Base.metadata.tables[resource_type]
    stored = _rows(url, table)
    kinds: dict[str, str] = {}
    for column in table.columns:
        kinds[column.name] = kind_of(column.type)
        kinds |= _derived_kinds(column.name)
    rows = [_with_derived(row, kinds) for row in stored]
    if resource_type != "products":
        return Expected(kinds, rows)
    headers, values = _custom_fields(url)
    kinds |= dict.fromkeys(headers.values(), "text")
    empty = dict.fromkeys(headers.values())
    # Product bundles are never exported.
    rows = [{**row, **empty, **values.get(row["id"], {})} for row in rows if not row["is_bundle"]]
    return Expected(kinds, rows)


def kind_of(column_type: TypeEngine[Any]) -> str:
    """Name what a stored column's values are."""
    return next((kind for known, kind in _KINDS if isinstance(column_type, known)), "text")


def decimal_amount(cents: int | None, currency: str | None) -> float | None:
    """Return an amount in whole units."""
    return None if cents is None else cents / 10 ** _written(currency)[1]


def formatted_amount(cents: int | None, currency: str | None) -> str | None:
    """Return an amount as people write it."""
    if cents is None or currency is None:
        return None
    symbol, digits, mark, group = _written(currency)
    whole, _, fraction = f"{Decimal(abs(cents)).scaleb(-digits):,.{digits}f}".partition(".")
    return f"{'-' * (cents < 0)}{symbol}{whole.replace(',', group)}{mark}{fraction}"


def _custom_fields(url: str) -> tuple[dict[str, str], dict[str, dict[str, str | None]]]:
    """Return the headers of custom fields, and each product's values by header."""
    tables = Base.metadata.tables
    templates = {row["id"]: row["slug"] for row in _rows(url, tables["extension_templates"])}
    fields = _rows(url, tables["extension_fields"])
    fields = sorted(fields, key=lambda field: (field["template_id"], field["id"]))
    headers = {
        field["id"]: f"template:{templates[field['template_id']]}:{field['slug']}"
        for field in fields
    }
    values: dict[str, dict[str, str | None]] = {}
    for row in _rows(url, tables["product_extension_values"], order="product_id"):
        values.setdefault(row["product_id"], {})[headers[row["field_id"]]] = row["value"]
    return headers, values


def _rows(url: str, table: Table, order: str = "id") -> list[Row]:
    read = _sqlite_rows if url.startswith("sqlite") else _postgres_rows
    return read(url, table, order)


def _written(currency: str | None) -> tuple[str, int, str, str]:
    return WRITTEN.get(currency or "", (f"{currency} ", 2, ".", ","))


def _derived_kinds(name: str) -> dict[str, str]:
    if not name.endswith("_cents") or name in _NOT_AMOUNTS:
        return {}
    if name in _DECIMALS:
        return {_DECIMALS[name]: "float"}
    base = name.removesuffix("_cents")
    return {f"{base}_float": "float", f"formatted_{base}": "text"}


def _with_derived(row: Row, kinds: Mapping[str, str]) -> Row:
    derived: dict[str, Any] = {}
    for name in row:
        for target, kind in _derived_kinds(name).items():
            compute = decimal_amount if kind == "float" else formatted_amount
            derived[target] = compute(row[name], row["currency_code"])
    whole = {**row, **derived}
    return {name: whole[name] for name in kinds}


def _sqlite_rows(url: str, table: Table, order: str) -> list[Row]:
    connection = sqlite3.connect(str(make_url(url).database))
    connection.row_factory = sqlite3.Row
    try:
        found = connection.execute(f"SELECT * FROM {table.name} ORDER BY {order}").fetchall()
    finally:
        connection.close()
    convert: dict[str, Callable[[Any], Any]] = {
        "time": lambda value: _EPOCH + timedelta(milliseconds=value),
        "bool": bool,
        "float": float,
    }
    kinds = {column.name: kind_of(column.type) for column in table.columns}
    return [
        {
            name: row[name]
            if row[name] is None or kind not in convert
            else convert[kind](row[name])
            for name, kind in kinds.items()
        }
        for row in found
    ]


def _postgres_rows(url: str, table: Table, order: str) -> list[Row]:
    documents = {c.name for c in table.columns if kind_of(c.type) in ("json", "list")}
    columns = ", ".join(
        f'"{column.name}"::text AS "{column.name}"'
        if column.name in documents
        else f'"{column.name}"'
        for column in table.columns
    )
    connection = psycopg2.connect(url)
    try:
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(f'SELECT {columns} FROM {table.name} ORDER BY {order} COLLATE "C"')
            found = [dict(row) for row in cursor.fetchall()]
    finally:
        connection.close()
    return [
        {
            name: value.astimezone(timezone.utc) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in found
    ]
