"""ADBC connections: SQL in, Arrow batches out, and Arrow batches into temporary tables.

This is what exports and imports need of the driver manager's DB-API layer. That layer imports
pyarrow.dataset and with it pandas, which takes 0.35 s of every run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager import AdbcDatabase


class ReadingConnection:
    """One connection to a database; all that is read through it is in one transaction."""

    _autocommit = False

    def __init__(self, database: "AdbcDatabase") -> None:
        """Connect; the database is this connection's from now on.

        Raises:
            adbc_driver_manager.Error: the server refuses.
        """
        from adbc_driver_manager import AdbcConnection

        self._database = database
        try:
            self._connection = AdbcConnection(database)
            self._connection.set_autocommit(self._autocommit)
        except BaseException:
            database.close()
            raise

    def execute(self, sql: str) -> None:
        """Run a statement that yields nothing.

        Raises:
            adbc_driver_manager.Error: the database fails.
        """
        from adbc_driver_manager import AdbcStatement

        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(sql)
            statement.execute_update()

    @contextmanager
    def query(
        self, sql: str, parameters: Sequence[Any] = (), options: Mapping[str, str] | None = None
    ) -> "Iterator[pa.RecordBatchReader]":
        """Yield a statement's rows, read as they are taken.

        Args:
            sql: with a placeholder for each parameter.
            parameters: texts, numbers or booleans.
            options: the driver's own.

        Raises:
            adbc_driver_manager.Error: the database fails.
        """
        import pyarrow as pa
        from adbc_driver_manager import AdbcStatement

        with AdbcStatement(self._connection) as statement:
            statement.set_options(**(options or {}))
            statement.set_sql_query(sql)
            if parameters:
                # Arrow would import pandas, to see whether the values are some of its.
                values = [pl.Series([value]).to_arrow() for value in parameters]
                row = pa.record_batch(values, names=[str(at) for at in range(len(values))])
                statement.bind_stream(pa.RecordBatchReader.from_batches(row.schema, [row]))
            handle, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(handle) as reader:
                yield reader

    def close(self) -> None:
        """Close connection and database."""
        self._connection.close()
        self._database.close()


class WritingConnection(ReadingConnection):
    """One connection to a database, for statements that write; transactions are the caller's."""

    _autocommit = True

    def ingest(self, table: str, batches: "pa.RecordBatchReader") -> int:
        """Create a temporary table of all rows, and return how many there are.

        Raises:
            adbc_driver_manager.Error: the database fails.
        """
        from adbc_driver_manager import AdbcStatement

        options = {
            "adbc.ingest.target_table": table,
            "adbc.ingest.mode": "adbc.ingest.mode.create",
            "adbc.ingest.temporary": "true",
        }
        with AdbcStatement(self._connection) as statement:
            statement.set_options(**options)
            statement.bind_stream(batches)
            return int(statement.execute_update())
