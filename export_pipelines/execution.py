"""Runs a job in this process, recorded in Dagster's instance like any other run."""

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import dagster as dg

from export_pipelines import settings
from export_pipelines.clock import now
from export_pipelines.code_location import LOCATION, REPOSITORY
from export_pipelines.config import export_request
from export_pipelines.definitions import defs
from export_pipelines.errors import Interrupted, RequestError, unknown
from export_pipelines.imports import drop_folder
from export_pipelines.jobs import import_jobs
from export_pipelines.launcher import error_tags, machine_tag
from export_pipelines.limits import ORGANIZATION_TAG, require_slot
from export_pipelines.planning import count_records, plan_export
from export_pipelines.resources import Catalog

_POLL_SECONDS = 0.2

# The UI lists a job's runs by this tag; its value is the location's name in workspace.yaml.
_REPOSITORY_TAG = {".dagster/repository": f"{REPOSITORY}@{LOCATION}"}


def check_export(
    instance: dg.DagsterInstance,
    format_name: str,
    config: Mapping[str, Any],
    organization: str = "",
) -> None:
    """Refuse an export that would fail, before there is a run of it.

    Args:
        instance: where runs are recorded.
        format_name: a registered format.
        config: the job's run config.
        organization: whose export it is; empty for that of the settings.

    Raises:
        RequestError: the request is wrong, or nothing or too much matches it.
        TooManyExports: as many as are allowed are pending or running.
        CatalogUnavailable: the database fails.
    """
    owner = organization or settings.organization()
    require_slot(instance, owner)
    request = export_request(format_name, config)
    catalog = Catalog()
    with catalog.snapshots() as (snapshot,):
        plan = plan_export(
            request,
            snapshot,
            backend=catalog.backend,
            run_id=str(uuid4()),
            started_at=now(),
            organization=owner,
        )
        count_records(plan, snapshot, catalog.backend)


def run_export(
    instance: dg.DagsterInstance,
    format_name: str,
    config: Mapping[str, Any],
    on_progress: Callable[[Mapping[str, str]], None],
) -> tuple[dg.DagsterRun, dict[str, Any] | None]:
    """Export, and return the run and, if it succeeded, its location, manifest and deliveries.

    Args:
        instance: where the run is recorded.
        format_name: a registered format.
        config: the job's run config.
        on_progress: told the run's tags, from a thread of its own, while it works.
    """
    tags = {ORGANIZATION_TAG: settings.organization()}
    run, result = _run(instance, f"export_{format_name}", config, tags, on_progress)
    if not result.success:
        # Only runs that Dagster itself launched can be resumed from what is staged.
        shutil.rmtree(settings.staging_folder() / run.run_id, ignore_errors=True)
        return run, None
    return run, result.output_for_node("finish")


def run_import(
    instance: dg.DagsterInstance,
    resource_type: str,
    config: Mapping[str, Any],
    on_progress: Callable[[Mapping[str, str]], None],
) -> tuple[dg.DagsterRun, list[Path]]:
    """Import files, and return the run and their reports.

    Args:
        instance: where the run is recorded.
        resource_type: what the files hold.
        config: the job's run config.
        on_progress: told the run's tags, from a thread of its own, while it works.

    Raises:
        RequestError: there is no such resource type, or files of it cannot be imported.
    """
    tags = {ORGANIZATION_TAG: settings.organization()}
    names = [job.name.removeprefix("import_") for job in import_jobs]
    if resource_type not in names:
        raise RequestError(unknown("resource type for imports", resource_type, names))
    run, result = _run(instance, f"import_{resource_type}", config, tags, on_progress)
    drop_folder.end_work(run.run_id)
    return run, list(filter(None, map(_report_of, result.all_events)))


def run_prune(
    instance: dg.DagsterInstance, config: Mapping[str, Any]
) -> tuple[dg.DagsterRun, dict[str, Any]]:
    """Remove what is old, and return the run and what it says about itself.

    Args:
        instance: where the run is recorded.
        config: the job's run config.
    """
    run, result = _run(instance, "prune", config, {}, lambda tags: None)
    said = [_metadata_of(event) for event in result.all_events]
    return run, {name: value for metadata in said for name, value in metadata.items()}


def _report_of(event: dg.DagsterEvent) -> Path | None:
    """Return the report that an event of an import's last step names; other events name none."""
    found = _metadata_of(event).get("report")
    return Path(str(found.value)) if found else None


def _metadata_of(event: dg.DagsterEvent) -> Mapping[str, dg.MetadataValue[Any]]:
    """Return what a step says about itself when it ends; other events say nothing."""
    if event.is_successful_output:
        return event.step_output_data.metadata
    if event.is_step_failure and event.step_failure_data.user_failure_data:
        return event.step_failure_data.user_failure_data.metadata
    return {}


def _run(
    instance: dg.DagsterInstance,
    job_name: str,
    config: Mapping[str, Any],
    tags: Mapping[str, str],
    on_progress: Callable[[Mapping[str, str]], None],
) -> tuple[dg.DagsterRun, dg.ExecuteInProcessResult]:
    # What was imported until now stays: collecting goes on, but only over what the run makes.
    gc.freeze()
    gc.enable()
    run_id = str(uuid4())
    with _watched(instance, run_id, on_progress):
        result = defs.resolve_job_def(job_name).execute_in_process(
            run_config=dict(config),
            instance=instance,
            run_id=run_id,
            tags={**_REPOSITORY_TAG, **machine_tag(), **tags},
            raise_on_error=False,
        )
    return _explained(instance, instance.get_run_by_id(run_id) or result.dagster_run), result


def _explained(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """Have a run say that it was interrupted, if that was between its steps, which then do not."""
    if run.status is not dg.DagsterRunStatus.CANCELED:
        return run
    tags = error_tags(run, Interrupted("Interrupted: it is not finished."))
    missing = {name: value for name, value in tags.items() if not run.tags.get(name)}
    if missing:
        instance.add_run_tags(run.run_id, missing)
    return instance.get_run_by_id(run.run_id) or run


@contextmanager
def _watched(
    instance: dg.DagsterInstance, run_id: str, on_progress: Callable[[Mapping[str, str]], None]
) -> Iterator[None]:
    done = Event()

    def watch() -> None:
        while not done.wait(_POLL_SECONDS):
            run = instance.get_run_by_id(run_id)
            if run:
                on_progress(run.tags)

    thread = Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
