"""What web server and daemon do with a run before it is queued; `dagster.yaml` names it."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.run_coordinator import SubmitRunContext

from export_pipelines.errors import ExportPipelinesError
from export_pipelines.limits import (
    FORMAT_TAG,
    IMPORT_TAG,
    ORGANIZATION_TAG,
    organization_of,
    require_not_resumed,
    require_slot,
)

_RESOURCE_TYPE_TAG = "export/resource_type"
_DEFAULT_RESOURCE_TYPE = "products"

# A run executed again inherits the tags of the one before, and none can be removed.
_OUTCOMES = (
    *(
        f"import/{name}"
        for name in ("error", "error_code", "rows", "created", "updated", "unchanged", "failed")
    ),
    "export/pruned_at",
    "prune/error",
    "prune/error_code",
)


class ExportRunCoordinator(dg.QueuedRunCoordinator):
    """Queues runs, and refuses an export for which its organization has no room.

    A job that goes on with one that an earlier run goes on with already is refused too.

    Exports are tagged with their organization and resource type, by which the queue limits them,
    imports with their organization. Other jobs are queued as they are.
    """

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, or end it in FAILURE with the reason in its tags `error` and `error_code`.

        A refusal is no exception: that would answer `launchRun` with HTTP 500 and without the run,
        and put a stack trace where the reason belongs.
        """
        run = context.dagster_run
        stale = {tag: "" for tag in _OUTCOMES if run.tags.get(tag)}
        if stale and run.status is dg.DagsterRunStatus.NOT_STARTED:
            self._instance.add_run_tags(run.run_id, stale)
        if run.status is not dg.DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        if FORMAT_TAG in run.tags:
            self._instance.add_run_tags(run.run_id, _tags(run))
        elif IMPORT_TAG in run.tags:
            self._instance.add_run_tags(run.run_id, {ORGANIZATION_TAG: organization_of(run)})
        else:
            return super().submit_run(context)
        try:
            self._require_room(run)
        except ExportPipelinesError as error:
            return self._refuse(run, error)
        return super().submit_run(context)

    def _require_room(self, run: dg.DagsterRun) -> None:
        # Only those that leave steps out need what the job before has left.
        if run.parent_run_id and run.root_run_id and run.step_keys_to_execute:
            require_not_resumed(self._instance, run.parent_run_id, run.root_run_id, run=run)
        if FORMAT_TAG in run.tags:
            require_slot(self._instance, organization_of(run), run=run)

    def _refuse(self, run: dg.DagsterRun, error: ExportPipelinesError) -> dg.DagsterRun:
        kind = "export" if FORMAT_TAG in run.tags else "import"
        tags = {f"{kind}/error": str(error), f"{kind}/error_code": error.code}
        self._instance.add_run_tags(run.run_id, tags)
        self._instance.report_run_failed(run, str(error))
        return self._instance.get_run_by_id(run.run_id) or run


def _tags(run: dg.DagsterRun) -> dict[str, str]:
    settled = {tag: "" for tag in ("export/error", "export/error_code") if run.tags.get(tag)}
    return {
        **settled,
        ORGANIZATION_TAG: organization_of(run),
        _RESOURCE_TYPE_TAG: run.tags.get(_RESOURCE_TYPE_TAG) or _resource_type(run.run_config),
    }


def _resource_type(config: Mapping[str, object]) -> str:
    """Return what is exported; that of the default if the config is wrong, as its run will say."""
    asked = config.get("resource_type")
    return asked if isinstance(asked, str) and asked else _DEFAULT_RESOURCE_TYPE
