from collections.abc import Iterator

import pytest

from export_pipelines.catalog.sample import generate
from export_pipelines_tests.api.server import Server, open_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the web server on a home folder with a small shop."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "EXPORT_PIPELINES_HOME": str(home),
            "DATABASE_URL": f"sqlite:///{home / 'shop.db'}",
            "EXPORT_PIPELINES_REQUESTS_PER_MINUTE": "none",
            "EXPORT_PIPELINES_LOG_LEVEL": "CRITICAL",
        }.items():
            patch.setenv(name, value)
        generate(f"sqlite:///{home / 'shop.db'}", products=120, orders=20)
        with open_server() as opened:
            yield opened


@pytest.fixture(autouse=True)
def own_settings(server: Server) -> None:
    """Keep the settings of the server."""
