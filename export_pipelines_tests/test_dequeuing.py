"""Runs that are due while their code server is down wait for it, and say so if it stays down."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from export_pipelines_tests.code_server import (
    Place,
    last_message,
    open_place,
    outcome,
    status,
    until,
)
from export_pipelines_tests.recorded_runs import record_run

# Servers start: seconds on an idle machine, minutes on a busy one.
pytestmark = pytest.mark.timeout(600)

REFUSED = (
    "No process could be started for this export: its code server does not answer, or failed to "
    "start one, as the run's last events say. See that it is up, and start the export again."
)
RETRIES = 30
DELAY_SECONDS = 10
"""What `dagster.yaml` says about runs whose code server is down."""


def queue(instance: dg.DagsterInstance, job: str = "export_csv", **tags: str) -> dg.DagsterRun:
    """Queue an export, or an import."""
    run = record_run(instance, job, config={"resource_type": "products"})
    instance.add_run_tags(run.run_id, tags)
    instance.report_dagster_event(dg.DagsterEvent.job_enqueue(run), run.run_id)
    return run


@contextmanager
def served_once(place: Place) -> Iterator[WorkspaceProcessContext]:
    """Return what a daemon knows of a code server that is gone."""
    with ExitStack() as stack:
        with place.serve():
            workspace = stack.enter_context(place.workspace())
        yield workspace


def dequeue(workspace: WorkspaceProcessContext, seconds: float) -> None:
    """Begin with queued runs as the daemon does, `seconds` from now."""
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        list(daemon.run_iteration(workspace, fixed_iteration_time=time.time() + seconds))


def test_a_code_server_that_is_down_for_a_moment(postgres_shop: str, tmp_path: Path) -> None:
    with open_place(tmp_path, postgres_shop) as place, served_once(place) as workspace:
        run = queue(place.instance)
        for tries in range(3):
            dequeue(workspace, tries * DELAY_SECONDS)
            assert outcome(place.instance, run) == ["QUEUED", "", ""]
        with place.serve():
            dequeue(workspace, 3 * DELAY_SECONDS)
            until(lambda: status(place.instance, run) == "STARTED")
            assert outcome(place.instance, run) == ["STARTED", "", ""]


def test_a_code_server_that_stays_down(postgres_shop: str, tmp_path: Path) -> None:
    with open_place(tmp_path, postgres_shop) as place, served_once(place) as workspace:
        run = queue(place.instance)
        imported = queue(place.instance, "import_products", **{"import/queue": "imports"})
        for tries in range(RETRIES):
            dequeue(workspace, tries * DELAY_SECONDS)
        assert outcome(place.instance, run) == ["QUEUED", "", ""]
        dequeue(workspace, RETRIES * DELAY_SECONDS)
        assert outcome(place.instance, run) == ["FAILURE", "worker_lost", REFUSED]
        assert last_message(place.instance, run) == REFUSED
        assert outcome(place.instance, imported, "import") == [
            "FAILURE",
            "worker_lost",
            REFUSED.replace("export", "import"),
        ]
