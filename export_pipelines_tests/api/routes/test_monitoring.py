import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from anyio.to_thread import current_default_thread_limiter

from export_pipelines_tests.api.server import Server


def metrics(server: Server) -> dict[str, float]:
    answer = server.client.get("/metrics", headers={"Authorization": f"Bearer {server.key()}"})
    assert answer.status_code == 200, answer.text
    found = re.findall(r"^(export_pipelines_\S+) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_what_ended_is_counted(server: Server) -> None:
    before = metrics(server)
    run_id = server.export("csv", resource_type="suppliers")
    [file] = server.get(f"/exports/jobs/{run_id}")["files"]
    after = metrics(server)

    def added(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert added('export_pipelines_jobs_total{kind="export",name="csv",state="completed"}') == 1
    assert added('export_pipelines_export_rows_total{format="csv"}') == file["rows"]
    assert added('export_pipelines_export_bytes_total{format="csv"}') == file["bytes"]
    assert added('export_pipelines_export_seconds_total{format="csv"}') > 0


def test_what_waits_is_counted_and_answers_are_timed(server: Server) -> None:
    job = server.post("/exports/json/suppliers", 202)
    found = metrics(server)
    active = 'export_pipelines_jobs_active{kind="export",name="json",state="pending"}'
    assert found[active] == 1
    assert found["export_pipelines_queue_depth"] == 1
    route = 'method="POST",route="/exports/json/{resource_type}",status="202"'
    assert found[f"export_pipelines_api_request_seconds_count{{{route}}}"] == 1
    server.post(f"/exports/jobs/{job['id']}/cancel", 202)
    after = metrics(server)
    assert active not in after
    assert after["export_pipelines_queue_depth"] == 0


def test_answers_of_no_route_are_counted_together(server: Server) -> None:
    for path in ("/nothing", "/exports/none/at/all"):
        server.get(path, 404)
    route = 'method="GET",route="none",status="404"'
    assert metrics(server)[f"export_pipelines_api_request_seconds_count{{{route}}}"] == 2


def test_it_says_that_it_is_there_and_ready(server: Server) -> None:
    assert server.client.get("/healthz").json() == {"status": "ok"}
    ready = server.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "failed": []})


def test_it_is_there_and_sends_files_while_all_threads_wait(server: Server) -> None:
    run_id = server.export("csv", resource_type="suppliers")
    link = server.get(f"/exports/jobs/{run_id}")["file_url"]
    portal = server.client.portal
    assert portal
    limiter = portal.call(current_default_thread_limiter)
    waiting = [object() for _ in range(int(limiter.total_tokens))]
    for each in waiting:
        portal.call(limiter.acquire_on_behalf_of_nowait, each)
    try:
        with ThreadPoolExecutor(1) as asker:
            for path in ("/healthz", "/readyz", link):
                assert asker.submit(server.client.get, path).result(10).status_code == 200
    finally:
        for each in waiting:
            portal.call(limiter.release_on_behalf_of, each)


def test_what_does_not_answer_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/none")
    end = time.monotonic() + 3
    while (ready := server.client.get("/readyz")).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert ready.status_code == 503
    assert ready.json() == {"status": "unavailable", "failed": ["catalog"]}
