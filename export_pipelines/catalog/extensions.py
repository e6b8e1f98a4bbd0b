"""The custom fields of products, which the catalogue itself defines."""

from sqlalchemy import select

from export_pipelines.artifacts import Column, ExtensionField, FieldType
from export_pipelines.catalog.models.pim import ExtensionField as FieldModel
from export_pipelines.catalog.models.pim import ExtensionTemplate
from export_pipelines.catalog.reading import Snapshot
from export_pipelines.catalog.select import compile_select
from export_pipelines.errors import DataError, shown

_COLUMNS = tuple(
    Column(name, FieldType.STRING) for name in ("id", "template", "name", "type", "template_id")
)


def read_extension_fields(snapshot: Snapshot, backend: str) -> tuple[ExtensionField, ...]:
    """Return the custom fields in the order of their templates and of their own keys.

    Raises:
        CatalogUnavailable: the database fails, or lacks the tables.
        DataError: two of them would have the same header.
    """
    fields, templates = FieldModel.__table__, ExtensionTemplate.__table__
    statement = (
        select(
            fields.c.id,
            templates.c.slug.label("template"),
            fields.c.slug,
            fields.c.type,
            fields.c.template_id,
        )
        .join(templates, templates.c.id == fields.c.template_id)
        .order_by(templates.c.id, fields.c.id)
    )
    rows = [
        ExtensionField(**row)
        for batch in snapshot.stream(compile_select(statement, backend), _COLUMNS)
        for row in batch.to_pylist()
    ]
    headers = [row.header for row in rows]
    twice = next((header for header in headers if headers.count(header) > 1), None)
    if twice:
        raise DataError(
            f"Two custom fields of products have the same header {shown(twice)}: "
            "rename one of them or its template."
        )
    return tuple(rows)
