"""What the headers of a file mean: fields, amounts, custom fields, or nothing to import.

The headers are those of our exports and of Elastic Path's import (features.md 3.3): any order,
blanks around them do not count, nor do capitals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Index, UniqueConstraint

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import EXTENDED, Entity, Field
from export_pipelines.errors import FileRefused, one_of, shown, unknown

REASON_HEADER = "_reason"
"""The column of a file of failed rows that says why; it is left out when they are imported."""

_TEMPLATE = "template"
_NAMED_HEADERS = 20


class Use(str, Enum):
    """What is done with the values of a column."""

    FIELD = "field"
    AMOUNT = "amount"
    CUSTOM = "custom field"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Target:
    """What a header means.

    Attributes:
        header: as it is in the file.
        use: what is done with the values.
        field: the field, for amounts the derived one.
        custom: the custom field.
        note: why nothing is done with them, where somebody may expect otherwise.
    """

    header: str
    use: Use
    field: Field | None = None
    custom: ExtensionField | None = None
    note: str = ""

    @property
    def column(self) -> str:
        """The column of the table, or the custom field's own name."""
        if self.custom:
            return self.custom.header
        if self.field is None:
            return ""
        return self.field.derivation.cents if self.field.derivation else self.field.name


def upsert_keys(entity: Entity) -> tuple[tuple[str, ...], ...]:
    """Return what rows are recognized by, in the order in which it is tried.

    First the id, then what the table declares unique: single columns, in their order, before
    several together.
    """
    table = entity.table
    unique: list[Index | UniqueConstraint] = [each for each in table.indexes if each.unique]
    unique += [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    found = {tuple(str(column.name) for column in each.columns) for each in unique}
    place = list(table.c.keys()).index
    ordered = sorted(found, key=lambda names: (len(names), [place(name) for name in names]))
    return (("id",), *ordered)


def resolve_headers(
    entity: Entity, headers: Sequence[str], custom: Sequence[ExtensionField]
) -> tuple[Target, ...]:
    """Return what each header means.

    Args:
        entity: what is imported.
        headers: those of the file.
        custom: the custom fields of products.

    Raises:
        FileRefused: a header means nothing, two mean the same, or no row can be recognized.
    """
    found = tuple(_target(entity, header, custom) for header in headers)
    _refuse_doubles(found)
    present = {target.column for target in found if target.use is Use.FIELD}
    keys = upsert_keys(entity)
    if not any(present.issuperset(key) for key in keys):
        raise FileRefused(_no_key(entity, headers, keys))
    return found


def _no_key(entity: Entity, headers: Sequence[str], keys: Sequence[tuple[str, ...]]) -> str:
    choices = [" with ".join(key) for key in keys]
    needed = choices[0] if len(choices) == 1 else f"one of {one_of(choices)}"
    named = [shown(header) for header in headers[:_NAMED_HEADERS]]
    more = len(headers) - len(named)
    listed = one_of([*named, f"{more:,} more"] if more else named) if named else "none"
    return (
        f"No column says which of the {entity.name} a row is: the file needs {needed}. Its "
        f"headers: {listed}."
    )


def _target(entity: Entity, header: str, custom: Sequence[ExtensionField]) -> Target:
    name = header.strip()
    if name.casefold() == REASON_HEADER:
        return Target(header, Use.NOTHING)
    prefix, colon, _ = name.partition(":")
    if entity.name == EXTENDED and colon and prefix.strip().casefold() == _TEMPLATE:
        return Target(header, Use.CUSTOM, custom=_custom_field(name, custom))
    fields = {known.casefold(): field for known, field in entity.stored_fields.items()}
    aliases = {**_EVERYWHERE, **entity.model.__import_aliases__}
    field = fields.get(aliases.get(name.casefold(), name).casefold())
    listed = entity.listing
    if field is None and listed and name in listed.columns:
        # A listing of the same name takes the table's place in exports.
        return _listed(entity, header, listed.columns[name])
    if field is None:
        return _not_a_field(entity, header, name, custom)
    return _field(header, field)


def _listed(entity: Entity, header: str, source: str) -> Target:
    """Return what a listing's column means: a field of the table, or something it only shows."""
    field = entity.stored_fields.get(source)
    return _field(header, field) if field else Target(header, Use.NOTHING)


def _field(header: str, field: Field) -> Target:
    if field.derivation is None:
        return Target(header, Use.FIELD, field)
    if field.derivation.kind == "decimal":
        return Target(header, Use.AMOUNT, field)
    return Target(header, Use.NOTHING, field)


_EVERYWHERE = {"_created_at": "created_at", "_updated_at": "updated_at"}


def _not_a_field(
    entity: Entity, header: str, name: str, custom: Sequence[ExtensionField]
) -> Target:
    relation = name.partition(".")[0]
    if relation in entity.relations:
        target = entity.relations[relation].target
        return Target(
            header,
            Use.NOTHING,
            note=f"{name} was left out: {target} are imported from a file of their own.",
        )
    known = [*entity.stored_fields, *(field.header for field in custom)]
    sentence = unknown(f"{entity.name} field", name, known)
    raise FileRefused(
        f"{sentence} Rename or remove the column, or use a mapping file that ignores it."
    )


def _custom_field(name: str, custom: Sequence[ExtensionField]) -> ExtensionField:
    _, *wanted = [part.strip() for part in name.split(":")]
    # Names that differ in their capitals only are told apart by them.
    for plain in (str, str.casefold):
        for field in custom:
            templates = {plain(field.template), plain(field.template_id)}
            names = {plain(field.name), plain(field.id)}
            if len(wanted) == 2 and plain(wanted[0]) in templates and plain(wanted[1]) in names:
                return field
    headers = [field.header for field in custom]
    if not headers:
        raise FileRefused(f"The catalogue has no custom fields, so not {shown(name)} either.")
    raise FileRefused(unknown("custom field", ":".join([_TEMPLATE, *wanted]), headers))


def _refuse_doubles(targets: Sequence[Target]) -> None:
    first: dict[tuple[Use, str], str] = {}
    for target in targets:
        if target.use is Use.NOTHING:
            continue
        at = (target.use, target.column)
        if at in first:
            raise FileRefused(
                f"Two columns are about {target.column}: {shown(first[at])} and "
                f"{shown(target.header)}. Remove one."
            )
        first[at] = target.header
