"""What Dagster says about runs that others end for them; `dagster.yaml` names it.

A code server fails a run whose process has died before the daemon looks at it, and the daemon one
that does not start, or whose code server does not answer. Neither says more than that: here they
get their sentence and their tags. Here, too, the process of a run says where it is.
"""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEventBatchMetadata, JobFailureData, RunFailureReason
from dagster._core.instance.ref import InstanceRef

from export_pipelines.errors import ExportPipelinesError, Interrupted
from export_pipelines.launcher import (
    error_tags,
    is_lost,
    machine_tag,
    number_in,
    settled_tags,
    worker_lost,
    worker_missing,
    worker_of,
    worker_refused,
)


class ExportInstance(dg.DagsterInstance):
    """Dagster's records of runs; a run that ends without its process says why in its tags."""

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Nothing more than any instance has."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Those of any instance."""
        return InstanceRef.config_defaults(base_dir)

    def handle_new_event(
        self,
        event: dg.EventLogEntry,
        *,
        batch_metadata: DagsterEventBatchMetadata | None = None,
    ) -> None:
        """Store an event.

        The first word of a run's process comes with where that is. A run that succeeds after all,
        because it was failed by mistake, loses the error that it got.

        Args:
            event: the event.
            batch_metadata: Dagster's, of events that are stored together.
        """
        if number_in(event) == os.getpid():
            self.add_run_tags(event.run_id, machine_tag())
        elif event.dagster_event and event.dagster_event.is_job_success:
            self._forget_mistake(event.run_id)
        super().handle_new_event(event, batch_metadata=batch_metadata)

    def _forget_mistake(self, run_id: str) -> None:
        run = self.get_run_by_id(run_id)
        if run and (tags := settled_tags(run)):
            self.add_run_tags(run_id, tags)

    def report_run_failed(
        self,
        dagster_run: dg.DagsterRun,
        message: str | None = None,
        job_failure_data: JobFailureData | None = None,
    ) -> dg.DagsterEvent:
        """End a run in FAILURE; one that was being cancelled, and whose process is gone, CANCELED.

        Args:
            dagster_run: the run.
            message: why; if it is not given, the process may be gone, or none was started.
            job_failure_data: Dagster's reason.
        """
        lost = message is None and is_lost(self, dagster_run)
        if lost and dagster_run.status is dg.DagsterRunStatus.CANCELING:
            return self.report_run_canceled(dagster_run)
        error: ExportPipelinesError | None = None
        if lost:
            error = worker_lost(dagster_run)
        elif job_failure_data and job_failure_data.failure_reason is RunFailureReason.START_TIMEOUT:
            error = worker_missing(dagster_run)
        elif message is None and self._is_unstarted(dagster_run):
            error = worker_refused(dagster_run)
        if error:
            self.add_run_tags(dagster_run.run_id, error_tags(dagster_run, error))
            message = str(error)
        return super().report_run_failed(dagster_run, message, job_failure_data)

    def _is_unstarted(self, run: dg.DagsterRun) -> bool:
        """Return whether a run was to be started, and no process has said that it is there."""
        return run.status is dg.DagsterRunStatus.STARTING and worker_of(self, run.run_id) is None

    def report_run_canceled(
        self, dagster_run: dg.DagsterRun, message: str | None = None
    ) -> dg.DagsterEvent:
        """End a run in CANCELED; one whose process is gone cannot say itself that it was stopped.

        Args:
            dagster_run: the run.
            message: why.
        """
        if is_lost(self, dagster_run):
            error = Interrupted("Interrupted: its process is gone, and it is not finished.")
            self.add_run_tags(dagster_run.run_id, error_tags(dagster_run, error))
        return super().report_run_canceled(dagster_run, message)
