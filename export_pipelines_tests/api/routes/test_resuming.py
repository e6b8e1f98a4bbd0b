"""Exports that fail and go on as another job, and what may be deleted of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run

from export_pipelines import settings
from export_pipelines_tests.api.server import Server


@pytest.fixture(autouse=True)
def room(server: Server) -> Iterator[None]:
    yield
    for run in server.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
        server.instance.report_run_canceled(run)


def work(server: Server, job_id: str) -> str:
    """Execute a job that is queued, as a code server does, and return its status."""
    run = server.instance.get_run_by_id(job_id)
    assert run
    starting = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name)
    server.instance.report_dagster_event(starting, job_id)
    run = server.instance.get_run_by_id(job_id)
    assert run
    jobs = ReconstructableRepository.for_module("export_pipelines.definitions", "defs")
    execute_run(jobs.get_reconstructable_job(run.job_name), run, server.instance)
    return str(server.get(f"/exports/jobs/{job_id}")["status"])


def obstacle(first: str) -> Path:
    """Return the file by which a test has the upload of an export fail."""
    return settings.exports_folder() / first


def fail(server: Server) -> str:
    """Return an export that has failed when its files were finished, and that can be resumed."""
    job_id = str(server.post("/exports/csv/suppliers", 202)["id"])
    settings.exports_folder().mkdir(exist_ok=True)
    obstacle(job_id).touch()
    assert work(server, job_id) == "failed"
    return job_id


def resume(server: Server, job_id: str, **options: Any) -> str:
    job = server.post(f"/exports/jobs/{job_id}/resume", 202, **options)
    assert (job["status"], job["resumed_from"]) == ("processing", job_id)
    return str(job["id"])


def delete(server: Server, job_id: str) -> int:
    return int(server.ask("DELETE", f"/exports/jobs/{job_id}").status_code)


def left(server: Server, *job_ids: str) -> list[Path]:
    """Return what of jobs is still on the disk."""
    home = settings.home_folder()
    return [path for path in home.rglob("*") if any(job_id in path.name for job_id in job_ids)]


def test_a_failed_export_goes_on_and_its_files_outlive_it(server: Server) -> None:
    failed = fail(server)
    obstacle(failed).unlink()
    resumed = resume(server, failed)
    assert delete(server, failed) == delete(server, resumed) == 409

    assert work(server, resumed) == "completed"
    content = server.ask("GET", f"/exports/jobs/{resumed}/download").content
    assert content
    assert delete(server, failed) == 204
    assert server.get(f"/exports/jobs/{failed}", 404)
    assert server.ask("GET", f"/exports/jobs/{resumed}/download").content == content
    assert delete(server, resumed) == 204
    assert left(server, failed, resumed) == []


def test_what_a_failed_job_needs_to_go_on_is_not_deleted(server: Server) -> None:
    first = fail(server)
    second = resume(server, first)
    assert work(server, second) == "failed"
    problem = server.ask("DELETE", f"/exports/jobs/{first}").json()
    assert (problem["code"], second in problem["detail"]) == ("conflict", True)
    obstacle(first).unlink()
    third = resume(server, second)
    assert work(server, third) == "completed"
    assert [delete(server, job_id) for job_id in (second, first, third)] == [204] * 3
    assert left(server, first, second, third) == []


def test_of_many_that_resume_a_job_one_does(server: Server) -> None:
    failed = fail(server)
    before = server.instance.get_runs_count()

    def ask(_: int) -> Any:
        return server.ask("POST", f"/exports/jobs/{failed}/resume")

    server.key()
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ask, range(6)))

    assert sorted(answer.status_code for answer in answers) == [202, *[409] * 5]
    [resumed] = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["code"] for problem in refused} == {"being_resumed"}
    assert all(f"see {resumed}" in problem["detail"] for problem in refused)
    assert server.instance.get_runs_count() == before + 1


def test_a_job_is_resumed_once_by_one_request(server: Server) -> None:
    failed = fail(server)
    headers = {"Idempotency-Key": "go on"}
    resumed = resume(server, failed, headers=headers)
    assert resume(server, failed, headers=headers) == resumed
    other = server.post(f"/exports/jobs/{resumed}/resume", 422, headers=headers)
    assert "another request" in other["detail"]
