import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.errors import DataError
from export_pipelines.formats import parquet
from export_pipelines_tests.contracts.formats import FormatContract
from export_pipelines_tests.contracts.frames import COLUMNS, NESTED_COLUMNS, made_file, rows_of
from export_pipelines_tests.contracts.reference import Row
from export_pipelines_tests.exports import Exporter

TYPES = {
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("ms", "UTC"),
    "json": pa.string(),
    "list": pa.list_(pa.field("element", pa.string())),
}
TAGS = Column("tags", FieldType.LIST)


def opened(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data))


class TestParquet(FormatContract):
    name = "parquet"
    cut_names = ("products-00001.parquet", "products-00002.parquet", "products-00003.parquet")

    def tables(self, file: Path, kinds: dict[str, str]) -> list[tuple[list[str], list[Row]]]:
        table = pq.read_table(file)
        assert {field.name: field.type for field in table.schema} == {
            name: TYPES[kind] for name, kind in kinds.items()
        }
        return [(table.column_names, table.to_pylist())]

    def as_read(self, value: Any, kind: str) -> Any:
        return json.loads(value) if kind == "list" and value is not None else value


@pytest.mark.parametrize(
    ("compression", "codec"), [("zstd", "ZSTD"), ("gzip", "GZIP"), ("none", "UNCOMPRESSED")]
)
def test_compression_is_inside_the_file(
    exporter: Exporter, sqlite_shop: str, compression: str, codec: str
) -> None:
    exported = exporter.succeed(sqlite_shop, "parquet", compression=compression)
    assert [file.name for file in exported.files] == ["products.parquet"]
    group = pq.ParquetFile(exported.files[0]).metadata.row_group(0)
    assert {group.column(number).compression for number in range(group.num_columns)} == {codec}


@given(rows=rows_of(), size=st.integers(1, 4))
def test_any_rows_can_be_read_back(rows: list[dict[str, Any]], size: int) -> None:
    found = opened(made_file("parquet", rows, segment_rows=size).data).read().to_pylist()
    assert len(found) == len(rows)
    for record, row in zip(found, rows, strict=True):
        assert list(record) == [column.name for column in COLUMNS]
        for name, value in row.items():
            if isinstance(value, float) and math.isnan(value):
                assert math.isnan(record[name])
            else:
                parsed = json.loads(value) if name == "list" and value is not None else value
                assert record[name] == parsed


def nested(value: Any, column: Column) -> Any:
    """Return what a nested value is read back as."""
    if value is None:
        return None
    if column.type is FieldType.OBJECT:
        return {inner.name: nested(value[inner.name], inner) for inner in column.columns}
    if column.type is FieldType.ARRAY:
        whole = replace(column, type=FieldType.OBJECT)
        return [nested(each, whole) for each in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return json.loads(value) if column.type is FieldType.LIST else value


def without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@given(rows=rows_of(NESTED_COLUMNS), size=st.integers(1, 4))
def test_any_nested_rows_can_be_read_back(rows: list[dict[str, Any]], size: int) -> None:
    made = made_file("parquet", rows, NESTED_COLUMNS, segment_rows=size)
    whole = Column("record", FieldType.OBJECT, columns=NESTED_COLUMNS)
    found = opened(made.data).read().to_pylist()
    assert without_nan(found) == [nested(row, whole) for row in rows]


def test_row_groups_are_of_many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 6)
    rows = [{"n": number} for number in range(20)]
    made = opened(made_file("parquet", rows, [Column("n", FieldType.INTEGER)]).data)
    groups = [made.metadata.row_group(at).num_rows for at in range(made.num_row_groups)]
    assert groups == [6, 6, 6, 2]
    assert made.read().column("n").to_pylist() == list(range(20))


def test_files_without_rows_have_a_schema() -> None:
    made = opened(made_file("parquet", []).data)
    assert made.schema_arrow.names == [column.name for column in COLUMNS]
    assert made.metadata.num_rows == 0


@pytest.mark.parametrize("stored", ["oops", "", '{"a":1}', '[{"a":1}]'])
def test_what_is_not_a_list_is_refused(stored: str) -> None:
    with pytest.raises(
        DataError, match=r"things: a value of tags is not a list of texts"
    ) as caught:
        made_file("parquet", [{"tags": "[]"}, {"tags": stored}], [TAGS])
    assert "oops" not in str(caught.value)
