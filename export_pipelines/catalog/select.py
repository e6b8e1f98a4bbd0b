"""From a request's names to SQL: which columns, which rows, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Select, String, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.types import TypeEngine

from export_pipelines.artifacts import Statement
from export_pipelines.catalog.entities import Entity, Field
from export_pipelines.catalog.predicates import All
from export_pipelines.errors import RequestError, one_of

SETTING_PREFIX = "export_pipelines"
"""Namespace of the Postgres session settings that carry a statement's parameters."""


@dataclass(frozen=True)
class KeyRange:
    """Rows from one key, included, to another, not included; None for no bound."""

    first: str | None
    end: str | None


def choose_fields(
    entity: Entity, fields: Sequence[str] = (), exclude_fields: Sequence[str] = ()
) -> tuple[Field, ...]:
    """Return the fields of an export in the order asked for; all of them if none are named.

    Raises:
        RequestError: a field does not exist, is named twice or both chosen and excluded, or none
            is left.
    """
    for name in exclude_fields:
        entity.field(name, "exclude_fields")
    chosen = [entity.field(name, "fields") for name in fields or entity.fields]
    both = sorted({name for name in fields if name in exclude_fields})
    if both:
        raise RequestError(
            f"{one_of(both)} cannot be in both fields and exclude_fields: keep one of the two."
        )
    twice = sorted({name for name in fields if fields.count(name) > 1})
    if twice:
        raise RequestError(f"fields names {one_of(twice)} more than once: name each field once.")
    kept = tuple(found for found in chosen if found.name not in exclude_fields)
    if not kept:
        raise RequestError(
            f"exclude_fields leaves no field of {entity.name} to export: exclude fewer."
        )
    return kept


def stored_fields(entity: Entity, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields that must be read for `fields`: derived ones give way to their sources."""
    names: dict[str, None] = {}
    for found in fields:
        derived = found.derivation
        names.update(dict.fromkeys((derived.cents, derived.currency) if derived else (found.name,)))
    return tuple(entity.fields[name] for name in names)


def build_select(
    entity: Entity, fields: Sequence[Field], predicate: All, keys: KeyRange | None = None
) -> Select[Any]:
    """Return the statement that yields an export's rows in the order of their primary key.

    Args:
        entity: the resource type.
        fields: stored fields.
        predicate: which rows.
        keys: of these, only rows with a key in the range.
    """
    columns = [entity.table.c[found.name] for found in fields]
    chosen = select(*columns).order_by(entity.key)
    chosen = chosen.where(*(condition.sql() for condition in predicate.conditions))
    if keys and keys.first is not None:
        chosen = chosen.where(entity.key >= keys.first)
    if keys and keys.end is not None:
        chosen = chosen.where(entity.key < keys.end)
    return chosen


def build_key_at(entity: Entity, predicate: All, row: int) -> Select[Any]:
    """Return the statement that yields the key of one row of an export, counted from 0."""
    return build_select(entity, [entity.fields[entity.key.name]], predicate).offset(row).limit(1)


def compile_select(statement: Select[Any], backend: str) -> Statement:
    """Return the statement for `sqlite` or `postgresql`; values become bound parameters only."""
    dialect = _DIALECTS[backend]
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    names = compiled.positiontup if backend == "sqlite" else list(compiled.params)
    parameters = tuple(
        (name, _stored(compiled.params[name], compiled.binds[name].type, dialect))
        for name in names or ()
    )
    return Statement(str(compiled), parameters)


def _stored(value: Any, value_type: TypeEngine[Any], dialect: Dialect) -> Any:
    process = value_type.dialect_impl(dialect).bind_processor(dialect)
    return process(value) if process else value


class _SettingsCompiler(PGCompiler):
    """Reads each parameter from a session setting.

    The driver streams a result only through COPY, which takes no parameters; with them it would
    hold the whole result in memory (1.7 GB for a million products).
    """

    def process_type(self, kind: TypeEngine[Any]) -> str:
        """Return a type's name in SQL."""
        return str(self.dialect.type_compiler_instance.process(kind))

    def bindparam_string(self, name: str, *args: Any, **options: Any) -> str:
        """Return the expression that stands for a parameter."""
        super().bindparam_string(name, *args, **options)
        bound = self.binds[name].type.dialect_impl(self.dialect)
        # A cast to varchar(n) would cut a longer value and match what it should not.
        kind = "TEXT" if isinstance(bound, String) else self.process_type(bound)
        return f"CAST(current_setting('{SETTING_PREFIX}.{name}') AS {kind})"


class _SettingsDialect(PGDialect):
    statement_compiler = _SettingsCompiler
    supports_statement_cache = False


_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": _SettingsDialect(paramstyle="named"),  # type: ignore[no-untyped-call]
}
