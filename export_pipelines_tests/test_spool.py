import threading
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines import spool as spooling
from export_pipelines.artifacts import Column, ExportPlan, FieldType, Part
from export_pipelines.catalog.columns import spool_schema
from export_pipelines.errors import RequestError
from export_pipelines.spool import Source, counted, cut_rows, read_segment, spool
from export_pipelines_tests.contracts.frames import plan_of, sheet_of

NUMBER = Column("number", FieldType.INTEGER)
SCHEMA = spool_schema([NUMBER])


def plan(limit: int | None = None, sheets: int = 1) -> ExportPlan:
    made = plan_of("csv", *(sheet_of([NUMBER], f"sheet{at}") for at in range(sheets)))
    return replace(made, max_rows_per_file=limit)


def batches(first: int, end: int, sizes: Sequence[int]) -> Generator[pa.RecordBatch, None, None]:
    at, turn = first, 0
    while at < end:
        size = min(sizes[turn % len(sizes)], end - at)
        yield pa.record_batch([pa.array(range(at, at + size), pa.int64())], schema=SCHEMA)
        at, turn = at + size, turn + 1


def values(part: Part, sheet: int = 0) -> list[int]:
    found: list[int] = []
    for segment in part.segments:
        if segment.sheet == sheet:
            rows = read_segment(segment).column("number").to_pylist()
            assert len(rows) == segment.rows
            assert segment.first_row == len(found)
            found += rows
    return found


@given(
    rows=st.integers(0, 60),
    others=st.integers(0, 25),
    segment_rows=st.integers(1, 12),
    limit=st.none() | st.integers(1, 26),
    section=st.none() | st.integers(1, 15),
    starts=st.sets(st.integers(1, 12), max_size=3),
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=3).filter(any),
)
def test_parts_join_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    others: int,
    segment_rows: int,
    limit: int | None,
    section: int | None,
    starts: set[int],
    sizes: list[int],
) -> None:
    asked = plan(limit, sheets=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooling, "SEGMENT_ROWS", segment_rows)
        cuts = [0, *(start * cut_rows(asked) for start in sorted(starts))]
        cuts = [start for start in cuts if start < rows or not start]
        lanes = [
            [Source(0, start, batches(start, end, sizes))]
            for start, end in zip(cuts, [*cuts[1:], rows], strict=True)
        ]
        lanes[0].append(Source(1, 0, batches(0, others, sizes)))
        folder = tmp_path_factory.mktemp("spool") / "new"
        seen: list[int] = []
        parts = spool(asked, lanes, folder, section_rows=section, on_rows=seen.append)
    assert [number for part in parts for number in values(part)] == list(range(rows))
    assert values(parts[0], sheet=1) == list(range(others))
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert len(parts) == (-(-rows // limit) or 1 if limit else 1)
    assert all(part.rows == limit for part in parts[:-1])
    assert seen == sorted(seen)
    assert (seen or [0])[-1] == rows + others
    for part in parts:
        for segment in part.segments:
            assert 0 < segment.rows <= segment_rows
            last = segment.first_row + segment.rows - 1
            assert not section or segment.first_row // section == last // section
    sheets = counted(asked, parts).sheets
    assert [sheet.records_count for sheet in sheets] == [rows, others]


@given(
    rows=st.integers(1, 60),
    limit=st.none() | st.integers(1, 26),
    section=st.none() | st.integers(1, 15),
    start=st.integers(1, 5),
)
def test_segments_do_not_depend_on_lanes(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    limit: int | None,
    section: int | None,
    start: int,
) -> None:
    """So that files do not either, whose bytes may depend on segments."""
    asked = plan(limit)
    found: list[list[tuple[int, int, int]]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooling, "SEGMENT_ROWS", 7)
        middle = min(rows, start * cut_rows(asked))
        for lanes in ([(0, rows)], [(0, middle), (middle, rows)]):
            sources = [[Source(0, first, batches(first, end, [4]))] for first, end in lanes]
            folder = tmp_path_factory.mktemp("spool")
            parts = spool(asked, sources, folder, section_rows=section)
            found.append([(p.number, s.first_row, s.rows) for p in parts for s in p.segments])
    assert found[0] == found[1]


def test_types_and_nulls_survive(tmp_path: Path) -> None:
    columns = [Column(kind.value, kind) for kind in FieldType]
    row = {"string": "é\0", "integer": -(2**63), "number": float("inf"), "boolean": False}
    table = pa.Table.from_pylist([row, {}], spool_schema(columns))
    source = Source(0, 0, (batch for batch in table.to_batches()))
    [part] = spool(plan_of("csv", sheet_of(columns)), [[source]], tmp_path)
    assert read_segment(part.segments[0]) == table


def test_an_export_has_a_most_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "MAX_PARTS", 3)
    three = spool(plan(2), [[Source(0, 0, batches(0, 6, [6]))]], tmp_path)
    assert len(three) == 3
    with pytest.raises(RequestError, match=r"more than 3 files: choose a larger max_rows_per_file"):
        spool(plan(2), [[Source(0, 0, batches(0, 7, [7]))]], tmp_path)


def test_an_error_of_one_lane_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "SEGMENT_ROWS", 1)
    failed = threading.Event()
    read: list[int] = []

    def endless() -> Generator[pa.RecordBatch, None, None]:
        for number in range(1_000_000):
            yield from batches(number, number + 1, [1])
            read.append(number)
            if failed.is_set() and number > failed_at[0] + 1_000:
                return

    failed_at = [0]

    def broken() -> Generator[pa.RecordBatch, None, None]:
        yield from batches(0, 1, [1])
        failed_at[0] = len(read)
        failed.set()
        raise ValueError("the database went away")

    lanes: Any = [[Source(0, 0, endless())], [Source(0, 1_000_000, broken())]]
    with pytest.raises(ValueError, match="the database went away"):
        spool(plan(), lanes, tmp_path)
    assert len(read) < failed_at[0] + 1_000
