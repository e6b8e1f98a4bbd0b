import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.readers import open_records
from export_pipelines.readers.base import BATCH_ROWS, MAX_BROKEN_ROWS, ReadOptions
from export_pipelines_tests.contracts.frames import TEXTS, made_file, rows_of
from export_pipelines_tests.readers.files import (
    DELIMITERS,
    assert_rows,
    gzip_of,
    read,
    refusal,
    stored,
    zipped,
)

MB = 1 << 20
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def looks_guarded(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("'") and value[1:].startswith(FORMULAS)


@settings(max_examples=60)
@given(
    rows=rows_of(),
    delimiter=DELIMITERS,
    bom=st.booleans(),
    packed=st.booleans(),
    detected=st.booleans(),
)
def test_any_rows_are_read_as_they_were(
    rows: list[dict[str, Any]], delimiter: str, bom: bool, packed: bool, detected: bool
) -> None:
    data = made_file("csv", rows, delimiter=delimiter, utf8_bom=bom).data
    if packed:
        data = gzip.compress(data)
    found = read(data, delimiter="auto" if detected else delimiter)
    assert_rows(found, rows, first=2)
    assert found.details == {
        "encoding": "utf-8",
        "delimiter": delimiter,
        "compression": "gzip" if packed else "none",
    }


@given(rows=rows_of())
def test_sanitized_rows_are_read_as_they_were(rows: list[dict[str, Any]]) -> None:
    rows = [
        {name: None if looks_guarded(value) else value for name, value in row.items()}
        for row in rows
    ]
    made = made_file("csv", rows, sanitize_formulas=True)
    assert_rows(read(made.data, sanitized=True), rows, first=2)


@given(names=st.lists(TEXTS.map(str.strip).filter(bool), min_size=1, max_size=4, unique=True))
def test_any_headers_are_read_as_they_were(names: list[str]) -> None:
    made = made_file("csv", [], [Column(name, FieldType.STRING) for name in names])
    found = read(made.data, format="csv", delimiter=",")
    assert found.headers == tuple(names)
    assert not found.rows


@given(texts=st.lists(TEXTS, min_size=1, max_size=30), start=st.integers(1, 40))
def test_rows_are_those_of_the_standard_library_wherever_chunks_end(
    texts: list[str], start: int
) -> None:
    rows = [{"a": text, "b": str(number)} for number, text in enumerate(texts)]
    columns = [Column("a", FieldType.STRING), Column("b", FieldType.STRING)]
    data = made_file("csv", rows, columns, utf8_bom=False).data
    packed = gzip.compress(data[:start]) + gzip.compress(data[start:])
    assert_rows(read(packed, format="csv", delimiter=","), rows, first=2)


def test_null_and_empty_text_differ() -> None:
    assert read(b'a,b\n"",1\n,2\n" ",3\n').cells == [["", "1"], [None, "2"], [" ", "3"]]


def test_blank_rows_count_and_are_left_out() -> None:
    found = read(b"a,b\n\n1,2\n,\n\r\n3,4\n\n", max_rows=3)
    assert {number: row["a"] for number, row in found.rows.items()} == {3: "1", 6: "3"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end(end: str, last: bool) -> None:
    data = end.join(["a,b", "1,2", "3,4"]) + (end if last else "")
    assert read(data.encode()).cells == [["1", "2"], ["3", "4"]]


def test_rows_with_another_number_of_fields_are_broken() -> None:
    found = read(b'a,b\n1,2,3\n"x,\n""y",2\n1\n\n5,6\n7,8,"9,""\n"\n')
    assert found.rows == {3: {"a": 'x,\n"y', "b": "2"}, 6: {"a": "5", "b": "6"}}
    assert [(row.row, row.cells, row.code) for row in found.broken] == [
        (2, ("1", "2", "3"), "column_count"),
        (4, ("1",), "column_count"),
        (7, ("7", "8", '9,"\n'), "column_count"),
    ]
    assert found.broken[0].reason == (
        "Row 2 has 3 fields, and there are 2 headers. A field that has a delimiter or a line break "
        "must be in quotes."
    )


def test_a_file_of_broken_rows_only() -> None:
    found = read(b"a,b\n1\n2\n", format="csv")
    assert not found.rows
    assert [row.row for row in found.broken] == [2, 3]


def test_numbers_go_on_after_broken_rows_in_many_batches() -> None:
    count = 3 * BATCH_ROWS
    lines = [f"{row},x" if row % 7 else f"{row}" for row in range(2, count)]
    found = read("\n".join(["a,b", *lines]).encode())
    assert all(row["a"] == str(number) for number, row in found.rows.items())
    assert [row.row for row in found.broken] == [row for row in range(2, count) if not row % 7]


def test_too_many_broken_rows_are_another_kind_of_file() -> None:
    data = b"a,b\n" + b"1;2\n" * (MAX_BROKEN_ROWS + 1)
    assert "',' what stands between its fields" in refusal(data)


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("a,b;c", ","),
        ("a;b;c,d", ";"),
        ("a\tb", "\t"),
        ("a|b|c", "|"),
        ("a", ","),
        ('"a,b";c', ";"),
    ],
)
def test_the_delimiter_splits_the_header_into_the_most(header: str, delimiter: str) -> None:
    assert read(f"{header}\n".encode()).details["delimiter"] == delimiter


def test_a_quote_in_the_middle_is_text() -> None:
    found = read(b'size,b\n15.6" screen,1\n"a"b"c,2\n5" x 6",3\n')
    assert found.cells == [['15.6" screen', "1"], ['ab"c', "2"], ['5" x 6"', "3"]]


@pytest.mark.parametrize(
    ("data", "row"),
    [
        (b'a,b\n1,"unclosed\n3,4\n', 2),
        (b'a,b\n1,2\n15.6" screen,"unclosed\n5,6\n', 3),
        (b'a,b\n1,2\n\n"x', 4),
        (b'a,b\n1,2\n1,2,3\n4,5,"x', 4),
        (b'a\n"b\n"c"\n"d\n', 3),
    ],
)
def test_a_quote_that_is_never_closed_is_refused(data: bytes, row: int) -> None:
    assert f"a quote in row {row} that is never closed" in refusal(data, format="csv")


def test_an_open_quote_in_the_headers_is_refused() -> None:
    assert "a quote in row 1 that is never closed" in refusal(b'a,"b\n1,2\n')
    assert "row 1 of more than 8 MB" in refusal(b'a,"b\n' + b"1,2\n" * (2 * MB + MB // 2))


def test_headers_longer_than_what_is_looked_at_first() -> None:
    names = [f"{number:0300}" for number in range(900)]
    found = read((",".join(names) + "\n" + "1," * 899 + "1\n").encode())
    assert found.headers == tuple(names)
    assert len(found.rows) == 1


def test_a_long_text_is_read() -> None:
    text = "x" * (3 * MB)
    assert read(f"a,b\n{text},1\n2,{text}\n".encode()).cells == [[text, "1"], ["2", text]]


def test_a_line_of_a_gigabyte_is_refused() -> None:
    data = gzip_of(b"x" * (4 * MB), 250, first=b"a,b\n1,2\n3,4\n")
    assert "has a row 4 of more than 8 MB" in refusal(data)
    assert "has a row 1 of more than 8 MB" in refusal(gzip_of(b"x" * (4 * MB), 250))


def test_blank_lines_of_many_columns_are_refused_before_they_fill_the_memory() -> None:
    head = ",".join(f"c{number}" for number in range(1000)).encode()
    data = gzip_of(b"\n" * (4 * MB), 20, first=head + b"\n")
    assert "too many blank lines" in refusal(data)


def test_many_lines_in_texts_are_not_blank_rows() -> None:
    names = [f"c{number}" for number in range(100)]
    row = ",".join(['"' + "one\n\ntwo\n" * 20 + '"', *["x"] * 99])
    found = read("\n".join([",".join(names), *[row] * 8000]).encode())
    assert len(found.rows) == 8000


def test_as_many_rows_as_are_allowed() -> None:
    data = b"a,b\n" + b"1,2\n" * 9
    assert len(read(data, max_rows=10).rows) == 9
    assert "has more than 9 rows, header included: split it" in refusal(data, max_rows=9)
    broken = b"a,b\n" + b"1\n" * 9
    assert "has more than 9 rows" in refusal(broken, max_rows=9)


def test_archives_of_csv_files_are_read_as_one() -> None:
    data = zipped(
        {"a-1.csv": "\ufeffa,b\n1,2\n3\n", "__MACOSX/._a.csv": "x", "a-2.csv": "a,b\n5,6"}
    )
    found = read(data, max_rows=4)
    assert found.rows == {2: {"a": "1", "b": "2"}, 4: {"a": "5", "b": "6"}}
    assert [row.row for row in found.broken] == [3]
    assert found.details["files"] == "2"
    assert "has more than 3 rows" in refusal(data, max_rows=3)
    assert "different headers" in refusal(zipped({"1.csv": "a,b\n1,2\n", "2.csv": "a,c\n1,2\n"}))


def test_archives_are_measured_over_all_their_files() -> None:
    files = {f"{number}.csv": "a\n" + "x\n" * 10_000 for number in range(4)}
    assert len(read(zipped(files), max_bytes=80_008).rows) == 40_000
    assert "unpacks to more than 80,007 bytes" in refusal(zipped(files), max_bytes=80_007)


def test_a_process_ends_as_it_should_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "things.csv.gz"
    path.write_bytes(gzip_of(b"1,2\n" * MB, 8, first=b"a,b\n"))
    code = f"""
from pathlib import Path
from export_pipelines.readers import open_records
from export_pipelines.readers.base import ReadOptions
with open_records(Path({str(path)!r}), ReadOptions(max_rows=10)) as records:
    list(records.batches())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert "has more than 10 rows" in ended.stderr


def test_reading_can_stop_early() -> None:
    with stored(b"a,b\n" + b"1,2\n" * 5_000_000) as path:
        with open_records(path, ReadOptions()) as records:
            assert next(records.batches()).rows.height == BATCH_ROWS
        path.unlink()
