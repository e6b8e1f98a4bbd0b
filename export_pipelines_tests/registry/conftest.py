from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from export_pipelines import settings
from export_pipelines.catalog.database import begin
from export_pipelines_tests.servers.postgres import PostgresServer


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests from the registry and the key of whoever runs them."""
    monkeypatch.delenv("EXPORT_PIPELINES_REGISTRY_URL", raising=False)
    monkeypatch.delenv("EXPORT_PIPELINES_SECRET_KEY", raising=False)


@pytest.fixture(scope="session")
def registry_database(postgres: PostgresServer) -> str:
    """Name one database for all tests: to create one for each would take most of their time."""
    return postgres.create_database("registry")


@pytest.fixture
def on_postgres(registry_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have the registry in a Postgres database without tables."""
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", registry_database)
    yield registry_database
    with begin(registry_database) as connection:
        for table in inspect(connection).get_table_names():
            connection.execute(text(f"DROP TABLE {table}"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, own_registry: None, tmp_path: Path) -> str:
    """Have the registry in a database of each kind, without tables; the file is not there yet."""
    if request.param == "postgres":
        request.getfixturevalue("on_postgres")
    return settings.registry_url()
