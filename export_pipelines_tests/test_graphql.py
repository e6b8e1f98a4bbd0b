"""The queries of docs/graphql.md, run against the web server that `export-pipelines dev` starts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_pipelines_tests.webserver import PAGE, Ask, launch, start_webserver, wait

_VARIABLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.fixture(scope="module")
def ask(sqlite_shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Start the servers, and run a query of the page by its name."""
    with start_webserver(tmp_path_factory.mktemp("home"), DATABASE_URL=sqlite_shop) as asked:
        yield asked


def test_one_query_tells_status_counts_progress_and_files(ask: Ask) -> None:
    launched = ask("LaunchExport", **_VARIABLES[0])["launchRun"]

    run = wait(ask, launched["run"]["runId"])

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
    run = wait(ask, launch(ask, "export_json", resource_type="produkts")["runId"])

    assert run["status"] == "FAILURE"
    assert run["tags"]["export/error_code"] == "request_invalid"
    assert "Did you mean products?" in run["tags"]["export/error"]
    assert run["assetMaterializations"] == []


def test_a_wrong_option_is_refused_without_a_run(ask: Ask) -> None:
    answer = ask("LaunchExport", job="export_csv", config={"compression": "rar"})["launchRun"]

    assert answer["__typename"] == "RunConfigValidationInvalid"
    assert "none | gzip | zstd" in answer["errors"][0]["message"]


def test_exports_are_listed_by_tag_and_status(ask: Ask) -> None:
    done = wait(ask, launch(ask, "export_parquet", resource_type="suppliers")["runId"])

    tags = [{"key": "export/resource_type", "value": "suppliers"}]
    found = ask("Exports", filter={"tags": tags, "statuses": ["SUCCESS"]})["runsOrError"]["results"]
    page = ask("Exports", **_VARIABLES[1])["runsOrError"]["results"]

    assert [run["runId"] for run in found] == [done["runId"]]
    assert done["runId"] not in [run["runId"] for run in page]


def test_an_ended_export_cannot_be_cancelled(ask: Ask) -> None:
    done = wait(ask, launch(ask, "export_csv", resource_type="suppliers")["runId"])

    answer = ask("CancelExport", runId=done["runId"])["terminateRun"]

    assert answer["__typename"] == "TerminateRunFailure"
