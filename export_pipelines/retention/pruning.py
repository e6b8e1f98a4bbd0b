"""How long each kind of thing is kept, and the removal of all that is older."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import dagster as dg

from export_pipelines import settings
from export_pipelines.errors import RequestError
from export_pipelines.resources import ExportStore
from export_pipelines.retention.candidates import Candidate, Pruned, remove_all
from export_pipelines.retention.exports import OldExports, is_export, is_pruned
from export_pipelines.retention.history import Family
from export_pipelines.retention.imported import old_imports
from export_pipelines.retention.runs import old_runs
from export_pipelines.retention.staging import old_staging
from export_pipelines.retention.ticks import old_ticks

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Policy:
    """For how many days each kind is kept after its end; None for ever.

    Attributes:
        exports: files in the export store.
        staging: what is staged of runs that have ended.
        imports: imported files and reports in the drop folder.
        runs: records of runs.
        ticks: ticks of schedules and sensors.
    """

    exports: int | None
    staging: int | None
    imports: int | None
    runs: int | None
    ticks: int | None


def policy(asked: Mapping[str, int | None]) -> Policy:
    """Return what is asked for, and what variables say of what is not.

    Args:
        asked: days by kind; None, or none, for the variable's.

    Raises:
        RequestError: a number is not 1 or more.
    """
    for kind, days in asked.items():
        if days is not None and days < 1:
            raise RequestError(f"{kind}_days is {days}: set it to a whole number of 1 or more.")
    kinds = [field.name for field in fields(Policy)]
    return Policy(**{kind: asked.get(kind) or settings.keep_days(kind) for kind in kinds})


def prune(
    instance: dg.DagsterInstance,
    store: ExportStore,
    staging: Path,
    kept: Policy,
    *,
    dry_run: bool = False,
) -> Iterator[Pruned]:
    """Remove all that is older than it is kept for, and yield what became of each kind.

    What is active is never touched, nor what an active run executes again. One thing that cannot be
    removed does not keep the others; it is tried again next time.

    Args:
        instance: where runs and ticks are recorded.
        store: keeps the exports.
        staging: the staging area.
        kept: for how long each kind is kept.
        dry_run: whether to remove nothing, and only say what would be.
    """
    now = time.time()
    exports = OldExports(instance, store, _before(now, kept.exports))

    def has_files(record: dg.RunRecord, family: Family) -> bool:
        if not is_export(record) or is_pruned(record):
            return False
        return not (dry_run and exports.is_old(record, family))

    kinds: dict[str, tuple[int | None, Callable[[float], Iterator[Candidate]]]] = {
        "exports": (kept.exports, lambda before: exports.candidates()),
        "staging": (kept.staging, lambda before: old_staging(instance, staging, before)),
        "imports": (kept.imports, lambda before: old_imports(instance, before)),
        "runs": (kept.runs, lambda before: old_runs(instance, before, has_files)),
        "ticks": (kept.ticks, lambda before: old_ticks(instance, before)),
    }
    for kind, (days, candidates) in kinds.items():
        before = _before(now, days)
        found = iter(()) if before is None else candidates(before)
        yield remove_all(kind, found, dry_run=dry_run)


def _before(now: float, days: int | None) -> float | None:
    # Dagster's filters take no time before 1970.
    return None if days is None else max(0.0, now - days * _DAY_SECONDS)
