from collections.abc import Iterator
from pathlib import Path

import pytest

from export_pipelines_tests.retention.past import Past, open_past


@pytest.fixture
def past(tmp_path: Path, sqlite_shop: str) -> Iterator[Past]:
    """Open a shop without a past."""
    with open_past(tmp_path / "dagster", sqlite_shop) as opened:
        yield opened
