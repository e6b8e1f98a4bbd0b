import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from export_pipelines.execution import run_import
from export_pipelines_tests.api.server import API, Server

ROWS = b"sku,name\nA-1,First\nA-2,Second\n"


def upload(server: Server, content: bytes = ROWS, name: str = "new.csv", **options: Any) -> Any:
    headers = options.pop("headers", {})
    files = {"file": (name, content)}
    return server.ask("POST", "/imports/jobs", files=files, data=options, headers=headers)


def waiting(server: Server, run_id: str) -> Path:
    """Return the file of an import that is queued."""
    run = server.instance.get_run_by_id(run_id)
    assert run
    files: Any = run.run_config["files"]
    return Path(files[0])


def test_a_file_is_kept_whole_and_queued(server: Server) -> None:
    answer = upload(server, dry_run="true")
    job = answer.json()
    assert answer.status_code == 202, job
    assert (job["kind"], job["status"], job["resource_type"]) == (
        "import",
        "processing",
        "products",
    )
    assert job["dry_run"] is True
    assert answer.headers["location"] == f"http://testserver{API}/imports/jobs/{job['id']}"
    assert waiting(server, job["id"]).read_bytes() == ROWS
    assert server.get(f"/imports/jobs/{job['id']}") == job
    assert job in server.get("/imports/jobs?status=processing")["items"]
    assert server.get(f"/exports/jobs/{job['id']}", 404)
    assert server.post(f"/imports/jobs/{job['id']}/cancel", 202)["status"] == "cancelled"


def test_an_import_that_ended_has_counts_and_its_report(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    row = "{},A name,{},EUR,live,physical\n"
    header = "sku,name,price_cents,currency_code,status,commodity_type\n"
    file.write_text(header + row.format("A-3", 5) + row.format("A-4", "much"), encoding="utf-8")
    config = {"files": [str(file)], "on_error": "skip", "max_error_ratio": 0.9}
    run, _ = run_import(server.instance, "products", config, lambda tags: None)
    job = server.get(f"/imports/jobs/{run.run_id}")
    counts = (job["status"], job["rows"], job["created"], job["failed"])
    assert counts == ("completed", 2, 1, 1), server.get(f"/imports/jobs/{run.run_id}/report")
    report = server.ask("GET", f"/imports/jobs/{run.run_id}/report")
    assert json.loads(report.content)["rows"]
    failed = server.ask("GET", f"/imports/jobs/{run.run_id}/failed-rows")
    assert b"A-4" in failed.content
    assert b"A-3" not in failed.content


@pytest.mark.parametrize(
    ("options", "status", "part"),
    [
        ({"resource_type": "prodcts"}, 422, "products"),
        ({"name": ".hidden.csv"}, 422, "hidden"),
        ({"name": "new.csv.part"}, 422, "part"),
        ({"content": b""}, 422, "empty"),
        ({"mapping": "/etc/passwd"}, 422, "mapping"),
        ({"mapping": "../secret.yaml"}, 422, "mapping"),
        ({"mapping": "workspace.yaml"}, 422, "without folder and ending"),
        ({"mapping": "nope"}, 422, "no mapping file"),
        ({"mapping": ".."}, 422, "no mapping file"),
        ({"mapping": "a\0b"}, 422, "no mapping file"),
        ({"mapping": "olist_products", "resource_type": "suppliers"}, 422, "not suppliers"),
        ({"dryrun": "true"}, 422, "no field dryrun"),
        ({"max_error_ratio": "7"}, 422, "max_error_ratio"),
        ({"on_error": "ignore"}, 422, "on_error"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_kept(
    server: Server, options: dict[str, Any], status: int, part: str
) -> None:
    kept = uploads(server)
    before = server.instance.get_runs_count()
    answer = upload(server, **options)
    assert answer.status_code == status, answer.text
    assert part in answer.json()["detail"], answer.text
    assert uploads(server) == kept
    assert server.instance.get_runs_count() == before


def test_a_file_that_is_too_long_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", "10")
    kept = uploads(server)
    answer = upload(server)
    assert (answer.status_code, "10 bytes" in answer.json()["detail"]) == (422, True)
    assert uploads(server) == kept


def test_a_file_that_is_sent_twice_is_imported_once(server: Server) -> None:
    headers = {"Idempotency-Key": "tuesday"}
    first = upload(server, headers=headers).json()
    assert upload(server, headers=headers).json()["id"] == first["id"]
    assert upload(server, ROWS + b"A-5,Fifth\n", headers=headers).status_code == 422
    assert upload(server, ROWS.replace(b"First", b"Other"), headers=headers).status_code == 422
    assert waiting(server, first["id"]).read_bytes() == ROWS
    run = server.instance.get_run_by_id(first["id"])
    assert run
    assert run.status is dg.DagsterRunStatus.QUEUED


def uploads(server: Server) -> set[Path]:
    folder = Path(server.instance.root_directory).parent / "imports" / "uploads"
    return set(folder.rglob("*")) if folder.is_dir() else set()
