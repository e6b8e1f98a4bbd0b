"""The step that removes what is old."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from export_pipelines.ops.reporting import explained, publish_error
from export_pipelines.resources import ExportStore, Staging
from export_pipelines.retention.candidates import Pruned
from export_pipelines.retention.pruning import policy, prune

_KINDS = {
    "exports": "the files of exports stay in the store after their end",
    "staging": "what is staged of runs stays after their end, so that they can be resumed",
    "imports": "imported files and their reports stay in the drop folder",
    "runs": "the records of runs stay after their end, those of exports as long as their files do",
    "ticks": "the ticks of schedules and sensors stay",
}


def _days(kind: str, what: str) -> dg.Field:
    variable = f"EXPORT_PIPELINES_KEEP_{kind.upper()}_DAYS"
    return dg.Field(
        dg.Noneable(int),
        default_value=None,
        description=f"For how many days {what}. Empty: as the variable {variable} says.",
    )


PRUNE_FIELDS: Mapping[str, dg.Field] = {
    **{f"{kind}_days": _days(kind, what) for kind, what in _KINDS.items()},
    "dry_run": dg.Field(
        bool, default_value=False, description="Remove nothing, and list what would be removed."
    ),
}
"""The run config of the job `prune`."""


@dg.op(config_schema=dict(PRUNE_FIELDS))
def remove_old(context: dg.OpExecutionContext, staging: Staging, store: ExportStore) -> None:
    """Removes what is older than it is kept for, and not in use; a dry run lists it."""
    config = context.op_config
    dry_run: bool = config["dry_run"]
    done: list[Pruned] = []
    with explained(context, kind="prune"):
        kept = policy({kind: config[f"{kind}_days"] for kind in _KINDS})
        folder = staging.run_folder("-").parent
        for pruned in prune(context.instance, store, folder, kept, dry_run=dry_run):
            done.append(pruned)
            for line in _lines(pruned, dry_run):
                context.log.info(line)
    failed = [pruned for pruned in done if pruned.failed]
    if failed:
        sentence = _failure(failed)
        publish_error(context, sentence, failed[0].code, "prune")
        raise dg.Failure(sentence, _metadata(done, dry_run), allow_retries=False)
    context.add_output_metadata(_metadata(done, dry_run))


def summary(pruned: Pruned, dry_run: bool) -> str:
    """Return what became of one kind, in a sentence."""
    size = "" if pruned.kind == "ticks" else f", {pruned.bytes:,} bytes"
    failed = f"; {pruned.failed:,} could not be" if pruned.failed else ""
    return f"{pruned.kind}: {pruned.count:,} {_word(dry_run)}{size}{failed}."


def _word(dry_run: bool) -> str:
    return "would be removed" if dry_run else "removed"


def _lines(pruned: Pruned, dry_run: bool) -> list[str]:
    names = [f"{pruned.kind}: {name} would be removed." for name, _ in pruned.listed]
    return [*(names if dry_run else []), summary(pruned, dry_run)]


def _failure(failed: Sequence[Pruned]) -> str:
    count = sum(pruned.failed for pruned in failed)
    return (
        f"Could not be removed: {count:,}. The first is of {failed[0].kind}: {failed[0].reason} "
        "What is left is tried again next time."
    )


def _metadata(done: Sequence[Pruned], dry_run: bool) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for pruned in done:
        counts[pruned.kind] = pruned.count
        if pruned.kind != "ticks":
            counts[f"{pruned.kind}_bytes"] = pruned.bytes
    summaries = [summary(pruned, dry_run) for pruned in done]
    return {
        **counts,
        "summary": dg.MetadataValue.text("\n".join(summaries)),
        _word(dry_run).replace(" ", "_"): _table(done),
    }


def _table(done: Sequence[Pruned]) -> dg.TableMetadataValue:
    columns = [dg.TableColumn("kind", "string"), dg.TableColumn("name", "string")]
    columns += [dg.TableColumn("count", "integer"), dg.TableColumn("bytes", "integer")]
    records: list[dict[str, str | int]] = [
        {"kind": each.kind, "name": name, "count": removed.count, "bytes": removed.bytes}
        for each in done
        for name, removed in each.listed
    ]
    return dg.MetadataValue.table(
        [dg.TableRecord(record) for record in records], schema=dg.TableSchema(columns)
    )
