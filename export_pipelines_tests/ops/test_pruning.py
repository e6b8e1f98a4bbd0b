from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from export_pipelines.definitions import defs
from export_pipelines.resources import ExportStore, Staging
from export_pipelines_tests.retention.past import Past, Status, open_past


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    with open_past(tmp_path / "dagster", "") as opened:
        yield opened


def run(past: Past, **config: Any) -> tuple[dg.ExecuteInProcessResult, dict[str, str]]:
    """Run the job as the schedule does, and return its tags too."""
    result = defs.resolve_job_def("prune").execute_in_process(
        run_config=config,
        instance=past.instance,
        resources={
            "store": ExportStore(folder=str(past.store)),
            "staging": Staging(folder=str(past.staging)),
        },
        raise_on_error=False,
    )
    return result, past.tags(result.run_id)


def said(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the metadata of the step, whether it failed or not."""
    for event in result.all_events:
        if event.is_successful_output:
            return dict(event.step_output_data.metadata)
        if event.is_step_failure and event.step_failure_data.user_failure_data:
            return dict(event.step_failure_data.user_failure_data.metadata)
    raise AssertionError("the step says nothing")


def lines(past: Past, result: dg.ExecuteInProcessResult) -> list[str]:
    records = past.instance.all_logs(result.run_id)
    return [each.user_message for each in records if not each.is_dagster_event]


def test_a_dry_run_lists_and_removes_nothing(past: Past) -> None:
    old = past.stored(31)
    staged = past.stage(past.record(8, Status.FAILURE), 8)
    result, _ = run(past, dry_run=True)
    assert result.success
    metadata = said(result)
    assert [record.data for record in metadata["would_be_removed"].records] == [
        {"kind": "exports", "name": old.run_id, "count": 1, "bytes": 4_300},
        {"kind": "staging", "name": staged.name, "count": 1, "bytes": 100},
    ]
    assert (metadata["exports"].value, metadata["exports_bytes"].value) == (1, 4_300)
    assert lines(past, result) == [
        f"exports: {old.run_id} would be removed.",
        "exports: 1 would be removed, 4,300 bytes.",
        f"staging: {staged.name} would be removed.",
        "staging: 1 would be removed, 100 bytes.",
        "imports: 0 would be removed, 0 bytes.",
        "runs: 0 would be removed, 0 bytes.",
        "ticks: 0 would be removed.",
    ]
    assert old.folder.exists()
    assert staged.exists()


def test_the_real_one_removes_and_counts(past: Past) -> None:
    old = past.stored(31)
    result, tags = run(past)
    assert result.success
    assert "prune/error" not in tags
    metadata = said(result)
    assert (metadata["exports"].value, metadata["exports_bytes"].value) == (1, 4_300)
    assert metadata["summary"].value.splitlines()[0] == "exports: 1 removed, 4,300 bytes."
    assert lines(past, result)[0] == "exports: 1 removed, 4,300 bytes."
    assert not old.folder.exists()
    again, _ = run(past)
    assert said(again)["exports"].value == 0


def test_days_of_the_run_config_come_before_variables(past: Past) -> None:
    kept, old = past.stored(3), past.stored(5)
    result, _ = run(past, exports_days=4)
    assert said(result)["exports"].value == 1
    assert kept.folder.exists()
    assert not old.folder.exists()


def test_what_could_not_be_removed_fails_the_run_in_one_sentence(past: Past) -> None:
    blocked, fine = past.stored(31), past.stored(31)
    blocked.folder.rename(past.store / "aside")
    blocked.folder.symlink_to(past.store / "aside")
    staged = past.stage(str(uuid4()), 8)
    result, tags = run(past)
    assert not result.success
    error = tags["prune/error"]
    assert error.startswith(f"Could not be removed: 1. The first is of exports: {blocked.run_id}: ")
    assert error.endswith(" What is left is tried again next time.")
    assert tags["prune/error_code"] == "storage_unavailable"
    assert said(result)["exports"].value == 1
    assert said(result)["summary"].value.startswith("exports: 1 removed, 4,300 bytes; 1 could not")
    assert not fine.folder.exists()
    assert not staged.exists()


def test_wrong_days_are_refused(past: Past) -> None:
    result, tags = run(past, runs_days=0)
    assert not result.success
    assert tags["prune/error"] == "runs_days is 0: set it to a whole number of 1 or more."
    assert tags["prune/error_code"] == "request_invalid"
