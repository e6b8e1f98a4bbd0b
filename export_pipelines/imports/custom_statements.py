"""The SQL of custom fields: which rows change their values, and how these are written.

A value is a line of `import_values`: null where a row says nothing about a field. A field that the
file has and that a row has no line of is taken away.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)

from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.pim import ProductExtensionValue
from export_pipelines.imports.shape import Shape, insert_into, same, sql_text

VALUES = "import_values"


class CustomStatements:
    """The statements about the custom fields of one import, as SQL."""

    def __init__(self, shape: Shape, plan: Table) -> None:
        """Describe the values of rows of this shape, beside the plan of its rows."""
        self._backend = shape.backend
        self._field_ids = shape.custom
        self._plan = plan
        self._stored = Base.metadata.tables[ProductExtensionValue.__tablename__]
        self._values = Table(
            VALUES,
            MetaData(),
            Column("row_number", BigInteger()),
            Column("field_id", Text()),
            Column("value", Text()),
        )

    def index(self) -> str:
        """Return what makes values of custom fields quick to find."""
        return f"CREATE INDEX {VALUES}_rows ON {VALUES} (row_number, field_id)"

    def plan(self) -> tuple[str, str]:
        """Return what marks rows as changed that set values of custom fields, or take some away."""
        stored, values, plan = self._stored, self._values, self._plan
        other = plan.alias()
        same_field = self._is_same(stored.c.field_id, values.c.field_id)
        setting = (
            select(values.c.row_number)
            .join(other, other.c.row_number == values.c.row_number)
            .outerjoin(
                stored, and_(self._is_same(stored.c.product_id, other.c.matched), same_field)
            )
            .where(values.c.value.is_not(None), stored.c.value.is_distinct_from(values.c.value))
        )
        taking = self._taken_away(select(other.c.row_number), other)
        marked = update(plan).values(changed=true())
        known = plan.c.matched.is_not(None)
        return (
            self._sql(marked.where(known, plan.c.row_number.in_(setting))),
            self._sql(marked.where(known, plan.c.row_number.in_(taking))),
        )

    def _taken_away(self, chosen: "Select[Any]", plan: Any) -> "Select[Any]":
        """Choose of the stored values that rows do not have any more."""
        stored, values = self._stored, self._values
        there = exists().where(
            values.c.row_number == plan.c.row_number,
            self._is_same(stored.c.field_id, values.c.field_id),
        )
        return chosen.join(stored, self._is_same(stored.c.product_id, plan.c.matched)).where(
            stored.c.field_id.in_(self._field_ids), stored.c.value.is_not(None), ~there
        )

    def write(self) -> tuple[str, str]:
        """Return what takes values of custom fields away, and what sets them."""
        stored, plan, values = self._stored, self._plan, self._values
        both = tuple_(stored.c.product_id, stored.c.field_id)
        emptied = self._taken_away(select(stored.c.product_id, stored.c.field_id), plan)
        chosen = (
            select(func.coalesce(plan.c.matched, plan.c.id), values.c.field_id, values.c.value)
            .join(plan, plan.c.row_number == values.c.row_number)
            .where(values.c.value.is_not(None), or_(plan.c.matched.is_(None), plan.c.changed))
        )
        names = ["product_id", "field_id", "value"]
        insert = insert_into(self._backend, stored).from_select(names, chosen)
        return (
            self._sql(delete(stored).where(both.in_(emptied.where(plan.c.changed)))),
            self._sql(
                insert.on_conflict_do_update(
                    index_elements=names[:2], set_={"value": insert.excluded.value}
                )
            ),
        )

    def _sql(self, statement: Any) -> str:
        return sql_text(statement, self._backend)

    def _is_same(
        self, stored: ColumnElement[Any], given: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        return same(stored, given, self._backend)
