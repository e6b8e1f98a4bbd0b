"""What is in a database, as rows that can be compared."""

from typing import Any

from sqlalchemy import inspect, select, text

from export_pipelines.catalog.database import begin
from export_pipelines.catalog.models import Base

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
