"""Exports over their organization's limit are refused, and those of products wait in line."""

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
import psycopg2
import pytest
from dagster._core.run_coordinator import SubmitRunContext

from export_pipelines.coordinator import ExportRunCoordinator
from export_pipelines.records import open_instance
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.webserver import ROOT, launch, start_webserver, wait

# Six exports start in processes of their own: seconds on an idle machine, minutes on a busy one.
pytestmark = pytest.mark.timeout(600)

RUSH_LIMIT = 5


def limit_reached(limit: int) -> str:
    return (
        f"Exports pending or running in the organization 'default': {limit}, and {limit} at once "
        "is the limit. Wait for one to end or cancel one, then export again; "
        "EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS raises the limit."
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def submit(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    coordinator = ExportRunCoordinator()
    coordinator.register_instance(instance)
    return coordinator.submit_run(SubmitRunContext(run, cast(Any, None)))


def status(run: dg.DagsterRun) -> str:
    return run.status.value


def statuses(instance: dg.DagsterInstance) -> list[str]:
    """Return the statuses of all runs, the first recorded first."""
    return [status(run) for run in instance.get_runs(ascending=True)]


def own_tags(run: dg.DagsterRun) -> dict[str, str]:
    return {key: value for key, value in run.tags.items() if key.startswith("export/")}


def test_an_export_is_tagged_and_queued(instance: dg.DagsterInstance) -> None:
    run = submit(instance, record_run(instance, config={"resource_type": "suppliers"}))

    assert status(run) == "QUEUED"
    assert own_tags(run) == {
        "export/format": "csv",
        "export/organization": "default",
        "export/resource_type": "suppliers",
    }


def test_tags_that_are_given_stay(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")

    given = submit(instance, record_run(instance, organization="globex", resource_type="orders"))
    missing = submit(instance, record_run(instance, organization=""))

    assert given.tags["export/organization"] == "globex"
    assert given.tags["export/resource_type"] == "orders"
    assert missing.tags["export/organization"] == "acme"


@pytest.mark.parametrize(
    "config", [None, {}, {"resource_type": None}, {"resource_type": ["a"]}, {"resource_type": ""}]
)
def test_without_a_resource_type_it_is_products(
    instance: dg.DagsterInstance, config: dict[str, Any] | None
) -> None:
    run = submit(instance, record_run(instance, config=config))

    assert run.tags["export/resource_type"] == "products"


def test_other_jobs_pass_untouched(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "1")
    submit(instance, record_run(instance))

    run = submit(
        instance, record_run(instance, "import_prices", config={"resource_type": "prices"})
    )

    assert status(run) == "QUEUED"
    assert own_tags(run) == {}


def test_the_eleventh_export_fails_at_once_and_says_why(instance: dg.DagsterInstance) -> None:
    first = [submit(instance, record_run(instance)) for _ in range(10)]

    refused = submit(instance, record_run(instance))

    assert {status(run) for run in first} == {"QUEUED"}
    assert status(refused) == "FAILURE"
    assert refused.tags["export/error"] == limit_reached(10)
    assert refused.tags["export/error_code"] == "too_many_exports"
    (event,) = instance.all_logs(refused.run_id)
    assert event.dagster_event
    assert event.dagster_event.is_run_failure
    assert event.dagster_event.message == limit_reached(10)
    assert event.error_info is None
    assert status(submit(instance, record_run(instance, organization="acme"))) == "QUEUED"


def test_the_first_recorded_go_on_in_whatever_order_they_come(
    instance: dg.DagsterInstance,
) -> None:
    runs = [record_run(instance) for _ in range(14)]

    for run in random.Random(7).sample(runs, len(runs)):
        submit(instance, run)

    assert statuses(instance) == ["QUEUED"] * 10 + ["FAILURE"] * 4


def test_as_many_go_on_if_all_come_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "3")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as shared:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: submit(shared, record_run(shared)), range(8)))

        assert statuses(shared) == ["QUEUED"] * 3 + ["FAILURE"] * 5


def test_of_runs_that_resume_a_job_the_first_goes_on(instance: dg.DagsterInstance) -> None:
    failed = record_run(instance, status="FAILURE")
    runs = [record_run(instance, resumes=failed) for _ in range(3)]
    for run in reversed(runs):
        submit(instance, run)

    assert statuses(instance) == ["FAILURE", "QUEUED", "FAILURE", "FAILURE"]
    [last, *_] = instance.get_runs()
    assert last.tags["export/error_code"] == "being_resumed"
    assert (
        f"{failed.run_id} is being resumed already: see {runs[0].run_id}."
        in (last.tags["export/error"])
    )
    instance.report_run_canceled(runs[0])
    assert status(submit(instance, record_run(instance, resumes=runs[0]))) == "QUEUED"


def test_an_import_is_resumed_once_at_a_time(instance: dg.DagsterInstance) -> None:
    failed = record_run(instance, "import_products", status="FAILURE")
    runs = [record_run(instance, "import_products", resumes=failed) for _ in range(2)]
    for run in runs:
        instance.add_run_tags(run.run_id, {"import/resource_type": "products"})
    first, second = (submit(instance, run) for run in instance.get_runs(ascending=True)[1:])

    assert (status(first), status(second)) == ("QUEUED", "FAILURE")
    assert second.tags["import/error_code"] == "being_resumed"


def test_all_of_a_job_can_be_executed_again_while_it_is_resumed(
    instance: dg.DagsterInstance,
) -> None:
    failed = record_run(instance, status="FAILURE")
    submit(instance, record_run(instance, resumes=failed))
    again = dg.DagsterRun(
        "export_csv",
        parent_run_id=failed.run_id,
        root_run_id=failed.run_id,
        tags={"export/format": "csv", "dagster/root_run_id": failed.run_id},
        remote_job_origin=failed.remote_job_origin,
    )
    assert status(submit(instance, instance.add_run(again))) == "QUEUED"


def test_a_limit_that_is_no_number_refuses_with_its_sentence(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "ten")

    run = submit(instance, record_run(instance))

    assert status(run) == "FAILURE"
    assert run.tags["export/error_code"] == "request_invalid"
    assert run.tags["export/error"].endswith("set it to a whole number of 1 or more.")


def test_a_run_that_is_queued_already_is_left_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(instance, record_run(instance))
    queued = submit(instance, record_run(instance))
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "1")

    assert status(submit(instance, queued)) == "QUEUED"


def test_a_run_does_not_inherit_an_error(instance: dg.DagsterInstance) -> None:
    run = submit(instance, record_run(instance, error="It failed.", error_code="data_invalid"))

    assert (run.tags["export/error"], run.tags["export/error_code"]) == ("", "")


def test_an_import_does_not_inherit_an_outcome(instance: dg.DagsterInstance) -> None:
    run = record_run(instance, "import_products")
    inherited = {
        "import/error": "x",
        "import/error_code": "y",
        "import/rows": "7",
        "import/file": "f",
    }
    instance.add_run_tags(run.run_id, inherited)
    again = instance.get_run_by_id(run.run_id)
    assert again
    submit(instance, again)
    queued = instance.get_run_by_id(run.run_id)
    assert queued
    assert {name: queued.tags[name] for name in inherited} == {
        "import/error": "",
        "import/error_code": "",
        "import/rows": "",
        "import/file": "f",
    }


def test_the_projects_settings_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with open_instance() as instance:
        assert isinstance(instance.run_coordinator, ExportRunCoordinator)
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        queue = instance.get_concurrency_config().run_queue_config
    assert queue
    assert queue.max_concurrent_runs == 10
    each = {"applyLimitPerUniqueValue": True}
    assert queue.tag_concurrency_limits == [
        {"key": "export/resource_type", "value": "products", "limit": 1},
        {"key": "import/resource_type", "value": each, "limit": 1},
        {"key": "import/queue", "value": "imports", "limit": 3},
    ]


def test_servers_import_no_more_than_they_need() -> None:
    code = "import sys, export_pipelines.coordinator; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name for name in done.stdout.split() if name.startswith("export_pipelines.")}
    small = ("coordinator", "errors", "limits", "settings")
    assert modules == {f"export_pipelines.{name}" for name in small}


@dataclass(frozen=True)
class Rush:
    """What became of seven exports that came at once, where five are allowed.

    Attributes:
        refused: the answer to the sixth.
        waiting: the status of each of the first five when one of products and all others had
            started, and none could end.
        ended: the first five at their end, as they were launched.
        other: the seventh, of another organization, at its end.
    """

    refused: Any
    waiting: list[str]
    ended: list[Any]
    other: Any


@pytest.fixture(scope="module")
def rush(postgres_shop: str, tmp_path_factory: pytest.TempPathFactory) -> Rush:
    home = tmp_path_factory.mktemp("home")
    types = ["products"] * 3 + ["suppliers"] * (RUSH_LIMIT - 3)
    limit = {"EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS": str(RUSH_LIMIT)}
    with start_webserver(home, DATABASE_URL=postgres_shop, **limit) as ask:
        with closing(psycopg2.connect(postgres_shop)) as connection, connection.cursor() as cursor:
            # No export ends while nobody else can read the tables.
            cursor.execute("LOCK TABLE products, suppliers IN ACCESS EXCLUSIVE MODE")
            first = [launch(ask, "export_csv", resource_type=name)["runId"] for name in types]
            refused = launch(ask, "export_csv", resource_type="suppliers")
            other = launch(ask, "export_csv", organization="acme", resource_type="suppliers")
            for run_id in [first[0], *first[3:]]:
                wait(ask, run_id, ["STARTED"])
            waiting = [
                ask("ExportStatus", runId=run_id)["runOrError"]["status"] for run_id in first
            ]
        ended = [wait(ask, run_id) for run_id in first]
        return Rush(refused, waiting, ended, wait(ask, other["runId"]))


def test_a_server_takes_as_many_as_are_allowed_and_ends_them_all(rush: Rush) -> None:
    assert [run["status"] for run in rush.ended] == ["SUCCESS"] * RUSH_LIMIT
    assert {run["tags"]["export/organization"] for run in rush.ended} == {"default"}


def test_a_server_answers_the_next_with_the_reason(rush: Rush) -> None:
    assert rush.refused["status"] == "FAILURE"
    assert rush.refused["tags"]["export/error"] == limit_reached(RUSH_LIMIT)
    assert rush.refused["tags"]["export/error_code"] == "too_many_exports"


def test_another_organization_is_not_affected(rush: Rush) -> None:
    assert rush.other["status"] == "SUCCESS"
    assert rush.other["tags"]["export/organization"] == "acme"


def test_products_wait_for_products_and_others_do_not(rush: Rush) -> None:
    assert rush.waiting == ["STARTED", "QUEUED", "QUEUED", *["STARTED"] * (RUSH_LIMIT - 3)]


def test_exports_of_products_run_one_after_the_other_the_oldest_first(rush: Rush) -> None:
    first, second, third, *others = rush.ended
    assert first["creationTime"] < second["creationTime"] < third["creationTime"]
    assert first["endTime"] <= second["startTime"]
    assert second["endTime"] <= third["startTime"]
    for run in others:
        assert run["creationTime"] > third["creationTime"]
        assert run["startTime"] < second["startTime"]
