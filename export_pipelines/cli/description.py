"""What `export-pipelines resource-types orders` says about a resource type."""

from collections.abc import Iterator
from textwrap import wrap

import click

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.entities import EXTENDED, Entity, Field
from export_pipelines.catalog.matchers import MATCHERS
from export_pipelines.errors import one_of

_WIDTH = 100


def describe(entity: Entity) -> None:
    """Print a resource type's fields, includes, relations and matchers."""
    click.echo(f"{entity.name}: {entity.description}")
    for title, lines in (
        ("Fields", map(_field, entity.fields.values())),
        ("Included with them on request", entity.includes),
        ("Relations, for filters such as customer_email_end", _relations(entity)),
        ("Matchers of filters, by type", _matchers(entity)),
        ("Always", [f"{name} = {str(value).lower()}" for name, value in entity.always.items()]),
        ("A range of dates is about", [entity.date_field]),
    ):
        found = list(lines)
        if found:
            click.echo(f"\n{title}:")
        for line in found:
            click.echo(f"  {line}")
    if entity.name == EXTENDED:
        click.echo("\nCustom fields of the catalogue are columns template:<template>:<field>.")


def _field(field: Field) -> str:
    values = f"one of {one_of(field.values)}" if field.values else ""
    always = "" if field.nullable else "never empty"
    notes = "; ".join(note for note in (field.description, values, always) if note)
    return f"{field.name:<34} {field.type.value:<9} {notes}".rstrip()


def _relations(entity: Entity) -> Iterator[str]:
    for relation in entity.relations.values():
        many = "many" if relation.multiple else "one"
        yield f"{relation.name:<34} {many:<9} {relation.target}"


def _matchers(entity: Entity) -> Iterator[str]:
    for kind in FieldType:
        if any(field.type is kind and field.filterable for field in entity.fields.values()):
            names = ", ".join(found.name for found in MATCHERS.values() if kind in found.types)
            first, *rest = wrap(names, _WIDTH - 12)
            yield f"{kind.value:<9} {first}"
            yield from (f"{'':<9} {line}" for line in rest)
