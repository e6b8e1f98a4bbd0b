"""The tables of one SELECT: a resource type's own, and those that its relations lead to."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    FromClause,
    Select,
    String,
    Text,
    TypeDecorator,
    bindparam,
    cast,
    exists,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.currencies import decimal_amount_sql
from export_pipelines.catalog.entities import Entity, Field, Relation
from export_pipelines.catalog.models.pim import ProductExtensionValue


class Joins:
    """A resource type's table, outer-joined once with that of each singular relation in use.

    The row of a relation that is not there has nothing but NULLs, as an attribute of a missing
    record is empty.
    """

    def __init__(self, entity: Entity, table: FromClause | None = None) -> None:
        """Begin with the table alone; `table` may be an alias of it."""
        self.entity = entity
        self.table: FromClause = entity.table if table is None else table
        self.source: FromClause = self.table
        """All tables so far, for the FROM clause."""
        self._joined: dict[tuple[str, ...], FromClause] = {(): self.table}

    def value(self, source: str) -> "ColumnElement[Any]":
        """Return a stored column, such as `email` or `customer.email`."""
        *path, name = source.split(".")
        return self.table_at(path).c[name]

    def table_at(self, path: Sequence[str]) -> FromClause:
        """Return the table that singular relations lead to."""
        where = tuple(path)
        if where not in self._joined:
            owner = self.table_at(where[:-1])
            entity = self.entity
            for relation in where[:-1]:
                entity = entity.related(relation)
            (step,) = entity.relations[where[-1]].steps
            joined = step.table.alias()
            condition = owner.c[step.local] == joined.c[step.remote]
            self.source = self.source.outerjoin(joined, condition)
            self._joined[where] = joined
        return self._joined[where]

    def expression(self, field: Field) -> "ColumnElement[Any]":
        """Return the SQL of a field that filters can be about."""
        if field.extension:
            return self._extension(field.extension)
        if field.derivation is None:
            return self.value(field.source)
        cents = self.value(field.derivation.cents)
        if field.derivation.less:
            cents = cents - self.value(field.derivation.less)
        return decimal_amount_sql(cents, self.value(field.derivation.currency))

    def any_related(
        self,
        path: Sequence[str],
        relation: Relation,
        condition: "Callable[[Joins], ColumnElement[bool]]",
    ) -> "ColumnElement[bool]":
        """Return whether at least one record of a multiple relation meets a condition.

        Args:
            path: the singular relations that lead to the owner.
            relation: a relation of the owner.
            condition: makes the condition from the tables that it may use.
        """
        owner: FromClause = self.table_at(path)
        tables = [step.table.alias() for step in relation.steps]
        links = []
        for step, table in zip(relation.steps, tables, strict=True):
            links.append(owner.c[step.local] == table.c[step.remote])
            owner = table
        entity = self.entity
        for name in path:
            entity = entity.related(name)
        inner = Joins(entity.related(relation.name), tables[-1])
        met = condition(inner)
        found: Select[Any] = select(literal_column("1")).select_from(inner.source, *tables[:-1])
        own = (*tables[:-1], *inner.tables)
        return exists(found.where(*links, met).correlate_except(*own))

    @property
    def tables(self) -> tuple[FromClause, ...]:
        """All tables so far."""
        return tuple(self._joined.values())

    def _extension(self, found: ExtensionField) -> "ColumnElement[Any]":
        values = ProductExtensionValue.__table__.alias()
        return (
            select(values.c.value)
            .where(values.c.product_id == self.table.c.id, values.c.field_id == found.id)
            .scalar_subquery()
        )


def listed(expression: "ColumnElement[Any]", values: Sequence[Any]) -> Select[Any]:
    """Return values for `expression.in_`, however many: one bound parameter holds them all.

    Postgres would read a parameter each from the session again for every row.
    """
    kind = expression.type
    bound = bindparam(None, list(values), _Values(kind), unique=True)
    member: ColumnElement[Any] = _Members(bound).table_valued("value").c.value
    # A cast to varchar(n) would cut a longer value and match what it should not.
    return select(cast(member, Text() if isinstance(kind, String) else kind))


class _Values(TypeDecorator[Any]):
    """Values of one type, as a JSON array of what the database stores."""

    impl = Text
    cache_ok = False

    def __init__(self, kind: "TypeEngine[Any]") -> None:
        super().__init__()
        self._kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        process = self._kind.dialect_impl(dialect).bind_processor(dialect)
        stored = [process(each) if process else each for each in value]
        return json.dumps(stored, ensure_ascii=False, default=str)


class _Members(FunctionElement[Any]):
    """The members of a JSON array, a row each."""

    inherit_cache = True
    name = "members"


@compiles(_Members, "sqlite")
def _members_sqlite(element: _Members, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Members, "postgresql")
def _members_postgres(element: _Members, compiler: SQLCompiler, **options: Any) -> str:
    array = compiler.process(element.clauses, **options)
    return f"jsonb_array_elements_text(CAST({array} AS JSONB))"
