import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.errors import DataError
from export_pipelines_tests.contracts.formats import FormatContract
from export_pipelines_tests.contracts.frames import (
    COLUMNS,
    NESTED_COLUMNS,
    TEXTS,
    made_file,
    rows_of,
)
from export_pipelines_tests.contracts.reference import Row, expected_export
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.formats.test_csv import as_text, uncompressed

LAYOUTS: tuple[dict[str, Any], ...] = ({}, {"pretty": False}, {"json_lines": True})
DOCUMENT = Column("document", FieldType.JSON)


def strictly(text: str) -> Any:
    """Parse JSON as its standard has it."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def records(text: str, *, json_lines: bool = False, **_layout: bool) -> list[Row]:
    if not json_lines:
        found: list[Row] = strictly(text)
        return found
    assert not text or text.endswith("\n")
    return [strictly(line) for line in text.split("\n")[:-1]]


def as_value(value: Any, kind: str) -> Any:
    if value is None or kind in ("text", "int", "bool", "float"):
        return value if not isinstance(value, float) or math.isfinite(value) else None
    return as_text(value) if kind == "time" else json.loads(value)


class TestJson(FormatContract):
    name = "json"
    cut_names = ("products-00001.json", "products-00002.json", "products-00003.json")

    def tables(self, file: Path, kinds: dict[str, str]) -> list[tuple[list[str], list[Row]]]:
        rows = records(uncompressed(file).decode())
        header = list(rows[0])
        assert all(list(row) == header for row in rows)
        return [(header, rows)]

    def as_read(self, value: Any, kind: str) -> Any:
        return as_value(value, kind)


def test_json_lines_join_to_the_whole(exporter: Exporter, shop: str) -> None:
    exported = exporter.succeed(shop, "json", max_rows_per_file=500, json_lines=True)
    assert [file.name for file in exported.files] == [
        "products-00001.jsonl",
        "products-00002.jsonl",
        "products-00003.jsonl",
    ]
    joined = "".join(file.read_text(encoding="utf-8") for file in exported.files)
    expected = expected_export(shop, "products")
    assert records(joined, json_lines=True) == [
        {name: as_value(row[name], kind) for name, kind in expected.kinds.items()}
        for row in expected.rows
    ]
    assert [file["rows"] for file in exported.manifest["files"]] == [500, 500, 145]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ({}, '[\n  {\n    "a": 1,\n    "b": "x"\n  },\n  {\n    "a": null,\n    "b": ""\n  }\n]\n'),
        ({"pretty": False}, '[\n{"a":1,"b":"x"},\n{"a":null,"b":""}\n]\n'),
        ({"json_lines": True}, '{"a":1,"b":"x"}\n{"a":null,"b":""}\n'),
    ],
)
def test_layouts(layout: dict[str, Any], expected: str) -> None:
    columns = [Column("a", FieldType.INTEGER), Column("b", FieldType.STRING)]
    rows: list[Row] = [{"a": 1, "b": "x"}, {"a": None, "b": ""}]
    for size in (1, 2):
        made = made_file("json", rows, columns, segment_rows=size, **layout)
        assert made.data.decode() == expected


@given(rows=rows_of(), layout=st.sampled_from(LAYOUTS), size=st.integers(1, 4))
def test_any_rows_can_be_read_back(
    rows: list[dict[str, Any]], layout: dict[str, Any], size: int
) -> None:
    found = records(made_file("json", rows, segment_rows=size, **layout).data.decode(), **layout)
    assert len(found) == len(rows)
    kinds = {"datetime": "time", "json": "json", "list": "json"}
    for record, row in zip(found, rows, strict=True):
        assert list(record) == [column.name for column in COLUMNS]
        for name, value in row.items():
            expected = as_value(value, kinds.get(name, "text"))
            assert record[name] == expected
            assert isinstance(record[name], type(expected))


def nested(value: Any, column: Column) -> Any:
    """Return what a nested value is read back as."""
    if value is None:
        return None
    if column.type is FieldType.OBJECT:
        return {inner.name: nested(value[inner.name], inner) for inner in column.columns}
    if column.type is FieldType.ARRAY:
        whole = replace(column, type=FieldType.OBJECT)
        return [nested(each, whole) for each in value]
    kinds = {FieldType.DATETIME: "time", FieldType.JSON: "json", FieldType.LIST: "json"}
    return as_value(value, kinds.get(column.type, "text"))


def without_blanks(value: Any, column: Column) -> Any:
    """Return a value that was read back without what is empty in it."""
    if column.type is FieldType.ARRAY:
        whole = replace(column, type=FieldType.OBJECT)
        return [without_blanks(each, whole) for each in value]
    if column.type is not FieldType.OBJECT or value is None:
        return value
    found = {inner.name: without_blanks(value[inner.name], inner) for inner in column.columns}
    return {name: each for name, each in found.items() if each not in (None, "", [], {})}


@given(
    rows=rows_of(NESTED_COLUMNS),
    layout=st.sampled_from(LAYOUTS),
    size=st.integers(1, 4),
    skip_blanks=st.booleans(),
)
def test_any_nested_rows_can_be_read_back(
    rows: list[dict[str, Any]], layout: dict[str, Any], size: int, skip_blanks: bool
) -> None:
    made = made_file(
        "json", rows, NESTED_COLUMNS, segment_rows=size, skip_blanks=skip_blanks, **layout
    )
    whole = Column("record", FieldType.OBJECT, columns=NESTED_COLUMNS)
    expected = [nested(row, whole) for row in rows]
    if skip_blanks:
        expected = [without_blanks(row, whole) for row in expected]
    assert records(made.data.decode(), **layout) == expected


@given(
    names=st.lists(TEXTS.filter(bool), min_size=1, max_size=4, unique=True),
    layout=st.sampled_from(LAYOUTS),
)
@example(names=["*", "other"], layout={})
@example(names=["^o.*$", "other", "column_0"], layout={})
def test_any_header_can_be_read_back(names: list[str], layout: dict[str, Any]) -> None:
    columns = [Column(name, FieldType.INTEGER) for name in names]
    made = made_file("json", [dict.fromkeys(names, 1)], columns, **layout)
    assert records(made.data.decode(), **layout) == [dict.fromkeys(names, 1)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_without_records_are_valid(layout: dict[str, Any]) -> None:
    assert records(made_file("json", [], **layout).data.decode(), **layout) == []


@pytest.mark.parametrize("kind", [FieldType.JSON, FieldType.LIST])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stored_documents_may_be_laid_out_in_lines(kind: FieldType, layout: dict[str, Any]) -> None:
    document = {"a b": ["x\r\ny", {"c": " \\n "}], "d": []}
    stored = json.dumps(document, indent=2).replace("\n", "\r\n")
    rows = [{"document": stored}, {"document": "null"}, {"document": "1e999"}]
    made = made_file("json", rows, [Column("document", kind)], **layout)
    found = records(made.data.decode(), **layout)
    assert [row["document"] for row in found] == [document, None, math.inf]


@pytest.mark.parametrize(
    "stored", ["", "oops", '{"a":1} {}', "{'a': 1}", "[NaN]", '["a\nb"]', "[1,]"]
)
def test_what_is_not_json_is_refused(stored: str) -> None:
    with pytest.raises(DataError, match=r"things: a value of document is not valid JSON") as caught:
        made_file("json", [{"document": "{}"}, {"document": stored}], [DOCUMENT])
    assert "oops" not in str(caught.value)
