import io
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.artifacts import Part, Segment
from export_pipelines.catalog.columns import spool_schema, written_frame
from export_pipelines.errors import FileRefused
from export_pipelines.formats.parquet import ParquetFormat, ParquetOptions
from export_pipelines.readers.base import BATCH_ROWS
from export_pipelines_tests.contracts.frames import (
    COLUMNS,
    made_file,
    plan_of,
    rows_of,
    sheet_of,
)
from export_pipelines_tests.readers.files import assert_rows, read, refusal

MB = 1 << 20


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, **options)
    return target.getvalue()


def exported(rows: Sequence[dict[str, Any]], compression: str) -> bytes:
    """Return an export in one of the compressions, which are chosen by the plan."""
    sheet = sheet_of(COLUMNS)
    plan = plan_of("parquet", sheet, compression=compression)
    segment = Segment("", 0, 0, len(rows))
    target = io.BytesIO()
    made, options = ParquetFormat(), ParquetOptions()
    writer = made.open(target, Part(1, (segment,)), plan, options)
    table = pa.Table.from_pylist(list(rows), spool_schema(COLUMNS))
    if rows:
        writer.write(segment, made.encode(written_frame(table, sheet), segment, sheet, options))
    writer.finish()
    return target.getvalue()


@settings(max_examples=60)
@given(rows=rows_of(), compression=st.sampled_from(ParquetFormat.compressions))
def test_any_rows_are_read_as_they_were(rows: list[dict[str, Any]], compression: str) -> None:
    found = read(exported(rows, compression))
    assert found.format == "parquet"
    assert found.headers == tuple(column.name for column in COLUMNS)
    assert_rows(found, rows, first=1)


def test_rows_of_many_batches() -> None:
    count = 2 * BATCH_ROWS + 5
    found = read(parquet({"a": range(count), "b": ["x"] * count}, row_group_size=7000))
    assert [row["a"] for row in found.rows.values()] == [str(number) for number in range(count)]


BERLIN = pa.timestamp("us", "Europe/Berlin")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([1.0, -2.5, 1e300, None]), ["1", "-2.5", "1e+300", None]),
        (pa.array([0.1, 3.0], pa.float32()), ["0.1", "3"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([2**63], pa.uint64()), ["9223372036854775808"]),
        (pa.array([Decimal("1.10"), Decimal("20.00"), Decimal("0.05")]), ["1.1", "20", "0.05"]),
        (pa.array([Decimal("100")]), ["100"]),
        (pa.array([date(2024, 1, 31)]), ["2024-01-31"]),
        (pa.array([time(1, 2, 3)]), ["01:02:03"]),
        (pa.array([datetime(2024, 1, 1, 12)], pa.timestamp("ns")), ["2024-01-01T12:00:00.000Z"]),  # noqa: DTZ001
        (
            pa.array([datetime(2024, 7, 1, tzinfo=timezone.utc)], BERLIN),
            ["2024-07-01T00:00:00.000Z"],
        ),
        (pa.array(["a", None, "", "a"]).dictionary_encode(), ["a", None, "", "a"]),
        (pa.array([b"bytes", None]), ["bytes", None]),
        (
            pa.array([["a", 'q"\n\x01\u2028', None], [], None]),
            ['["a","q\\"\\n\\u0001\u2028",null]', "[]", None],
        ),
        (pa.array([[1, 2], None]), ["[1,2]", None]),
        (pa.array([{"a": 1, "b": ["é"]}]), ['{"a":1,"b":["é"]}']),
        (
            pa.array(
                [
                    {
                        "t": datetime(2024, 1, 1),  # noqa: DTZ001
                        "d": Decimal("1.50"),
                        "n": Decimal("2.00"),
                        "o": date(2024, 1, 2),
                    }
                ]
            ),
            ['{"t":"2024-01-01T00:00:00.000Z","d":1.5,"n":2,"o":"2024-01-02"}'],
        ),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_every_type_has_its_text(values: pa.Array, texts: list[str | None]) -> None:
    found = read(parquet({"a": values, "b": ["x"] * len(values)}))
    assert [row["a"] for row in found.rows.values()] == texts


@pytest.mark.parametrize(
    "values",
    [
        pa.array([timedelta(days=1)]),
        pa.array([b"\xff"]),
        pa.array([[float("nan")]]),
        pa.array([[b"\xff"]]),
        pa.array([[timedelta(days=1)]]),
    ],
    ids=str,
)
def test_values_without_a_text_are_refused(values: pa.Array) -> None:
    assert "has values in column 1 (A) that have no text" in refusal(parquet({"a": values}))


def test_a_nul_is_refused() -> None:
    assert "a NUL character in column 2 (B)" in refusal(parquet({"a": ["x"], "b": ["\0"]}))


def test_text_that_is_no_utf8_is_refused() -> None:
    array = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    assert "is damaged" in refusal(parquet({"a": array}))


def test_headers_follow_the_rules_of_all_files() -> None:
    found = read(parquet({" a ": ["x"], "": pa.array([None], pa.string())}))
    assert found.headers == ("a",)
    assert "no header for column 2 (B)" in refusal(parquet({"a": ["x"], "": ["y"]}))
    assert "twice, in columns 1 (A) and 2 (B)" in refusal(parquet({"a": ["x"], "a ": ["y"]}))
    twice = pa.table([["x"], ["y"]], names=["a", "a"])
    target = io.BytesIO()
    pq.write_table(twice, target)
    assert "twice" in refusal(target.getvalue())


def test_too_many_columns_are_refused() -> None:
    data = parquet({f"c{number}": [1] for number in range(1001)})
    assert "has 1,001 columns; 1,000 are allowed" in refusal(data)


def test_as_many_records_as_are_allowed() -> None:
    data = parquet({"a": range(10)})
    assert len(read(data, max_rows=10).rows) == 10
    assert "has more than 9 records: split it" in refusal(data, max_rows=9)


def test_files_that_unpack_to_too_much_are_refused() -> None:
    data = parquet({"a": ["x" * 100] * 10_000}, use_dictionary=False)
    assert len(data) < 50_000
    assert "unpacks to more than 999,980 bytes" in refusal(data, max_bytes=49_999)
    nulls = parquet({"a": pa.nulls(10_000_000, pa.int8())}, row_group_size=10_000_000)
    assert "unpacks to more than" in refusal(nulls, max_bytes=400_000)


@pytest.mark.parametrize("nested", [False, True])
def test_a_text_that_stands_in_many_rows_is_cut_into_small_batches(nested: bool) -> None:
    text = "x" * (1 * MB)
    texts = pa.array([text] * 200)
    values = pa.array([[text]] * 200) if nested else texts
    data = parquet({"a": values})
    assert len(data) < 2 * MB
    found = read(data)
    assert len(found.rows) == 200
    assert "has a row 1 of more than 32 MB" in refusal(parquet({"a": [[text] * 40] * 2}))


@pytest.mark.parametrize("kept", [0, 4, 100, 1000])
def test_a_file_that_was_cut_off_is_refused(kept: int) -> None:
    data = parquet({"a": [str(number) for number in range(5000)]})
    if kept:
        assert "is damaged or was cut off" in refusal(data[:kept])
    else:
        assert "is damaged or was cut off" in refusal(data[:-5])


@given(place=st.integers(0, 3000), value=st.integers(0, 255))
def test_a_damaged_file_is_refused_or_read(place: int, value: int) -> None:
    data = bytearray(made_file("parquet", [{"string": "x"}, {"integer": 5}]).data)
    data[place % len(data)] = value
    try:
        read(bytes(data))
    except FileRefused:
        return
