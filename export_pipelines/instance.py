"""What Dagster says about runs that others end for them; `dagster.yaml` names it.

A code server fails a run whose process has died before the daemon looks at it, and the daemon one
that does not start. Neither says more than that: here they get their sentence and their tags.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.instance.ref import InstanceRef

from export_pipelines.errors import ExportPipelinesError, Interrupted
from export_pipelines.launcher import error_tags, is_lost, worker_lost, worker_missing


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

    def report_run_failed(
        self,
        dagster_run: dg.DagsterRun,
        message: str | None = None,
        job_failure_data: JobFailureData | None = None,
    ) -> dg.DagsterEvent:
        """End a run in FAILURE; one that was being cancelled, and whose process is gone, CANCELED.

        Args:
            dagster_run: the run.
            message: why; if it is not given, the process may be gone.
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
        if error:
            self.add_run_tags(dagster_run.run_id, error_tags(dagster_run, error))
            message = str(error)
        return super().report_run_failed(dagster_run, message, job_failure_data)

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
