"""Opening the registry's database: made, migrated and locked as need be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from export_pipelines import settings
from export_pipelines.catalog.database import backend_of, engine
from export_pipelines.errors import CatalogUnavailable, RegistryUnavailable
from export_pipelines.registry.models import Base, StateRow

REVISION = "0002"
"""The newest revision of `migrations`, at which this version works."""

VERSION_TABLE = "registry_version"
_MIGRATIONS = Path(__file__).with_name("migrations")
_UPGRADING = Lock()
_UPGRADE_LOCK = 7_301_955_242_310
_LOCK_MS = 30_000
_NOT_WRITABLE = ("unable to open database file", "attempt to write a readonly database")
_DRY_RUN = "registry_dry_run"
_BEGIN = "registry_begin"
_ALONE = {_BEGIN: "IMMEDIATE"}
_ONE_MOMENT = {"postgresql": {"isolation_level": "REPEATABLE READ"}, "sqlite": {}}


@contextmanager
def reading() -> Iterator[Session]:
    """Yield a session that sees one moment of the registry; one that is not made yet is empty.

    Raises:
        RegistryUnavailable: the database does not answer, or is of a newer version.
    """
    with (
        _explained(),
        _opened(settings.registry_url(), make=False) as opened,
        Session(_seeing_one_moment(opened), expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session


@contextmanager
def writing(*, dry_run: bool = False) -> Iterator[Session]:
    """Yield a session that writes, alone: committed at the end, rolled back by an exception.

    Args:
        dry_run: whether a registry that is not there yet is made nowhere but in memory. Whoever
            tries something rolls back.

    Raises:
        RegistryUnavailable: the database does not answer, or is of a newer version.
    """
    with _explained(), _opened(settings.registry_url(), make=not dry_run) as opened:
        alone = opened.execution_options(**_ALONE)
        with Session(alone, expire_on_commit=False) as session, session.begin():
            # Keys of secrets are read, and names compared, while nobody else writes.
            session.scalars(select(StateRow).with_for_update()).one()
            session.info[_DRY_RUN] = dry_run
            yield session


def is_dry_run(session: Session) -> bool:
    """Return whether what a session writes is rolled back in any case."""
    return bool(session.info.get(_DRY_RUN))


def state(session: Session) -> StateRow:
    """Return what the registry knows about itself."""
    return session.scalars(select(StateRow)).one()


def schedules_revision() -> int:
    """Return a number that changes whenever definitions of schedules do.

    Raises:
        RegistryUnavailable: the database does not answer, or is of a newer version.
    """
    with reading() as session:
        return state(session).schedules_revision


def revision_of(connection: Connection) -> str:
    """Return the revision of the tables that are there; empty without any."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    statement = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
    return str(connection.scalar(statement) or "")


def upgrade(connection: Connection, revision: str = REVISION) -> None:
    """Bring the tables to a revision, within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    # Alembic keeps what it is working on in global names.
    with _UPGRADING:
        command.upgrade(config, revision)


@contextmanager
def _opened(url: str, *, make: bool) -> Iterator[Engine]:
    path = _sqlite_file(url)
    if path and not path.exists():
        if not make:
            _require_folder(path)
            yield from _empty()
            return
        _make_file(path)
    opened = _engine(url)
    try:
        found = _revision(opened)
        if not found and not make:
            yield from _empty()
            return
        _require_current(opened, found)
        yield opened
    finally:
        opened.dispose()


def _require_folder(path: Path) -> None:
    """Refuse a registry whose disk is not there: it is not one without anything in it.

    Raises:
        RegistryUnavailable: the folder that somebody has named does not exist.
    """
    if path.resolve().parent != settings.home_folder() and not path.parent.is_dir():
        raise RegistryUnavailable(
            f"The folder of the registry, {path.parent}, is not there: is its disk mounted? Mount "
            "it, make the folder, or correct EXPORT_PIPELINES_REGISTRY_URL."
        )


def _engine(url: str) -> Engine:
    opened = engine(url)
    if opened.dialect.name == "sqlite":
        # Python's own transactions begin too late for what is read before it is written.
        event.listen(opened, "connect", _autocommit)
        event.listen(opened, "begin", _begin)
    else:
        event.listen(opened, "begin", _limit_waiting)
    return opened


def _make_file(path: Path) -> None:
    """Make a registry's file with its tables; whoever comes second finds that of the first.

    It is made beside: SQLite does not wait while another makes a new file one that is written
    ahead.
    """
    made = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = _engine(URL.create("sqlite", database=str(made)).render_as_string())
        try:
            _require_current(opened, found="")
        finally:
            opened.dispose()
        with suppress(FileExistsError):
            os.link(made, path)
    except OSError as error:
        raise RegistryUnavailable(
            f"The registry cannot be made at {path}: {error.strerror}. Correct "
            "EXPORT_PIPELINES_HOME or EXPORT_PIPELINES_REGISTRY_URL."
        ) from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                made.with_name(f"{made.name}{suffix}").unlink()


def _seeing_one_moment(opened: Engine) -> Engine:
    return opened.execution_options(**_ONE_MOMENT[opened.dialect.name])


def _sqlite_file(url: str) -> Path | None:
    if backend_of(url) != "sqlite":
        return None
    database = make_url(url).database
    if not database or database == ":memory:":
        raise CatalogUnavailable(
            "An in-memory SQLite database ends with its only connection: name a file."
        )
    if database.startswith("file:"):
        raise CatalogUnavailable(
            "A registry cannot be named as a file: URI. Write its path, as in "
            "sqlite:///folder/registry.db."
        )
    return Path(database)


def _empty() -> Iterator[Engine]:
    """Yield a registry without rows that nobody else sees."""
    made = create_engine("sqlite://", poolclass=StaticPool)
    try:
        Base.metadata.create_all(made)
        with Session(made) as session, session.begin():
            session.add(StateRow(id=1, schedules_revision=0, key_check=""))
        yield made
    finally:
        made.dispose()


def _autocommit(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    how = connection.get_execution_options().get(_BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


def _limit_waiting(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_MS}")


def _revision(opened: Engine) -> str:
    with opened.connect() as connection, connection.begin():
        return revision_of(connection)


def _require_current(opened: Engine, found: str) -> None:
    """Migrate older tables; whoever comes second waits, and finds them done.

    Raises:
        RegistryUnavailable: a newer version of this program made them.
    """
    if found == REVISION:
        return
    if found > REVISION:
        raise RegistryUnavailable(
            f"The registry's tables are of revision {found}, and this version of export-pipelines "
            f"knows {REVISION}: install the newer version again."
        )
    with opened.execution_options(**_ALONE).connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
        if revision_of(connection) != REVISION:
            upgrade(connection)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except CatalogUnavailable as error:
        raise RegistryUnavailable(f"The registry cannot be opened: {error}") from None
    except DBAPIError as error:
        # Further lines of Postgres quote the statement with its values.
        reason = _without_password(str(error.orig).partition("\n")[0].strip())
        raise RegistryUnavailable(_sentence(error, reason)) from None


def _sentence(error: DBAPIError, reason: str) -> str:
    """Return what is wrong, and what to do."""
    if isinstance(error, DataError):
        return f"The registry's database does not take a value: {reason}. Correct it."
    path = _sqlite_file(settings.registry_url())
    if path and path.is_file() and reason in _NOT_WRITABLE:
        return (
            f"The registry at {path} cannot be opened ({reason}): SQLite writes beside it even to "
            "read. Give this user the right to write to the file and its folder, or correct "
            "EXPORT_PIPELINES_HOME or EXPORT_PIPELINES_REGISTRY_URL."
        )
    return (
        f"The registry's database does not answer: {reason}. Start it, or correct "
        "EXPORT_PIPELINES_REGISTRY_URL."
    )


def _without_password(reason: str) -> str:
    password = make_url(settings.registry_url()).password
    return reason.replace(str(password), "***") if password else reason
