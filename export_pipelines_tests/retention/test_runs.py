import time
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.definitions import defs
from export_pipelines.imports import drop_folder
from export_pipelines.retention import history
from export_pipelines.retention.runs import old_runs
from export_pipelines_tests.retention.past import (
    DAY,
    EXPORT,
    IMPORT,
    POLICY,
    Past,
    Status,
    removed_after,
)
from export_pipelines_tests.test_resume import csv_job

NO_EXPORTS = POLICY.__class__(**{**vars(POLICY), "exports": None})


def prune_job() -> dg.JobDefinition:
    return defs.resolve_job_def("prune")


def files_of(past: Past, run_id: str) -> list[Path]:
    home = Path(past.instance.root_directory)
    return [path for path in home.rglob("*") if run_id in path.relative_to(home).as_posix()]


def test_old_records_go_with_their_events_logs_and_outputs(
    past: Past, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    with dg.execute_job(
        dg.reconstructable(csv_job), past.instance, run_config={"resource_type": "suppliers"}
    ) as done:
        assert done.success
        old = done.run_id
    new = past.record(89)
    past.age(old, 91)
    exports = dg.AssetKey(["exports", "suppliers", "csv"])
    assert past.instance.fetch_materializations(exports, limit=1).records
    assert len(files_of(past, old)) > 10
    past.instance.add_run_tags(old, {"export/location": "", "export/pruned_at": "2999"})

    pruned = past.prune()["runs"]

    assert ([name for name, _ in pruned.listed], pruned.failed) == ([old], 0)
    assert pruned.bytes > 100_000
    assert past.run_ids() == {new}
    assert files_of(past, old) == []
    assert past.instance.fetch_materializations(exports, limit=1).records == []
    assert past.removed("runs") == []


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILURE, Status.CANCELED])
def test_runs_of_all_ends(past: Past, status: Status) -> None:
    old = past.record(91, status)
    past.record(89, status)
    assert past.removed("runs") == [old]


def test_a_run_that_ended_late_counts_from_its_end(past: Past) -> None:
    run_id = past.record(400)
    past.end(run_id, time.time() - 89 * DAY)
    assert past.removed("runs") == []
    past.end(run_id, time.time() - 91 * DAY)
    assert past.removed("runs") == [run_id]


def test_active_runs_stay_however_old_they_are(past: Past) -> None:
    active = {past.record(400, status) for status in set(Status) - set(past.ended)}
    assert past.removed("runs") == []
    assert past.run_ids() == active


def test_runs_that_are_executed_again_stay_until_the_last_is_old(past: Past) -> None:
    first = past.record(400, Status.FAILURE)
    second = past.record(300, Status.FAILURE, again=first)
    third = past.record(0, Status.STARTED, again=second, root=first)
    assert past.removed("runs") == []
    past.instance.delete_run(third)
    third = past.record(89, again=second, root=first)
    assert past.removed("runs") == []
    past.age(third, 91)
    assert past.removed("runs") == sorted([first, second, third])
    assert past.run_ids() == set()


def test_a_run_that_is_executed_again_meanwhile_stays(past: Past) -> None:
    again, other = past.record(91, Status.FAILURE), past.record(91, Status.FAILURE)
    found = old_runs(past.instance, time.time() - 90 * DAY, lambda record, family: False)
    begin = partial(past.record, 0, Status.STARTED, again=again)
    assert removed_after(found, begin) == [other]
    assert again in past.run_ids()


def test_an_export_keeps_its_record_as_long_as_its_files(past: Past) -> None:
    old = past.stored(400)
    assert past.removed("runs", policy=NO_EXPORTS) == []
    assert past.removed("runs") == [old.run_id], "its files went just before"


def test_a_failed_export_keeps_its_record_until_somebody_has_looked_for_files(past: Past) -> None:
    failed = past.record(400, Status.FAILURE, job="export_csv", tags=EXPORT)
    assert past.removed("runs", policy=NO_EXPORTS) == []
    assert past.removed("runs") == [failed]


def test_an_import_keeps_its_record_while_its_file_is_in_processing(past: Past) -> None:
    run_id = past.record(
        400, Status.FAILURE, job="import_products", config={"files": ["a"]}, tags=IMPORT
    )
    claim = drop_folder.root() / "processing" / f"20200101T000000Z-{run_id}"
    (claim / "products").mkdir(parents=True)
    assert past.removed("runs") == []
    (claim / "products").rmdir()
    claim.rmdir()
    assert past.removed("runs") == [run_id]


def test_a_cancelled_import_keeps_its_record_while_the_file_waits(past: Past) -> None:
    """The sensor would ask for it once more if the record of the cancelled run were gone."""
    file = settings.imports_folder() / "incoming" / "products" / "a.csv"
    file.parent.mkdir(parents=True)
    file.touch()
    config = {"files": [str(file)]}
    record: dict[str, Any] = {"job": "import_products", "config": config, "tags": IMPORT}
    cancelled = past.record(400, Status.CANCELED, **record)
    failed = past.record(400, Status.FAILURE, **record)
    record["config"] = {"files": ["platform:partner/in/a.csv"]}
    elsewhere = past.record(400, Status.CANCELED, **record)
    assert past.removed("runs") == [failed]
    file.unlink()
    assert past.removed("runs") == [cancelled]
    assert past.run_ids() == {elsewhere}


@pytest.mark.parametrize("point", ["delete_logs", "index_connection", "delete_run"])
def test_the_next_run_finishes_what_a_killed_one_began(
    past: Past, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*arguments: object, **options: object) -> None:
        raise Killed

    with dg.execute_job(dg.reconstructable(prune_job), past.instance) as done:
        old = done.run_id
    past.age(old, 91)
    part = {
        "delete_logs": past.instance.compute_log_manager,
        "index_connection": past.instance.event_log_storage,
        "delete_run": past.instance.run_storage,
    }[point]
    with monkeypatch.context() as patched:
        patched.setattr(part, point, die)
        with pytest.raises(Killed):
            past.prune()
    assert old in past.run_ids(), "what has no record is never found again"
    assert past.removed("runs") == [old]
    assert files_of(past, old) == []


def test_pages_follow_one_another_though_their_runs_are_deleted(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 7)
    kept = {past.record(1), past.record(1)}
    old = {past.record(91) for _ in range(20)}
    kept.add(past.record(0, Status.STARTED))
    old |= {past.record(91) for _ in range(10)}
    assert past.removed("runs", dry_run=True) == sorted(old)
    assert past.run_ids() == kept | old
    assert past.removed("runs") == sorted(old)
    assert past.run_ids() == kept
