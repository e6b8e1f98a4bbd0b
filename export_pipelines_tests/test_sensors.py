"""The sensor of the drop folder: what it asks for, and what it says when it does not."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from export_pipelines import sensors, settings
from export_pipelines.catalog.database import create_schema
from export_pipelines.catalog.entities import TABLES
from export_pipelines.definitions import defs
from export_pipelines.imports import drop_folder
from export_pipelines.sensors import SECONDS, import_drop_folder
from export_pipelines_tests.imports.drops import CONTENT, ODD_NAMES, drop, names, other, release_all
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.stored import rows

HEADER = b"sku,name,status,commodity_type\n"


@dataclass
class Daemon:
    """Looks at the drop folder as the daemon does, and may run what is asked for."""

    instance: dg.DagsterInstance
    cursor: str | None = None

    def look(self) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        found = import_drop_folder(context)
        assert isinstance(found, dg.SensorResult)
        self.cursor = found.cursor
        return found

    def said(self) -> str:
        """Return what the sensor says at a look at which it asks for nothing."""
        found = self.look()
        assert not found.run_requests
        assert found.skip_reason
        return str(found.skip_reason.skip_message)

    def wanted(self) -> list[dg.RunRequest]:
        return list(self.look().run_requests or [])

    def ready(self) -> list[dg.RunRequest]:
        assert self.said() == "No file is ready."
        return self.wanted()

    def record(self, request: dg.RunRequest, status: str) -> dg.DagsterRun:
        """Record a run as the daemon does before it is begun."""
        run = record_run(
            self.instance, str(request.job_name), status=status, config=request.run_config
        )
        tags = {**request.tags, "dagster/run_key": str(request.run_key), "import/queue": "imports"}
        self.instance.add_run_tags(run.run_id, tags)
        return run

    def run(self, request: dg.RunRequest) -> dg.DagsterRun:
        result = defs.resolve_job_def(str(request.job_name)).execute_in_process(
            run_config=dict(request.run_config),
            instance=self.instance,
            tags={**request.tags, "dagster/run_key": str(request.run_key)},
            raise_on_error=False,
        )
        release_all()
        run = self.instance.get_run_by_id(result.run_id)
        assert run
        return run


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Daemon]:
    create_schema(settings.database_url())
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance)
    release_all()


def products() -> list[str]:
    found = rows(settings.database_url(), "products", "sku", by="sku")
    return [sku for (sku,) in found]


def good(sku: str) -> bytes:
    return HEADER + f"{sku},Thing,live,physical\n".encode()


def test_it_runs_by_itself() -> None:
    assert import_drop_folder.name == "import_drop_folder"
    assert import_drop_folder.minimum_interval_seconds == SECONDS == 5
    assert import_drop_folder.default_status is dg.DefaultSensorStatus.RUNNING


def test_it_makes_a_folder_for_everything_that_can_be_imported(daemon: Daemon) -> None:
    assert daemon.said() == "No file is ready."
    found = {path.name for path in (settings.imports_folder() / "incoming").iterdir()}
    assert found == set(TABLES)


def test_a_run_is_asked_for_at_the_second_look(daemon: Daemon) -> None:
    path = drop("stock.csv")
    [request] = daemon.ready()
    assert request.job_name == "import_products"
    assert request.run_config == {"files": [str(path)]}
    assert request.tags == {"import/file": "stock.csv", "import/source": "drop folder"}
    run = daemon.run(request)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert products() == ["A"]
    assert [name.split("-", 2)[2] for name in names("done")] == [
        "stock.csv",
        "stock.csv.report.json",
    ]
    assert daemon.said() == "No file is ready."


def test_a_file_that_grows_waits(daemon: Daemon) -> None:
    for size in range(1, 4):
        drop("stock.csv", CONTENT[:-size])
        assert daemon.said() == "No file is ready."
    assert len(daemon.wanted()) == 1


def test_a_bad_file_ends_in_failed(daemon: Daemon) -> None:
    drop("stock.csv", HEADER + b"A,Apple,new,physical\n")
    [request] = daemon.ready()
    run = daemon.run(request)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["import/error"].startswith("stock.csv: 1 of 1 rows is wrong, so nothing")
    assert [name.split("-", 2)[2] for name in names("failed")] == [
        "stock.csv",
        "stock.csv.failed_rows.csv",
        "stock.csv.report.json",
    ]
    assert names("done") == []
    assert daemon.said() == "No file is ready."


def test_three_files_get_a_run_each(daemon: Daemon) -> None:
    for number in range(3):
        drop(f"{number}.csv", good(f"S{number}"))
    requests = daemon.ready()
    assert len({request.run_key for request in requests}) == 3
    assert [len(request.run_config["files"]) for request in requests] == [1, 1, 1]
    for request in requests:
        assert daemon.run(request).status is dg.DagsterRunStatus.SUCCESS
    assert products() == ["S0", "S1", "S2"]


def test_many_files_share_a_run(daemon: Daemon) -> None:
    for number in range(21):
        drop(f"{number:02}.csv", good(f"S{number:02}"))
    drop("bad.csv", b"sku,nme\nA,Thing\n")
    [request] = daemon.ready()
    assert request.tags["import/file"] == "22 files"
    run = daemon.run(request)
    # The one that is wrong keeps none of the others from being imported.
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["import/error"].startswith("bad.csv: There is no products field 'nme'.")
    assert products() == [f"S{number:02}" for number in range(21)]
    assert (len(names("done")), len(names("failed"))) == (42, 2)
    assert run.tags["import/created"] == "21"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_are_odd(daemon: Daemon, name: str) -> None:
    drop(name)
    [request] = daemon.ready()
    assert request.tags["import/file"].isprintable()
    run = daemon.run(request)
    assert run.status is dg.DagsterRunStatus.SUCCESS, run.tags
    assert len(names("done")) == 2
    assert products() == ["A"]
    drop(name, b"sku,nme\nA,Thing\n")
    [request] = daemon.ready()
    run = daemon.run(request)
    assert run.tags["import/error"].isprintable()
    assert "There is no products field 'nme'" in run.tags["import/error"]
    for path in (settings.imports_folder() / "failed").glob("*/*.report.json"):
        json.loads(path.read_bytes())


def test_what_waits_for_a_run_is_not_asked_for(daemon: Daemon) -> None:
    drop("stock.csv")
    [request] = daemon.ready()
    run = daemon.record(request, "QUEUED")
    assert daemon.said() == "No file is ready."
    daemon.instance.delete_run(run.run_id)
    [again] = daemon.wanted()
    assert again.run_config == request.run_config
    assert again.run_key != request.run_key


@pytest.mark.parametrize("count", [1, 21])
def test_cancelled_runs_are_not_asked_for_again(daemon: Daemon, count: int, tmp_path: Path) -> None:
    paths = [drop(f"{number:02}.csv") for number in range(count)]
    [request] = daemon.ready()
    daemon.record(request, "CANCELED")
    for _ in range(2):
        said = daemon.said()
        assert said.startswith("products/00.csv was cancelled: move it away and in again to impo")
        assert said.count("was cancelled") == count
    away = tmp_path / "away.csv"
    paths[0].rename(away)
    daemon.look()
    away.rename(paths[0])
    daemon.look()
    [again] = daemon.wanted()
    assert again.run_config["files"] == [str(paths[0])]


def test_a_file_that_no_run_takes_is_asked_for_three_times(daemon: Daemon) -> None:
    drop("stock.csv")
    requests = daemon.ready()
    for _ in range(2):
        daemon.record(requests[-1], "FAILURE")
        requests += daemon.wanted()
    daemon.record(requests[-1], "FAILURE")
    assert len({request.run_key for request in requests}) == 3
    assert daemon.said() == "products/stock.csv was asked for 3 times: see its runs."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("files: [", "imports.yaml is no YAML in line 1."),
        ("folders: []", "imports.yaml may have two keys, files and platforms, each with a list"),
        ("files:\n- on_error: skip\n", "must have a key match, with a pattern of names."),
        ("files:\n- match: '*'\n  on_eror: skip\n", "There is no key 'on_eror'. Did you mean"),
    ],
)
def test_rules_that_are_wrong(daemon: Daemon, content: str, sentence: str) -> None:
    settings.imports_file().write_text(content)
    path = drop("stock.csv")
    daemon.look()
    assert sentence in daemon.said()
    assert path.exists()
    # What it knew is not forgotten: once the rules are right, the file is asked for.
    settings.imports_file().unlink()
    assert len(daemon.wanted()) == 1


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("on_error: perhaps", "stock.csv: imports.yaml does not fit: "),
        ("max_error_ratio: 2", "stock.csv: imports.yaml does not fit: max_error_ratio is 2"),
        ("resource_type: nothing", "stock.csv: nothing cannot be imported."),
    ],
)
def test_rules_that_no_run_can_have(daemon: Daemon, rule: str, sentence: str) -> None:
    settings.imports_file().write_text(f"files:\n- match: '*'\n  {rule}\n")
    drop("stock.csv")
    daemon.look()
    for _ in range(5):
        assert daemon.said().startswith(sentence)
    settings.imports_file().unlink()
    assert len(daemon.wanted()) == 1


def test_a_folder_that_nobody_knows(daemon: Daemon) -> None:
    drop("stock.csv", resource_type="nothing")
    drop("stock.csv")
    daemon.look()
    [request] = daemon.wanted()
    assert request.job_name == "import_products"
    daemon.run(request)
    assert daemon.said() == "stock.csv: nothing cannot be imported."


def test_a_rule_says_how_files_are_imported(daemon: Daemon) -> None:
    settings.imports_file().write_text(
        "files:\n- match: 'any/*'\n  resource_type: products\n  on_error: skip\n"
        "  max_error_ratio: 0.5\n"
    )
    drop("stock.csv", CONTENT + b"B,Bean,new,physical\n", resource_type="any")
    [request] = daemon.ready()
    assert request.job_name == "import_products"
    assert daemon.run(request).status is dg.DagsterRunStatus.SUCCESS
    assert products() == ["A"]
    assert len(names("done", "any")) == 3


def test_what_a_killed_run_has_left_is_taken_over(daemon: Daemon) -> None:
    path = drop("stock.csv")
    daemon.look()
    with other(path) as taken:
        assert daemon.said() == "No file is ready."
    [request] = daemon.wanted()
    assert request.run_config == {"files": [str(taken)]}
    assert request.tags["import/claim"] == "20260131T090000Z-other"
    assert daemon.run(request).status is dg.DagsterRunStatus.SUCCESS
    assert products() == ["A"]
    assert names("done")[0] == "20260131T090000Z-other-stock.csv"


def test_runs_whose_process_is_gone_end(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drop("stock.csv")
    [request] = daemon.ready()
    run = daemon.record(request, "STARTED")
    # Of a run of this moment nobody knows yet; then this process was begun after it.
    assert daemon.said() == "No file is ready."
    monkeypatch.setattr(sensors, "_BEGAN", time.time() + 60)
    monkeypatch.setattr(sensors, "_SILENT_SECONDS", -60)
    with other(path, run.run_id):
        assert daemon.said() == "No file is ready."
    [again] = daemon.wanted()
    found = daemon.instance.get_run_by_id(run.run_id)
    assert found
    assert found.status is dg.DagsterRunStatus.FAILURE
    assert found.tags["import/error"] == (
        "The process of this run ended without a word; what it left is taken over."
    )
    assert daemon.run(again).status is dg.DagsterRunStatus.SUCCESS
    assert drop_folder.claims() == []
