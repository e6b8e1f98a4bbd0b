import gzip
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.readers.base import ABSENT, BATCH_ROWS
from export_pipelines_tests.contracts.frames import COLUMNS, TEXTS, json_text, made_file, rows_of
from export_pipelines_tests.readers.files import assert_cells, gzip_of, read, refusal

MB = 1 << 20
LAYOUTS: tuple[Mapping[str, Any], ...] = ({}, {"pretty": False}, {"json_lines": True})


def as_member(value: Any, name: str) -> Any:
    """Return what JSON has of a value: no infinity, and documents that may be plain values."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or name not in ("json", "list"):
        return value
    document = json.loads(value)
    return document if isinstance(document, (str, bool, type(None))) else value


def members(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_member(value, name) for name, value in row.items()}


@settings(max_examples=60)
@given(rows=rows_of(), layout=st.sampled_from(LAYOUTS), packed=st.booleans())
def test_any_rows_are_read_as_they_were(
    rows: list[dict[str, Any]], layout: Mapping[str, Any], packed: bool
) -> None:
    lines = bool(layout.get("json_lines"))
    data = made_file("json", rows, **layout).data
    if lines and not rows:
        assert "is empty" in refusal(data)
        return
    found = read(gzip.compress(data) if packed else data)
    assert found.format == ("jsonl" if lines else "json")
    assert list(found.rows) == list(range(1, len(rows) + 1))
    assert not found.broken
    assert found.headers == (tuple(column.name for column in COLUMNS) if rows else ())
    for cells, row in zip(found.rows.values(), rows, strict=True):
        assert_cells(cells, members(row))


@given(rows=rows_of().filter(bool), layout=st.sampled_from(LAYOUTS))
def test_members_that_were_left_out_are_absent(
    rows: list[dict[str, Any]], layout: Mapping[str, Any]
) -> None:
    found = read(made_file("json", rows, skip_blanks=True, **layout).data)
    assert len(found.rows) == len(rows)
    for cells, row in zip(found.rows.values(), rows, strict=True):
        there = {name: cell for name, cell in cells.items() if cell != ABSENT}
        blank = {name for name, value in members(row).items() if value in (None, "", "[]", "{}")}
        assert there.keys() == row.keys() - blank
        assert_cells(
            {name: there[name] for name in row if name in there},
            {name: value for name, value in members(row).items() if name in there},
        )


@given(texts=st.lists(TEXTS, min_size=1), start=st.integers(1, 200))
def test_records_are_the_same_wherever_chunks_end(texts: list[str], start: int) -> None:
    records = [{"a": text, "b": [text, {text: len(text)}]} for text in texts]
    data = json.dumps(records, ensure_ascii=True).encode()
    found = read(gzip.compress(data[:start]) + gzip.compress(data[start:]))
    assert found.cells == [
        [text, json_text(record["b"])] for text, record in zip(texts, records, strict=True)
    ]


def test_absent_null_and_empty_differ() -> None:
    found = read(b'[{"a":null,"b":""},{"b":"x","c":1},{}]')
    assert found.headers == ("a", "b", "c")
    assert found.rows == {
        1: {"a": None, "b": "", "c": ABSENT},
        2: {"a": ABSENT, "b": "x", "c": "1"},
        3: {"a": ABSENT, "b": ABSENT, "c": ABSENT},
    }


def test_members_appear_when_they_do() -> None:
    records = [{"a": str(number)} for number in range(BATCH_ROWS)] + [{"b": 1}]
    found = read("\n".join(map(json.dumps, records)).encode())
    assert found.headers == ("a", "b")
    assert found.rows[BATCH_ROWS + 1] == {"a": ABSENT, "b": "1"}
    assert found.rows[1] == {"a": "0"}


@pytest.mark.parametrize(
    "number", ["1", "-0", "1.10", "1e400", "-1E-7", "9" * 5000, "0.1000000000000000055511151231"]
)
def test_numbers_keep_their_text(number: str) -> None:
    found = read(f'{{"a":{number},"b":[{number},{{"c": {number}}}],"t":"{number}"}}'.encode())
    assert found.rows == {1: {"a": number, "b": f'[{number},{{"c":{number}}}]', "t": number}}


def test_truth_values_and_documents() -> None:
    found = read('[{"a":true,"b":false,"c":{"é": [null, true]},"d":[]}]'.encode())
    assert found.cells == [["true", "false", '{"é":[null,true]}', "[]"]]


def test_rows_of_json_lines_are_lines() -> None:
    found = read(b'{"a":1}\n\n{"a":\n2}{"a":3}\n  {"a":4}')
    assert {row: cells["a"] for row, cells in found.rows.items()} == {
        1: "1",
        3: "2",
        4: "3",
        5: "4",
    }


def test_one_pretty_object() -> None:
    assert read(b'{\n  "a": 1\n}\n').rows == {1: {"a": "1"}}


@pytest.mark.parametrize("layout", ["[{}]", "{}"])
def test_what_is_no_object_is_broken(layout: str) -> None:
    separator = "," if layout == "[{}]" else "\n"
    values = ['{"a":1}', '"text"', "12", "null", "[1,2]", "true", '{"a":1,"b":2,"a":3}', '{"a":9}']
    found = read(layout.replace("{}", separator.join(values)).encode())
    assert {row: cells["a"] for row, cells in found.rows.items()} == {1: "1", 8: "9"}
    assert [(row.row, row.cells, row.code) for row in found.broken] == [
        (2, ("text",), "not_an_object"),
        (3, ("12",), "not_an_object"),
        (4, ("null",), "not_an_object"),
        (5, ("[1,2]",), "not_an_object"),
        (6, ("true",), "not_an_object"),
        (7, ('{"a":3,"b":2}',), "not_an_object"),
    ]
    assert found.broken[0].reason == "Row 2 is no JSON object."
    assert found.broken[-1].reason == "Row 7 has the member 'a' more than once."


def test_members_named_twice_in_a_document_are_broken() -> None:
    found = read(b'[{"a":{"b":1,"c":2,"b":3}},{"a":1}]')
    assert [row.row for row in found.broken] == [1]
    assert list(found.rows) == [2]


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ('[{"a":1},\n  {"a":}]', "line 2, column 8"),
        ('{"a":1}\n{"a":2}\n{"a" 3}', "line 3, column 6"),
        ('[{"a":1} {"a":2}]', "line 1, column 10"),
        ('[{"a":1},]', "line 1, column 10"),
        ('[{"a":1}]\n[]', "line 2, column 1"),
        ('[{"a":NaN}]', "line 1, column 2"),
        ('{"a":-Infinity}', "line 1, column 1"),
        ('[{"a":1}', "line 1, column 9"),
        ('{"a":"x', "line 1, column 6"),
        ('{"a":"\x01"}', "line 1, column 7"),
        ("{'a':1}", "line 1, column 2"),
        ("[" * 100_000, "line 1, column 2"),
        ('{"a":' * 100_000, "line 1, column 1"),
    ],
)
def test_wrong_json_is_refused_with_its_place(data: str, where: str) -> None:
    assert f"is not valid JSON on {where}: " in refusal(data.encode())


def test_the_place_is_counted_over_all_that_was_read() -> None:
    good = '{"a":"é"},\n' * 300_000
    assert "line 300,002, column 3:" in refusal(f"[\n{good}  oh".encode())


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00x", "\\uD83D\\u0041"])
def test_half_characters_are_refused_with_the_row(escape: str) -> None:
    assert "half a character" in refusal(f'[{{"a":1}},{{"a":"{escape}"}}]'.encode())
    assert "in row 2" in refusal(f'[{{"a":1}},{{"a":["{escape}"]}}]'.encode())
    assert "in row 3" in refusal(f'{{"a":1}}\n\n{{"{escape}":1}}'.encode())


def test_escaped_characters_are_read() -> None:
    found = read(rb'{"a":"\ud83d\ude00\u00e9\\u0000\\ud800"}')
    assert found.cells == [["😀é\\u0000\\ud800"]]


@pytest.mark.parametrize(
    "record", [r'{"a":"\u0000"}', r'{"a":["\\\u0000"]}', r'{"\u0000":1}', r'{"a":"\u00001"}']
)
def test_nul_is_no_absent_member_and_no_number(record: str) -> None:
    assert "a NUL character (\\u0000) in row 1" in refusal(record.encode())


def test_the_name_of_row_numbers_is_refused() -> None:
    assert "which no member may be named" in refusal(rb'{"\u0001row":1}')


def test_as_many_records_as_are_allowed() -> None:
    assert len(read(b"[{},{},{}]", max_rows=3).rows) == 3
    assert "has more than 2 records: split it" in refusal(b"[{},{},{}]", max_rows=2)


def test_too_many_members_are_refused() -> None:
    records = [{f"m{number}": number} for number in range(1001)]
    assert len(read(json.dumps(records[:-1]).encode()).headers) == 1000
    assert "more than 1,000 different members" in refusal(json.dumps(records).encode())


def test_a_long_record_is_read_and_a_longer_one_refused() -> None:
    text = "x" * (7 * MB)
    assert read(f'[{{"a":"{text}"}},{{"a":"{text}"}}]'.encode()).cells == [[text], [text]]
    assert "larger than 8 MB" in refusal(f'[{{"a":"{text}{text}"}}]'.encode())


def test_a_text_of_a_gigabyte_is_refused() -> None:
    packed = gzip_of(b"x" * (4 * MB), 250, first=b'[{"a":"')
    assert "larger than 8 MB" in refusal(packed)
    assert "unpacks to more than 6 MB" in refusal(packed, max_bytes=6 * MB)


def test_records_in_utf_16() -> None:
    found = read('[{"a":"é😀"}]'.encode("utf-16"))
    assert found.cells == [["é😀"]]
    assert found.details["encoding"] == "utf-16"
