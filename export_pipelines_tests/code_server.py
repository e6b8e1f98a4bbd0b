"""A code server with runs that are at work, and the daemon that watches them."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
from dagster._core.events import EngineEventData
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from export_pipelines.launcher import machine_tag, worker_of
from export_pipelines_tests.killing import kill_all
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.webserver import ROOT

LOST = (
    "The process of this export is gone: it was killed, or the machine went down. "
    "Nothing is half-published: start it again, or resume it."
)
MISSING = (
    "The process of this export did not begin in time: it was killed, or the machine went down or "
    "has too much to do. Start it again."
)
INTERRUPTED = "Interrupted: its process is gone, and it is not finished."

SOCKET = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": "/tmp/socket"})}


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.1)


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status.value


def outcome(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: str = "export") -> list[str]:
    """Return a run's status, its code and its sentence."""
    found = instance.get_run_by_id(run.run_id)
    assert found
    tags = (found.tags.get(f"{kind}/error_code", ""), found.tags.get(f"{kind}/error", ""))
    return [found.status.value, *tags]


def last_message(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return what the event says that ended a run; there is one."""
    kinds = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
    (entry,) = instance.all_logs(run.run_id, of_type=kinds)
    assert entry.dagster_event
    return entry.dagster_event.message or ""


def started(
    instance: dg.DagsterInstance,
    pid: int,
    *,
    job: str = "export_csv",
    at: float | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    """Record a run whose process has said its number."""
    run = record_run(instance, job, status="STARTED")
    instance.add_run_tags(run.run_id, {**machine_tag(), **SOCKET, **(tags or {})})
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ENGINE_EVENT.value,
        job_name=job,
        message=f"Started process for run (pid: {pid}).",
        event_specific_data=EngineEventData.in_process(pid),
    )
    instance.report_dagster_event(event, run.run_id, timestamp=at or time.time())
    recorded = instance.get_run_by_id(run.run_id)
    assert recorded
    return recorded


@dataclass
class Place:
    """A home folder with a code server and a catalogue in which no export can end.

    Attributes:
        home: the folder.
        instance: its records.
        socket: where the code server listens.
        environment: the variables of servers.
    """

    home: Path
    instance: dg.DagsterInstance
    socket: Path
    environment: dict[str, str]

    @contextmanager
    def serve(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a code server, and kill it at the end."""
        arguments = ["--socket", str(self.socket), "--module-name", "export_pipelines.definitions"]
        server = self.start(["export_pipelines.code_server", "api", "grpc", *arguments])
        try:
            until(self.socket.exists)
            yield server
        finally:
            kill(server)
            self.socket.unlink(missing_ok=True)

    @contextmanager
    def watch(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a daemon, wait until it has looked twice at runs, and kill it at the end."""
        workspace = self.home / "workspace.yaml"
        server = {"socket": str(self.socket), "location_name": "export_pipelines"}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        log = self.home / "daemon.log"
        before = log.read_text().count(LOOKED) if log.exists() else 0
        daemon = self.start(["dagster._daemon", "run", "-w", str(workspace)], log)
        try:
            until(lambda: log.read_text().count(LOOKED) >= before + 2)
            yield daemon
        finally:
            kill(daemon)

    def start(self, module: list[str], log: Path | None = None) -> "subprocess.Popen[bytes]":
        with (log or self.home / "server.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @contextmanager
    def workspace(self) -> Iterator[WorkspaceProcessContext]:
        target = GrpcServerTarget(
            host="localhost", port=None, socket=str(self.socket), location_name="export_pipelines"
        )
        with WorkspaceProcessContext(self.instance, target) as context:
            yield context

    def launch(self) -> dg.DagsterRun:
        """Launch an export, and return it when it is at work."""
        run = record_run(self.instance, config={"resource_type": "products"})
        with self.workspace() as context:
            self.instance.launch_run(run.run_id, context.create_request_context())
        until(lambda: status(self.instance, run) == "STARTED")
        return run

    def look(self) -> None:
        """Look at runs as the daemon does every few seconds."""
        with self.workspace() as context:
            failures = list(execute_run_monitoring_iteration(context, logging.getLogger("look")))
        assert not any(failures), failures


LOOKED = "Collected "
START_TIMEOUT_SECONDS = 120
_QUICKER = {
    "cancel_timeout_seconds: 60": "cancel_timeout_seconds: 1",
    "poll_interval_seconds: 10": "poll_interval_seconds: 1",
}


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Keep a table from everybody else."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def open_place(home: Path, url: str) -> Iterator[Place]:
    """Make a home folder whose daemon looks each second, and waits a second for a cancelled run."""
    folder = home / "dagster"
    folder.mkdir()
    settings = (ROOT / "dagster.yaml").read_text()
    assert f"start_timeout_seconds: {START_TIMEOUT_SECONDS}" in settings
    for known, quick in _QUICKER.items():
        assert known in settings
        settings = settings.replace(known, quick)
    (folder / "dagster.yaml").write_text(settings)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(folder),
        "EXPORT_PIPELINES_HOME": str(home),
        "DATABASE_URL": url,
    }
    with (
        locked(url, "products"),
        dg.DagsterInstance.from_config(str(folder)) as instance,
    ):
        yield Place(home, instance, home / "socket", environment)
        kill_all(home)


def kill_worker(place: Place, run: dg.DagsterRun) -> None:
    pid, _ = worker_of(place.instance, run.run_id) or (0, 0)
    assert pid
    os.kill(pid, signal.SIGKILL)
