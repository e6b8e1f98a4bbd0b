"""It takes some minutes of real time, and mostly waits."""

import dagster as dg
import pytest

from export_pipelines_tests.live_schedules import run_live

pytestmark = pytest.mark.timeout(600)


def test_every_due_minute_fires_once() -> None:
    # The benchmark has twenty, over more minutes.
    outcome = run_live(count=7, minutes=1)
    # On a machine that is busy with other tests a run may take longer than a minute.
    assert sorted([*outcome.started, *outcome.overlapped]) == outcome.expected
    assert len(outcome.overlapped) < len(outcome.expected) / 4
    assert outcome.statuses == {dg.DagsterRunStatus.SUCCESS}
