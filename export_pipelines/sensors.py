"""The sensor of the drop folder: it asks for runs, which take the files themselves."""

import time
from collections.abc import Mapping
from datetime import timezone
from pathlib import Path
from typing import Any, cast

import dagster as dg

from export_pipelines.catalog.entities import TABLES
from export_pipelines.clock import now
from export_pipelines.config import IMPORT_OPTIONS, import_request
from export_pipelines.errors import ExportPipelinesError, WorkerLost
from export_pipelines.imports import drop_folder
from export_pipelines.imports.claiming import give_up
from export_pipelines.imports.file_names import plain_name
from export_pipelines.imports.takeovers import Ended, Tried
from export_pipelines.imports.watching import Asked, Look, Memory, left_behind
from export_pipelines.jobs import import_jobs
from export_pipelines.limits import ACTIVE

CLAIM_TAG = "import/claim"
SOURCE_TAG = "import/source"
SECONDS = 5

_QUEUE = {"import/queue": "imports"}
_LAUNCHED = ACTIVE[2:]
_SILENT_SECONDS = 30
_BEGAN = time.time()
_JOBS = {job.name: job for job in import_jobs}


@dg.sensor(
    description="Imports dropped files, once each, when they have stopped growing, and takes over "
    "what dead runs have left.",
    jobs=import_jobs,
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def import_drop_folder(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Imports dropped files, once each, when they have stopped growing."""
    drop_folder.make_folders(TABLES)
    look = Look(Memory.from_text(context.cursor), IMPORT_OPTIONS)
    instance = context.instance
    try:
        dead = _report_dead(instance)
        busy = busy_files(instance)
        again, hopeless = left_behind(
            lambda claim: runs_over(instance, claim), busy, IMPORT_OPTIONS
        )
        asked = [*again, *look.ready(busy, _cancelled(instance))]
    except ExportPipelinesError as error:
        return _said(context, [str(error)], Memory.from_text(context.cursor))
    look.notes += [given_up(taken, reason) for taken, reason in hopeless]
    look.notes += [f"Run {run_id} had ended without a word." for run_id in dead]
    requests = []
    for each in asked:
        if is_possible(each, look.notes):
            requests.append(run_request(each, "drop folder"))
        else:
            look.forget(each)
    if not requests:
        return _said(context, look.notes, look.memory)
    for note in look.notes:
        context.log.warning(note)
    return dg.SensorResult(run_requests=requests, cursor=look.memory.to_text())


def _said(context: dg.SensorEvaluationContext, notes: list[str], memory: Memory) -> dg.SensorResult:
    reason = " ".join(notes) or "No file is ready."
    return dg.SensorResult(skip_reason=reason, cursor=memory.to_text())


def run_request(asked: Asked, source: str) -> dg.RunRequest:
    """Return what asks for a run of a job; `source` is the kind of place that files come from."""
    tags = {"import/file": asked.label, SOURCE_TAG: source}
    if asked.claim:
        tags[CLAIM_TAG] = asked.claim
    return dg.RunRequest(
        run_key=asked.key,
        job_name=f"import_{asked.resource_type}",
        run_config={"files": list(asked.files), **asked.options},
        tags=tags,
    )


def is_possible(asked: Asked, notes: list[str]) -> bool:
    """Return whether a run can be made; otherwise note why not."""
    job = _JOBS.get(f"import_{asked.resource_type}")
    if job is None:
        notes.append(f"{asked.label}: {asked.resource_type} cannot be imported.")
        return False
    config = {"files": list(asked.files), **asked.options}
    try:
        dg.validate_run_config(job, config)
        import_request(asked.resource_type, config)
    except dg.DagsterInvalidConfigError as error:
        reasons = " ".join(each.message for each in error.errors)
    except ExportPipelinesError as error:
        reasons = str(error)
    else:
        return True
    notes.append(f"{asked.label}: imports.yaml does not fit: {reasons}")
    return False


def busy_files(instance: dg.DagsterInstance) -> set[str]:
    """Return the files that runs are queued or at work for."""
    runs = instance.get_runs(dg.RunsFilter(statuses=ACTIVE, tags=_QUEUE))
    configs = (cast(Mapping[str, Any], run.run_config) for run in runs)
    return {str(file) for config in configs for file in config.get("files", [])}


def given_up(taken: drop_folder.Taken, reason: str) -> str:
    """Give a file up, and return what is said about that."""
    name = plain_name(taken.path.name)
    try:
        give_up(taken, reason, now())
    except (ExportPipelinesError, OSError) as error:
        return f"{name} could not be given up: {error}"
    return f"{name} was given up: {reason}"


def runs_over(instance: dg.DagsterInstance, claim: str) -> Tried:
    """Return the runs that had the files of a claim: that which made it, and later ones."""
    filters = (
        dg.RunsFilter(run_ids=[drop_folder.run_of(Path(claim))]),
        dg.RunsFilter(tags={CLAIM_TAG: claim}),
    )
    records = [record for found in filters for record in instance.get_run_records(found)]
    ended = [
        Ended(
            record.end_time or record.update_timestamp.replace(tzinfo=timezone.utc).timestamp(),
            record.dagster_run.tags.get("import/error_code", ""),
            record.dagster_run.tags.get("import/error", ""),
            record.dagster_run.status is dg.DagsterRunStatus.CANCELED,
        )
        for record in records
    ]
    return Tried(sorted(ended, key=lambda run: run.at))


def _cancelled(instance: dg.DagsterInstance) -> set[str]:
    """Return the run keys of imports that somebody cancelled, the latest of them."""
    cancelled = dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED], tags=_QUEUE)
    runs = instance.get_runs(cancelled, limit=100)
    return {run.tags.get("dagster/run_key", "") for run in runs}


def _report_dead(instance: dg.DagsterInstance) -> list[str]:
    """Fail the imports whose process is gone, so that they do not keep others waiting."""
    filters = dg.RunsFilter(statuses=_LAUNCHED, tags=_QUEUE)
    dead = []
    for record in instance.get_run_records(filters):
        run = record.dagster_run
        if not _is_late(record) or drop_folder.is_at_work(run.run_id):
            continue
        reason = "The process of this run ended without a word; what it left is taken over."
        tags = {"import/error": reason, "import/error_code": WorkerLost.code}
        instance.add_run_tags(run.run_id, tags)
        instance.report_run_failed(run, reason)
        dead.append(run.run_id)
    return dead


def _is_late(record: dg.RunRecord) -> bool:
    """Return whether a run should have begun its work by now.

    Those that are older than this process were started by a server that is gone. A run that is
    still starting is also watched by Dagster, with more patience.
    """
    began = record.start_time
    if began is None:
        waited = record.update_timestamp.replace(tzinfo=timezone.utc).timestamp()
        return waited < min(_BEGAN, time.time() - _SILENT_SECONDS)
    return began < _BEGAN or began < time.time() - _SILENT_SECONDS
