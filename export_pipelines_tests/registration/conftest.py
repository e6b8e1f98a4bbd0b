import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest


@pytest.fixture(scope="session")
def dagster_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make Dagster's tables once: to make them for each test would take most of its time."""
    folder = tmp_path_factory.mktemp("dagster_records")
    with dg.DagsterInstance.local_temp(str(folder)) as made:
        made.get_runs(limit=1)
        made.all_instigator_state()
    return folder


@pytest.fixture
def instance(dagster_records: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path / "records"
    shutil.copytree(dagster_records, folder)
    with dg.DagsterInstance.local_temp(str(folder)) as opened:
        yield opened
