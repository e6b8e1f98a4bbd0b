"""The sensor of folders on platforms: it asks for runs, which take the files themselves."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import dagster as dg

from export_pipelines.config import IMPORT_OPTIONS
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.imports.drop_folder import Taken
from export_pipelines.imports.origins import Origin, origins, remove_ended
from export_pipelines.imports.platform_listing import list_folders
from export_pipelines.imports.platform_watching import (
    Memory,
    Outcome,
    PlatformLook,
    left_behind,
    memory_from_text,
    memory_text,
)
from export_pipelines.imports.rules import PlatformRule, read_platform_rules
from export_pipelines.imports.watching import Asked
from export_pipelines.jobs import import_jobs
from export_pipelines.sensors import busy_files, given_up, is_possible, run_request, runs_over

SECONDS = 30

_RUN_KEY = "dagster/run_key"
_CLAIM_STEP = "claim"


@dg.sensor(
    description="Imports files of watched folders on platforms, once each, when they have stopped "
    "growing. imports.yaml names the folders.",
    jobs=import_jobs,
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def import_platforms(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Imports files of watched folders on platforms, once each, when they have stopped growing."""
    before = memory_from_text(context.cursor)
    try:
        rules = read_platform_rules(IMPORT_OPTIONS)
    except ExportPipelinesError as error:
        return _answer(context, [], [str(error)], before)
    remove_ended()
    # In this order: a file that is neither wanted nor taken by now was removed from its platform
    # if a run has ended over it, so that what is listed then is another.
    busy = busy_files(context.instance)
    taken = origins()
    if not rules and not taken:
        return _answer(context, [], ["imports.yaml names no folder on a platform."], {})
    look = PlatformLook(before, busy, taken, lambda key: _outcome(context.instance, key))
    asked, hopeless = _look(context.instance, look, rules, taken, busy)
    look.notes += [given_up(file, reason) for file, reason in hopeless]
    possible = [each for each in asked if is_possible(each, look.notes)]
    return _answer(context, possible, look.notes, look.memory)


def _look(
    instance: dg.DagsterInstance,
    look: PlatformLook,
    rules: Sequence[PlatformRule],
    taken: Collection[Origin],
    busy: Collection[str],
) -> tuple[list[Asked], list[tuple[Taken, str]]]:
    """Return the runs that are wanted, and the files that are given up."""
    folders: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        folders[rule.platform].add(rule.folder)
    for origin in taken:
        folders[origin.platform].add(origin.folder)
    listings = list_folders(folders)
    for listing in listings.values():
        look.notes += listing.errors
    reached = [name for name, listing in listings.items() if listing.reached]
    asked, hopeless = left_behind(reached, busy, lambda claim: runs_over(instance, claim))
    for rule in rules:
        files = listings[rule.platform].files.get(rule.folder)
        if files is None:
            look.keep(rule)
        else:
            asked += look.ready(rule, files)
    return asked, hopeless


def _answer(
    context: dg.SensorEvaluationContext, asked: Sequence[Asked], notes: list[str], memory: Memory
) -> dg.SensorResult:
    cursor = memory_text(memory)
    if not asked:
        return dg.SensorResult(skip_reason=" ".join(notes) or "No file is ready.", cursor=cursor)
    for note in notes:
        context.log.warning(note)
    requests = [run_request(each, "platform") for each in asked]
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def _outcome(instance: dg.DagsterInstance, key: str) -> Outcome:
    """Return what became of the run that was asked for with a key, before it had its files."""
    runs = instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: key}), limit=1)
    for run in runs:
        steps = instance.get_run_step_stats(run.run_id, [_CLAIM_STEP])
        if any(step.status and step.status.value == "SUCCESS" for step in steps):
            return "taken"
        if run.status is dg.DagsterRunStatus.CANCELED:
            return "cancelled"
    return "failed"
