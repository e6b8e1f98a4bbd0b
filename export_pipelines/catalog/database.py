"""Connections to the catalogue's database: SQLAlchemy for statements, ADBC for bulk data.

Every function takes a database URL, `sqlite:///folder/shop.db` or `postgresql://user@host/shop`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlencode

from sqlalchemy import URL, Connection, Engine, Index, Table, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from export_pipelines.catalog.adbc import ReadingConnection, WritingConnection
from export_pipelines.catalog.models import Base
from export_pipelines.errors import CatalogUnavailable

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager import dbapi

    Rows: TypeAlias = pa.Table | pa.RecordBatch | Iterable[pa.Table | pa.RecordBatch]

_ConnectionT = TypeVar("_ConnectionT", bound=ReadingConnection)

_BUSY_TIMEOUT_MS = 30_000
_SQLITE_READING = (f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}", "PRAGMA query_only = ON")
_POSTGRES_READING = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",)
_CONNECT_SECONDS = "15"

# A transaction that does not fit the cache is written to the disk twice. What was committed must
# be there after a power cut: the file that it comes from is not imported again.
_SQLITE_WRITING = (
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -65536",
)
_POSTGRES_WRITING = (f"SET lock_timeout = {_BUSY_TIMEOUT_MS}", "SET TimeZone = 'UTC'")

# SQLAlchemy 2.0, the last for Python 3.10, does not decode the name of the database.
_NAMES_STAY_QUOTED = make_url("postgresql://host/%20").database == "%20"


def engine(url: str) -> Engine:
    """Return an engine; nothing is connected yet.

    Raises:
        CatalogUnavailable: the URL is not one of a SQLite file or a Postgres database.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, poolclass=NullPool)
    created = create_engine(parsed, poolclass=NullPool)
    event.listen(created, "connect", _prepare_sqlite)
    return created


def create_schema(url: str, *, indexes: bool = True) -> None:
    """Create the tables and indexes that are missing; a SQLite file and its folder too.

    Args:
        url: the database.
        indexes: False leaves the indexes to a later call, for a faster first bulk insert.

    Raises:
        CatalogUnavailable: the database cannot be opened.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _sqlite_path(parsed).parent.mkdir(parents=True, exist_ok=True)
    with begin(url) as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
        if indexes:
            for table in Base.metadata.sorted_tables:
                for index in sorted(table.indexes, key=_index_name):
                    connection.execute(CreateIndex(index, if_not_exists=True))


def backend_of(url: str) -> str:
    """Return `sqlite` or `postgresql`.

    Raises:
        CatalogUnavailable: the URL is not one of a SQLite file or a Postgres database.
    """
    return _parse(url).get_backend_name()


@contextmanager
def begin(url: str) -> Iterator[Connection]:
    """Yield a connection in a transaction: committed at the end, rolled back by an exception.

    Raises:
        CatalogUnavailable: the database cannot be opened.
    """
    opened = engine(url)
    try:
        try:
            connection = opened.connect()
        except DatabaseError as error:
            raise _unavailable(_parse(url), error.orig or error) from None
        with connection, connection.begin():
            yield connection
    finally:
        opened.dispose()


@contextmanager
def adbc_connect(url: str) -> Iterator[ReadingConnection]:
    """Yield an ADBC connection for reading; everything read through it is one snapshot.

    Raises:
        CatalogUnavailable: the file does not exist or the server does not answer.
    """
    first = {"sqlite": _SQLITE_READING, "postgresql": _POSTGRES_READING}
    with _adbc(url, ReadingConnection, first[backend_of(url)]) as connection:
        yield connection


@contextmanager
def adbc_write(url: str) -> Iterator[WritingConnection]:
    """Yield an ADBC connection for temporary tables and the statements that use them.

    What is not committed when the context ends is rolled back. SQLite does not check foreign keys
    here: the caller does.

    Raises:
        CatalogUnavailable: the file does not exist or the server does not answer.
    """
    first = {"sqlite": _SQLITE_WRITING, "postgresql": _POSTGRES_WRITING}
    with _adbc(url, WritingConnection, first[backend_of(url)]) as connection:
        yield connection


@contextmanager
def _adbc(
    url: str, kind: type[_ConnectionT], statements: tuple[str, ...]
) -> Iterator[_ConnectionT]:
    parsed = _parse(url)
    driver, uri = _adbc_driver(parsed)
    with _opening(parsed), ExitStack() as opened:
        connection = kind(import_module(driver).connect(uri))
        opened.callback(connection.close)
        for statement in statements:
            connection.execute(statement)
        opened.pop_all()
    try:
        yield connection
    finally:
        connection.close()


class BulkWriter:
    """Appends Arrow data to tables over one ADBC connection, in one transaction."""

    def __init__(self, connection: "dbapi.Connection", *, sqlite: bool) -> None:
        """Write over `connection`, which stays the caller's."""
        self._connection = connection
        self._sqlite = sqlite

    def write(self, table: Table, rows: "Rows") -> int:
        """Append `rows`, matched to the table's columns by name, and return how many.

        Columns that `rows` lack stay NULL. Types are cast to those of `arrow_schema`.

        Raises:
            ValueError: the rows have a column that the table lacks, or a value does not fit.
        """
        import pyarrow as pa
        from adbc_driver_manager import Error

        from export_pipelines.catalog import arrow

        pieces = iter([rows] if isinstance(rows, (pa.Table, pa.RecordBatch)) else rows)
        first = next(pieces, None)
        if first is None:
            return 0
        schema = arrow.insert_schema(table, first.schema.names)
        stored = arrow.sqlite_schema(schema) if self._sqlite else schema
        failures: list[Exception] = []

        def batches() -> "Iterator[pa.RecordBatch]":
            try:
                for piece in chain([first], pieces):
                    for batch in piece.to_batches() if isinstance(piece, pa.Table) else [piece]:
                        yield arrow.convert(batch, schema, stored)
            except Exception as error:
                failures.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(stored, batches())
        with self._connection.cursor() as cursor:
            try:
                return cursor.adbc_ingest(table.name, reader, mode="append")
            except Error:
                # The driver buries what went wrong in making the rows inside its own message.
                if failures:
                    raise failures[0] from None
                raise


@contextmanager
def bulk_writer(url: str) -> Iterator[BulkWriter]:
    """Yield a writer whose rows are committed at the end, or none of them.

    SQLite does not check foreign keys here: the caller vouches for them.

    Raises:
        CatalogUnavailable: the file does not exist or the server does not answer.
    """
    parsed = _parse(url)
    driver, uri = _adbc_driver(parsed)
    sqlite = parsed.get_backend_name() == "sqlite"
    connection: dbapi.Connection
    with _opening(parsed), ExitStack() as opened:
        connection = opened.enter_context(import_module(f"{driver}.dbapi").connect(uri))
        if sqlite:
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        opened.pop_all()
    try:
        yield BulkWriter(connection, sqlite=sqlite)
        connection.commit()
    finally:
        connection.close()


def bulk_insert(url: str, tables: "Mapping[Table, Rows]") -> int:
    """Append Arrow data to tables, in the given order and in one transaction; return the rows.

    Raises:
        CatalogUnavailable: the file does not exist or the server does not answer.
        ValueError: a table lacks a column, or a value does not fit its type.
    """
    with bulk_writer(url) as writer:
        return sum(writer.write(table, rows) for table, rows in tables.items())


def arrow_schema(table: Table) -> "pa.Schema":
    """Return the Arrow types in which a table's columns are read and written."""
    from export_pipelines.catalog import arrow

    return arrow.arrow_schema(table)


def _index_name(index: Index) -> str:
    return str(index.name)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise CatalogUnavailable(
            "The database URL cannot be read; it looks like sqlite:///folder/shop.db "
            "or postgresql://user:password@host:5432/shop."
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend in ("postgres", "postgresql"):
        # Without a limit, a server that accepts but does not answer is waited for without end.
        query = {"connect_timeout": _CONNECT_SECONDS, **parsed.query}
        name = unquote(parsed.database or "") if _NAMES_STAY_QUOTED else parsed.database
        return parsed.set(drivername="postgresql+psycopg2", query=query, database=name)
    if backend != "sqlite":
        raise CatalogUnavailable(
            f"{backend} databases are not supported: use sqlite:///... or postgresql://..."
        )
    return parsed


def _sqlite_path(parsed: URL) -> Path:
    if not parsed.database or parsed.database == ":memory:":
        raise CatalogUnavailable(
            "An in-memory SQLite database ends with its only connection: "
            "name a file, such as sqlite:///shop.db."
        )
    return Path(parsed.database)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _adbc_driver(parsed: URL) -> tuple[str, str]:
    """Return the driver's module and what it connects to."""
    if parsed.get_backend_name() == "postgresql":
        return "adbc_driver_postgresql", _libpq_uri(parsed)
    path = _sqlite_path(parsed)
    if not path.is_file():
        raise CatalogUnavailable(f"There is no SQLite database at {path}: create it first.")
    return "adbc_driver_sqlite", f"{path.resolve().as_uri()}?mode=rw"


@contextmanager
def _opening(parsed: URL) -> Iterator[None]:
    from adbc_driver_manager import Error

    try:
        yield
    except Error as error:
        raise _unavailable(parsed, error) from None


def _libpq_uri(parsed: URL) -> str:
    """Return the URL as libpq reads it, which takes neither blanks nor `+` for them."""
    server = URL.create("postgresql", parsed.username, parsed.password, parsed.host, parsed.port)
    database = quote(parsed.database or "", safe="")
    query = urlencode(parsed.query, doseq=True, quote_via=quote)
    uri = f"{server.render_as_string(hide_password=False)}/{database}"
    return f"{uri}?{query}" if query else uri


def _unavailable(parsed: URL, error: BaseException) -> CatalogUnavailable:
    reason = " ".join(str(error).split())
    if parsed.password:
        reason = reason.replace(str(parsed.password), "***")
    # The part after ? may hold a password too.
    shown = parsed.set(drivername=parsed.get_backend_name(), query={}).render_as_string()
    return CatalogUnavailable(f"Cannot open the database {shown}: {reason}")
