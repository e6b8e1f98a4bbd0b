import shutil
from pathlib import Path

import pytest

from export_pipelines import settings
from export_pipelines.records import make_records


@pytest.fixture(scope="session")
def dagster_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make Dagster's tables once: to make them for each test would take most of its time."""
    home = tmp_path_factory.mktemp("records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT_PIPELINES_HOME", str(home))
        make_records()
        return settings.dagster_folder()


@pytest.fixture
def records(dagster_records: Path, own_settings: None) -> Path:
    """Name a home folder with Dagster's tables, and without a registry."""
    home = settings.home_folder()
    shutil.copytree(dagster_records, settings.dagster_folder())
    return home
