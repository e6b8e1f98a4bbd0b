"""Runs whose process is gone end in FAILURE; those at work go on, whatever else is killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from export_pipelines.launcher import (
    MACHINE_TAG,
    ExportRunLauncher,
    is_lost,
    machine_tag,
    worker_of,
)
from export_pipelines.processes import this_machine
from export_pipelines.records import open_instance
from export_pipelines_tests.code_server import (
    LOST,
    SOCKET,
    kill_worker,
    last_message,
    locked,
    open_place,
    outcome,
    started,
    status,
    until,
)
from export_pipelines_tests.killing import kill_all
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.webserver import ROOT, Ask, launch, start_webserver, wait

# Servers start several times: seconds on an idle machine, minutes on a busy one.
pytestmark = pytest.mark.timeout(600)

NETWORK = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "port": 4000})}

NOTICED_SECONDS = 30
"""The daemon looks each 10 seconds, and begins with that soon after the web server."""

RESUME = """
mutation Resume($runId: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $runId, strategy: FROM_FAILURE}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Open records as the project's settings say."""
    monkeypatch.chdir(ROOT)
    with open_instance() as opened:
        yield opened


@pytest.fixture
def ended() -> int:
    """Return the number of a process that was."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def check(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run).status


def test_the_projects_settings_name_it(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, ExportRunLauncher)
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0


def test_a_run_whose_process_is_there(instance: dg.DagsterInstance) -> None:
    run = started(instance, os.getpid())
    assert check(instance, run) is WorkerStatus.RUNNING
    assert outcome(instance, run) == ["STARTED", "", ""]


def test_a_run_whose_process_is_gone(instance: dg.DagsterInstance, ended: int) -> None:
    run = started(instance, ended)
    assert check(instance, run) is WorkerStatus.FAILED
    assert outcome(instance, run) == ["FAILURE", "worker_lost", LOST]
    assert last_message(instance, run) == LOST
    assert check(instance, run) is WorkerStatus.SUCCESS
    assert last_message(instance, run) == LOST


def test_an_import_whose_process_is_gone(instance: dg.DagsterInstance, ended: int) -> None:
    run = started(instance, ended, job="import_products", tags={"import/queue": "imports"})
    assert check(instance, run) is WorkerStatus.FAILED
    status, code, sentence = outcome(instance, run, "import")
    assert (status, code) == ("FAILURE", "worker_lost")
    assert sentence.startswith("The process of this import is gone: it was killed, or the machine")
    assert outcome(instance, run)[1:] == ["", ""]


def test_a_run_whose_number_another_process_has(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        run = started(instance, other.pid, at=time.time() - 60)
        assert check(instance, run) is WorkerStatus.FAILED
    assert outcome(instance, run) == ["FAILURE", "worker_lost", LOST]


def test_a_run_that_ended_before_its_process(instance: dg.DagsterInstance, ended: int) -> None:
    run = started(instance, ended)
    done = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, "export_csv")
    instance.report_dagster_event(done, run.run_id)
    assert check(instance, run) is WorkerStatus.SUCCESS
    assert outcome(instance, run) == ["SUCCESS", "", ""]


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(NETWORK, id="reached by network"),
        pytest.param({MACHINE_TAG: ""}, id="launched by something else"),
        pytest.param(
            {MACHINE_TAG: replace(this_machine(), host="other", boot="other").to_text()},
            id="launched on another machine",
        ),
        pytest.param(
            {MACHINE_TAG: replace(this_machine(), namespace="pid:[1]").to_text()},
            id="in another container",
        ),
        pytest.param(
            {MACHINE_TAG: json.dumps({"host": this_machine().host, "boot": "", "booted_at": 0})},
            id="of an earlier version",
        ),
    ],
)
def test_runs_of_which_nobody_can_tell(
    instance: dg.DagsterInstance, ended: int, tags: dict[str, str]
) -> None:
    run = started(instance, ended, tags=tags)
    assert check(instance, run) is WorkerStatus.RUNNING
    assert outcome(instance, run) == ["STARTED", "", ""]


def test_a_run_whose_process_never_said_its_number(instance: dg.DagsterInstance) -> None:
    run = record_run(instance, status="STARTED")
    instance.add_run_tags(run.run_id, {**machine_tag(), **SOCKET})
    instance.report_engine_event("Something else.", run)
    assert worker_of(instance, run.run_id) is None
    assert check(instance, run) is WorkerStatus.RUNNING


def test_processes_of_steps_are_not_the_runs(instance: dg.DagsterInstance, ended: int) -> None:
    run = started(instance, os.getpid())
    instance.report_engine_event(
        "A step's.", run, EngineEventData.multiprocess(ended), step_key="query"
    )
    assert check(instance, run) is WorkerStatus.RUNNING


def test_the_last_process_of_a_run_that_was_launched_twice(
    instance: dg.DagsterInstance, ended: int
) -> None:
    run = started(instance, ended, at=time.time() - 600)
    now = time.time()
    for _ in range(2):
        instance.report_engine_event("Again.", run, EngineEventData.in_process(os.getpid()))
    pid, at = worker_of(instance, run.run_id) or (0, 0.0)
    assert pid == os.getpid()
    assert at == pytest.approx(now, abs=5)
    assert check(instance, run) is WorkerStatus.RUNNING


def test_a_run_of_a_terminal_that_was_killed(instance: dg.DagsterInstance, ended: int) -> None:
    run = record_run(instance, status="STARTED")
    instance.add_run_tags(run.run_id, machine_tag())
    instance.report_engine_event("Executing.", run, EngineEventData.in_process(ended))
    assert is_lost(instance, run)


def test_servers_import_no_more_than_they_need() -> None:
    code = "import sys, export_pipelines.instance; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name for name in done.stdout.split() if name.startswith("export_pipelines.")}
    small = ("errors", "instance", "launcher", "limits", "processes", "settings")
    assert modules == {f"export_pipelines.{name}" for name in small}


def test_a_living_run_outlives_daemon_and_code_server(postgres_shop: str, tmp_path: Path) -> None:
    with open_place(tmp_path, postgres_shop) as place:
        with place.serve():
            run = place.launch()
            with place.watch():
                assert status(place.instance, run) == "STARTED"
        with place.serve(), place.watch():
            assert outcome(place.instance, run) == ["STARTED", "", ""]
            kill_worker(place, run)
            until(lambda: status(place.instance, run) == "FAILURE")
        assert outcome(place.instance, run) == ["FAILURE", "worker_lost", LOST]
        assert last_message(place.instance, run) == LOST


def resume(ask: Ask, run_id: str) -> Any:
    answer = ask(RESUME, runId=run_id)["launchRunReexecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return wait(ask, answer["run"]["runId"])


def test_everything_killed_while_it_exports(postgres_shop: str, tmp_path: Path) -> None:
    variables = {"DATABASE_URL": postgres_shop, "EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS": "1"}
    config: dict[str, Any] = {"resource_type": "orders", "includes": ["line_items"]}
    with locked(postgres_shop, "line_items"):
        with start_webserver(tmp_path, **variables) as ask:
            run_id = launch(ask, "export_json", **config)["runId"]
            wait(ask, run_id, ["STARTED"])
            until(lambda: "query" in steps(ask, run_id))
            refused = launch(ask, "export_json", **config)
            assert refused["tags"]["export/error_code"] == "too_many_exports"
            kill_all(tmp_path)
        assert not list((tmp_path / "exports").glob("*"))
    with start_webserver(tmp_path, **variables) as ask:
        began = time.monotonic()
        lost = wait(ask, run_id)
        assert time.monotonic() - began < NOTICED_SECONDS
        assert lost["status"] == "FAILURE"
        assert lost["tags"]["export/error"] == LOST
        assert lost["tags"]["export/error_code"] == "worker_lost"
        resumed = resume(ask, run_id)
        assert resumed["status"] == "SUCCESS", resumed["tags"]
        assert resumed["tags"]["export/error_code"] == ""
        assert "query" not in [step["stepKey"] for step in resumed["stepStats"]]
        kill_all(tmp_path)


def steps(ask: Ask, run_id: str) -> list[str]:
    """Return the steps of a run that have succeeded."""
    found = ask("ExportStatus", runId=run_id)["runOrError"]["stepStats"]
    return [step["stepKey"] for step in found if step["status"] == "SUCCESS"]
