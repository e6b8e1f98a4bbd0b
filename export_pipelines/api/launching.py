"""Starting and resuming runs by way of Dagster's own GraphQL, within its process; cancelling them.

So what the API starts is what the UI starts: validated, tagged, queued and limited the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import dagster as dg

from export_pipelines.api.problems import Conflict
from export_pipelines.code_location import LOCATION, REPOSITORY
from export_pipelines.errors import (
    BeingResumed,
    ExportPipelinesError,
    NotRegistered,
    RequestError,
    StorageUnavailable,
    TooManyExports,
)
from export_pipelines.limits import FORMAT_TAG
from export_pipelines.retention.runs import remove_run
from export_pipelines.runs import control

_RUN = "... on LaunchRunSuccess { run { runId } }"
_FAILED = """
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
    ... on PipelineNotFoundError { message }
"""
_LAUNCH = f"""
mutation ($job: String!, $config: RunConfigData!, $tags: [ExecutionTag!]) {{
  launchRun(executionParams: {{
    selector: {{
      repositoryLocationName: "{LOCATION}" repositoryName: "{REPOSITORY}" jobName: $job
    }}
    runConfigData: $config
    executionMetadata: {{ tags: $tags }}
  }}) {{ __typename {_RUN} {_FAILED} }}
}}
"""
_RESUME = f"""
mutation ($run: String!, $tags: [ExecutionTag!]) {{
  launchRunReexecution(
    reexecutionParams: {{ parentRunId: $run, strategy: FROM_FAILURE, extraTags: $tags }}
  ) {{ __typename {_RUN} {_FAILED} }}
}}
"""


_REFUSALS = {each.code: each for each in (BeingResumed, TooManyExports)}
"""What the coordinator ends a run with that it does not queue."""


class Server(Protocol):
    """What has Dagster's schema and workspace: the web server."""

    def execute(self, query: str, variables: Mapping[str, Any]) -> Any:
        """Return a GraphQL answer's data."""


@dataclass(frozen=True)
class Launcher:
    """Starts and ends runs.

    Attributes:
        instance: where they are recorded.
        server: where GraphQL is.
    """

    instance: dg.DagsterInstance
    server: Server

    def launch(self, job: str, config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Start a job, and return the run's id; a run that was refused leaves no trace.

        Raises:
            RequestError: the run config does not fit the job.
            TooManyExports: its organization has no room.
            StorageUnavailable: the code server does not answer.
        """
        variables = {"job": job, "config": dict(config), "tags": _pairs(tags)}
        answer = self.server.execute(_LAUNCH, variables)
        return self._started(answer["launchRun"])

    def resume(self, run_id: str, tags: Mapping[str, str]) -> str:
        """Start what is left of a run that failed, and return the new run's id.

        Raises:
            Conflict: it cannot be gone on with.
            BeingResumed: another run goes on with it; a run that was refused leaves no trace.
            TooManyExports: its organization has no room.
        """
        run = self.instance.get_run_by_id(run_id)
        try:
            if run:
                control.require_resumable(self.instance, run)
        except BeingResumed:
            raise
        except RequestError as error:
            raise Conflict(str(error)) from None
        answer = self.server.execute(_RESUME, {"run": run_id, "tags": _pairs(tags)})
        return self._started(answer["launchRunReexecution"])

    def cancel(self, run_id: str) -> None:
        """Ask a run to end.

        Raises:
            Conflict: it has ended, or nobody here can tell which process it is.
            ExportPipelinesError: its code server does not answer.
        """
        try:
            control.cancel(self.instance, run_id)
        except RequestError as error:
            raise Conflict(str(error)) from None

    def _started(self, answer: Mapping[str, Any]) -> str:
        if answer["__typename"] != "LaunchRunSuccess":
            raise _refusal(answer)
        run_id = str(answer["run"]["runId"])
        run = self.instance.get_run_by_id(run_id)
        kind = "export" if run and FORMAT_TAG in run.tags else "import"
        refusal = _REFUSALS.get(run.tags.get(f"{kind}/error_code", "")) if run else None
        if run and refusal:
            remove_run(self.instance, run_id)
            raise refusal(run.tags[f"{kind}/error"])
        return run_id


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _refusal(answer: Mapping[str, Any]) -> ExportPipelinesError:
    kind = answer["__typename"]
    if kind == "RunConfigValidationInvalid":
        return RequestError(" ".join(error["message"] for error in answer["errors"]))
    if kind == "PipelineNotFoundError":
        return NotRegistered(answer["message"])
    message = answer.get("message", kind)
    return StorageUnavailable(f"The run was not started: {message}. Try again in a moment.")
