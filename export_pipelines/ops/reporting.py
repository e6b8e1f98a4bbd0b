"""What ops say about themselves: tags, metadata, progress, and failures in one sentence."""

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from export_pipelines import settings
from export_pipelines.artifacts import ExportPlan, Part, StagedFile
from export_pipelines.catalog.columns import written_frame
from export_pipelines.errors import ExportPipelinesError, Interrupted, storage_error
from export_pipelines.limits import organization_of, require_slot
from export_pipelines.progress import Progress
from export_pipelines.spool import read_segment

PREVIEW_ROWS = 10
_PREVIEW_CHARACTERS = 80
_TAG_CHARACTERS = 4_000


@contextmanager
def explained(
    context: dg.OpExecutionContext,
    *,
    remove: Path | None = None,
    retries: int = 0,
    about: str = "",
    kind: str = "export",
) -> Iterator[None]:
    """Fail the run with the sentence of an error that this project can explain.

    Args:
        context: the op's.
        remove: a folder of unfinished work, removed if anything goes wrong.
        retries: how often Dagster tries the op again when that is worth it. Until the last time
            the run has not failed, and its tags do not say so.
        about: what the error is about, put before its sentence.
        kind: `export` or `import`: what the run does, and the prefix of its tags.
    """
    try:
        yield
    except BaseException as error:
        if remove:
            shutil.rmtree(remove, ignore_errors=True)
        known = _known(error, kind)
        if known is None and retries and isinstance(error, Exception):
            # Dagster would try anything again; a mistake of ours does not get better by that.
            kind = type(error).__name__
            raise dg.Failure(f"Unexpected: {kind}.", allow_retries=False) from error
        if known is None:
            raise
        sentence = f"{about}: {known}" if about else str(known)
        # An op that is called as a function has no number of tries: it is the last.
        if known.worth_retrying and getattr(context, "retry_number", retries) < retries:
            context.log.warning(f"Tried again in a moment: {sentence}")
            raise dg.Failure(sentence) from None
        publish_error(context, sentence, known.code, kind)
        # Where an op may be tried again, Dagster would take an interruption for a reason to.
        if isinstance(known, Interrupted) and not retries:
            raise
        raise dg.Failure(sentence, allow_retries=False) from None


def publish_error(
    context: dg.OpExecutionContext, sentence: str, code: str, kind: str = "export"
) -> None:
    """Put an error on the run, after those of other platforms or files if there are any."""
    run = context.instance.get_run_by_id(context.run_id)
    before = run.tags.get(f"{kind}/error", "") if run else ""
    joined = f"{before} {sentence}" if before and not before.endswith(sentence) else sentence
    text = _shortened(joined, _TAG_CHARACTERS)
    publish_tags(context, {f"{kind}/error": text, f"{kind}/error_code": code})


def _known(error: BaseException, kind: str) -> ExportPipelinesError | None:
    if isinstance(error, OSError):
        return storage_error(error)
    if isinstance(error, (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)):
        return Interrupted(f"Interrupted: the {kind} is not finished.")
    return error if isinstance(error, ExportPipelinesError) else None


def publish_tags(context: dg.OpExecutionContext, tags: Mapping[str, str]) -> None:
    """Put tags on the run, where list queries see them and can filter by them.

    An op that is called as a function, in a test or a notebook, has no run to put them on.
    """
    with suppress(dg.DagsterRunNotFoundError):
        context.instance.add_run_tags(context.run_id, dict(tags))


def own_organization(context: dg.OpExecutionContext) -> str:
    """Return whose run this is; an op called as a function is of the settings' organization."""
    run = context.instance.get_run_by_id(context.run_id)
    return organization_of(run) if run else settings.organization()


def require_own_slot(context: dg.OpExecutionContext) -> None:
    """Refuse a run for which its organization has no room; an op called as a function has no run.

    Raises:
        TooManyExports: as many as are allowed were pending or running before it.
    """
    run = context.instance.get_run_by_id(context.run_id)
    if run:
        require_slot(context.instance, organization_of(run), run=run)


def progress(
    context: dg.OpExecutionContext, stage: str, total: int, kind: str = "export"
) -> Progress:
    """Begin a stage of the run's progress."""
    return Progress(stage, total, lambda tags: publish_tags(context, tags), kind=kind)


def duration(started_at: str, finished_at: str) -> float:
    """Return the seconds between two times of `now`."""
    first, last = (datetime.fromisoformat(text[:-1]) for text in (started_at, finished_at))
    return (last - first).total_seconds()


def rate(rows: int, began: float) -> dict[str, Any]:
    """Return rows, seconds since `began` (monotonic) and rows per second."""
    seconds = max(time.monotonic() - began, 1e-6)
    return {"rows": rows, "seconds": round(seconds, 3), "rows_per_second": round(rows / seconds)}


def file_metadata(files: Sequence[StagedFile]) -> dict[str, Any]:
    """Return how many files there are, their bytes and their names."""
    names = [f"{file.name}: {file.rows:,} rows, {file.bytes:,} bytes" for file in files]
    size = sum(file.bytes for file in files)
    return {"files": len(files), "bytes": size, "file_list": dg.MetadataValue.json(names)}


def spooled_bytes(parts: Sequence[Part]) -> int:
    """Return the size of the rows as they were read, before they are written in a format."""
    paths = (segment.path for part in parts for segment in part.segments)
    return sum(Path(path).stat().st_size for path in paths)


def sql_metadata(plan: ExportPlan) -> dg.MarkdownMetadataValue:
    """Return the SQL of all sheets, without the values of its parameters."""
    statements = "\n\n".join(sheet.statement.sql for sheet in plan.sheets)
    return dg.MetadataValue.md(f"```sql\n{statements}\n```")


def preview(plan: ExportPlan, parts: Sequence[Part]) -> dg.TableMetadataValue:
    """Return the first rows as a table for the UI; long values are shortened."""
    segments = [segment for part in parts for segment in part.segments if not segment.sheet]
    rows: list[dict[str, Any]] = []
    if segments:
        first = read_segment(segments[0]).slice(0, PREVIEW_ROWS)
        rows = written_frame(first, plan.sheets[0]).to_dicts()
    shown = [{name: _cell(value) for name, value in row.items()} for row in rows]
    columns = [dg.TableColumn(column.name, column.type.value) for column in plan.sheets[0].columns]
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in shown], schema=dg.TableSchema(columns)
    )


def _cell(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        value = json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _shortened(value, _PREVIEW_CHARACTERS) if isinstance(value, str) else value


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
