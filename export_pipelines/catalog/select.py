"""From a request's names to SQL: which columns, which rows, in which order."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, Select, String, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.types import TypeEngine

from export_pipelines.artifacts import Statement
from export_pipelines.catalog.entities import Entity, Field
from export_pipelines.catalog.predicates import All
from export_pipelines.errors import RequestError, one_of

SETTING_PREFIX = "export_pipelines"
"""Namespace of the Postgres session settings that carry a statement's parameters."""


def choose_fields(
    entity: Entity, fields: Sequence[str] = (), exclude_fields: Sequence[str] = ()
) -> tuple[Field, ...]:
    """Return the fields of an export in the order asked for; all of them if none are named.

    Raises:
        RequestError: a field does not exist, is named twice or both chosen and excluded, or none
            is left.
    """
    both = [name for name in fields if name in exclude_fields]
    if both:
        raise RequestError(
            f"{one_of(both)} cannot be in both fields and exclude_fields: keep one of the two."
        )
    twice = sorted({name for name in fields if fields.count(name) > 1})
    if twice:
        raise RequestError(f"fields names {one_of(twice)} more than once.")
    for name in exclude_fields:
        entity.field(name, "exclude_fields")
    chosen = [entity.field(name, "fields") for name in fields or entity.fields]
    kept = tuple(found for found in chosen if found.name not in exclude_fields)
    if not kept:
        raise RequestError(f"exclude_fields leaves no field of {entity.name} to export.")
    return kept


def build_select(entity: Entity, fields: Sequence[Field], predicate: All) -> Select[Any]:
    """Return the statement that yields an export's rows in the order of their primary key."""
    columns = [found.expression.label(found.name) for found in fields]
    chosen = select(*columns).select_from(entity.table).order_by(entity.key)
    return chosen.where(*(condition.sql() for condition in predicate.conditions))


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

    def bindparam_string(self, name: str, **options: Any) -> str:
        """Return the expression that stands for a parameter."""
        super().bindparam_string(name, **options)
        bound = self.binds[name].type.dialect_impl(self.dialect)
        # A cast to varchar(n) would cut a longer value and match what it should not.
        kind = "TEXT" if isinstance(bound, String) else self.process_type(bound)
        return f"CAST(current_setting('{SETTING_PREFIX}.{name}') AS {kind})"


class _SettingsDialect(postgresql.dialect):  # type: ignore[misc]
    statement_compiler = _SettingsCompiler
    supports_statement_cache = False


_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": _SettingsDialect(paramstyle="named"),
}
