"""What can be exported: resource types, their fields and relations, derived from the models.

Every model whose rows have a key is a resource type, named like its table: a new one is a model.
Listings are resource types too: flat views of a model with columns of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Column as TableColumn
from sqlalchemy import Table, inspect, types
from sqlalchemy.orm import RelationshipProperty

from export_pipelines.artifacts import Derivation, ExtensionField, FieldType
from export_pipelines.catalog.listings import LISTINGS, Listing
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.types import Amount, Json, StringList, UtcDateTime
from export_pipelines.errors import RequestError, one_of, unknown

EXTENDED = "products"
"""The resource type that has custom fields."""


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
        source: the column it is, with the singular relations that lead there: `customer.email`.
        role: what it is to its row.
        nullable: whether it may be empty.
        values: the only values it has, if they are few.
        description: units and limits, where the name does not say them.
        derivation: how it is made when it is written; None if it is a stored column.
        extension: the custom field it is, if it is one.
    """

    name: str
    type: FieldType
    source: str
    role: FieldRole = FieldRole.ATTRIBUTE
    nullable: bool = True
    values: tuple[str, ...] = ()
    description: str = ""
    derivation: Derivation | None = None
    extension: ExtensionField | None = None

    @property
    def filterable(self) -> bool:
        """Whether filters can be about it: all but formatted amounts."""
        return self.derivation is None or self.derivation.kind == "decimal"

    @property
    def stored(self) -> tuple[str, ...]:
        """The stored columns it is made of."""
        return self.derivation.stored if self.derivation else (self.source,)

    def below(self, path: str) -> "Field":
        """Return the field as one of a record that relations lead to from it: `customer.`."""
        derived = self.derivation
        return replace(
            self,
            source=path + self.source,
            derivation=derived
            and replace(
                derived,
                cents=path + derived.cents,
                currency=path + derived.currency,
                less=derived.less and path + derived.less,
            ),
        )


@dataclass(frozen=True)
class Step:
    """One join: the rows of `table` whose `remote` column equals the row's `local` one."""

    local: str
    table: Table
    remote: str


@dataclass(frozen=True)
class Relation:
    """How a resource type refers to another.

    Attributes:
        name: its name in requests: `customer`, `line_items`.
        target: the other resource type.
        multiple: whether a record may have more than one.
        steps: the joins that lead there; two if a table lies between.
    """

    name: str
    target: str
    multiple: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Entity:
    """A resource type: a table whose rows can be exported, or a listing of one."""

    model: type[Base]
    listing: Listing | None = None
    extensions: tuple[ExtensionField, ...] = ()

    @property
    def table(self) -> Table:
        """The table its rows live in."""
        return cast(Table, self.model.__table__)

    @property
    def name(self) -> str:
        """The resource type's name in requests, plural: `products`."""
        return self.listing.name if self.listing else self.table.name

    @property
    def description(self) -> str:
        """One sentence about it."""
        if self.listing:
            return self.listing.description
        return (self.model.__doc__ or "").partition("\n")[0]

    @property
    def key(self) -> "TableColumn[Any]":
        """The column that orders an export."""
        return self.table.c.id

    @property
    def date_field(self) -> str:
        """The field that a range of dates is about."""
        return self.listing.date_field if self.listing else self.model.__date_field__

    @property
    def includes(self) -> tuple[str, ...]:
        """The related resources that can be exported with it."""
        return () if self.listing else self.model.__includes__

    @property
    def always(self) -> Mapping[str, Any]:
        """The filters that every export of it has."""
        return self.listing.always if self.listing else self.model.__always__

    @cached_property
    def stored_fields(self) -> Mapping[str, Field]:
        """Every attribute of its table, and what is derived from them, by name."""
        return {found.name: found for column in self.table.columns for found in _fields(column)}

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """Every field by name, in the order of an export's columns."""
        if self.listing:
            columns = self.listing.columns.items()
            return {header: _listed(self, header, source) for header, source in columns}
        custom = (
            Field(
                found.header,
                FieldType.STRING,
                found.header,
                description=f"custom field of type {found.type}",
                extension=found,
            )
            for found in self.extensions
        )
        return {**self.stored_fields, **{found.name: found for found in custom}}

    @cached_property
    def relations(self) -> Mapping[str, Relation]:
        """Every relation to another resource type, by name."""
        related = inspect(self.model).relationships
        found = (_relation(each) for each in related if "id" in each.mapper.columns)
        return {relation.name: relation for relation in found}

    def related(self, relation: str) -> "Entity":
        """Return the resource type that a relation leads to, with all of its table's fields."""
        return TABLES[self.relations[relation].target]

    def field(self, name: str, purpose: str) -> Field:
        """Return a field.

        Raises:
            RequestError: there is none of that name; says which there are, and the `purpose`.
        """
        if name in self.fields:
            return self.fields[name]
        if name in self.relations:
            raise RequestError(
                f"{purpose}: {name} is a related resource of {self.name}: "
                f"write {name}.* for all of its fields."
            )
        raise RequestError(f"{purpose}: " + unknown(f"{self.name} field", name, [*self.fields]))

    def included(self, path: str, purpose: str) -> None:
        """Check that related resources can be exported with this one.

        Raises:
            RequestError: they cannot; says which can, and the `purpose`.
        """
        if path in self.includes:
            return
        if not self.includes:
            raise RequestError(
                f"{purpose}: {self.name} have no related resources that can be exported with "
                f"them, so not {path!r} either: leave it out."
            )
        raise RequestError(
            f"{purpose}: {path!r} cannot be exported with {self.name}. "
            f"Choose from {one_of(self.includes)}."
        )


def _listed(entity: Entity, header: str, source: str) -> Field:
    *path, name = source.split(".")
    owner = entity
    may_miss = False
    for relation in path:
        (step,) = owner.relations[relation].steps
        may_miss |= bool(owner.table.c[step.local].nullable)
        owner = owner.related(relation)
    base, minus, less = name.partition(" - ")
    found = owner.stored_fields[base]
    if minus and found.derivation:
        found = replace(found, derivation=replace(found.derivation, less=less))
    below = found.below("".join(f"{relation}." for relation in path))
    return replace(
        below,
        name=header,
        nullable=found.nullable or may_miss,
        description=_listed_description(entity, below),
    )


def _listed_description(entity: Entity, field: Field) -> str:
    """Return a field's description with the headers of a listing for the names of columns."""
    headers = {source: header for header, source in cast(Listing, entity.listing).columns.items()}
    if field.derivation:
        currency = field.derivation.currency
        return f"in whole units of {headers.get(currency, currency)}"
    return " ".join(headers.get(word, word) for word in field.description.split(" "))


def _relation(related: "RelationshipProperty[Any]") -> Relation:
    first, *second = related.local_remote_pairs or ()
    between = cast("Table | None", related.secondary)
    target = related.mapper.local_table
    steps = [
        Step(first[0].name, cast(Table, target if between is None else between), first[1].name)
    ]
    if between is not None:
        steps.append(Step(second[0][1].name, cast(Table, target), second[0][0].name))
    name = related.key.rstrip("_")
    return Relation(name, cast(Table, target).name, bool(related.uselist), tuple(steps))


def _fields(column: "TableColumn[Any]") -> Iterator[Field]:
    nullable = bool(column.nullable)
    name = str(column.name)
    yield Field(
        name,
        _type(column.type),
        name,
        _role(column),
        nullable,
        column.info.get("values", ()),
        column.comment or "",
    )
    amount = column.info.get("amount")
    if isinstance(amount, Amount):
        yield from _amount_formats(name, amount, nullable=nullable)


def _amount_formats(cents: str, amount: Amount, *, nullable: bool) -> Iterator[Field]:
    base = cents.removesuffix("_cents")
    name = amount.decimal or f"{base}_float"
    yield Field(
        name,
        FieldType.NUMBER,
        name,
        FieldRole.AMOUNT_FORMAT,
        nullable,
        description=f"{cents} in whole units of currency_code",
        derivation=Derivation("decimal", cents, "currency_code"),
    )
    if not amount.decimal:
        name = f"formatted_{base}"
        yield Field(
            name,
            FieldType.STRING,
            name,
            FieldRole.AMOUNT_FORMAT,
            nullable,
            description=f"{cents} as people write it, with the currency's symbol",
            derivation=Derivation("formatted", cents, "currency_code"),
        )


def _role(column: "TableColumn[Any]") -> FieldRole:
    if column.primary_key:
        return FieldRole.KEY
    if column.foreign_keys or "foreign_key" in column.info:
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


def _tables() -> Iterator[Entity]:
    """Yield every model whose rows have a key: products and suppliers first."""
    first = ("products", "suppliers")
    found = [Entity(mapper.class_) for mapper in Base.registry.mappers if "id" in mapper.columns]
    yield from sorted(found, key=lambda each: (each.name not in first, each.name))


TABLES: Mapping[str, Entity] = {found.name: found for found in _tables()}
"""What relations lead to, by the names of tables."""

ENTITIES: Mapping[str, Entity] = {
    **TABLES,
    **{listing.name: Entity(listing.model, listing) for listing in LISTINGS},
}
"""What can be asked for, by name; a listing takes the place of a table of the same name."""


def entity(name: str, extensions: tuple[ExtensionField, ...] = ()) -> Entity:
    """Return a resource type by name.

    Args:
        name: `products`, `orders`, ...
        extensions: the custom fields of products.

    Raises:
        RequestError: there is none of that name; says which there are.
    """
    if name not in ENTITIES:
        raise RequestError(unknown("resource type", name, list(ENTITIES)))
    found = ENTITIES[name]
    return replace(found, extensions=extensions) if name == EXTENDED and extensions else found
