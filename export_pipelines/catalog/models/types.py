"""Column types and column factories that every table shares."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Dialect,
    ForeignKey,
    String,
    Text,
    TypeDecorator,
    types,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import MappedColumn, mapped_column
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)

# Exports list a table's columns in this order: own attributes, foreign keys, then what all share.
FOREIGN_KEYS = 100
REFERENCES = 200
TIMESTAMPS = 300

Key = String(36).with_variant(String(36, collation="C"), "postgresql")
"""A UUIDv7 text. Compared byte by byte on every database, so key order is storage order."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime with millisecond precision; finer digits are cut off.

    SQLite stores integer milliseconds since 1970, Postgres `timestamptz(3)`.

    Raises:
        ValueError: a value has no time zone.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose integer milliseconds or the database's own timestamps."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True, precision=3))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Turn an aware datetime into what the database stores."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: give it one, such as timezone.utc.")
        milliseconds = (value - _EPOCH) // _MILLISECOND
        if dialect.name == "postgresql":
            return _EPOCH + milliseconds * _MILLISECOND
        return milliseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Turn what the database stores into an aware UTC datetime."""
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(timezone.utc)
        return _EPOCH + int(value) * _MILLISECOND


class _PostgresJson(types.UserDefinedType[Any]):
    """Postgres `json`: unlike `jsonb` it keeps the text as it was written."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "JSON"


class Json(TypeDecorator[Any]):
    """A JSON document, stored as compact text that keeps the order of its keys.

    `None` is SQL NULL. Both databases give the same text back, byte for byte.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose Postgres `json` or text."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(_PostgresJson())
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Serialise without blanks and without escaping letters."""
        return None if value is None else compact_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Parse the text, unless the driver already did."""
        if value is None or (dialect.name == "postgresql" and dialect.driver == "psycopg2"):
            return value
        return json.loads(value)


class StringList(Json):
    """A JSON list of texts, such as tags. An empty list is not NULL."""

    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str | None:
        """Serialise; refuse what is not a list of texts."""
        if value is None:
            return None
        if isinstance(value, str) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"Expected a list of texts, got {value!r}.")
        return compact_json(list(value))


@dataclass(frozen=True)
class Amount:
    """What the entity layer derives from a column of minor units named `<name>_cents`.

    Attributes:
        decimal: name of the one derived decimal number; None derives `<name>_float` and
            `formatted_<name>`.
    """

    decimal: str | None = None


@dataclass(frozen=True)
class SlugOf:
    """A new row's text that is made of another of its fields, in letters, digits and dashes."""

    field: str


SHOP_CURRENCY = object()
"""What stands for the shop's own currency among the values that new rows get."""


def compact_json(value: Any) -> str:
    """Return the JSON text that `Json` columns store."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def amount(*, decimal: str | None = None, index: bool = False) -> MappedColumn[Any]:
    """Declare a column of integer minor units of the row's `currency_code`.

    The column must be named `<name>_cents`; whether it is nullable follows from its annotation.
    """
    return mapped_column(BigInteger, info={"amount": Amount(decimal)}, index=index)


def choice(*values: str, index: bool = False) -> MappedColumn[Any]:
    """Declare a column that holds one of `values`; the table checks it."""
    return mapped_column(String(32), info={"values": values}, index=index)


def foreign_key(
    table: str, *, primary_key: bool = False, unique: bool = False
) -> MappedColumn[Any]:
    """Declare an indexed reference to the `id` of `table`."""
    return mapped_column(
        Key,
        ForeignKey(f"{table}.id"),
        primary_key=primary_key,
        index=not primary_key,
        unique=unique,
        sort_order=FOREIGN_KEYS,
    )
