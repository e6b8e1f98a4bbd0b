"""The queries of docs/graphql, run against the web server that `export-pipelines dev` starts."""

import csv
import json
import re
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from click.testing import CliRunner
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError
from dagster_graphql.schema import create_schema
from graphql import GraphQLSchema, parse, validate

from export_pipelines.cli.jobs import jobs
from export_pipelines_tests.webserver import (
    DOCUMENTS,
    ENDED,
    FILES,
    PAGE,
    Ask,
    launch,
    start_webserver,
    wait,
)

_VARIABLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]

ABSENT = {"ftp": {"host": "127.0.0.1", "port": 1, "username": "shop", "tls": "none"}}
"""A platform that does not answer: an export to it is tried again for half a minute."""

# Dagster's client calls its own library in a way that this has given up.
pytestmark = pytest.mark.filterwarnings("ignore:Using variable_values:DeprecationWarning")

_ASKED: set[str] = set()


class Noting(Ask):
    """Notes what was asked."""

    def __call__(self, document: str, **variables: Any) -> Any:
        data = super().__call__(document, **variables)
        _ASKED.add(document)
        return data


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the home folder of the servers."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ask(sqlite_shop: str, home: Path) -> Iterator[Ask]:
    """Start the servers, and run a query of the documents by its name."""
    with start_webserver(home, DATABASE_URL=sqlite_shop) as asked:
        yield Noting(asked.address)


@pytest.fixture(scope="module")
def client(ask: Ask, home: Path) -> DagsterGraphQLClient:
    """Return Dagster's own client of the servers."""
    [port] = re.findall(rb"Ready: http://127\.0\.0\.1:(\d+)", (home / "log").read_bytes())
    return DagsterGraphQLClient("127.0.0.1", port_number=int(port))


@pytest.fixture(scope="module")
def suppliers(ask: Ask, client: DagsterGraphQLClient) -> Any:
    """Export suppliers for an organization by Dagster's own client."""
    config = {"resource_type": "suppliers", "fields": ["code", "name"]}
    tags = {"export/organization": "acme"}
    run_id = client.submit_job_execution("export_csv", run_config=config, tags=tags)
    while client.get_run_status(run_id).value not in ENDED:
        time.sleep(0.2)
    return wait(ask, run_id)


@pytest.fixture(scope="module")
def resumed(ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Export to a disk that is not there, resume it when it is; return both runs."""
    folder = tmp_path_factory.mktemp("machine") / "disk"
    platform = {"local": {"folder": str(folder)}}
    config = {"max_rows_per_file": 500, "compression": "gzip", "platforms": [platform]}
    failed = wait(ask, launch(ask, "export_csv", organization="acme", **config)["runId"])
    folder.mkdir()
    answer = ask("Resume", runId=failed["runId"])["launchRunReexecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return failed, wait(ask, answer["run"]["runId"])


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """Make Dagster's schema, without a server."""
    made: GraphQLSchema = create_schema().graphql_schema
    return made


def successes(run: Any) -> list[str]:
    """Return the steps that have run, in the order in which they began."""
    steps = [step for step in run["stepStats"] if step["status"] == "SUCCESS"]
    return [step["stepKey"] for step in sorted(steps, key=lambda step: float(step["startTime"]))]


def materialized(run: Any) -> dict[str, Any]:
    [materialization] = run["assetMaterializations"]
    return {entry["label"]: entry for entry in materialization["metadataEntries"]}


@pytest.mark.parametrize("name", list(FILES))
def test_documents_fit_the_schema(name: str, schema: GraphQLSchema) -> None:
    document = FILES[name].read_text(encoding="utf-8")
    assert [error.message for error in validate(schema, parse(document))] == []
    assert f"[{name}.graphql](graphql/{name}.graphql)" in PAGE


def test_one_query_tells_status_counts_progress_and_files(ask: Ask) -> None:
    launched = ask("LaunchExport", **_VARIABLES[0])["launchRun"]

    run = wait(ask, launched["run"]["runId"])

    assert run["status"] == "SUCCESS"
    assert run["tags"]["export/progress"] == "100"
    assert run["tags"]["export/parts"] == "1/1"
    assert {step["status"] for step in run["stepStats"]} == {"SUCCESS"}
    [materialization] = run["assetMaterializations"]
    assert materialization["assetKey"]["path"] == ["exports", "products", "csv"]
    metadata = materialized(run)
    manifest = json.loads(metadata["manifest"]["jsonString"])
    count = int(run["tags"]["export/records_count"])
    assert 0 < count < 1_200
    assert manifest["records_count"] == metadata["records"]["intValue"] == count
    assert [file["name"] for file in manifest["files"]] == ["products.csv"]
    assert metadata["download"]["url"] == (
        f"{ask.address}/api/v1/exports/jobs/{run['runId']}/download"
    )
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


def test_an_unknown_format_is_refused_without_a_run(ask: Ask) -> None:
    answer = ask("LaunchExport", job="export_xml", config={})["launchRun"]

    assert answer["__typename"] == "PipelineNotFoundError"
    assert "export_xml" in answer["message"]


def test_exports_are_listed_by_all_that_is_asked_of_them(
    ask: Ask, suppliers: Any, resumed: tuple[Any, Any]
) -> None:
    first, (failed, second) = suppliers, resumed
    products = {"export/organization": "acme", "export/resource_type": "products"}
    moment = first["creationTime"]

    def listed(
        tags: Mapping[str, str], limit: int = 50, cursor: str = "", **also: Any
    ) -> list[str]:
        given = {"tags": [{"key": key, "value": value} for key, value in tags.items()], **also}
        found = ask("Exports", filter=given, limit=limit, cursor=cursor or None)["runsOrError"]
        return [run["runId"] for run in found["results"]]

    def ids(*runs: Any) -> list[str]:
        return sorted(run["runId"] for run in runs)

    own = {"export/organization": "acme"}
    assert sorted(listed(own)) == ids(first, failed, second)
    assert listed(products) == [second["runId"], failed["runId"]]
    assert listed(products, 1) == [second["runId"]]
    assert listed(products, 1, second["runId"]) == [failed["runId"]]
    assert listed(products, 1, failed["runId"]) == []
    assert listed(own, statuses=["FAILURE"]) == ids(failed)
    assert sorted(listed(own, statuses=["SUCCESS"])) == ids(first, second)
    assert first["runId"] in listed(own, createdBefore=moment + 0.001, createdAfter=moment - 0.001)
    assert listed(own, createdBefore=moment - 3600) == []
    assert listed(own, pipelineName="export_json") == []
    assert listed({"export/organization": "globex"}) == []
    page = ask("Exports", **_VARIABLES[1])["runsOrError"]["results"]
    assert second["runId"] in [run["runId"] for run in page]
    assert first["runId"] not in [run["runId"] for run in page]


def test_an_import_tells_its_counts_and_its_first_errors(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "suppliers.csv"
    file.write_text("code,name,is_active\nS-1,One,true\nS-2,Two,perhaps\n", encoding="utf-8")
    config = {"files": [str(file)], "dry_run": True, "on_error": "skip", "max_error_ratio": 0.5}
    answer = ask("LaunchImport", job="import_suppliers", config=config)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    run_id = answer["run"]["runId"]

    wait(ask, run_id)
    run = ask("ImportStatus", runId=run_id)["runOrError"]

    assert run["status"] == "SUCCESS"
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    counts = {name: tags[f"import/{name}"] for name in ("rows", "created", "failed")}
    assert counts == {"rows": "2", "created": "1", "failed": "1"}
    [entries] = [
        {entry["label"]: entry for entry in event["metadataEntries"]}
        for event in run["eventConnection"]["events"]
        if (event.get("stepKey") or "").startswith("report[") and event.get("metadataEntries")
    ]
    [error] = [json.loads(each) for each in entries["errors"]["table"]["records"]]
    assert (error["row"], error["column"], error["code"]) == (3, "is_active", "not_a_boolean")
    assert Path(entries["report"]["path"]).is_file()


def test_exports_that_wait_or_run_are_cancelled(ask: Ask, client: DagsterGraphQLClient) -> None:
    running = launch(ask, "export_csv", fields=["sku"], platforms=[ABSENT])["runId"]
    run = wait(ask, running, ["STARTED"])
    while "deliver[ftp]" not in [step["stepKey"] for step in run["stepStats"]]:
        run = wait(ask, running, ["STARTED"])
    # Exports of products run one after the other.
    waiting = client.submit_job_execution("export_csv", run_config={"fields": ["sku"]})

    client.terminate_run(waiting)
    assert wait(ask, waiting)["status"] == "CANCELED"
    assert ask("CancelExport", runId=running)["terminateRun"] == {
        "__typename": "TerminateRunSuccess"
    }
    run = wait(ask, running)
    assert run["status"] == "CANCELED"
    assert "finish" not in successes(run)
    assert run["assetMaterializations"] == []
    again = ask("CancelExport", runId=running)["terminateRun"]
    assert again["__typename"] == "TerminateRunFailure"
    assert "could not be terminated due to having status CANCELED" in again["message"]
    with pytest.raises(DagsterGraphQLClientError, match="could not be terminated"):
        client.terminate_run(waiting)


def test_a_run_that_is_not_there(ask: Ask) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"

    assert ask("ExportStatus", runId=nobody)["runOrError"]["__typename"] == "RunNotFoundError"
    assert ask("ImportStatus", runId=nobody)["runOrError"]["__typename"] == "RunNotFoundError"
    assert ask("CancelExport", runId=nobody)["terminateRun"]["__typename"] == "RunNotFoundError"


def test_a_failed_export_is_resumed_when_its_platform_is_back(
    ask: Ask, resumed: tuple[Any, Any]
) -> None:
    failed, run = resumed

    assert failed["status"] == "FAILURE"
    assert failed["tags"]["export/error_code"] == "platform_misconfigured"
    assert successes(failed)[:3] == ["query", "filter", "chunk"]
    assert run["status"] == "SUCCESS"
    assert run["parentRunId"] == run["rootRunId"] == failed["runId"]
    assert successes(run) == ["deliver[local]", "finish"]
    assert (run["tags"]["export/error"], run["tags"]["export/error_code"]) == ("", "")
    metadata = materialized(run)
    manifest = json.loads(metadata["manifest"]["jsonString"])
    assert [file["rows"] for file in manifest["files"]] == [500, 500, 145]
    [delivery] = json.loads(metadata["deliveries"]["jsonString"])
    for file in manifest["files"]:
        stored = Path(metadata["folder"]["path"], file["name"]).read_bytes()
        assert sha256(stored).hexdigest() == file["sha256"]
        assert Path(delivery["location"], file["name"]).read_bytes() == stored
    with pytest.raises(HTTPError, match="500"):
        ask("Resume", runId=run["runId"])


def test_schedules_tell_when_they_are_due(ask: Ask) -> None:
    found = ask("Schedules", ticks=3)["schedulesOrError"]["results"]

    [prune] = [each for each in found if each["pipelineName"] == "prune"]
    assert prune["cronSchedule"] == "30 3 * * *"
    assert prune["scheduleState"]["status"] in ("RUNNING", "STOPPED")
    moments = [tick["timestamp"] for tick in prune["futureTicks"]["results"]]
    assert len(moments) == 3
    assert time.time() < moments[0] < moments[1] < moments[2]


def test_dagsters_own_client_launches_and_polls(
    client: DagsterGraphQLClient, suppliers: Any
) -> None:
    assert suppliers["status"] == "SUCCESS"
    path = Path(suppliers["tags"]["export/location"]) / "suppliers.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["code", "name"]
    assert len(rows) == int(suppliers["tags"]["export/records_count"])
    with pytest.raises(DagsterGraphQLClientError, match="RunConfigValidationInvalid"):
        client.submit_job_execution("export_csv", run_config={"compression": "rar"})


def test_the_command_line_asks_the_servers_too(
    ask: Ask, home: Path, suppliers: Any, tmp_path: Path
) -> None:
    [address] = re.findall(r"Ready: (http://127\.0\.0\.1:\d+)", (home / "log").read_text())

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(jobs, [*arguments, "--server", address])
        assert result.exit_code == code, result.output
        return result.output

    listed = run("list", "--json", "--format", "csv", "--status", "completed")
    found = [json.loads(line)["id"] for line in listed.splitlines()]
    assert suppliers["runId"] not in found, "it is another organization's"
    assert f"Export {found[0]} is completed" in run("watch", found[0])
    run("download", found[0], "-o", f"{tmp_path}/")
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == (home / "exports" / found[0] / path.name).read_bytes()
    assert "has ended already" in run("cancel", found[0], code=1)
    assert "there is nothing to resume" in run("resume", found[0], code=1)


def test_every_document_was_run() -> None:
    """Look at what the tests before have asked; it needs all of this module."""
    assert set(DOCUMENTS) - _ASKED == set()
    assert len(DOCUMENTS) == len(FILES)
