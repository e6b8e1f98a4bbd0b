"""What is in a database, as rows that can be compared."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import insert, inspect, select, text

from export_pipelines.catalog.database import begin
from export_pipelines.catalog.models import Base

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""When the rows were made that tests put there themselves."""

Dump = dict[str, list[str]]


def dump(url: str) -> Dump:
    """Return every row of every table, whatever tables there are."""
    with begin(url) as connection:
        return {
            name: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"'))))
            for name in inspect(connection).get_table_names()
        }


def rows(url: str, table: str, *columns: str, by: str = "id") -> list[tuple[Any, ...]]:
    """Return some columns of a table's rows, in the order of one of its columns."""
    found = Base.metadata.tables[table]
    with begin(url) as connection:
        chosen = select(*(found.c[name] for name in columns)).order_by(found.c[by])
        return [tuple(row) for row in connection.execute(chosen)]


def add(url: str, table: str, *added: Mapping[str, Any]) -> None:
    """Put rows into a table, with times where it has them; those that all lack are null."""
    found = Base.metadata.tables[table]
    times = {name: BEGAN for name in ("created_at", "updated_at") if name in found.c}
    with begin(url) as connection:
        connection.execute(insert(found), [{**times, **row} for row in added])


def product(key: str, sku: str, name: str, **values: Any) -> dict[str, Any]:
    """Return a product with all that one must have."""
    fixed = {
        "slug": name.lower(),
        "status": "live",
        "commodity_type": "physical",
        "is_bundle": False,
        "is_active": True,
        "currency_code": "EUR",
    }
    return {"id": key, "sku": sku, "name": name, **fixed, **values}
