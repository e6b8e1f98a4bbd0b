"""The queries of docs/graphql.md, run against the web server that `export-pipelines dev` starts."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

_ROOT = Path(__file__).parents[1]
_PAGE = (_ROOT / "docs" / "graphql.md").read_text(encoding="utf-8")
_DOCUMENTS = {
    name: document
    for document in re.findall(r"```graphql\n(.*?)```", _PAGE, re.DOTALL)
    for name in re.findall(r"^(?:query|mutation) (\w+)", document)
}
_VARIABLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", _PAGE, re.DOTALL)]
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(sqlite_shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Start the servers, and run a query of the page by its name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "EXPORT_PIPELINES_HOME": str(home), "DATABASE_URL": sqlite_shop}
    log = home / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "export_pipelines", "dev", "--port", str(port)],
            cwd=_ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while b"Ready:" not in log.read_bytes():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

        def run(name: str, **variables: Any) -> Any:
            body = json.dumps({"query": _DOCUMENTS[name], "variables": variables}).encode()
            request = Request(
                f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
            )
            with urlopen(request, timeout=60) as response:
                answer = json.load(response)
            assert "errors" not in answer, answer
            return answer["data"]

        yield run
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _wait(ask: Ask, run_id: str) -> Any:
    deadline = time.monotonic() + 90
    while True:
        run = ask("ExportStatus", runId=run_id)["runOrError"]
        if run["status"] in _ENDED:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]}
            return run
        assert time.monotonic() < deadline, run
        time.sleep(0.2)


def _launch(ask: Ask, job: str, **config: Any) -> str:
    answer = ask("LaunchExport", job=job, config=config)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    run_id: str = answer["run"]["runId"]
    return run_id


def test_one_query_tells_status_counts_progress_and_files(ask: Ask) -> None:
    launched = ask("LaunchExport", **_VARIABLES[0])["launchRun"]

    run = _wait(ask, launched["run"]["runId"])

    assert run["status"] == "SUCCESS"
    assert run["tags"]["export/progress"] == "100"
    assert run["tags"]["export/parts"] == "1/1"
    assert {step["status"] for step in run["stepStats"]} == {"SUCCESS"}
    materialization = run["assetMaterializations"][0]
    assert materialization["assetKey"]["path"] == ["exports", "products", "csv"]
    metadata = {entry["label"]: entry for entry in materialization["metadataEntries"]}
    manifest = json.loads(metadata["manifest"]["jsonString"])
    count = int(run["tags"]["export/records_count"])
    assert 0 < count < 1_200
    assert manifest["records_count"] == metadata["records"]["intValue"] == count
    assert [file["name"] for file in manifest["files"]] == ["products.csv"]
    assert (Path(metadata["folder"]["path"]) / "products.csv").stat().st_size == (
        manifest["files"][0]["bytes"]
    )


def test_a_failed_export_says_why(ask: Ask) -> None:
    run = _wait(ask, _launch(ask, "export_json", resource_type="produkts"))

    assert run["status"] == "FAILURE"
    assert run["tags"]["export/error_code"] == "request_invalid"
    assert "Did you mean products?" in run["tags"]["export/error"]
    assert run["assetMaterializations"] == []


def test_a_wrong_option_is_refused_without_a_run(ask: Ask) -> None:
    answer = ask("LaunchExport", job="export_csv", config={"compression": "rar"})["launchRun"]

    assert answer["__typename"] == "RunConfigValidationInvalid"
    assert "none | gzip | zstd" in answer["errors"][0]["message"]


def test_exports_are_listed_by_tag_and_status(ask: Ask) -> None:
    done = _wait(ask, _launch(ask, "export_parquet", resource_type="suppliers"))

    tags = [{"key": "export/resource_type", "value": "suppliers"}]
    found = ask("Exports", filter={"tags": tags, "statuses": ["SUCCESS"]})["runsOrError"]["results"]
    page = ask("Exports", **_VARIABLES[1])["runsOrError"]["results"]

    assert [run["runId"] for run in found] == [done["runId"]]
    assert done["runId"] not in [run["runId"] for run in page]


def test_an_ended_export_cannot_be_cancelled(ask: Ask) -> None:
    done = _wait(ask, _launch(ask, "export_csv", resource_type="suppliers"))

    answer = ask("CancelExport", runId=done["runId"])["terminateRun"]

    assert answer["__typename"] == "TerminateRunFailure"
