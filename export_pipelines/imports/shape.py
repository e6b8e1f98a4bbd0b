"""What is known of the rows of an import before SQL is made of it, and how that becomes text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect

from export_pipelines.catalog.entities import Entity


class _PostgresDialect(PGDialect):
    _backslash_escapes = False  # as servers have it: standard_conforming_strings is on
    supports_statement_cache = False


_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": _PostgresDialect(paramstyle="named"),  # type: ignore[no-untyped-call]
}


@dataclass(frozen=True)
class Shape:
    """What is known of the rows of a file before they are compared with the catalogue.

    Attributes:
        entity: what they are.
        backend: `sqlite` or `postgresql`.
        columns: the columns that they have.
        given_id: whether the file has ids; otherwise each row has a new one.
        absent: columns that some rows say nothing about.
        create_only: columns that only new rows get.
        made: columns that were made for rows that do not have them, in case they are new.
        defaults: what new rows get in columns that they say nothing about.
        custom: the ids of the custom fields that the file has.
        now: the time of the import.
        currency: what amounts were read in where a row does not say; empty without amounts.
    """

    entity: Entity
    backend: str
    columns: tuple[str, ...]
    given_id: bool
    absent: frozenset[str]
    create_only: frozenset[str]
    made: frozenset[str]
    defaults: Mapping[str, Any]
    custom: tuple[str, ...]
    now: Any
    currency: str = ""


def sql_text(statement: ClauseElement, backend: str) -> str:
    """Return a statement's text in the dialect of a database, with its constants."""
    compiled = statement.compile(dialect=_DIALECTS[backend], compile_kwargs={"literal_binds": True})
    return str(compiled)


def insert_into(backend: str, table: Table) -> Any:
    """Return the INSERT of a dialect, which knows ON CONFLICT."""
    return sqlite.insert(table) if backend == "sqlite" else postgresql.insert(table)


def same(
    stored: ColumnElement[Any], given: ColumnElement[Any], backend: str
) -> ColumnElement[bool]:
    """Compare a column with a temporary one, in the former's collation, as its index does."""
    found: ColumnElement[bool] = stored == collated(stored, given, backend)
    return found


def collated(stored: ColumnElement[Any], given: ColumnElement[Any], backend: str) -> Any:
    """Return a temporary column in the collation of a stored one."""
    if backend == "sqlite":
        return given
    kind = stored.type.dialect_impl(_DIALECTS["postgresql"])
    collation = getattr(kind, "collation", None)
    return given.collate(collation) if collation else given
