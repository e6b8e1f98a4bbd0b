"""Connections to Dagster's records of runs that stay open, as a server needs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from dagster._core.storage.runs import RunStorage, SqliteRunStorage
from sqlalchemy import Connection, create_engine

_KEPT, _MORE = 20, 40


def keep_connections(storage: RunStorage) -> None:
    """Have records of runs read over connections that stay open, if they are in SQLite.

    Dagster opens one for each question, and asks each time which columns there are, which takes
    longer than the answer. On Postgres it keeps connections itself.
    """
    if not isinstance(storage, SqliteRunStorage):
        return
    engine = create_engine(storage._conn_string, pool_size=_KEPT, max_overflow=_MORE)

    @contextmanager
    def connect() -> Iterator[Connection]:
        with engine.begin() as connection:
            yield connection

    has_times = storage.has_run_stats_index_cols()
    vars(storage)["connect"] = connect
    vars(storage)["has_run_stats_index_cols"] = lambda: has_times
