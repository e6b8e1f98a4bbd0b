"""A run that Dagster launched and that failed is resumed from what it had finished."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.compression import compress_files
from export_pipelines.definitions import defs
from export_pipelines.ops import export
from export_pipelines.store import MANIFEST_NAME, read_manifest

CONFIG = {"max_rows_per_file": 500, "compression": "gzip"}


def csv_job() -> dg.JobDefinition:
    return defs.resolve_job_def("export_csv")


@pytest.fixture
def instance(
    sqlite_shop: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


def fail_and_resume(
    instance: dg.DagsterInstance, failed_step: str, repair: Callable[[], None]
) -> list[str]:
    """Run until it fails, repair the cause, resume, and return the steps that ran then."""
    job = dg.reconstructable(csv_job)
    with dg.execute_job(job, instance, run_config=CONFIG) as first:
        failures = [event.step_key for event in first.all_events if event.is_step_failure]
        assert failures == [failed_step]
        assert not list(settings.exports_folder().glob("*/*"))
        repair()
        options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
    with dg.execute_job(job, instance, run_config=CONFIG, reexecution_options=options) as second:
        assert second.success
        (folder,) = settings.exports_folder().iterdir()
        manifest = read_manifest(folder / MANIFEST_NAME)
        assert [file["rows"] for file in manifest["files"]] == [500, 500, 145]
        assert not list(settings.staging_folder().iterdir())
        return [event.step_key or "" for event in second.all_events if event.is_step_success]


def test_a_failed_upload_sends_what_is_staged(instance: dg.DagsterInstance) -> None:
    settings.home_folder().mkdir()
    settings.exports_folder().touch()

    assert fail_and_resume(instance, "upload", settings.exports_folder().unlink) == [
        "upload",
        "finish",
    ]


def test_a_failed_compression_starts_from_the_files(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_last(files: Any, *arguments: Any, **options: Any) -> Any:
        lost = replace(files[-1], path=f"{files[-1].path}.lost")
        return compress_files([*files[:-1], lost], *arguments, **options)

    monkeypatch.setattr(export, "compress_files", lose_the_last)

    def repair() -> None:
        monkeypatch.setattr(export, "compress_files", compress_files)

    steps = fail_and_resume(instance, "compress[shard_1]", repair)

    assert steps == ["compress[shard_1]", "upload", "finish"]
