"""SQL of an export: which columns, which rows, in which order, and what is related to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, String, bindparam, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.types import TypeEngine

from export_pipelines.artifacts import FIRST_KEY, LAST_KEY, Statement
from export_pipelines.catalog.entities import Entity, Relation
from export_pipelines.catalog.joins import Joins, listed
from export_pipelines.catalog.models.pim import ProductExtensionValue
from export_pipelines.catalog.models.types import Key
from export_pipelines.catalog.predicates import All

SETTING_PREFIX = "export_pipelines"
"""Namespace of the Postgres session settings that carry a statement's parameters."""


@dataclass(frozen=True)
class KeyRange:
    """Rows from one key, included, to another, not included; None for no bound."""

    first: str | None
    end: str | None


def build_select(
    entity: Entity, stored: Sequence[str], predicate: All, keys: KeyRange | None = None
) -> Select[Any]:
    """Return the statement that yields an export's rows in the order of their primary key.

    Args:
        entity: the resource type.
        stored: stored columns, such as `email` and `customer.email`.
        predicate: which rows.
        keys: of these, only rows with a key in the range.
    """
    joins = Joins(entity)
    conditions = [condition.sql(joins) for condition in predicate.conditions]
    if keys and keys.first is not None:
        conditions.append(entity.key >= keys.first)
    if keys and keys.end is not None:
        conditions.append(entity.key < keys.end)
    return _select(joins, stored, conditions).order_by(entity.key)


def build_key_at(entity: Entity, predicate: All, row: int) -> Select[Any]:
    """Return the statement that yields the key of one row of an export, counted from 0."""
    return build_select(entity, [entity.key.name], predicate).offset(row).limit(1)


class Owners:
    """The records of a chunk, for the statements that read what is related to them.

    The chunk is all records of an export from the parameter `FIRST_KEY` to `LAST_KEY`.
    """

    def __init__(self, entity: Entity, predicate: All) -> None:
        """Begin with the resource type that is exported."""
        self.entity = entity
        self._predicate = predicate

    def values(self, source: str) -> Select[Any]:
        """Return the statement that yields a stored column of the records."""
        joins = Joins(self.entity, self.entity.table.alias())
        # It stands in a condition of a statement that may read the same tables.
        return _select(joins, [source], self._conditions(joins)).correlate(None)

    def select(self, stored: Sequence[str]) -> Select[Any]:
        """Return the statement that yields stored columns of the records, in any order."""
        joins = Joins(self.entity)
        return _select(joins, stored, self._conditions(joins))

    def related(self, path: Sequence[str], relation: Relation) -> "Owners":
        """Return the records of a multiple relation.

        Args:
            path: the singular relations from these records to those that have the relation.
            relation: the relation.
        """
        return _RelatedOwners(self, path, relation)

    def _conditions(self, joins: Joins) -> "list[ColumnElement[bool]]":
        key = joins.table.c[self.entity.key.name]
        return [*(each.sql(joins) for each in self._predicate.conditions), key.between(*_bounds())]

    def are_all_in(self, source: str) -> bool:
        """Return whether the chunk is all records from its first key to its last, by that column.

        What refers to them is then found without reading them again, a fifth faster.
        """
        return not self._predicate.conditions and source == self.entity.key.name


def _bounds() -> tuple[Any, Any]:
    first, last = (bindparam(name, type_=Key, value="") for name in (FIRST_KEY, LAST_KEY))
    return first, last


class _RelatedOwners(Owners):
    def __init__(self, owners: Owners, path: Sequence[str], relation: Relation) -> None:
        owner = owners.entity
        for name in path:
            owner = owner.related(name)
        super().__init__(owner.related(relation.name), All())
        self._owners = owners
        (self._step,) = relation.steps
        self._owner = "".join(f"{name}." for name in path) + self._step.local

    def are_all_in(self, source: str) -> bool:
        """Return False: the keys of related records have others between them."""
        del source
        return False

    def _conditions(self, joins: Joins) -> "list[ColumnElement[bool]]":
        reference = joins.table.c[self._step.remote]
        if self._owners.are_all_in(self._owner):
            return [reference.between(*_bounds())]
        return [reference.in_(self._owners.values(self._owner))]


def build_extension_values(owners: Owners, fields: Sequence[str]) -> Select[Any]:
    """Return the statement that yields product, field and value of custom fields.

    Args:
        owners: the products.
        fields: ids of the custom fields.
    """
    values = ProductExtensionValue.__table__
    return select(values.c.product_id, values.c.field_id, values.c.value).where(
        values.c.product_id.in_(owners.values("id")),
        values.c.field_id.in_(listed(values.c.field_id, fields)),
    )


def _select(
    joins: Joins, stored: Sequence[str], conditions: "Sequence[ColumnElement[bool]]"
) -> Select[Any]:
    columns = [joins.value(name) for name in stored]
    return select(*columns).select_from(joins.source).where(*conditions)


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
    _backslash_escapes = False  # as servers have it: standard_conforming_strings is on
    supports_statement_cache = False


_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": _SettingsDialect(paramstyle="named"),  # type: ignore[no-untyped-call]
}
