import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from export_pipelines import spool as spooling
from export_pipelines.artifacts import Column, ExportPlan, FieldType, Part, Shard
from export_pipelines.catalog.columns import spool_schema
from export_pipelines.errors import DataError
from export_pipelines.formats import FORMATS
from export_pipelines.serialization import part_name, serialize_shard
from export_pipelines.spool import Source, spool
from export_pipelines_tests.contracts.frames import plan_of, sheet_of

COLUMNS = (Column("number", FieldType.INTEGER), Column("text", FieldType.STRING))


def rows(texts: list[str]) -> Generator[pa.RecordBatch, None, None]:
    content = [{"number": number, "text": text} for number, text in enumerate(texts)]
    yield from pa.Table.from_pylist(content, spool_schema(COLUMNS)).to_batches(max_chunksize=2)


def spooled(
    folder: Path, format_name: str, texts: list[str], limit: int | None, **options: Any
) -> tuple[ExportPlan, Shard]:
    plan = plan_of(format_name, sheet_of(COLUMNS), options=options)
    plan = replace(plan, max_rows_per_file=limit)
    parts = spool(plan, [[Source(0, 0, rows(texts))]], folder / "spool")
    return plan, Shard(1, parts)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "SEGMENT_ROWS", 2)


def test_each_part_is_a_file(tmp_path: Path) -> None:
    plan, shard = spooled(tmp_path, "json", ["a", "b", "c", "d", "e", "f", "g"], 3, pretty=False)
    done: list[int] = []
    files = serialize_shard(plan, shard, tmp_path / "new" / "files", on_part=done.append)
    assert [file.name for file in files] == [f"things-0000{number}.json" for number in (1, 2, 3)]
    assert [file.rows for file in files] == [3, 3, 1]
    assert done == [1, 2, 3]
    read = [json.loads(Path(file.path).read_text(encoding="utf-8")) for file in files]
    assert [[row["text"] for row in rows] for rows in read] == [list("abc"), list("def"), ["g"]]
    assert [file.bytes for file in files] == [Path(file.path).stat().st_size for file in files]


def test_a_single_file_is_not_numbered(tmp_path: Path) -> None:
    plan, shard = spooled(tmp_path, "csv", list("abcde"), None, utf8_bom=False)
    [file] = serialize_shard(plan, shard, tmp_path / "files")
    assert file.name == "things.csv"
    text = Path(file.path).read_text(encoding="utf-8")
    assert text == "number,text\n0,a\n1,b\n2,c\n3,d\n4,e\n"


@pytest.mark.parametrize("format_name", FORMATS)
def test_files_are_named_by_number_or_not(tmp_path: Path, format_name: str) -> None:
    plan, shard = spooled(tmp_path, format_name, ["a", "b"], None)
    ending = FORMATS[format_name].extension(FORMATS[format_name].options())
    assert part_name(plan, shard.parts[0]) == "things"
    cut = replace(plan, max_rows_per_file=1, part_name="a.b-{part:05d}")
    assert part_name(cut, Part(123, ())) == "a.b-00123"
    [file] = serialize_shard(cut, replace(shard, parts=shard.parts[:1]), tmp_path / "files")
    assert file.name == f"a.b-00001{ending}"


def test_warnings_of_a_file_are_added_up(tmp_path: Path) -> None:
    long = "x" * 40_000
    plan, shard = spooled(tmp_path, "excel", ["a", long, long, "b", long, "c"], 4)
    first, second = serialize_shard(plan, shard, tmp_path / "files")
    sentence = "things.text: cut to the 32,767 characters that an Excel cell holds"
    assert [warning.startswith(sentence) for warning in first.warnings] == [True]
    assert first.warnings[0].endswith("(2 rows)")
    assert second.warnings[0].endswith("(1 rows)")


def test_a_value_that_does_not_fit_ends_it(tmp_path: Path) -> None:
    columns = (COLUMNS[0], Column("text", FieldType.JSON))
    plan, shard = spooled(tmp_path, "json", ["{}", "{}", "{}", "oops"], None)
    plan = replace(plan, sheets=(sheet_of(columns),))
    with pytest.raises(DataError, match="not valid JSON"):
        serialize_shard(plan, shard, tmp_path / "files")
