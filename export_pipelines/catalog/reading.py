"""Reads rows as Arrow record batches, streaming, all statements of an export in one snapshot."""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from export_pipelines.artifacts import Column, FieldType, Statement
from export_pipelines.catalog.adbc import ReadingConnection
from export_pipelines.catalog.columns import spool_schema
from export_pipelines.catalog.database import adbc_connect, backend_of
from export_pipelines.catalog.select import SETTING_PREFIX
from export_pipelines.errors import CatalogUnavailable, DataError

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 16_384
_SQLITE_OPTIONS = {"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)}
_GUARD_SECONDS = 2.0

_TYPED_VALUES = {
    FieldType.STRING: "''",
    FieldType.INTEGER: "0",
    FieldType.NUMBER: "0.0",
    FieldType.BOOLEAN: "0",
    FieldType.DATETIME: "0",
    FieldType.JSON: "''",
    FieldType.LIST: "''",
}
_FIRST_MS = -62_135_596_800_000  # the beginning of the year 1
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_MISMATCH = re.compile(r"Type mismatch in column (\d+): (.*)")
_STATEMENT = re.compile(r"\s*(?:query(?: was)?:|LINE \d+:)\s*(?:SELECT|WITH)\b.*", re.IGNORECASE)
"""Drivers add the whole statement to a message; what is wrong with it comes before."""

_MISSING_TABLE = ("no such table", "42P01")


class Snapshot:
    """One consistent view of the catalogue: what others write meanwhile is not seen."""

    def __init__(self, connection: ReadingConnection, backend: str) -> None:
        self._connection = connection
        self._backend = backend

    def count(self, statement: Statement) -> int:
        """Return how many rows a statement yields.

        Raises:
            CatalogUnavailable: the database fails, or lacks the table.
        """
        sql = f"SELECT count(*) FROM ({statement.sql}) AS counted"  # noqa: S608 - compiled SQL
        return int(self.value(Statement(sql, statement.parameters)))

    def value(self, statement: Statement) -> Any:
        """Return the first column of the first row, None if there is no row.

        Raises:
            CatalogUnavailable: the database fails, or lacks the table.
        """
        with self._execute(statement) as reader, _explained():
            for batch in reader:
                if batch.num_rows:
                    return batch.column(0)[0].as_py()
        return None

    def stream(
        self, statement: Statement, columns: Sequence[Column]
    ) -> "Generator[pa.RecordBatch, None, None]":
        """Yield a statement's rows in batches of the types of `spool_schema`.

        Raises:
            CatalogUnavailable: the database fails, or lacks the table.
            DataError: a value is not of its column's type (SQLite stores what it is given).
        """
        schema = spool_schema(columns)
        sqlite = self._backend == "sqlite"
        with self._execute(_typed(statement, columns) if sqlite else statement) as reader:
            skip = 1 if sqlite else 0
            with _explained(columns):
                for batch in reader:
                    rows = batch.slice(skip)
                    skip = 0
                    if rows.num_rows:
                        yield _conform(rows, schema)

    def join(self, moment: str) -> None:
        """See what another Postgres connection sees, by the name of its exported snapshot."""
        with _explained():
            self._connection.execute(f"SET TRANSACTION SNAPSHOT '{moment}'")

    @contextmanager
    def _execute(self, statement: Statement) -> "Iterator[pa.RecordBatchReader]":
        with ExitStack() as stack:
            with _explained():
                if self._backend == "sqlite":
                    values = [value for _, value in statement.parameters]
                    query = self._connection.query(statement.sql, values, _SQLITE_OPTIONS)
                else:
                    self._set_parameters(statement)
                    query = self._connection.query(statement.sql)
                reader = stack.enter_context(query)
            yield reader

    def _set_parameters(self, statement: Statement) -> None:
        for name, value in statement.parameters:
            setting = (f"{SETTING_PREFIX}.{name}", _setting(value))
            with self._connection.query("SELECT set_config($1, $2, true)", setting) as reader:
                reader.read_all()


@contextmanager
def open_snapshots(url: str, count: int = 1) -> Iterator[list[Snapshot]]:
    """Open connections that all see the catalogue as it is at one moment.

    Args:
        url: the database.
        count: how many are wanted. There is only one if writers to a SQLite file cannot be held
            off for that moment: it is read-only, or somebody else is writing for long.

    Raises:
        CatalogUnavailable: there is no database, or it does not answer.
    """
    backend = backend_of(url)
    with ExitStack() as stack:

        def connect() -> Snapshot:
            return Snapshot(stack.enter_context(adbc_connect(url)), backend)

        if backend == "sqlite":
            first = connect()
            guard = _writers_held(url) if count > 1 else nullcontext(False)
            with guard as held:
                snapshots = [first, *(connect() for _ in range(count - 1 if held else 0))]
                for snapshot in snapshots:
                    snapshot.value(Statement("SELECT count(*) FROM sqlite_schema"))
        else:
            snapshots = [connect() for _ in range(count)]
            moment = snapshots[0].value(Statement("SELECT pg_export_snapshot()"))
            for snapshot in snapshots[1:]:
                snapshot.join(moment)
        yield snapshots


@contextmanager
def _writers_held(url: str) -> Iterator[bool]:
    """Keep others from writing to a SQLite file; yield whether that was possible.

    Not with Python's `sqlite3`: that is another library than the driver's, and closing the file in
    it would drop the locks by which the driver's connections keep their snapshots.
    """
    from adbc_driver_manager import Error

    # The version is never committed. Writing it takes the lock, which BEGIN IMMEDIATE does not if
    # the file is read-only.
    statements = (
        "PRAGMA query_only = OFF",
        f"PRAGMA busy_timeout = {round(_GUARD_SECONDS * 1000)}",
        "PRAGMA user_version = 1",
    )
    with adbc_connect(url) as connection:
        try:
            for statement in statements:
                connection.execute(statement)
            held = True
        except Error:
            held = False
        yield held


def _typed(statement: Statement, columns: Sequence[Column]) -> Statement:
    """Put a typed row first: the SQLite driver takes each column's type from its first batch."""
    row = ", ".join(_TYPED_VALUES[column.type] for column in columns)
    sql = f"SELECT {row} UNION ALL SELECT * FROM ({statement.sql})"  # noqa: S608 - compiled SQL
    return Statement(sql, statement.parameters)


def _conform(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    arrays = []
    for array, field in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(_conform_array(array, field.type))
        except pa.ArrowException as error:
            raise _misfit(field.name, str(error)) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _conform_array(array: "pa.Array", wanted: "pa.DataType") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    stored = array.storage if isinstance(array, pa.ExtensionArray) else array
    if pa.types.is_timestamp(wanted) and not pa.types.is_timestamp(stored.type):
        stored = stored.cast(pa.int64())
    conformed = stored if stored.type == wanted else stored.cast(wanted)
    if pa.types.is_timestamp(wanted):
        limits = pc.min_max(conformed.cast(pa.int64())).as_py()
        if len(conformed) > conformed.null_count and (
            limits["min"] < _FIRST_MS or limits["max"] > _LAST_MS
        ):
            raise pa.ArrowInvalid("a time outside the years 1 to 9999")
    elif pa.types.is_string(wanted):
        conformed.validate(full=True)
    return conformed


def _misfit(column: str, reason: str) -> DataError:
    text = " ".join(reason.split())
    return DataError(
        f"A stored value of {column} is not of its column's type ({text}): correct it in the "
        "database, or leave the field out with exclude_fields."
    )


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@contextmanager
def _explained(columns: Sequence[Column] = ()) -> Iterator[None]:
    """Turn the drivers' errors into ours; `columns` are those that are read."""
    import pyarrow as pa
    from adbc_driver_manager import Error

    try:
        yield
    except (Error, pa.ArrowException, OSError) as error:
        text = _STATEMENT.sub("", " ".join(str(error).split()))
        state = getattr(error, "sqlstate", None) or ""
        if any(sign in text or sign == state for sign in _MISSING_TABLE):
            raise CatalogUnavailable(
                "The database has no such table. Create the sample shop with "
                f"'export-pipelines sample', or point DATABASE_URL at a catalogue. ({text})"
            ) from None
        mismatch = _MISMATCH.search(text)
        if mismatch and columns:
            raise _misfit(columns[int(mismatch[1])].name, mismatch[2]) from None
        raise CatalogUnavailable(
            "Reading from the database failed: check DATABASE_URL, and that the database is there "
            f"and sound. It said: {text}"
        ) from None
