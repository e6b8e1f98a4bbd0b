from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import RunRecord

from export_pipelines.catalog.sample import generate
from export_pipelines.clock import now, seconds_of, written
from export_pipelines.runs.views import (
    ExportJob,
    ImportJob,
    JobDelivery,
    JobError,
    run_statuses,
    state_of,
    view,
)
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.recorded_runs import record_run

STATES = {
    "NOT_STARTED": ("processing", "pending"),
    "QUEUED": ("processing", "pending"),
    "STARTING": ("processing", "pending"),
    "STARTED": ("processing", "in_progress"),
    "SUSPENDED": ("processing", "in_progress"),
    "MANAGED": ("processing", "in_progress"),
    "CANCELING": ("processing", "in_progress"),
    "SUCCESS": ("completed", "completed"),
    "FAILURE": ("failed", "failed"),
    "CANCELED": ("cancelled", "interrupted"),
}


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def record_of(instance: dg.DagsterInstance, run_id: str) -> RunRecord:
    record = instance.get_run_record_by_id(run_id)
    assert record
    return record


def exported(instance: dg.DagsterInstance, run_id: str) -> ExportJob:
    job = view(instance, record_of(instance, run_id))
    assert isinstance(job, ExportJob)
    return job


def seen(instance: dg.DagsterInstance, **recorded: Any) -> ExportJob:
    """Record an export's run, and return it as a job."""
    return exported(instance, record_run(instance, **recorded).run_id)


def import_of(
    instance: dg.DagsterInstance, config: Mapping[str, Any] | None = None, **tags: str
) -> ImportJob:
    run = dg.DagsterRun(
        job_name="import_products",
        status=dg.DagsterRunStatus(tags.pop("status", "SUCCESS")),
        run_config=config,
        tags={"import/resource_type": "products"}
        | {f"import/{tag}": value for tag, value in tags.items()},
    )
    job = view(instance, record_of(instance, instance.add_run(run).run_id))
    assert isinstance(job, ImportJob)
    return job


@pytest.mark.parametrize("status", [each.value for each in dg.DagsterRunStatus])
def test_every_status_of_a_run_has_a_status_and_a_state(
    instance: dg.DagsterInstance, status: str
) -> None:
    run = record_run(instance, status=status)
    job = exported(instance, run.run_id)

    assert (job.status, job.state) == STATES[status]
    assert state_of(run) == job.state
    assert run.status in run_statuses(job.status)
    assert run.status in run_statuses(job.state)


def test_statuses_of_runs_are_found_by_status_and_by_state() -> None:
    names = {
        asked: {status.value for status in run_statuses(asked)}
        for asked in ("processing", "pending", "completed", "failed", "cancelled", "interrupted")
    }

    assert names["pending"] == {"NOT_STARTED", "QUEUED", "STARTING"}
    assert names["processing"] == {n for n, (status, _) in STATES.items() if status == "processing"}
    assert names["completed"] == {"SUCCESS"}
    assert names["failed"] == {"FAILURE"}
    assert names["cancelled"] == names["interrupted"] == {"CANCELED"}
    assert run_statuses("done") == []


def test_a_completed_export_shows_what_it_has_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    generate(url, products=20, orders=2)
    with dg.DagsterInstance.ephemeral() as instance:
        done = Exporter(tmp_path, instance).succeed(
            url, "csv", resource_type="suppliers", max_rows_per_file=5
        )
        record = record_of(instance, done.result.run_id)
        job = exported(instance, done.result.run_id)

    manifest = done.manifest
    assert job.model_dump() == {
        "id": done.result.run_id,
        "kind": "export",
        "status": "completed",
        "state": "completed",
        "resource_type": "suppliers",
        "organization": "default",
        "progress": 100,
        "step": None,
        "error": None,
        "resumed_from": None,
        "created_at": written(record.create_timestamp.replace(tzinfo=timezone.utc)),
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "format": "csv",
        "total_records": manifest["records_count"],
        "parts": job.parts,
        "file_url": None,
        "files": [{**file, "url": None} for file in manifest["files"]],
        "deliveries": [],
        "warnings": manifest["warnings"],
        "files_removed_at": None,
        "schedule": None,
        "profile": None,
    }
    assert len(job.files) > 1
    assert sum(file.rows for file in job.files) == job.total_records
    assert job.parts == f"{len(job.files)}/{len(job.files)}"
    assert job.folder == job.id
    assert job.created_at <= str(job.started_at) <= str(job.completed_at) <= now()


def finished(
    instance: dg.DagsterInstance, manifest: Mapping[str, Any], deliveries: list[Any]
) -> str:
    """Record a run that says that it has exported, and return its id."""

    @dg.op
    def finish(context: dg.OpExecutionContext) -> None:
        metadata = {
            "manifest": dg.MetadataValue.json(manifest),
            "deliveries": dg.MetadataValue.json(deliveries),
        }
        context.log_event(dg.AssetMaterialization("unrelated"))
        context.log_event(dg.AssetMaterialization("exports", metadata=metadata))

    @dg.job(tags={"export/format": "csv", "export/resource_type": "products"})
    def resumed() -> None:
        finish()

    return resumed.execute_in_process(instance=instance).run_id


def test_a_resumed_export_has_the_folder_of_the_first_run(instance: dg.DagsterInstance) -> None:
    file = {"name": "products.csv", "rows": 1, "bytes": 2, "sha256": "ab"}
    delivery = {"platform": "nas", "location": "/nas/in", "files": 1, "bytes": 2, "sent": 2}
    run_id = finished(instance, {"run_id": "the-first", "files": [file]}, [delivery])

    job = exported(instance, run_id)

    assert job.folder == "the-first"
    assert job.model_copy(update={"file_url": "u"}).folder == "the-first"
    assert "the-first" not in job.model_dump_json()
    assert [each.name for each in job.files] == ["products.csv"]
    assert job.deliveries == [JobDelivery(platform="nas", location="/nas/in", files=1, bytes=2)]


def test_a_running_export_shows_how_far_it_is(instance: dg.DagsterInstance) -> None:
    job = seen(
        instance,
        status="STARTED",
        resource_type="orders",
        organization="north",
        progress="40",
        stage="write",
        parts="37/100",
        records_count="5000",
        schedule="nightly",
        profile="all",
    )

    assert (job.progress, job.step, job.parts, job.total_records) == (40, "write", "37/100", 5000)
    assert (job.resource_type, job.organization) == ("orders", "north")
    assert (job.schedule, job.profile, job.files, job.error) == ("nightly", "all", [], None)
    assert job.completed_at is None


def test_a_pending_export_is_at_no_step(instance: dg.DagsterInstance) -> None:
    job = seen(instance, status="QUEUED", stage="write")

    assert (job.progress, job.step, job.total_records, job.started_at) == (0, None, None, None)


@pytest.mark.parametrize(
    ("text", "progress"),
    [("", 0), ("7", 7), ("101", 100), ("-3", 0), ("²", 0), ("half", 0), ("9" * 5_000, 0)],
)
def test_tags_that_somebody_else_has_set_do_no_harm(
    instance: dg.DagsterInstance, text: str, progress: int
) -> None:
    job = seen(instance, status="STARTED", progress=text, records_count=text)

    assert job.progress == progress
    assert job.total_records == (int(text) if text in ("7", "101") else None)


def test_the_resource_type_of_a_run_without_its_tag_is_that_of_its_config(
    instance: dg.DagsterInstance,
) -> None:
    assert seen(instance, config={"resource_type": "orders"}).resource_type == "orders"
    assert seen(instance, config={"resource_type": 5}).resource_type == "products"
    assert seen(instance, config={"resource_type": ""}).resource_type == "products"
    assert seen(instance).resource_type == "products"


def test_a_failed_export_says_why(instance: dg.DagsterInstance) -> None:
    known = seen(instance, status="FAILURE", error="No supplier.", error_code="no_records")
    unknown = seen(instance, status="FAILURE")
    again = seen(instance, status="STARTED", error="No supplier.", error_code="no_records")

    assert known.error == JobError(error_code="no_records", detail="No supplier.")
    assert unknown.error
    assert unknown.error.error_code == "failed"
    assert unknown.id in unknown.error.detail
    assert again.error is None


def test_a_cancelled_export_says_when(instance: dg.DagsterInstance) -> None:
    before = seen(instance, status="CANCELED")
    run = record_run(instance, status="QUEUED")
    for event in (dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_CANCELED):
        instance.report_dagster_event(dg.DagsterEvent(event.value, run.job_name), run.run_id)
    running = exported(instance, run.run_id)
    explained = seen(
        instance, status="CANCELED", error="Interrupted: stopped.", error_code="interrupted"
    )

    assert before.error == JobError(
        error_code="interrupted", detail="It was cancelled before it began."
    )
    assert running.error == JobError(
        error_code="interrupted", detail="It was cancelled while it ran."
    )
    assert explained.error == JobError(error_code="interrupted", detail="Interrupted: stopped.")


def test_removed_files_are_not_shown(instance: dg.DagsterInstance) -> None:
    file = {"name": "products.csv", "rows": 1, "bytes": 2, "sha256": "ab"}
    run_id = finished(instance, {"files": [file]}, [])
    created = exported(instance, run_id).created_at
    earlier = datetime.fromtimestamp(seconds_of(created), timezone.utc) - timedelta(seconds=1)

    instance.add_run_tags(run_id, {"export/pruned_at": written(earlier)})
    inherited = exported(instance, run_id)
    instance.add_run_tags(run_id, {"export/pruned_at": ""})
    taken_back = exported(instance, run_id)
    instance.add_run_tags(run_id, {"export/pruned_at": created})
    removed = exported(instance, run_id)

    assert (inherited.files_removed_at, len(inherited.files)) == (None, 1)
    assert (taken_back.files_removed_at, len(taken_back.files)) == (None, 1)
    assert (removed.files_removed_at, removed.files) == (created, [])


def test_an_export_that_left_no_record_has_no_files(instance: dg.DagsterInstance) -> None:
    job = seen(instance, status="SUCCESS")

    assert (job.files, job.deliveries, job.warnings, job.progress) == ([], [], [], 100)


def test_an_import_shows_its_rows(instance: dg.DagsterInstance) -> None:
    counts = {"rows": "10", "created": "3", "updated": "4", "unchanged": "1", "failed": "2"}
    job = import_of(instance, {"dry_run": True}, **counts)

    assert (job.kind, job.resource_type, job.dry_run) == ("import", "products", True)
    found = (job.rows, job.created, job.updated, job.unchanged, job.failed)
    assert found == (10, 3, 4, 1, 2)


def test_a_failed_import_says_why(instance: dg.DagsterInstance) -> None:
    job = import_of(instance, status="FAILURE", error="Row 3.", error_code="file_refused")

    assert job.error == JobError(error_code="file_refused", detail="Row 3.")
    assert (job.rows, job.dry_run, job.progress) == (None, False, 0)
