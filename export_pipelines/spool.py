"""Spool files: rows read once from the catalogue, cut into the parts of an export.

A spool file holds one segment in Arrow's IPC format, uncompressed, so that writing keeps up with
the database and any thread or machine that sees the staging area can work on it.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from export_pipelines.artifacts import ExportPlan, FieldType, Part, Segment
from export_pipelines.concurrency import keep_freed_memory
from export_pipelines.errors import RequestError

if TYPE_CHECKING:
    import pyarrow as pa

SEGMENT_ROWS = 25_000
"""Most rows of a segment; with the threads there are, this bounds memory."""

NESTED_SEGMENT_ROWS = 5_000
"""The same if a row holds arrays."""

MAX_PARTS = 10_000
"""Most files of one export."""


@dataclass(frozen=True)
class Source:
    """Rows of one sheet, in order, from one place on.

    Attributes:
        sheet: index of the sheet in the plan.
        first_row: the number of the first row in its sheet, from 0; a multiple of
            `cut_rows`.
        batches: the rows.
    """

    sheet: int
    first_row: int
    batches: "Generator[pa.RecordBatch, None, None]"


def cut_rows(plan: ExportPlan) -> int:
    """Return the number of rows at every multiple of which a segment of the first sheet ends."""
    return plan.max_rows_per_file or _segment_rows(plan, 0)


def _segment_rows(plan: ExportPlan, sheet: int) -> int:
    nested = any(column.type is FieldType.ARRAY for column in plan.sheets[sheet].stored)
    return NESTED_SEGMENT_ROWS if nested else SEGMENT_ROWS


def spool(
    plan: ExportPlan,
    lanes: Sequence[Sequence[Source]],
    folder: Path,
    *,
    section_rows: int | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> tuple[Part, ...]:
    """Read rows into spool files, and return the parts that they make.

    Args:
        plan: the most rows of a file; further sheets go into the first file, whole.
        lanes: all rows of all sheets; lanes are read side by side, the sources of one in order.
        folder: where the spool files go; made if it is not there.
        section_rows: no segment crosses a multiple of this many rows of its file; None for any.
        on_rows: told the rows read so far.

    Raises:
        RequestError: the export would be of more than `MAX_PARTS` files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    read = 0
    lock = Lock()
    stopped = Event()

    def work(lane: Sequence[Source]) -> list[tuple[int, Segment]]:
        try:
            return [found for source in lane for found in spool_source(source)]
        except BaseException:
            # The other lanes must not read on until it is this one's turn to be asked.
            stopped.set()
            raise

    def spool_source(source: Source) -> Iterator[tuple[int, Segment]]:
        nonlocal read
        limit = plan.max_rows_per_file if source.sheet == 0 else None
        row = source.first_row
        rows = _segment_rows(plan, source.sheet)
        for table in _segments(source, rows, limit, section_rows):
            if stopped.is_set():
                break
            part = row // limit if limit else 0
            _check_parts(part)
            path = folder / f"{source.sheet}-{row:012d}.arrow"
            _write(table, path)
            first_row = row % limit if limit else row
            yield part, Segment(str(path), source.sheet, first_row, table.num_rows)
            row += table.num_rows
            with lock:
                read += table.num_rows
                on_rows(read)

    with ExitStack() as opened:
        # What was not read to its end must be closed before the connection it is read over.
        for lane in lanes:
            for source in lane:
                opened.callback(source.batches.close)
        with ThreadPoolExecutor(len(lanes), thread_name_prefix="spool") as pool:
            try:
                groups = list(pool.map(work, lanes))
            except BaseException:
                stopped.set()
                raise
    return _parts([found for group in groups for found in group])


def counted(plan: ExportPlan, parts: Iterable[Part]) -> ExportPlan:
    """Return the plan with the records that were read; others may have been counted before."""
    rows = [0] * len(plan.sheets)
    for part in parts:
        for segment in part.segments:
            rows[segment.sheet] += segment.rows
    sheets = (
        replace(sheet, records_count=count) for sheet, count in zip(plan.sheets, rows, strict=True)
    )
    return replace(plan, sheets=tuple(sheets))


def read_segment(segment: Segment) -> "pa.Table":
    """Return the rows of a segment."""
    import pyarrow as pa

    with pa.OSFile(segment.path) as source:
        return pa.ipc.open_stream(source).read_all()


def _parts(found: Sequence[tuple[int, Segment]]) -> tuple[Part, ...]:
    numbers = sorted({part for part, _ in found}) or [0]
    segments: dict[int, list[Segment]] = {number: [] for number in numbers}
    for part, segment in sorted(
        found, key=lambda item: (item[0], item[1].sheet, item[1].first_row)
    ):
        segments[part].append(segment)
    return tuple(Part(number + 1, tuple(segments[number])) for number in numbers)


def _check_parts(part: int) -> None:
    if part >= MAX_PARTS:
        raise RequestError(
            f"This export would be of more than {MAX_PARTS:,} files: "
            "choose a larger max_rows_per_file."
        )


def _segments(
    source: Source, segment_rows: int, part_rows: int | None, section_rows: int | None
) -> "Iterator[pa.Table]":
    """Cut batches into tables of at most `segment_rows` that cross no part and no section."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows, done = 0, source.first_row
    room = _room(done, segment_rows, part_rows, section_rows)
    for batch in source.batches:
        start = 0
        while start < batch.num_rows:
            taken = batch.slice(start, room - rows)
            held.append(taken)
            rows += taken.num_rows
            start += taken.num_rows
            if rows == room:
                yield pa.Table.from_batches(held)
                done += rows
                held, rows = [], 0
                room = _room(done, segment_rows, part_rows, section_rows)
    if held:
        yield pa.Table.from_batches(held)


def _room(done: int, segment_rows: int, part_rows: int | None, section_rows: int | None) -> int:
    in_part = done % part_rows if part_rows else done
    room = segment_rows - in_part % segment_rows
    if part_rows:
        room = min(room, part_rows - in_part)
    if section_rows:
        room = min(room, section_rows - in_part % section_rows)
    return room


def _write(table: "pa.Table", path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as target, pa.ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
