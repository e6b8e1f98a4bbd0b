"""The contract of platforms, on every server that has a line in TARGETS."""

import pytest

from export_pipelines_tests.contracts.platforms import PlatformContract, start_target
from export_pipelines_tests.servers.targets import TARGETS, Target, Targets


@pytest.fixture(params=list(TARGETS), scope="module")
def target(request: pytest.FixtureRequest, targets: Targets) -> Target:
    return start_target(targets, request.param)


class TestEveryTarget(PlatformContract):
    pass
