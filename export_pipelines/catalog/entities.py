"""What can be exported: resource types and their fields, derived from the models.

Every model whose rows have a key is a resource type, named like its table: a new one is a model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Column as TableColumn
from sqlalchemy import ColumnElement, Table, types

from export_pipelines.artifacts import Column, Derivation, FieldType
from export_pipelines.catalog.currencies import decimal_amount_sql
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.types import Amount, Json, StringList, UtcDateTime
from export_pipelines.errors import RequestError, unknown


class FieldRole(str, Enum):
    """What a field is to its row; the skip options of an export go by it."""

    KEY = "key"
    FOREIGN_KEY = "foreign key"
    TIMESTAMP = "timestamp"
    AMOUNT = "amount"
    AMOUNT_FORMAT = "amount format"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True)
class Field:
    """One exportable attribute of a resource type.

    Attributes:
        name: its column header and its name in requests.
        type: what its values are, the same in every database.
        expression: the SQL that yields it, for reading and filters; None if there is none.
        role: what it is to its row.
        nullable: whether it may be empty.
        values: the only values it has, if they are few.
        description: units and limits, where the name does not say them.
        derivation: how it is computed from stored fields; None if it is stored itself.
    """

    name: str
    type: FieldType
    expression: ColumnElement[Any] | None = field(compare=False, repr=False)
    role: FieldRole = FieldRole.ATTRIBUTE
    nullable: bool = True
    values: tuple[str, ...] = ()
    description: str = ""
    derivation: Derivation | None = None

    @property
    def column(self) -> Column:
        """The column it becomes in a file."""
        return Column(self.name, self.type, self.derivation)


@dataclass(frozen=True)
class Entity:
    """A resource type: a table whose rows can be exported."""

    model: type[Base]

    @property
    def table(self) -> Table:
        """The table its rows live in."""
        return cast(Table, self.model.__table__)

    @property
    def name(self) -> str:
        """The resource type's name in requests, plural: `products`."""
        return self.table.name

    @property
    def description(self) -> str:
        """One sentence about it."""
        return (self.model.__doc__ or "").partition("\n")[0]

    @property
    def key(self) -> "TableColumn[Any]":
        """The column that orders an export."""
        return self.table.c.id

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """Every field by name, in the order of an export's columns."""
        return {found.name: found for column in self.table.columns for found in _fields(column)}

    def field(self, name: str, purpose: str) -> Field:
        """Return a field.

        Raises:
            RequestError: there is none of that name; says which there are, and the `purpose`.
        """
        if name not in self.fields:
            raise RequestError(f"{purpose}: " + unknown(f"{self.name} field", name, [*self.fields]))
        return self.fields[name]


def _fields(column: "TableColumn[Any]") -> Iterator[Field]:
    nullable = bool(column.nullable)
    yield Field(
        str(column.name),
        _type(column.type),
        column,
        _role(column),
        nullable,
        column.info.get("values", ()),
        column.comment or "",
    )
    amount = column.info.get("amount")
    if isinstance(amount, Amount):
        yield from _amount_formats(column, amount, nullable=nullable)


def _amount_formats(
    column: "TableColumn[Any]", amount: Amount, *, nullable: bool
) -> Iterator[Field]:
    base = column.name.removesuffix("_cents")
    currency = column.table.c.currency_code
    yield Field(
        amount.decimal or f"{base}_float",
        FieldType.NUMBER,
        decimal_amount_sql(column, currency),
        FieldRole.AMOUNT_FORMAT,
        nullable,
        description=f"{column.name} in whole units of currency_code",
        derivation=Derivation("decimal", column.name, currency.name),
    )
    if not amount.decimal:
        yield Field(
            f"formatted_{base}",
            FieldType.STRING,
            None,
            FieldRole.AMOUNT_FORMAT,
            nullable,
            description=f"{column.name} as people write it, with the currency's symbol",
            derivation=Derivation("formatted", column.name, currency.name),
        )


def _role(column: "TableColumn[Any]") -> FieldRole:
    if column.primary_key:
        return FieldRole.KEY
    if column.foreign_keys:
        return FieldRole.FOREIGN_KEY
    if column.name in ("created_at", "updated_at"):
        return FieldRole.TIMESTAMP
    return FieldRole.AMOUNT if "amount" in column.info else FieldRole.ATTRIBUTE


def _type(column_type: types.TypeEngine[Any]) -> FieldType:
    known = (
        (UtcDateTime, FieldType.DATETIME),
        (StringList, FieldType.LIST),
        (Json, FieldType.JSON),
        (types.Boolean, FieldType.BOOLEAN),
        (types.Integer, FieldType.INTEGER),
        (types.Float, FieldType.NUMBER),
        (types.String, FieldType.STRING),
    )
    for kind, field_type in known:
        if isinstance(column_type, kind):
            return field_type
    raise TypeError(f"Columns of type {column_type!r} have no place in an export.")


def _entities() -> Iterator[Entity]:
    """Yield every model whose rows have a key: products and suppliers, then the rest."""
    first = ("products", "suppliers")
    found = [Entity(mapper.class_) for mapper in Base.registry.mappers if "id" in mapper.columns]
    yield from sorted(found, key=lambda each: (each.name not in first, each.name))


ENTITIES: Mapping[str, Entity] = {found.name: found for found in _entities()}


def entity(name: str) -> Entity:
    """Return a resource type by name.

    Raises:
        RequestError: there is none of that name; says which there are.
    """
    if name not in ENTITIES:
        raise RequestError(unknown("resource type", name, list(ENTITIES)))
    return ENTITIES[name]
