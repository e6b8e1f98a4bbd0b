"""From spooled rows to files in the staging area, many segments at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from export_pipelines.artifacts import ExportPlan, Part, Segment, Shard, StagedFile
from export_pipelines.catalog.columns import written_frame
from export_pipelines.concurrency import ordered_map
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Encoded
from export_pipelines.spool import read_segment


def serialize_shard(
    plan: ExportPlan,
    shard: Shard,
    folder: Path,
    *,
    on_part: Callable[[int], None] = lambda parts: None,
) -> tuple[StagedFile, ...]:
    """Write the files of a shard and return them in order.

    Args:
        plan: format, options and columns.
        shard: the spooled parts.
        folder: where the files go; made if it is not there.
        on_part: told how many files are done.

    Raises:
        DataError: a value does not fit the format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    output_format = FORMATS[plan.format]
    options = output_format.options.model_validate(plan.options)

    def encode(segment: Segment) -> Encoded:
        sheet = plan.sheets[segment.sheet]
        frame = written_frame(read_segment(segment), sheet)
        return output_format.encode(frame, segment, sheet, options)

    segments = (segment for part in shard.parts for segment in part.segments)
    encoded = ordered_map(encode, segments)
    files = []
    for done, part in enumerate(shard.parts, start=1):
        name = part_name(plan, part) + output_format.extension(options)
        files.append(_write_part(plan, part, folder / name, encoded, options))
        on_part(done)
    return tuple(files)


def part_name(plan: ExportPlan, part: Part) -> str:
    """Return a file's name without its ending: numbered if the export is cut by rows."""
    if plan.max_rows_per_file is None:
        return plan.file_name
    return plan.part_name.format(part=part.number)


def _write_part(
    plan: ExportPlan, part: Part, path: Path, encoded: Iterator[Encoded], options: Any
) -> StagedFile:
    warnings: dict[str, int] = {}
    with path.open("wb") as target:
        writer = FORMATS[plan.format].open(target, part, plan, options)
        for segment in part.segments:
            found = next(encoded)
            writer.write(segment, found)
            for sentence, count in found.warnings:
                warnings[sentence] = warnings.get(sentence, 0) + count
        writer.finish()
    sentences = tuple(f"{sentence} ({count:,} rows)" for sentence, count in warnings.items())
    return StagedFile(str(path), path.name, part.rows, path.stat().st_size, warnings=sentences)
