"""Records runs in tests as web server and daemon do before they submit them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

_LOCATION = RegisteredCodeLocationOrigin("export_pipelines")
_REPOSITORY = RemoteRepositoryOrigin(_LOCATION, "__repository__")


def record_run(
    instance: dg.DagsterInstance,
    job: str = "export_csv",
    *,
    status: str = "NOT_STARTED",
    config: Mapping[str, Any] | None = None,
    **tags: str,
) -> dg.DagsterRun:
    """Record a run of a job; the names of its tags begin with `export/`.

    An export job's runs have the tag of its format.
    """
    kind, _, name = job.partition("_")
    given = {f"export/{tag}": value for tag, value in tags.items()}
    run = dg.DagsterRun(
        job_name=job,
        status=dg.DagsterRunStatus(status),
        run_config=config,
        tags={"export/format": name, **given} if kind == "export" else given,
        remote_job_origin=RemoteJobOrigin(_REPOSITORY, job),
    )
    return instance.add_run(run)
