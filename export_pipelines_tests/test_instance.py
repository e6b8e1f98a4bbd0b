"""Runs that others end for them say why, as those that end by themselves do."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import pytest

from export_pipelines.launcher import MACHINE_TAG
from export_pipelines.processes import Machine, this_machine
from export_pipelines_tests.code_server import (
    INTERRUPTED,
    LOST,
    MISSING,
    START_TIMEOUT_SECONDS,
    Place,
    kill_worker,
    last_message,
    open_place,
    outcome,
    started,
    status,
    until,
)
from export_pipelines_tests.recorded_runs import record_run

# Servers start: seconds on an idle machine, minutes on a busy one.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def served(postgres_shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("home"), postgres_shop) as place, place.serve():
        yield place


@pytest.fixture
def ended() -> int:
    """Return the number of a process that was."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def test_a_code_server_says_why_a_run_has_ended(served: Place) -> None:
    run = served.launch()
    served.look()
    assert outcome(served.instance, run) == ["STARTED", "", ""]
    kill_worker(served, run)
    until(lambda: status(served.instance, run) == "FAILURE")
    assert outcome(served.instance, run) == ["FAILURE", "worker_lost", LOST]
    assert last_message(served.instance, run) == LOST


def test_a_killed_run_that_was_being_cancelled(served: Place) -> None:
    run = served.launch()
    served.instance.report_run_canceling(run)
    kill_worker(served, run)
    until(lambda: status(served.instance, run) == "CANCELED")
    assert outcome(served.instance, run) == ["CANCELED", "interrupted", INTERRUPTED]


def test_a_run_that_cannot_be_cancelled_any_more(served: Place, ended: int) -> None:
    run = started(served.instance, ended)
    served.instance.report_run_canceling(run)
    time.sleep(1)
    served.look()
    assert outcome(served.instance, run) == ["CANCELED", "interrupted", INTERRUPTED]


def test_a_run_that_never_began(served: Place) -> None:
    young, old = (record_run(served.instance) for _ in range(2))
    for run, seconds in ((young, 0), (old, START_TIMEOUT_SECONDS + 1)):
        starting = dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, "export_csv")
        began = time.time() - seconds
        served.instance.report_dagster_event(starting, run.run_id, timestamp=began)
    served.look()
    assert outcome(served.instance, young) == ["STARTING", "", ""]
    assert outcome(served.instance, old) == ["FAILURE", "worker_lost", MISSING]
    assert last_message(served.instance, old) == MISSING
    served.instance.delete_run(young.run_id)


def test_the_process_of_a_run_says_where_it_is(served: Place) -> None:
    run = served.launch()
    recorded = served.instance.get_run_by_id(run.run_id)
    assert recorded
    machine = Machine.from_text(recorded.tags[MACHINE_TAG])
    assert replace(machine, booted_at=0) == replace(this_machine(), booted_at=0)
    kill_worker(served, run)
    until(lambda: status(served.instance, run) == "FAILURE")


@pytest.mark.parametrize(
    ("job", "kind", "tags"),
    [
        ("export_csv", "export", {}),
        ("import_products", "import", {"import/queue": "imports"}),
    ],
)
def test_a_run_that_succeeds_though_it_was_failed(
    served: Place, ended: int, job: str, kind: str, tags: dict[str, str]
) -> None:
    run = started(served.instance, ended, job=job, tags=tags)
    served.look()
    assert outcome(served.instance, run, kind)[:2] == ["FAILURE", "worker_lost"]
    done = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job)
    served.instance.report_dagster_event(done, run.run_id)
    assert outcome(served.instance, run, kind) == ["SUCCESS", "", ""]


def test_other_errors_of_a_run_that_succeeds_stay(served: Place) -> None:
    run = record_run(served.instance, status="STARTED", error="One.", error_code="data_invalid")
    done = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, "export_csv")
    served.instance.report_dagster_event(done, run.run_id)
    assert outcome(served.instance, run) == ["SUCCESS", "data_invalid", "One."]
