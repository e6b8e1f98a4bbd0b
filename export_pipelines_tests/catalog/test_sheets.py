"""Related records in formats of rows: columns of one level, and lines."""

import json
import zipfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export_pipelines import spool
from export_pipelines.catalog import related as related_rows
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.errors import RequestError
from export_pipelines_tests.contracts.formats import digests
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.test_vendor_requests import (
    LINKS,
    assert_lines,
    flat,
    read_csv,
    rows_of,
)

EVERY = [
    (name, path) for name, known in ENTITIES.items() for path in known.includes if "." not in path
]
MULTIPLE = {
    "orders": ["customer", "line_items"],
    "skus": ["prices", "shipping_category", "stock_items", "tax_categories"],
    "sku_lists": ["bundles", "sku_list_items"],
    "bundles": ["sku_list_items", "sku_list"],
    "carts": ["cart_line_items", "customer"],
}


def csv_files(url: str, folder: Path, name: str, **request: Any) -> list[list[list[str]]]:
    """Return the lines of each file."""
    files = made_files(url, "csv", folder, resource_type=name, **request)
    return [read_csv(Path(file.path)) for file in files]


@pytest.mark.parametrize(("name", "path"), EVERY, ids=[f"{name}-{path}" for name, path in EVERY])
def test_each_include_is_columns(tmp_path: Path, sqlite_shop: str, name: str, path: str) -> None:
    ((found, *lines),) = csv_files(sqlite_shop, tmp_path, name, includes=[path])
    header, wanted = flat(sqlite_shop, name, rows_of(sqlite_shop, name), [path])
    assert found == header
    assert_lines(lines, wanted)


@pytest.mark.parametrize("name", MULTIPLE)
def test_several_includes_at_once(tmp_path: Path, shop: str, name: str) -> None:
    includes = MULTIPLE[name]
    ((found, *lines),) = csv_files(shop, tmp_path, name, includes=includes)
    header, wanted = flat(shop, name, rows_of(shop, name), includes)
    assert found == header
    assert_lines(lines, wanted)
    own = len(ENTITIES[name].fields)
    parents = [values for values, _ in groupby(tuple(line[:own]) for line in lines)]
    assert len(parents) == len(set(parents)) == len(rows_of(shop, name))


def test_the_law_of_lines(tmp_path: Path, sqlite_shop: str) -> None:
    """Lines are as many as related records, and one for each record without any."""
    for name, includes in MULTIPLE.items():
        ((_, *lines),) = csv_files(sqlite_shop, tmp_path / name, name, includes=includes)
        several = [each for each in includes if LINKS[name, each].multiple]
        records = rows_of(sqlite_shop, name)
        _, wanted = flat(sqlite_shop, name, records, several)
        assert len(lines) == len(wanted) >= len(records)


@pytest.mark.parametrize("limit", [7, 150])
@pytest.mark.parametrize("chunk_rows", [7, 10_000])
def test_files_hold_no_more_lines_than_allowed(
    tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch, limit: int, chunk_rows: int
) -> None:
    monkeypatch.setattr(related_rows, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(spool, "SEGMENT_ROWS", 64)
    includes = ["bundles", "sku_list_items"]
    files = csv_files(shop, tmp_path, "sku_lists", includes=includes, max_rows_per_file=limit)
    header, wanted = flat(shop, "sku_lists", rows_of(shop, "sku_lists"), includes)
    assert all(file[0] == header for file in files)
    sizes = [len(file) - 1 for file in files]
    assert sizes[:-1] == [limit] * (len(files) - 1)
    assert 0 < sizes[-1] <= limit
    assert_lines([line for file in files for line in file[1:]], wanted)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunk_rows=st.integers(5, 60),
    segment_rows=st.integers(1, 90),
    limit=st.none() | st.integers(20, 400),
)
def test_lines_do_not_depend_on_how_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_shop: str,
    monkeypatch: pytest.MonkeyPatch,
    chunk_rows: int,
    segment_rows: int,
    limit: int | None,
) -> None:
    request: dict[str, Any] = {
        "includes": ["customer", "line_items"],
        "fields": ["number", "customer.email", "line_items.sku_code", "line_items.quantity"],
        "filters": {"number_lt": "#10120"},
    }
    (whole,) = csv_files(sqlite_shop, tmp_path_factory.mktemp("whole"), "orders", **request)
    with monkeypatch.context() as patched:
        patched.setattr(related_rows, "CHUNK_ROWS", chunk_rows)
        patched.setattr(spool, "SEGMENT_ROWS", segment_rows)
        files = csv_files(
            sqlite_shop,
            tmp_path_factory.mktemp("cut"),
            "orders",
            max_rows_per_file=limit,
            **request,
        )
    assert [line for file in files for line in file[1:]] == whole[1:]
    assert all(file[0] == whole[0] for file in files)


def test_both_databases_give_the_same_lines(
    tmp_path: Path, sqlite_shop: str, postgres_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request: dict[str, Any] = {"resource_type": "skus", "includes": ["prices", "stock_items"]}
    made = {}
    for where, url in (("sqlite", sqlite_shop), ("postgres", postgres_shop)):
        files = made_files(url, "csv", tmp_path / where, readers=3, **request)
        made[where] = digests([Path(file.path) for file in files])
        monkeypatch.setattr(related_rows, "CHUNK_ROWS", 100)
    assert made["sqlite"] == made["postgres"]


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        (["number", "customer.email"], ["number", "customer.email"]),
        (["customer.email", "number"], ["customer.email", "number"]),
        (["line_items.id", "number"], ["line_items.id", "number"]),
    ],
)
def test_columns_are_in_the_order_asked_for(
    tmp_path: Path, sqlite_shop: str, fields: list[str], header: Sequence[str]
) -> None:
    ((found, *lines),) = csv_files(sqlite_shop, tmp_path, "orders", fields=fields)
    assert found == header
    includes = [name.split(".")[0] for name in fields if "." in name]
    names, wanted = flat(sqlite_shop, "orders", rows_of(sqlite_shop, "orders"), includes)
    places = [names.index(name) for name in header]
    assert_lines(lines, [[line[place] for place in places] for line in wanted])


def test_records_count_is_that_of_the_records(exporter: Exporter, shop: str) -> None:
    request: dict[str, Any] = {
        "resource_type": "orders",
        "includes": ["line_items.line_item_options"],
    }
    exported = exporter.succeed(shop, "csv", **request, max_rows_per_file=100)
    records = rows_of(shop, "orders")
    header, wanted = flat(shop, "orders", records, ["line_items"])
    manifest = exported.manifest
    assert manifest["records_count"] == len(records) < len(wanted)
    assert sum(file["rows"] for file in manifest["files"]) == len(wanted)
    assert manifest["warnings"] == [
        "CSV holds one level of related resources: line_items.line_item_options is left out. "
        "JSON holds all."
    ]
    lines = [line for file in exported.files for line in read_csv(file)[1:]]
    assert read_csv(exported.files[0])[0] == header
    assert_lines(lines, wanted)


def test_max_records_is_about_records(exporter: Exporter, sqlite_shop: str) -> None:
    request: dict[str, Any] = {"resource_type": "orders", "includes": ["line_items"]}
    records = len(rows_of(sqlite_shop, "orders"))
    exporter.succeed(sqlite_shop, "csv", **request, max_records=records)
    refused = exporter.run(sqlite_shop, "csv", **request, max_records=records - 1)
    assert refused.tags["export/error_code"] == "too_many_records"


def test_excel_has_the_same_lines(tmp_path: Path, sqlite_shop: str) -> None:
    request: dict[str, Any] = {
        "resource_type": "sku_lists",
        "includes": ["sku_list_items"],
        "fields": ["slug", "sku_list_items.position", "sku_list_items.sku_code"],
    }
    (file,) = made_files(sqlite_shop, "excel", tmp_path / "excel", **request)
    book = openpyxl.load_workbook(file.path)
    values = [["" if value is None else str(value) for value in row] for row in book.active.values]
    book.close()
    (lines,) = csv_files(sqlite_shop, tmp_path / "csv", request.pop("resource_type"), **request)
    assert values == lines


def test_nothing_is_read_of_what_is_not_written(tmp_path: Path, sqlite_shop: str) -> None:
    """The lines of an included resource of which a deeper one alone was asked for are not made."""
    fields = ["number", "line_items.line_item_options.name"]
    ((header, *lines),) = csv_files(sqlite_shop, tmp_path, "orders", fields=fields)
    assert header == ["number"]
    assert lines == [[row["number"]] for row in rows_of(sqlite_shop, "orders")]


@pytest.mark.parametrize("format_name", ["csv", "excel", "zip"])
def test_fields_that_no_column_can_hold_are_refused(
    tmp_path: Path, shop: str, format_name: str
) -> None:
    request: dict[str, Any] = {
        "resource_type": "orders",
        "fields": ["line_items.line_item_options.name"],
    }
    with pytest.raises(RequestError, match=r"orders.*\.$"):
        made_files(shop, format_name, tmp_path, **request)


def test_zip_members_have_the_same_header(tmp_path: Path, sqlite_shop: str) -> None:
    (file,) = made_files(
        sqlite_shop,
        "zip",
        tmp_path,
        resource_type="orders",
        includes=["line_items"],
        fields=["number", "line_items.sku_code"],
        max_rows_per_file=100,
    )
    with zipfile.ZipFile(file.path) as archive:
        members = [archive.read(name).decode("utf-8-sig") for name in archive.namelist()]
    assert {member.split("\n")[0] for member in members} == {"number,line_items.sku_code"}
    assert len(members) > 1


def test_an_empty_export_has_the_same_header(tmp_path: Path, shop: str) -> None:
    request: dict[str, Any] = {
        "includes": ["customer", "line_items"],
        "filters": {"number": "none such"},
    }
    files = csv_files(shop, tmp_path, "orders", **request, allow_empty=True)
    header, _ = flat(shop, "orders", [], ["customer", "line_items"])
    assert files == [[header]]


def test_json_documents_in_lines_are_their_texts(tmp_path: Path, sqlite_shop: str) -> None:
    fields = ["id", "line_items.discount_breakdown"]
    ((_, *lines),) = csv_files(sqlite_shop, tmp_path, "orders", fields=fields)
    texts = {text for _, text in lines if text}
    assert texts
    assert all(isinstance(json.loads(text), dict) for text in texts)
