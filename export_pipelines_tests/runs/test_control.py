import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from export_pipelines import settings
from export_pipelines.definitions import defs
from export_pipelines.errors import (
    ExportPipelinesError,
    NotRegistered,
    RequestError,
    TooManyExports,
)
from export_pipelines.launcher import MACHINE_TAG, machine_tag
from export_pipelines.processes import Machine, this_machine
from export_pipelines.records import open_instance
from export_pipelines.runs.control import cancel, require_resumable, resume
from export_pipelines.store import MANIFEST_NAME, read_manifest
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.webserver import ROOT

CONFIG = {"resource_type": "suppliers", "fields": ["code", "name"]}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """Open records as the project's settings say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path_factory.mktemp("home")))
        with open_instance() as opened:
            yield opened


@pytest.fixture
def listener() -> "Iterator[subprocess.Popen[str]]":
    """Start a process that says when it was interrupted."""
    code = (
        "import time\n"
        "print('ready', flush=True)\n"
        "try:\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def of_terminal(
    instance: dg.DagsterInstance,
    pid: int | None,
    machine: Machine | None = None,
    at: float | None = None,
) -> str:
    """Record a run that a command line executes."""
    run = record_run(instance, status="STARTED")
    tags = {MACHINE_TAG: machine.to_text()} if machine else machine_tag()
    instance.add_run_tags(run.run_id, tags)
    if pid:
        event = dg.DagsterEvent(
            dg.DagsterEventType.ENGINE_EVENT.value,
            "export_csv",
            event_specific_data=EngineEventData.in_process(pid),
        )
        instance.report_dagster_event(event, run.run_id, timestamp=at)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status.value


def test_what_waits_is_cancelled_at_once(instance: dg.DagsterInstance) -> None:
    run = record_run(instance, status="QUEUED")
    assert cancel(instance, run.run_id).status is dg.DagsterRunStatus.CANCELED
    with pytest.raises(RequestError, match=r"^The export .* has ended: it is interrupted\.$"):
        cancel(instance, run.run_id)


def test_only_jobs_are_cancelled(instance: dg.DagsterInstance) -> None:
    run = record_run(instance, "prune", status="QUEUED")
    with pytest.raises(NotRegistered):
        cancel(instance, run.run_id)
    assert status(instance, run.run_id) == "QUEUED"


def test_a_command_line_is_interrupted(
    instance: dg.DagsterInstance, listener: "subprocess.Popen[str]"
) -> None:
    cancel(instance, of_terminal(instance, listener.pid))
    assert listener.stdout
    assert listener.stdout.readline() == "interrupted\n"


@pytest.mark.parametrize("place", ["elsewhere", "another boot", "other namespace"])
def test_a_process_that_may_be_another_is_left_alone(
    instance: dg.DagsterInstance, listener: "subprocess.Popen[str]", place: str
) -> None:
    here = this_machine()
    machines = {
        "elsewhere": replace(here, host="other"),
        "another boot": replace(here, boot="other", machine=""),
        "other namespace": replace(here, namespace="pid:[1]"),
    }
    run_id = of_terminal(instance, listener.pid, machines[place])
    with pytest.raises(ExportPipelinesError, match="stop it there with Ctrl-C"):
        cancel(instance, run_id)
    assert status(instance, run_id) == "STARTED"
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(10) == -signal.SIGTERM


def test_a_process_that_never_said_its_number(instance: dg.DagsterInstance) -> None:
    with pytest.raises(RequestError, match="stop it there with Ctrl-C"):
        cancel(instance, of_terminal(instance, None))


def test_a_number_that_was_given_to_another_process(
    instance: dg.DagsterInstance, listener: "subprocess.Popen[str]"
) -> None:
    run_id = of_terminal(instance, listener.pid, at=time.time() - 600)
    assert cancel(instance, run_id).status is dg.DagsterRunStatus.CANCELED
    run = instance.get_run_by_id(run_id)
    assert run
    assert run.tags["export/error_code"] == "interrupted"
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(10) == -signal.SIGTERM


def test_a_code_server_that_does_not_answer(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = record_run(instance, status="STARTED")
    socket = f'{{"host": "localhost", "socket": "{tmp_path}/socket"}}'
    instance.add_run_tags(run.run_id, {".dagster/grpc_info": socket})
    with pytest.raises(ExportPipelinesError, match=r"could not be told: its code server does not"):
        cancel(instance, run.run_id)


def csv_job() -> dg.JobDefinition:
    return defs.resolve_job_def("export_csv")


def fail(instance: dg.DagsterInstance, **tags: str) -> str:
    """Execute an export as a code server does, with a file in the way of its store."""
    settings.home_folder().mkdir(exist_ok=True)
    settings.exports_folder().touch()
    job = dg.reconstructable(csv_job)
    with dg.execute_job(job, instance, run_config=CONFIG, tags=tags) as result:
        assert not result.success
        return result.run_id


def test_a_failed_export_goes_on_in_this_process(
    instance: dg.DagsterInstance, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    failed = fail(instance, **{"export/organization": "acme", "export/schedule": "Mondays"})
    again = resume(instance, failed)
    assert again.status is dg.DagsterRunStatus.FAILURE
    assert again.tags["export/error_code"] == "storage_unavailable"

    settings.exports_folder().unlink()
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "1")
    active = record_run(instance, status="STARTED", organization="acme")
    with pytest.raises(TooManyExports):
        resume(instance, again.run_id)
    instance.delete_run(active.run_id)
    run = resume(instance, again.run_id)

    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert (run.parent_run_id, run.root_run_id) == (again.run_id, failed)
    done = {each.step_key for each in instance.get_run_step_stats(run.run_id)}
    assert done == {"upload", "finish"}
    kept = {name: run.tags[f"export/{name}"] for name in ("organization", "schedule", "progress")}
    assert kept == {"organization": "acme", "schedule": "Mondays", "progress": "100"}
    assert {"export/error", "export/error_code"} & set(run.tags) == set()
    [file] = read_manifest(settings.exports_folder() / failed / MANIFEST_NAME)["files"]
    assert (settings.exports_folder() / failed / file["name"]).stat().st_size == file["bytes"]
    with pytest.raises(RequestError, match="has succeeded: there is nothing to resume"):
        resume(instance, run.run_id)
    with pytest.raises(RequestError, match=r"^What the export .* had finished is gone"):
        resume(instance, failed)


def test_what_cannot_be_resumed(instance: dg.DagsterInstance) -> None:
    def sentence(run: dg.DagsterRun) -> str:
        with pytest.raises(RequestError) as caught:
            require_resumable(instance, run)
        return str(caught.value)

    def begun(status: str, job: str = "export_csv", **tags: str) -> dg.DagsterRun:
        run = record_run(instance, job, status=status)
        instance.add_run_tags(run.run_id, tags)
        event = dg.DagsterEvent(
            dg.DagsterEventType.STEP_START.value, job, step_key="query", step_kind_value="COMPUTE"
        )
        instance.report_dagster_event(event, run.run_id)
        return replace_run(run)

    def replace_run(run: dg.DagsterRun) -> dg.DagsterRun:
        found = instance.get_run_by_id(run.run_id)
        assert found
        return found

    assert "is still going on: wait for its end" in sentence(begun("STARTED"))
    assert "had not begun: start it again" in sentence(record_run(instance, status="FAILURE"))
    refused = begun("FAILURE", "import_products", **{"import/error_code": "file_refused"})
    assert sentence(refused).startswith("The import ")
    assert "refused its file" in sentence(refused)
    failed = begun("FAILURE")
    require_resumable(instance, failed)
    other = record_run(instance, status="STARTED")
    instance.add_run_tags(other.run_id, {"dagster/root_run_id": failed.run_id})
    assert f"is being resumed already: see {other.run_id}" in sentence(failed)


def test_an_export_of_a_command_line_is_not_resumed(
    instance: dg.DagsterInstance, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    settings.home_folder().mkdir()
    settings.exports_folder().touch()
    result = csv_job().execute_in_process(CONFIG, instance=instance, raise_on_error=False)
    with pytest.raises(RequestError, match=r"or it ran in a command line\. Start it again"):
        resume(instance, result.run_id)
    assert [path.name for path in settings.staging_folder().iterdir()] == [result.run_id]
