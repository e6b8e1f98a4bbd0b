"""Records runs in tests as web server and daemon do before they submit them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import ROOT_RUN_ID_TAG

_LOCATION = RegisteredCodeLocationOrigin("export_pipelines")
_REPOSITORY = RemoteRepositoryOrigin(_LOCATION, "__repository__")


def record_run(
    instance: dg.DagsterInstance,
    job: str = "export_csv",
    *,
    status: str = "NOT_STARTED",
    config: Mapping[str, Any] | None = None,
    resumes: dg.DagsterRun | None = None,
    **tags: str,
) -> dg.DagsterRun:
    """Record a run of a job, or the resumption of another one; its tags begin with `export/`.

    An export job's runs have the tag of its format.
    """
    kind, _, name = job.partition("_")
    own = {"export/format": name} if kind == "export" else {}
    if resumes:
        own[ROOT_RUN_ID_TAG] = resumes.root_run_id or resumes.run_id
    given = {f"export/{tag}": value for tag, value in tags.items()}
    parent, root = (resumes.run_id, resumes.root_run_id) if resumes else (None, None)
    run = dg.DagsterRun(
        job_name=job,
        parent_run_id=parent,
        root_run_id=root or parent,
        step_keys_to_execute=["finish"] if resumes else None,
        status=dg.DagsterRunStatus(status),
        run_config=config,
        tags={**own, **given},
        remote_job_origin=RemoteJobOrigin(_REPOSITORY, job),
    )
    return instance.add_run(run)
