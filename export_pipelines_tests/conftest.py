import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, settings
from sqlalchemy import delete, event
from sqlalchemy.engine import Engine

from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.sample import generate
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.olist import FOLDER as OLIST
from export_pipelines_tests.servers.postgres import PostgresServer, start_postgres
from export_pipelines_tests.servers.targets import Targets

# A machine at work on something else is no failure. CI tries the same examples each time, and a
# quarter of them: new ones are found where somebody can look into them.
_IN_CI = bool(os.environ.get("CI"))
settings.register_profile(
    "project",
    deadline=None,
    derandomize=_IN_CI,
    max_examples=25 if _IN_CI else 100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")

_ON_OLIST = [
    "test_mapping_olist.py",
    "test_olist.py",
    "test_olist_deliveries.py",
    "test_olist_imports.py",
]
collect_ignore = [] if OLIST.is_dir() else _ON_OLIST
if collect_ignore and os.environ.get("CI"):
    raise pytest.UsageError(f"There is no test data at {OLIST}: set EXPORT_PIPELINES_TEST_DATA.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take minutes, which mostly wait: others run beside them.

    Those on the whole take longer than those on a part, and come before them.
    """
    items.sort(key=_patience, reverse=True)


def _patience(item: pytest.Item) -> tuple[int, int]:
    marker = item.get_closest_marker("timeout")
    return int(marker.args[0]) if marker else 0, -len(item.path.parts)


_read_migrations = ScriptDirectory.from_config
_migrations: dict[str | None, ScriptDirectory] = {}


def _known_migrations(config: Config) -> ScriptDirectory:
    place = config.get_main_option("script_location")
    if place not in _migrations:
        _migrations[place] = _read_migrations(config)
    return _migrations[place]


# Dagster reads all its migrations whenever records are opened, in tests thousands of times.
ScriptDirectory.from_config = _known_migrations  # type: ignore[method-assign]


@event.listens_for(Engine, "connect")
def do_not_wait_for_the_disk(connection: Any, record: Any) -> None:
    """Dagster's and other SQLite databases of tests need not survive a power cut."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with start_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    """Start platforms by name when they are first asked for."""
    with ExitStack() as stack:
        yield Targets(stack, tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def postgres_database(postgres: PostgresServer) -> str:
    """Name one database for all tests: to create one for each would take most of their time."""
    url = postgres.create_database("test")
    create_schema(url)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name a database of each kind without rows, perhaps without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shop.db'}"
        return
    database: str = request.getfixturevalue("postgres_database")
    yield database
    with begin(database) as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))


@pytest.fixture(scope="session")
def sqlite_shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name a SQLite database with a sample shop."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}"
    generate(url, products=1_200, orders=160)
    return url


@pytest.fixture(scope="session")
def postgres_shop(postgres: PostgresServer) -> str:
    """Name a Postgres database with the same sample shop."""
    url = postgres.create_database("sample_shop")
    generate(url, products=1_200, orders=160)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest) -> str:
    """Name a database of each kind with the same sample shop, only to be read."""
    name: str = request.getfixturevalue(f"{request.param}_shop")
    return name


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep tests from the home folder and the database of whoever runs them."""
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXPORT_PIPELINES_LOG_LEVEL", "CRITICAL")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    for name in ("DATABASE_URL", "EXPORT_PIPELINES_ORGANIZATION", "EXPORT_PIPELINES_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", raising=False)
    monkeypatch.setenv("EXPORT_PIPELINES_PLATFORMS", str(tmp_path / "platforms.yaml"))
    monkeypatch.setenv("EXPORT_PIPELINES_IMPORTS", str(tmp_path / "imports.yaml"))
    for name in ("DROP_FOLDER", "MAPPINGS", "CURRENCY", "MAX_IMPORT_ROWS", "MAX_IMPORT_BYTES"):
        monkeypatch.delenv(f"EXPORT_PIPELINES_{name}", raising=False)
    for name in ("REGISTRY_URL", "SECRET_KEY", "WEBHOOK_HOSTS", "PUBLIC_URL"):
        monkeypatch.delenv(f"EXPORT_PIPELINES_{name}", raising=False)
    for name in ("EXPORTS", "STAGING", "RUNS", "TICKS", "IMPORTS"):
        monkeypatch.delenv(f"EXPORT_PIPELINES_KEEP_{name}_DAYS", raising=False)


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    """Run exports in this process."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Exporter(tmp_path / "exports", instance)
