from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from export_pipelines import planning, spool
from export_pipelines.artifacts import ExportPlan, ExportRequest
from export_pipelines.catalog.database import backend_of, begin, bulk_insert, create_schema
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.catalog.reading import Snapshot, open_snapshots
from export_pipelines.errors import NoRecords, RequestError
from export_pipelines.formats import FORMATS
from export_pipelines.planning import (
    connection_count,
    count_records,
    plan_export,
    plan_sources,
    reader_count,
)
from export_pipelines_tests.catalog.test_database import SUPPLIERS, arrow, supplier
from export_pipelines_tests.exports import Exporter

Plan = Callable[..., ExportPlan]


def planned(snapshot: Snapshot, backend: str, **request: Any) -> ExportPlan:
    return plan_export(
        ExportRequest(**{"format": "csv", **request}),
        snapshot,
        backend=backend,
        run_id="r",
        started_at="2026-01-31T09:00:00.000Z",
    )


@pytest.fixture(scope="module")
def plan(sqlite_shop: str) -> Iterator[Plan]:
    with open_snapshots(sqlite_shop) as (snapshot,):
        yield partial(planned, snapshot, "sqlite")


def test_defaults_are_filled_in(plan: Plan) -> None:
    found = plan()
    assert found.resource_type == "products"
    names = [column.name for column in found.sheets[0].columns]
    own = list(ENTITIES["products"].fields)
    assert names[: len(own)] == own
    assert len(names) == len(own) + 12
    assert all(name.startswith("template:") for name in names[len(own) :])
    assert "price" not in [column.name for column in found.sheets[0].stored]
    assert found.options == {"utf8_bom": True, "delimiter": ",", "sanitize_formulas": False}
    assert (found.compression, found.max_rows_per_file, found.file_name) == (
        "none",
        None,
        "products",
    )
    assert (found.records_count, found.request.filters, found.run_id) == (0, {}, "r")
    assert plan(format="zip").max_rows_per_file == 30_000
    assert plan(format="parquet").compression == "zstd"


def test_other_headers_and_fixed_columns_change_nothing_that_is_read(plan: Plan) -> None:
    request: dict[str, Any] = {"resource_type": "orders", "includes": ["customer", "line_items"]}
    plain = plan(**request).sheets[0]
    rename = {"number": "Order", "customer.email": "E-mail", "line_items.sku_code": "SKU"}
    other = plan(**request, rename=rename, fixed_columns={"vendor": "ACME"}).sheets[0]
    assert replace(other, columns=plain.columns) == plain
    assert [column.name for column in other.columns] == [
        *(rename.get(column.name, column.name) for column in plain.columns),
        "vendor",
    ]


def test_further_sheets_are_whole(plan: Plan) -> None:
    found = plan(
        format="excel",
        fields=["sku"],
        filters={"sku": "x"},
        options={"include_sheets": ["suppliers", "products"]},
    )
    assert [sheet.resource_type for sheet in found.sheets] == ["products", "suppliers"]
    assert len(found.sheets[0].columns) == 1
    assert len(found.sheets[1].columns) == len(ENTITIES["suppliers"].fields)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"format": "xml"}, r"There is no format 'xml'\. Choose from csv, .* and parquet\."),
        ({"resource_type": "product"}, r"There is no resource type 'product'\. Did you mean"),
        ({"resource_type": "a; DROP TABLE b"}, r"There is no resource type 'a; DROP TABLE b'\."),
        ({"resource_type": "x" * 5000}, r"There is no resource type 'x{99}…\. Choose from"),
        (
            {"includes": ["suppliers"]},
            r"includes: 'suppliers' cannot be exported with products\. "
            r"Choose from supplier and main_image\.$",
        ),
        (
            {"resource_type": "addresses", "includes": ["geocoder"]},
            r"includes: addresses have no related .* not 'geocoder' either: leave it out\.$",
        ),
        ({"filters": ["a"]}, r"filters must be predicates and their values, .* not \['a'\]\."),
        ({"filters": "a=1"}, r"filters must be predicates and their values, .* not 'a=1'\."),
        ({"filters": {"colour": 1}}, r"Filter 'colour': There is no products attribute 'colour'"),
        ({"date_to": "soon"}, r"date_to: 'soon' is not a day such as 2026-01-31 or an ISO"),
        (
            {"skip_blanks": True},
            r"skip_blanks is for JSON only: in CSV all .* Leave it out, or export as JSON\.$",
        ),
        (
            {"rename": {"customer.email": "E-mail"}},
            r"rename: There is no exported column 'customer\.email'\. Choose from id, ",
        ),
        (
            {"fields": ["sku", "name"], "rename": {"sku": "Name", "name": "Name"}},
            r"rename: sku and name would both have the header 'Name': choose another for one",
        ),
        (
            {"fixed_columns": {"brand": "ACME"}},
            r"fixed_columns: 'brand' is also the header of the field brand: choose another",
        ),
        (
            {"fixed_columns": {"tags": ["a"]}},
            r"fixed_columns\.tags: \['a'\] cannot be the value of a column: write a text of at",
        ),
        (
            {"fields": ["vendor"], "fixed_columns": {"vendor": "ACME"}},
            r"fields names only fixed columns: add at least one field of products\.$",
        ),
        ({"max_rows_per_file": 0}, r"max_rows_per_file must be 1 or more, not 0\."),
        ({"max_rows_per_file": -1}, r"max_rows_per_file must be 1 or more, not -1\."),
        (
            {"compression": "lz4"},
            r"CSV files cannot be compressed with 'lz4'\. Choose one of none, gzip and zstd, or",
        ),
        (
            {"format": "excel", "compression": "gzip"},
            r"Excel files cannot be compressed with 'gzip'\. Choose one of none, or leave",
        ),
        (
            {"format": "zip", "compression": "none"},
            r"ZIP of CSV files.* cannot be compressed with 'none'\. Choose one of zip, or",
        ),
        ({"options": {"delimiter": "x"}}, r"Option 'delimiter': Input should be .* not 'x'\."),
        ({"options": {"utf8_bom": []}}, r"Option 'utf8_bom': Input should be .* not \[\]\."),
        (
            {"options": {"delimeter": ","}},
            r"There is no CSV export option 'delimeter'\. Did you mean delimiter\? Choose from "
            r"utf8_bom, .*resource_type, .* and platforms\.",
        ),
        (
            {"format": "excel", "options": {"include_sheets": ["supplier"]}},
            r"There is no resource type 'supplier'\. Did you mean suppliers",
        ),
    ],
)
def test_what_does_not_exist_is_refused(
    plan: Plan, request_: Mapping[str, Any], sentence: str
) -> None:
    with pytest.raises(RequestError, match=f"^{sentence}"):
        plan(**request_)


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "../x",
        "..",
        ".",
        ".hidden",
        "a\\b",
        "a\0b",
        "a\nb",
        "x" * 300,
        "é" * 101,
        "🙂" * 60,
        "\ud800",
        " a",
        "a.",
        "a:b",
        'a"b',
        "manifest",
        "Manifest",
    ],
)
def test_names_that_are_no_file_names_are_refused(plan: Plan, name: str) -> None:
    with pytest.raises(RequestError, match=r"^file_name .* cannot be a file's name: use") as caught:
        plan(file_name=name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350
    str(caught.value).encode()


@pytest.mark.parametrize("name", ["x" * 200, "é" * 100, "名前 🙂 'quoted'", "-rf", "a.b", "%s"])
def test_other_names_are_taken_as_they_are(plan: Plan, name: str) -> None:
    assert plan(file_name=name).file_name == name


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_the_longest_names_can_be_written(
    sqlite_shop: str, exporter: Exporter, format_name: str
) -> None:
    for name in ("x" * 200, "🙂" * 50):
        exported = exporter.succeed(
            sqlite_shop, format_name, file_name=name, fields=["id"], max_rows_per_file=1_000
        )
        assert all(file.name.startswith(name) for file in exported.files)


@contextmanager
def counted(
    url: str, connections: int, **request: Any
) -> Iterator[tuple[ExportPlan, list[Snapshot]]]:
    backend = backend_of(url)
    with open_snapshots(url, connections) as snapshots:
        yield (
            count_records(planned(snapshots[0], backend, **request), snapshots[0], backend),
            snapshots,
        )


def test_counting_applies_the_filters(shop: str) -> None:
    with counted(shop, 1, filters={"is_active": False}) as (found, _):
        assert 0 < found.records_count < 1_145
        assert "is_active" in found.sheets[0].statement.sql.partition("WHERE")[2]
    with counted(shop, 1) as (found, _):
        assert found.records_count == 1_145


def test_no_records_are_an_error(shop: str, tmp_path: Path) -> None:
    with (
        pytest.raises(NoRecords, match=r"^No products match \{'name': 'none'\}: nothing was exp"),
        counted(shop, 1, filters={"name": "none"}),
    ):
        pass
    empty = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(empty, indexes=False)
    with (
        pytest.raises(NoRecords, match=r"^There are no carts in the catalogue: .* sample shop; "),
        counted(empty, 1, resource_type="carts"),
    ):
        pass


def test_many_rows_are_read_over_several_connections(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "worker_count", lambda: 5)
    assert reader_count(plan()) == 1
    monkeypatch.setattr(planning, "_ROWS_WORTH_SPLITTING", 0)
    assert reader_count(plan()) == 5
    assert connection_count(plan(fields=["sku"])) == 5
    assert connection_count(plan()) == 10
    lines = {"resource_type": "orders", "includes": ["line_items"]}
    assert reader_count(plan(format="json", **lines)) == 5
    assert reader_count(plan(format="csv", **lines)) == 1


def joined(url: str, connections: int, **request: Any) -> tuple[list[str], int]:
    """Return the codes as all connections read them, lane after lane, and how many lanes."""
    asked = {"resource_type": "suppliers", "fields": ["code"], **request}
    codes: list[str] = []
    with counted(url, connections, **asked) as (found, snapshots):
        lanes = plan_sources(found, snapshots, backend_of(url))
        for (source,) in lanes:
            assert source.first_row == len(codes)
            assert source.first_row % spool.cut_rows(found) == 0
            codes += [code for batch in source.batches for code in batch.column(0).to_pylist()]
    return codes, len(lanes)


def test_ranges_joined_are_all_rows_in_order(url: str) -> None:
    create_schema(url)
    for count in range(1, 11):
        bulk_insert(url, {SUPPLIERS: arrow([supplier(f"{count:03}", is_active=count % 3 > 0)])})
        expected = [f"{number:03}" for number in range(1, count + 1)]
        active = [code for code in expected if int(code) % 3]
        for connections in (2, 4):
            codes, lanes = joined(url, connections, max_rows_per_file=3)
            assert codes == expected
            step = -(-count // (connections * 3)) * 3
            assert lanes == -(-count // step)
        filters = {"is_active": "true"}
        assert joined(url, 3, max_rows_per_file=2, filters=filters)[0] == active


def test_rows_that_are_gone_leave_nothing_to_read(url: str) -> None:
    create_schema(url)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a")])})
    backend = backend_of(url)
    with counted(url, 1, resource_type="suppliers") as (found, _):
        pass
    with begin(url) as connection:
        connection.execute(delete(SUPPLIERS))
    with open_snapshots(url, 3) as snapshots:
        ((source,),) = plan_sources(found, snapshots, backend)
        assert list(source.batches) == []


@pytest.mark.parametrize("format_name", ["csv", "excel"])
def test_reading_side_by_side_changes_no_byte(
    shop: str, exporter: Exporter, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    config: dict[str, Any] = {"max_rows_per_file": 170, "filters": {"is_bundle": False}}
    if format_name == "excel":
        config["include_sheets"] = ["suppliers", "orders"]
    first = exporter.succeed(shop, format_name, **config).files
    monkeypatch.setattr(planning, "worker_count", lambda: 4)
    monkeypatch.setattr(planning, "_ROWS_WORTH_SPLITTING", 1)
    second = exporter.succeed(shop, format_name, **config).files
    assert len(first) > 4
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
