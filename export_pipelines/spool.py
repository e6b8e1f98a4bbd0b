"""Spool files: rows read once from the catalogue, cut into the parts of an export.

A spool file holds one segment in Arrow's IPC format, uncompressed, so that writing keeps up with
the database and any thread or machine that sees the staging area can work on it.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export_pipelines.artifacts import ExportPlan, Part, Segment
from export_pipelines.catalog.reading import Snapshot
from export_pipelines.errors import RequestError

if TYPE_CHECKING:
    import pyarrow as pa

SEGMENT_ROWS = 25_000
"""Most rows of a segment; with the threads there are, this bounds memory."""

MAX_PARTS = 10_000
"""Most files of one export."""


def spool(
    snapshot: Snapshot,
    plan: ExportPlan,
    folder: Path,
    *,
    section_rows: int | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> tuple[Part, ...]:
    """Read every sheet of a plan into spool files and return the parts that they make.

    Args:
        snapshot: where rows are read from.
        plan: what is read, and the most rows of a file.
        folder: where the spool files go; made if it is not there.
        section_rows: no segment crosses a multiple of this many rows of its file; None for any.
        on_rows: told the rows read so far.

    Raises:
        RequestError: the export would be of more than `MAX_PARTS` files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[list[Segment]] = [[]]
    read = 0
    with _spool_writer() as write:
        for number, sheet in enumerate(plan.sheets):
            # Further sheets go into the first file, whole.
            limit = plan.max_rows_per_file if number == 0 else None
            part, first_row = 0, 0
            for table in _segments(snapshot.stream(sheet.statement, sheet.columns), limit, section_rows):
                if limit and first_row == limit:
                    part, first_row = part + 1, 0
                    _add_part(parts)
                path = folder / f"{number}-{part:05d}-{first_row:09d}.arrow"
                write(table, path)
                parts[part].append(Segment(str(path), number, first_row, table.num_rows))
                first_row += table.num_rows
                read += table.num_rows
                on_rows(read)
    return tuple(Part(number, tuple(found)) for number, found in enumerate(parts, start=1))


def counted(plan: ExportPlan, parts: Iterable[Part]) -> ExportPlan:
    """Return the plan with the records that were read, which may differ from those counted before."""
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


def _add_part(parts: list[list[Segment]]) -> None:
    if len(parts) == MAX_PARTS:
        raise RequestError(
            f"This export would be of more than {MAX_PARTS:,} files: "
            "choose a larger max_rows_per_file."
        )
    parts.append([])


def _segments(
    batches: "Iterator[pa.RecordBatch]", part_rows: int | None, section_rows: int | None
) -> "Iterator[pa.Table]":
    """Cut batches into tables of at most SEGMENT_ROWS that cross no part and no section."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = done = 0
    room = _room(done, part_rows, section_rows)
    for batch in batches:
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
                room = _room(done, part_rows, section_rows)
    if held:
        yield pa.Table.from_batches(held)


def _room(done: int, part_rows: int | None, section_rows: int | None) -> int:
    room = SEGMENT_ROWS
    in_part = done % part_rows if part_rows else done
    if part_rows:
        room = min(room, part_rows - in_part)
    if section_rows:
        room = min(room, section_rows - in_part % section_rows)
    return room


@contextmanager
def _spool_writer() -> "Iterator[Callable[[pa.Table, Path], None]]":
    """Yield a function that writes tables in a thread, so that reading goes on meanwhile."""
    waiting: queue.Queue[tuple[pa.Table, Path] | None] = queue.Queue(maxsize=4)
    failures: list[BaseException] = []

    def work() -> None:
        while (item := waiting.get()) is not None:
            if not failures:
                try:
                    _write(*item)
                except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                    failures.append(error)

    def write(table: "pa.Table", path: Path) -> None:
        if failures:
            raise failures[0]
        waiting.put((table, path))

    thread = threading.Thread(target=work, name="spool-writer")
    thread.start()
    try:
        yield write
    finally:
        waiting.put(None)
        thread.join()
    if failures:
        raise failures[0]


def _write(table: "pa.Table", path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as target, pa.ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
