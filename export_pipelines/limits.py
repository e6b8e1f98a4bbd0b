"""Whose runs are whose, and which of them may be pending or running at once.

Exports are runs with the tag `export/format`, which their jobs give them. They belong to the
organization of the tag `export/organization`, or else to that of `EXPORT_PIPELINES_ORGANIZATION`.
Those of schedules count, but are never refused: they wait for their turn.
"""

import dagster as dg
from dagster._core.storage.tags import ROOT_RUN_ID_TAG

from export_pipelines import settings
from export_pipelines.errors import BeingResumed, TooManyExports, shown

FORMAT_TAG = "export/format"
ORGANIZATION_TAG = "export/organization"

IMPORT_TAG = "import/resource_type"
"""The tag of imports, what they import, by which the queue keeps two from the same table."""

SCHEDULE_ID_TAG = "export/schedule_id"
"""The tag of the exports of a registered schedule: its id."""

ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def organization_of(run: dg.DagsterRun) -> str:
    """Return the organization that an export belongs to."""
    return run.tags.get(ORGANIZATION_TAG) or settings.organization()


def active_exports(
    instance: dg.DagsterInstance, organization: str, *, before: dg.DagsterRun | None = None
) -> int:
    """Count an organization's exports that are pending, running or being cancelled.

    Args:
        instance: where runs are recorded.
        organization: whose.
        before: only runs that were recorded before this one count; all by default.
    """
    runs = instance.get_runs(
        dg.RunsFilter(statuses=ACTIVE), cursor=before.run_id if before else None
    )
    return sum(FORMAT_TAG in run.tags and organization_of(run) == organization for run in runs)


def require_slot(
    instance: dg.DagsterInstance, organization: str, *, run: dg.DagsterRun | None = None
) -> None:
    """Refuse an export for which its organization has no room.

    Args:
        instance: where runs are recorded.
        organization: whose export it is.
        run: the export, if it is recorded already. Then only earlier ones count: of several that
            are recorded at the same moment, as many go on as there is room for, the first first.

    Raises:
        TooManyExports: as many as are allowed are pending or running.
        RequestError: the limit in the environment is no number.
    """
    if run and SCHEDULE_ID_TAG in run.tags:
        return
    limit = settings.max_active_exports()
    active = active_exports(instance, organization, before=run)
    if active >= limit:
        raise TooManyExports(
            f"Exports pending or running in the organization {shown(organization)}: {active}, and "
            f"{limit} at once is the limit. Wait for one to end or cancel one, then export again; "
            "EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS raises the limit."
        )


def require_not_resumed(
    instance: dg.DagsterInstance, job: str, root: str, *, run: dg.DagsterRun | None = None
) -> None:
    """Refuse to resume a job that another run resumes: both would use what it had finished.

    Args:
        instance: where runs are recorded.
        job: the run that is to be resumed.
        root: the first of those that it resumes; itself if it resumes none.
        run: the run that is to do so, if it is recorded already. Then only earlier ones count.

    Raises:
        BeingResumed: another run does.
    """
    active = dg.RunsFilter(statuses=ACTIVE, tags={ROOT_RUN_ID_TAG: root})
    others = instance.get_runs(active, cursor=run.run_id if run else None)
    if others:
        raise BeingResumed(
            f"The job {job} is being resumed already: see {others[-1].run_id}. Wait for its end, "
            "or cancel it."
        )
