"""Cancelling a job, going on with one in this process, and what stands against that."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.execution.stats import StepEventStatus
from dagster._core.storage.tags import (
    GRPC_INFO_TAG,
    PARENT_RUN_ID_TAG,
    REPOSITORY_LABEL_TAG,
    RESUME_RETRY_TAG,
    ROOT_RUN_ID_TAG,
)

from export_pipelines import settings
from export_pipelines.errors import ExportPipelinesError, FileRefused, RequestError
from export_pipelines.imports import drop_folder
from export_pipelines.launcher import MACHINE_TAG, is_lost, worker_of
from export_pipelines.limits import (
    FORMAT_TAG,
    organization_of,
    require_not_resumed,
    require_slot,
)
from export_pipelines.processes import Machine, is_gone, this_machine
from export_pipelines.runs.listing import find
from export_pipelines.runs.views import state_of

_STARTING_SECONDS = 5
_DEFINITIONS = "export_pipelines.definitions"

# A resumed run inherits tags, but not what became of the one before.
_OUTCOMES = {
    "created",
    "error",
    "error_code",
    "failed",
    "parts",
    "progress",
    "pruned_at",
    "rows",
    "stage",
    "unchanged",
    "updated",
}


def cancel(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """Cancel a job: one that waits at once; one at work is told, and ends a moment later.

    A job of a command line is sent what Ctrl-C sends, if its process is known for certain.

    Args:
        instance: where it is recorded.
        run_id: its run's.

    Raises:
        NotRegistered: there is no such job.
        RequestError: it has ended, nobody here can tell which process it is, or its code server
            does not know it: not yet, or not any more.
        ExportPipelinesError: its code server does not answer.
    """
    run = find(instance, run_id, None).dagster_run
    if run.is_finished:
        raise RequestError(f"The {_noun(run)} {run_id} has ended: it is {state_of(run)}.")
    if is_lost(instance, run):
        instance.report_run_canceled(run)
    elif MACHINE_TAG in run.tags and GRPC_INFO_TAG not in run.tags:
        _interrupt(instance, run)
    else:
        _tell_code_server(instance, run)
    return instance.get_run_by_id(run_id) or run


def _interrupt(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Interrupt the process of a command line; whoever has its number meanwhile is left alone."""
    unknown = RequestError(
        f"The {_noun(run)} {run.run_id} runs in a command line, and nobody here can tell for "
        "certain which process that is: stop it there with Ctrl-C."
    )
    worker = worker_of(instance, run.run_id)
    machine = Machine.from_text(run.tags[MACHINE_TAG])
    if worker is None or not _is_here(machine):
        raise unknown
    try:
        process = os.pidfd_open(worker[0])
    except OSError:
        raise unknown from None
    try:
        # The number cannot pass on to another process while this is open.
        if is_gone(*worker, machine):
            raise unknown
        # Otherwise the interrupted run would have failed.
        instance.report_run_canceling(run)
        signal.pidfd_send_signal(process, signal.SIGINT)
    except OSError:
        raise unknown from None
    finally:
        os.close(process)


def _is_here(machine: Machine) -> bool:
    """Return whether a machine is this one for certain, not started again since."""
    here = this_machine()
    known = bool(here.boot and here.namespace)
    return known and replace(here, booted_at=0.0) == replace(machine, booted_at=0.0)


def _tell_code_server(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Have the code server end a run; one that is being started is known there in a moment."""
    deadline = time.monotonic() + _STARTING_SECONDS
    answer = _told(instance, run.run_id)
    while answer != "told" and time.monotonic() < deadline:
        time.sleep(0.2)
        answer = "told" if _has_ended(instance, run.run_id) else _told(instance, run.run_id)
    name = f"The {_noun(run)} {run.run_id}"
    if answer == "unknown":
        raise RequestError(
            f"{name} is not known to the code server: it is being started, or its process is gone. "
            "Cancel it again in a few seconds; if its process is gone, it ends by itself."
        )
    if answer == "silent":
        raise ExportPipelinesError(
            f"{name} could not be told: its code server does not answer. Start 'export-pipelines "
            "dev' for this home folder, and cancel it again; if its process is gone, it ends by "
            "itself then."
        )


def _told(instance: dg.DagsterInstance, run_id: str) -> Literal["told", "unknown", "silent"]:
    try:
        return "told" if instance.run_coordinator.cancel_run(run_id) else "unknown"
    except DagsterUserCodeProcessError:
        # What it says of a run that no process of its own has.
        return "unknown"
    except DagsterUserCodeUnreachableError:
        return "silent"


def _has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished


def resume(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """Go on with a job that failed, in this process; return the new run when it has ended.

    Args:
        instance: where it is recorded.
        run_id: that of the run that failed or was cancelled.

    Raises:
        NotRegistered: there is no such job.
        RequestError: there is nothing to go on with.
        TooManyExports: its organization has no room for another export.
    """
    run = find(instance, run_id, None).dagster_run
    require_resumable(instance, run)
    if FORMAT_TAG in run.tags:
        require_slot(instance, organization_of(run))
    jobs = ReconstructableRepository.for_module(_DEFINITIONS, "defs")
    with dg.execute_job(
        jobs.get_reconstructable_job(run.job_name),
        instance,
        tags=_inherited(run),
        reexecution_options=dg.ReexecutionOptions.from_failure(run_id, instance),
    ) as result:
        resumed = result.run_id
    drop_folder.end_work(resumed)
    return instance.get_run_by_id(resumed) or result.dagster_run


def _inherited(run: dg.DagsterRun) -> dict[str, str]:
    own = {
        tag: value
        for tag, value in run.tags.items()
        if not tag.startswith((".dagster/", "dagster/")) or tag == REPOSITORY_LABEL_TAG
    }
    return {
        **{tag: value for tag, value in own.items() if tag.rpartition("/")[2] not in _OUTCOMES},
        PARENT_RUN_ID_TAG: run.run_id,
        ROOT_RUN_ID_TAG: run.root_run_id or run.run_id,
        RESUME_RETRY_TAG: "true",
    }


def require_resumable(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Refuse a run that there is nothing to resume of, here or by a server on this machine.

    Args:
        instance: where it is recorded.
        run: an export's or an import's.

    Raises:
        RequestError: it is going on, has succeeded or had not begun, refused its file, or what it
            had finished is gone.
        BeingResumed: another run resumes it.
    """
    name = f"The {_noun(run)} {run.run_id}"
    if not run.is_finished:
        raise RequestError(f"{name} is still going on: wait for its end, or cancel it first.")
    if run.status is dg.DagsterRunStatus.SUCCESS:
        raise RequestError(f"{name} has succeeded: there is nothing to resume.")
    if not instance.get_run_step_stats(run.run_id):
        raise RequestError(f"{name} had not begun: start it again.")
    if run.tags.get("import/error_code") == FileRefused.code:
        raise RequestError(f"{name} refused its file: correct that, and import it again.")
    require_not_resumed(instance, run.run_id, run.root_run_id or run.run_id)
    if not _is_kept(instance, run):
        raise RequestError(
            f"What {name[0].lower()}{name[1:]} had finished is gone: it was finished by a later "
            "run, removed since it was old, or it ran in a command line. Start it again."
        )


def _is_kept(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether what the ops before the one that failed have made is still there."""
    first = "query" if FORMAT_TAG in run.tags else "claim"
    planned = staged = False
    current: dg.DagsterRun | None = run
    while current and not planned:
        stats = instance.get_run_step_stats(current.run_id)
        done = {each.step_key for each in stats if each.status is StepEventStatus.SUCCESS}
        staged = staged or "chunk" in done
        planned = first in done
        if not planned:
            parent = current.parent_run_id
            current = instance.get_run_by_id(parent) if parent else None
    if not planned or current is None:
        return True
    outputs = Path(instance.storage_directory()) / current.run_id / first
    return outputs.is_dir() and (
        not staged or (settings.staging_folder() / current.run_id).is_dir()
    )


def _noun(run: dg.DagsterRun) -> str:
    return "export" if FORMAT_TAG in run.tags else "import"
