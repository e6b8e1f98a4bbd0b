import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from export_pipelines.api.callers import Remembered
from export_pipelines.api.routes import exports
from export_pipelines.formats import FORMATS
from export_pipelines.registry import signing
from export_pipelines.registry.signing import rotate_signing_key, signing_keys
from export_pipelines_tests.api.server import API, Server

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(autouse=True)
def room(server: Server) -> Any:
    yield
    for run in server.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
        server.instance.report_run_canceled(run)


@pytest.mark.parametrize(
    ("format_name", "body"),
    [
        (
            "csv",
            {
                "filters": {"is_active": True},
                "include_fields": ["ean", "name", "price", "cost_price"],
            },
        ),
        ("json", {"filters": {"is_active": True}, "pretty": False}),
        ("excel", {"include_sheets": ["products", "suppliers"]}),
        ("zip", {"max_rows_per_file": 50000}),
        ("parquet", None),
    ],
)
def test_an_export_is_accepted_as_a_job(server: Server, format_name: str, body: Any) -> None:
    options = {"json": body} if body else {}
    answer = server.ask("POST", f"/exports/{format_name}/products", **options)
    job = answer.json()
    assert answer.status_code == 202, job
    assert UUID.fullmatch(job["id"])
    assert (job["status"], job["state"], job["format"]) == ("processing", "pending", format_name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["created_at"])
    assert answer.headers["location"] == f"http://testserver{API}/exports/jobs/{job['id']}"
    assert answer.headers["retry-after"] == "1"
    run = server.instance.get_run_by_id(job["id"])
    assert run
    assert run.status is dg.DagsterRunStatus.QUEUED
    expected = {"fields" if key == "include_fields" else key: v for key, v in (body or {}).items()}
    assert {**run.run_config} == {"resource_type": "products", **expected}
    assert run.tags["export/organization"] == "default"


def test_a_completed_export_is_read_and_downloaded(server: Server) -> None:
    run_id = server.export("csv", resource_type="suppliers")
    job = server.get(f"/exports/jobs/{run_id}")
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    [file] = job["files"]
    assert job["total_records"] == file["rows"] > 0
    answer = server.ask("GET", f"/exports/jobs/{run_id}/download")
    assert answer.status_code == 200
    assert len(answer.content) == file["bytes"]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "suppliers.csv" in answer.headers["content-disposition"]
    for url in (job["file_url"], file["url"]):
        assert url.startswith(f"http://testserver{API}/exports/files/{run_id}?")
        assert server.client.get(url).content == answer.content
        assert server.client.get(url[:-1]).status_code == 403
    assert server.get(f"/exports/jobs/{run_id}")["completed_at"] == job["completed_at"]


@pytest.mark.parametrize(
    ("body", "status", "code", "part"),
    [
        ({"filters": {"colour_eq": "red"}}, 422, "request_invalid", "colour"),
        ({"fields": ["sku", "nothing"]}, 422, "request_invalid", "nothing"),
        ({"filters": {"name_eq": "there is none"}}, 422, "no_records", "match"),
        ({"max_records": 3}, 422, "too_many_records", "3"),
        ({"max_records": "3"}, 422, "request_invalid", "max_records"),
        ({"max_records": 0}, 422, "request_invalid", "max_records"),
        ({"unknown": 1}, 422, "unknown_field", "unknown"),
        ({"compression": "rar"}, 422, "request_invalid", "compression"),
        ({"platforms": ["nowhere"]}, 422, "platform_misconfigured", "nowhere"),
        ({"platforms": ["nowhere"] * 101}, 422, "request_invalid", "100 items"),
        ({"platforms": [{"local": {"folder": "/"}}]}, 422, "request_invalid", "platforms.0"),
        ({"include_fields": ["sku"], "fields": ["sku"]}, 422, "request_invalid", "only one"),
        ([], 422, "request_invalid", "body"),
    ],
)
def test_what_cannot_succeed_is_refused_without_a_run(
    server: Server, body: Any, status: int, code: str, part: str
) -> None:
    before = server.instance.get_runs_count()
    problem = server.post("/exports/csv/products", status, body)
    assert problem["code"] == code, problem
    assert part in problem["detail"], problem
    assert problem["error_code"] == "VALIDATION_ERROR"
    assert problem["timestamp"].endswith("Z")
    assert server.instance.get_runs_count() == before


@pytest.mark.parametrize("path", ["/exports/csv/prodcts", "/exports/word/products"])
def test_unknown_names_are_refused_with_those_that_exist(server: Server, path: str) -> None:
    problem = server.post(path, 422)
    assert "products" in problem["detail"] or "csv" in problem["detail"]


def test_a_body_that_is_no_json_is_refused(server: Server) -> None:
    answer = server.ask(
        "POST",
        "/exports/csv/products",
        content="{'filters'",
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "json_invalid")


def test_of_many_at_once_as_many_are_accepted_as_may_be(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "3")

    def start(_: int) -> Any:
        return server.ask("POST", "/exports/csv/suppliers")

    key = server.key()
    before = server.instance.get_runs_count()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(start, range(12)))
    assert key
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [202] * 3 + [429] * 9
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error_code"] == "TOO_MANY_EXPORTS"
    assert int(refused.headers["retry-after"]) > 0
    assert server.instance.get_runs_count() == before + 3
    events = Path(server.instance.root_directory, "history", "runs").iterdir()
    known = {"index", *(run.run_id for run in server.instance.get_runs())}
    assert {path.name.partition(".")[0] for path in events} <= known


def test_one_request_is_carried_out_once(server: Server) -> None:
    headers = {"Idempotency-Key": "monday"}
    first = server.post("/exports/csv/suppliers", 202, headers=headers)
    again = server.post("/exports/csv/suppliers", 202, headers=headers)
    assert again["id"] == first["id"]
    other = server.post("/exports/json/suppliers", 422, headers=headers)
    assert "another request" in other["detail"]
    elsewhere = server.post(
        "/exports/csv/suppliers", 202, headers=headers, key=server.key("acme", "exports:write")
    )
    assert elsewhere["id"] != first["id"]


def test_a_request_that_was_refused_can_be_made_again(server: Server) -> None:
    headers = {"Idempotency-Key": "corrected"}
    server.post("/exports/csv/suppliers", 422, {"fields": ["nothing"]}, headers=headers)
    assert server.post("/exports/csv/suppliers", 202, {"fields": ["name"]}, headers=headers)


def test_a_queued_export_is_cancelled(server: Server) -> None:
    job = server.post("/exports/csv/suppliers", 202)
    cancelled = server.post(f"/exports/jobs/{job['id']}/cancel", 202)
    assert cancelled["status"] == "cancelled"
    again = server.post(f"/exports/jobs/{job['id']}/cancel", 409)
    assert again["error_code"] == "CONFLICT"
    download = server.get(f"/exports/jobs/{job['id']}/download", 409)
    assert "cancelled" in download["detail"]


def test_only_what_has_failed_is_resumed(server: Server) -> None:
    run_id = server.export("csv", resource_type="suppliers")
    assert "nothing to resume" in server.post(f"/exports/jobs/{run_id}/resume", 409)["detail"]
    job = server.post("/exports/csv/suppliers", 202)
    assert "still going on" in server.post(f"/exports/jobs/{job['id']}/resume", 409)["detail"]


def test_jobs_are_listed_in_pages_and_filtered(server: Server) -> None:
    key = server.key("lister", "exports:read")
    runs = [
        server.export(name, "lister", resource_type=kind)
        for name, kind in (("csv", "suppliers"), ("json", "suppliers"), ("csv", "products"))
    ]
    newest_first = runs[::-1]
    page = server.get("/exports/jobs?limit=2", key=key)
    assert [job["id"] for job in page["items"]] == newest_first[:2]
    rest = server.get(f"/exports/jobs?limit=2&cursor={page['next_cursor']}", key=key)
    assert [job["id"] for job in rest["items"]] == newest_first[2:]
    assert rest["next_cursor"] is None

    def listed(query: str) -> list[str]:
        return [job["id"] for job in server.get(f"/exports/jobs?{query}", key=key)["items"]]

    assert listed("format=csv") == [runs[2], runs[0]]
    assert listed("resource_type=suppliers") == [runs[1], runs[0]]
    assert listed("status=completed") == newest_first
    assert listed("status=failed") == []
    assert listed("status=processing") == []
    assert listed("created_from=2020-01-01") == newest_first
    assert listed("created_to=2020-01-01T00:00:00Z") == []
    assert "is no time" in server.get("/exports/jobs?created_from=soon", 422)["detail"]
    theirs = server.export("csv", resource_type="suppliers")
    details = [
        server.get(f"/exports/jobs?cursor={each}", 422, key=key)["detail"].replace(each, "ID")
        for each in (theirs, theirs[::-1])
    ]
    assert details[0] == details[1]
    assert "of a page of exports" in details[0]


def test_an_ended_export_is_deleted_with_its_files(server: Server) -> None:
    run_id = server.export("csv", resource_type="suppliers")
    link = server.get(f"/exports/jobs/{run_id}")["file_url"]
    assert server.ask("DELETE", f"/exports/jobs/{run_id}").status_code == 204
    assert server.get(f"/exports/jobs/{run_id}", 404)["error_code"] == "NOT_FOUND"
    assert server.client.get(link).status_code == 404
    job = server.post("/exports/csv/suppliers", 202)
    assert server.ask("DELETE", f"/exports/jobs/{job['id']}").status_code == 409


def test_all_types_are_listed(server: Server) -> None:
    items = server.get("/exports/types")["items"]
    assert {"products", "order_list"} <= {item["name"] for item in items}
    assert items[0]["formats"] == list(FORMATS)


def test_links_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = server.export("csv", resource_type="suppliers")
    link = server.get(f"/exports/jobs/{run_id}")["file_url"]
    assert server.client.get(link).status_code == 200
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment + 301)
    answer = server.client.get(link)
    assert (answer.status_code, answer.json()["code"]) == (403, "link_refused")
    assert "expired" in answer.json()["detail"]


def test_a_link_of_a_key_that_another_process_has_just_made_is_good(server: Server) -> None:
    run_id = server.export("csv", resource_type="suppliers")
    before = server.get(f"/exports/jobs/{run_id}")["file_url"]
    assert server.client.get(before).status_code == 200
    rotate_signing_key()
    signing._known.clear()
    after = server.get(f"/exports/jobs/{run_id}")["file_url"]
    assert [server.client.get(link).status_code for link in (after, before)] == [200, 200]


def test_links_that_are_not_good_do_not_keep_the_registry_busy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[bytes]] = []

    def counted() -> list[bytes]:
        read.append(signing_keys())
        return read[-1]

    monkeypatch.setattr(exports, "SIGNING_KEYS", Remembered(counted))
    bad = f"{API}/exports/files/none?expires=1&signature=none"
    began = time.monotonic()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(server.client.get, [bad] * 60))
    assert {answer.status_code for answer in answers} == {403}
    assert len(read) <= 2 + (time.monotonic() - began) / 0.1


def test_links_lead_to_where_others_reach_the_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "https://shop.example/")
    run_id = server.export("csv", resource_type="suppliers")
    job = server.get(f"/exports/jobs/{run_id}", headers={"Host": "backend:8080"})
    for url in (job["file_url"], job["files"][0]["url"]):
        assert url.startswith(f"https://shop.example{API}/exports/files/{run_id}?")
    answer = server.ask("POST", "/exports/csv/suppliers")
    assert answer.headers["location"].startswith(f"https://shop.example{API}/exports/jobs/")
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "shop.example")
    assert "PUBLIC_URL" in server.get(f"/exports/jobs/{run_id}", 422)["detail"]
