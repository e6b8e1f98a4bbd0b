"""Runs are forks of one process, which has no connection of its own and may end at any time."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from export_pipelines.launcher import worker_of
from export_pipelines_tests.code_server import Place, kill_worker, open_place, status, until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def place(postgres_shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("home"), postgres_shop) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(place: Place) -> "Iterator[subprocess.Popen[bytes]]":
    with place.serve() as process:
        yield process


def worker(place: Place, run: dg.DagsterRun) -> int:
    pid, _ = worker_of(place.instance, run.run_id) or (0, 0)
    assert pid
    return pid


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_runs_are_forks_of_a_process_without_connections(
    place: Place, server: "subprocess.Popen[bytes]"
) -> None:
    runs = [place.launch(), place.launch()]
    [parent] = {parent_of(worker(place, run)) for run in runs}
    assert parent_of(parent) == server.pid
    opened = [str(each.readlink()) for each in Path(f"/proc/{parent}/fd").iterdir()]
    assert [each for each in opened if each.endswith(".db")] == []
    assert sum(each.startswith("socket:") for each in opened) == 1, "that by which it is asked"
    for run in runs:
        kill_worker(place, run)
        place.instance.report_run_failed(run)


def test_a_run_begins_though_that_process_was_killed(
    place: Place, server: "subprocess.Popen[bytes]"
) -> None:
    first = place.launch()
    parent = parent_of(worker(place, first))
    os.kill(parent, signal.SIGKILL)
    second = place.launch()
    assert parent_of(worker(place, second)) != parent
    assert is_there(worker(place, first))
    for run in (first, second):
        kill_worker(place, run)
        place.instance.report_run_failed(run)


def test_a_run_goes_on_without_its_code_server_and_leaves_nothing_behind(
    place: Place, server: "subprocess.Popen[bytes]"
) -> None:
    run = place.launch()
    pid = worker(place, run)
    parent = parent_of(pid)
    server.kill()
    server.wait()
    time.sleep(1)
    assert is_there(pid)
    assert status(place.instance, run) == "STARTED"
    kill_worker(place, run)
    until(lambda: not is_there(parent))
