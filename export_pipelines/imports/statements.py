"""The SQL of an import: which rows are new or changed, which cannot be, and how all are written.

Rows wait in the temporary table `import_rows`; `import_plan` has them again, each with the key of
the row that it is about, if there is one, and whether it changes that. Everything below is about
these two and the catalogue's own tables.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ClauseElement,
    Column,
    ColumnElement,
    FromClause,
    MetaData,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)

from export_pipelines.catalog.models.types import Json
from export_pipelines.imports.custom_statements import CustomStatements
from export_pipelines.imports.headers import upsert_keys
from export_pipelines.imports.shape import Shape, insert_into, same, sql_text

ROWS = "import_rows"
PLAN = "import_plan"
FAILED = "import_failed"


_OWN = ("id", "created_at", "updated_at")


class Statements:
    """The statements of one import, as SQL."""

    def __init__(self, shape: Shape) -> None:
        """Describe the temporary tables of rows of this shape."""
        self._shape = shape
        self._table = shape.entity.table
        self._rows = self._temporary(ROWS)
        self._plan = self._temporary(
            PLAN, Column("matched", self._table.c.id.type), Column("changed", Boolean())
        )
        self.custom = CustomStatements(shape, self._plan)

    @property
    def usable_keys(self) -> tuple[tuple[str, ...], ...]:
        """What rows can be recognized by, in the order in which it is tried."""
        columns = set(self._shape.columns) - (set() if self._shape.given_id else {"id"})
        return tuple(key for key in upsert_keys(self._shape.entity) if columns.issuperset(key))

    def sql(self, statement: ClauseElement) -> str:
        """Return a statement's text in the dialect of the database, with its constants."""
        return sql_text(statement, self._shape.backend)

    def lock(self) -> str:
        """Return what keeps all others from writing the table, and nobody from reading it."""
        if self._shape.backend == "sqlite":
            return "BEGIN IMMEDIATE"
        return f"LOCK TABLE {self._table.name} IN SHARE ROW EXCLUSIVE MODE"

    def plan(self) -> str:
        """Return what makes the plan: each row, the row that it is about, and what it changes."""
        table, rows = self._table, self._rows
        compared = [name for name in self._shape.columns if self._updates(name)]
        differences = [
            and_(self._said(rows, name), self._stored(name).is_distinct_from(rows.c[name]))
            for name in compared
        ]
        changed = case((table.c.id.is_(None), false()), else_=or_(false(), *differences))
        joined = rows.outerjoin(table, self._is_same(table.c.id, self._found()))
        statement = select(*rows.c, table.c.id.label("matched"), changed.label("changed"))
        return f"CREATE TEMPORARY TABLE {PLAN} AS {self.sql(statement.select_from(joined))}"

    def counts(self) -> str:
        """Return what counts the rows, and of these the new and the changed ones."""
        plan = self._plan
        created = func.count().filter(plan.c.matched.is_(None))
        updated = func.count().filter(plan.c.matched.is_not(None), plan.c.changed)
        return self.sql(select(func.count(), created, updated).select_from(plan))

    def repeated(self, key: Sequence[str]) -> str:
        """Return what finds the rows that share a key with another row of the file."""
        plan = self._plan
        columns = [plan.c[name] for name in key]
        several = (
            select(*columns)
            .where(*(column.is_not(None) for column in columns))
            .group_by(*columns)
            .having(func.count() > 1)
            .subquery()
        )
        same = and_(*(plan.c[name] == several.c[name] for name in key))
        return self.sql(
            select(plan.c.row_number, *(cast(column, Text()) for column in columns))
            .join(several, same)
            .order_by(*columns, plan.c.row_number)
        )

    def repeated_matches(self) -> str:
        """Return what finds the rows that are about the same row by different keys."""
        return self.repeated(("matched",))

    def taken(self, key: Sequence[str]) -> str:
        """Return what finds the rows whose key another row of the catalogue has."""
        plan, table = self._plan, self._table
        same = and_(*(self._is_same(table.c[name], plan.c[name]) for name in key))
        return self.sql(
            select(plan.c.row_number, *(cast(plan.c[name], Text()) for name in key))
            .join(table, same)
            .where(plan.c.changed, ~self._is_same(table.c.id, plan.c.matched))
            .order_by(plan.c.row_number)
        )

    @cached_property
    def references(self) -> Mapping[str, Column[Any]]:
        """The columns of a file that refer to rows of other tables, and what they refer to."""
        return {
            name: next(iter(self._table.c[name].foreign_keys)).column
            for name in self._shape.columns
            if self._table.c[name].foreign_keys
        }

    def refers_to_itself(self, name: str) -> bool:
        """Return whether a reference is to the table of the rows."""
        return self.references[name].table is self._table

    def unresolved(self, name: str) -> str:
        """Return what finds the rows that refer to something that is not there."""
        plan, target = self._plan, self.references[name]
        known = target.table.alias()
        there = exists().where(self._is_same(known.c[target.name], plan.c[name]))
        conditions: list[ColumnElement[bool]] = [
            plan.c[name].is_not(None),
            self._written(),
            ~there,
        ]
        if self.refers_to_itself(name):
            other = plan.alias()
            conditions.append(plan.c[name].not_in(select(other.c.id)))
        return self.sql(
            select(plan.c.row_number, cast(plan.c[name], Text()))
            .where(*conditions)
            .order_by(plan.c.row_number)
        )

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that a new row needs and that a file, or some of its rows, do not have."""
        return tuple(
            column.name
            for column in self._table.c
            if not column.nullable
            and column.name not in self._shape.defaults
            and column.name not in self._shape.made
            and column.name not in _OWN
            and (column.name not in self._shape.columns or column.name in self._shape.absent)
        )

    def incomplete(self, name: str) -> str:
        """Return what finds the new rows that lack a column they need."""
        plan = self._plan
        conditions: list[ColumnElement[bool]] = [plan.c.matched.is_(None)]
        if name in self._shape.columns:
            conditions.append(~self._said(plan, name))
        return self.sql(select(plan.c.row_number).where(*conditions).order_by(plan.c.row_number))

    def other_currency(self) -> str:
        """Return what finds the rows of a currency other than the one that amounts were read in."""
        plan, table = self._plan, self._table
        conditions = [plan.c.changed, table.c.currency_code != literal(self._shape.currency)]
        if "currency_code" in self._shape.columns:
            conditions.append(plan.c.currency_code.is_(None))
        return self.sql(
            select(plan.c.row_number, table.c.currency_code)
            .join(table, self._is_same(table.c.id, plan.c.matched))
            .where(*conditions)
            .order_by(plan.c.row_number)
        )

    def leave_out(self, table: str) -> str:
        """Return what takes rows out of the plan; `table` has their numbers."""
        return f"DELETE FROM {PLAN} WHERE row_number IN (SELECT row_number FROM {table})"  # noqa: S608

    def write(self) -> str:
        """Return what creates the new rows and updates the changed ones."""
        table, plan, shape = self._table, self._plan, self._shape
        values = {"id": func.coalesce(plan.c.matched, plan.c.id), **self._written_values()}
        source: FromClause = plan
        if self._needs_stored:
            source = plan.outerjoin(table, self._is_same(table.c.id, plan.c.matched))
        chosen = select(*values.values()).select_from(source).where(self._written())
        insert = insert_into(shape.backend, table).from_select(list(values), chosen)
        updated = [name for name in shape.columns if self._updates(name)]
        updates = {name: insert.excluded[name] for name in (*updated, "updated_at")}
        return self.sql(insert.on_conflict_do_update(index_elements=["id"], set_=updates))

    def _temporary(self, name: str, *more: Column[Any]) -> Table:
        columns = [Column(each, self._kept_type(each)) for each in self._shape.columns]
        return Table(
            name,
            MetaData(),
            Column("row_number", BigInteger()),
            *columns,
            Column("absent", Text()),
            *more,
        )

    def _kept_type(self, name: str) -> Any:
        kind = self._table.c[name].type
        return Text() if isinstance(kind, Json) else kind

    def _updates(self, name: str) -> bool:
        return name not in _OWN and name not in self._shape.create_only

    def _written(self) -> ColumnElement[bool]:
        return or_(self._plan.c.matched.is_(None), self._plan.c.changed)

    def _found(self) -> ColumnElement[Any]:
        """Return the key of the row that a row is about: that of the first key that is known."""
        candidates = []
        for key in self.usable_keys:
            known = self._table.alias()
            same = and_(*(self._is_same(known.c[name], self._rows.c[name]) for name in key))
            candidates.append(select(known.c.id).where(same).scalar_subquery())
        return func.coalesce(*candidates) if len(candidates) > 1 else candidates[0]

    def _is_same(
        self, stored: ColumnElement[Any], given: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        return same(stored, given, self._shape.backend)

    def _stored(self, name: str) -> ColumnElement[Any]:
        column = self._table.c[name]
        # Postgres does not compare JSON; its text is kept as it was written.
        return cast(column, Text()) if isinstance(column.type, Json) else column

    def _said(self, rows: Table, name: str) -> ColumnElement[bool]:
        """Return whether a row says something about a column."""
        if name not in self._shape.absent:
            return true()
        find = func.instr if self._shape.backend == "sqlite" else func.strpos
        return func.coalesce(find(rows.c.absent, f",{name},"), 0) == 0

    @property
    def _needs_stored(self) -> bool:
        some = self._shape.absent - self._shape.create_only - set(_OWN)
        return bool(some) or bool(self._kept)

    @cached_property
    def _kept(self) -> tuple[str, ...]:
        """Columns that an update must repeat: they cannot be empty and have no default."""
        return tuple(name for name in self.required if name not in self._shape.columns)

    def _written_values(self) -> dict[str, ColumnElement[Any]]:
        table, plan, shape = self._table, self._plan, self._shape
        now = cast(literal(shape.now, table.c.created_at.type), table.c.created_at.type)
        values: dict[str, ColumnElement[Any]] = {}
        for name in shape.columns:
            if name in _OWN:
                continue
            given: ColumnElement[Any] = plan.c[name]
            if name in shape.absent and name not in shape.create_only:
                kept = func.coalesce(self._stored(name), given, self._default(name))
                given = case((self._said(plan, name), given), else_=kept)
            column = table.c[name]
            values[name] = cast(given, column.type) if isinstance(column.type, Json) else given
        for name in shape.defaults:
            if name not in shape.columns:
                values[name] = self._default(name)
        for name in self._kept:
            values[name] = table.c[name]
        for name in ("created_at", "updated_at"):
            first = func.coalesce(plan.c[name], now) if name in shape.columns else now
            values[name] = case((plan.c.matched.is_(None), first), else_=now)
        return values

    def _default(self, name: str) -> ColumnElement[Any]:
        kind = self._table.c[name].type
        return literal(self._shape.defaults.get(name), kind)
