"""Related records in formats that nest: objects and arrays, whatever the way they are read."""

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from export_pipelines import spool
from export_pipelines.artifacts import Column, Statement
from export_pipelines.catalog import related
from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.reading import Snapshot, open_snapshots
from export_pipelines_tests.contracts import pipeline
from export_pipelines_tests.contracts.formats import digests
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.formats.test_csv import as_text
from export_pipelines_tests.test_vendor_requests import nested, read_csv, rows_of

DEEP = {
    "orders": ["customer", "shipping_address", "billing_address", "line_items.line_item_options"],
    "skus": ["shipping_category", "prices.price_tiers", "stock_items", "tax_categories"],
    "bundles": ["sku_list", "sku_list_items"],
    "sku_lists": ["sku_list_items", "bundles"],
    "carts": ["customer", "cart_line_items"],
}
EVERY = [(name, path) for name, known in ENTITIES.items() for path in known.includes]


def records(url: str, folder: Path, name: str, **request: Any) -> list[dict[str, Any]]:
    files = made_files(url, "json", folder, resource_type=name, **request)
    return [record for file in files for record in json.loads(Path(file.path).read_bytes())]


@pytest.mark.parametrize(("name", "path"), EVERY, ids=[f"{name}-{path}" for name, path in EVERY])
def test_each_include_is_nested(tmp_path: Path, sqlite_shop: str, name: str, path: str) -> None:
    found = records(sqlite_shop, tmp_path, name, includes=[path])
    wanted = [nested(sqlite_shop, name, row, [path]) for row in rows_of(sqlite_shop, name)]
    assert found == wanted


@pytest.mark.parametrize("name", DEEP)
def test_both_databases_and_every_chunk_give_the_same_bytes(
    tmp_path: Path,
    sqlite_shop: str,
    postgres_shop: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    request: dict[str, Any] = {"resource_type": name, "includes": DEEP[name]}
    made: list[list[tuple[str, str]]] = []
    paths: list[Path] = []
    for url in (sqlite_shop, postgres_shop):
        for chunk_rows, segment_rows, readers in ((10_000, 25_000, 1), (150, 64, 3)):
            monkeypatch.setattr(related, "CHUNK_ROWS", chunk_rows)
            monkeypatch.setattr(spool, "SEGMENT_ROWS", segment_rows)
            folder = tmp_path / f"{len(made)}"
            files = made_files(url, "json", folder, readers=readers, **request)
            paths = [Path(file.path) for file in files]
            made.append(digests(paths))
    assert made == [made[0]] * 4
    found = [record for path in paths for record in json.loads(path.read_bytes())]
    rows = rows_of(sqlite_shop, name)
    assert found == [nested(sqlite_shop, name, row, DEEP[name]) for row in rows]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunk_rows=st.integers(5, 60),
    segment_rows=st.integers(1, 90),
    readers=st.integers(1, 3),
    limit=st.none() | st.integers(5, 200),
)
def test_records_do_not_depend_on_how_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_shop: str,
    monkeypatch: pytest.MonkeyPatch,
    chunk_rows: int,
    segment_rows: int,
    readers: int,
    limit: int | None,
) -> None:
    fields = ["number", "customer.email", "line_items.id", "line_items.line_item_options.name"]
    with monkeypatch.context() as patched:
        patched.setattr(related, "CHUNK_ROWS", chunk_rows)
        patched.setattr(spool, "SEGMENT_ROWS", segment_rows)
        found = records(
            sqlite_shop,
            tmp_path_factory.mktemp("cut"),
            "orders",
            fields=fields,
            readers=readers,
            max_rows_per_file=limit,
        )
    wanted = []
    for row in rows_of(sqlite_shop, "orders"):
        order = nested(sqlite_shop, "orders", row, ["customer", "line_items.line_item_options"])
        lines = [
            {
                "id": line["id"],
                "line_item_options": [{"name": each["name"]} for each in line["line_item_options"]],
            }
            for line in order["line_items"]
        ]
        customer = order["customer"] and {"email": order["customer"]["email"]}
        wanted.append({"number": order["number"], "customer": customer, "line_items": lines})
    assert found == wanted


def test_what_is_missing(tmp_path: Path, shop: str) -> None:
    found = records(shop, tmp_path, "orders", includes=DEEP["orders"])
    assert {record["customer_id"] is None for record in found} == {True, False}
    assert all((record["customer"] is None) == (record["customer_id"] is None) for record in found)
    assert [] in [record["line_items"] for record in found]
    options = [line["line_item_options"] for record in found for line in record["line_items"]]
    assert [] in options
    assert any(len(each) > 0 for each in options)


def test_blanks_are_skipped_at_every_level(tmp_path: Path, sqlite_shop: str) -> None:
    fields = ["number", "customer.phone", "shipping_address.line_2", "line_items.coupon_code"]
    found = records(sqlite_shop, tmp_path, "orders", fields=fields, skip_blanks=True)
    every = nested_fields(sqlite_shop)
    assert [record["number"] for record in found] == [record["number"] for record in every]
    for record, whole in zip(found, every, strict=True):
        for relation, member in (("customer", "phone"), ("shipping_address", "line_2")):
            value = whole[relation] and whole[relation][member]
            assert record.get(relation) == ({member: value} if value else None)


def nested_fields(url: str) -> list[dict[str, Any]]:
    includes = ["customer", "shipping_address"]
    return [nested(url, "orders", row, includes) for row in rows_of(url, "orders")]


@pytest.mark.parametrize(
    ("name", "filters", "wanted"),
    [
        (
            "orders",
            {"line_items_quantity_gteq": 4},
            lambda record: any(line["quantity"] >= 4 for line in record["line_items"]),
        ),
        (
            "orders",
            {"customer_status_eq": "repeat"},
            lambda record: (record["customer"] or {}).get("status") == "repeat",
        ),
        (
            "skus",
            {"prices_price_tiers_up_to_null": True, "stock_items_quantity_eq": 0},
            lambda record: (
                any(
                    tier["up_to"] is None
                    for price in record["prices"]
                    for tier in price["price_tiers"]
                )
                and any(item["quantity"] == 0 for item in record["stock_items"])
            ),
        ),
        (
            "sku_lists",
            {"skus_code_not_null": True, "bundles_code_null": False},
            lambda record: bool(record["sku_list_items"] and record["bundles"]),
        ),
    ],
)
def test_filters_choose_records_not_what_is_related_to_them(
    tmp_path: Path,
    shop: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    filters: dict[str, Any],
    wanted: Callable[[dict[str, Any]], bool],
) -> None:
    monkeypatch.setattr(related, "CHUNK_ROWS", 50)
    every = [nested(shop, name, row, DEEP[name]) for row in rows_of(shop, name)]
    expected = [record for record in every if wanted(record)]
    assert 0 < len(expected) < len(every)
    assert records(shop, tmp_path, name, includes=DEEP[name], filters=filters) == expected


def test_one_connection_is_enough_for_sqlite(
    tmp_path: Path, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no other where writers cannot be held off."""

    @contextmanager
    def one(url: str, count: int) -> Iterator[list[Snapshot]]:
        del count
        with open_snapshots(url) as snapshots:
            yield snapshots

    monkeypatch.setattr(pipeline, "open_snapshots", one)
    monkeypatch.setattr(related, "CHUNK_ROWS", 7)
    found = records(sqlite_shop, tmp_path, "orders", includes=DEEP["orders"])
    rows = rows_of(sqlite_shop, "orders")
    assert found == [nested(sqlite_shop, "orders", row, DEEP["orders"]) for row in rows]


def add_bundles_of_shared_lists(url: str) -> None:
    """Add three bundles, two of them of the same list, and items in another order than lists."""
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    tables, times = Base.metadata.tables, {"created_at": now, "updated_at": now}
    create_schema(url)
    with begin(url) as connection:
        for key in ("list-a", "list-b"):
            values = {"id": key, "name": key, "slug": key, **times}
            connection.execute(tables["sku_lists"].insert().values(values))
        for key, owner in (("1", "list-b"), ("2", "list-a"), ("3", "list-b")):
            values = {"id": key, "code": key, "name": key, "sku_list_id": owner, **times}
            connection.execute(tables["bundles"].insert().values(values))
        for key, owner in (("i1", "list-b"), ("i2", "list-b")):
            values = {"id": key, "sku_code": key, "sku_list_id": owner, **times}
            connection.execute(tables["sku_list_items"].insert().values(values))


@pytest.mark.parametrize("chunk_rows", [1, 2, 10_000])
def test_records_that_share_related_ones(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    add_bundles_of_shared_lists(url)
    monkeypatch.setattr(related, "CHUNK_ROWS", chunk_rows)
    fields = ["id", "sku_list.slug", "sku_list_items.sku_code"]
    shared = [{"sku_code": "i1"}, {"sku_code": "i2"}]
    assert records(url, tmp_path / "json", "bundles", fields=fields) == [
        {"id": "1", "sku_list": {"slug": "list-b"}, "sku_list_items": shared},
        {"id": "2", "sku_list": {"slug": "list-a"}, "sku_list_items": []},
        {"id": "3", "sku_list": {"slug": "list-b"}, "sku_list_items": shared},
    ]
    (file,) = made_files(url, "csv", tmp_path / "csv", resource_type="bundles", fields=fields)
    assert read_csv(Path(file.path)) == [
        fields,
        ["1", "list-b", "i1"],
        ["1", "list-b", "i2"],
        ["2", "list-a", ""],
        ["3", "list-b", "i1"],
        ["3", "list-b", "i2"],
    ]
    fields = ["slug", "bundles.code", "sku_list_items.sku_code"]
    assert records(url, tmp_path / "lists", "sku_lists", fields=fields) == [
        {"slug": "list-a", "bundles": [{"code": "2"}], "sku_list_items": []},
        {"slug": "list-b", "bundles": [{"code": "1"}, {"code": "3"}], "sku_list_items": shared},
    ]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the statements whose rows are read, by the table they begin with."""
    counted: Counter[str] = Counter()
    stream = Snapshot.stream

    def counting(
        snapshot: Snapshot, statement: Statement, columns: Sequence[Column]
    ) -> Generator[pa.RecordBatch, None, None]:
        table = statement.sql.split("FROM ")[1].split()[0].removesuffix(",")
        counted[table] += 1
        return stream(snapshot, statement, columns)

    monkeypatch.setattr(Snapshot, "stream", counting)
    return counted


@pytest.mark.parametrize("format_name", ["json", "parquet"])
@pytest.mark.parametrize("most", [5, 100_000])
def test_as_many_statements_whatever_the_number_of_records(
    tmp_path: Path, shop: str, statements: Counter[str], format_name: str, most: int
) -> None:
    filters = {"number_lt": "#10006"} if most == 5 else {}
    request: dict[str, Any] = {
        "resource_type": "orders",
        "includes": DEEP["orders"],
        "filters": filters,
    }
    made_files(shop, format_name, tmp_path, **request)
    assert statements == {"orders": 1, "line_items": 1, "line_item_options": 1}


def test_a_statement_of_each_kind_for_each_chunk(
    tmp_path: Path, shop: str, statements: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(related, "CHUNK_ROWS", 50)
    made_files(shop, "json", tmp_path, resource_type="orders", includes=DEEP["orders"])
    chunks = -(-len(rows_of(shop, "orders")) // 50)
    assert statements == {"orders": 1, "line_items": chunks, "line_item_options": chunks}


def as_json(value: Any) -> Any:
    """Return what Parquet holds as JSON has it; documents stay texts."""
    if isinstance(value, list):
        return [as_json(each) for each in value]
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    return as_text(value) if isinstance(value, datetime) else value


def without_documents(value: Any, documents: set[str]) -> Any:
    if isinstance(value, list):
        return [without_documents(each, documents) for each in value]
    if isinstance(value, dict):
        return {
            name: json.loads(each)
            if name in documents and isinstance(each, str)
            else without_documents(each, documents)
            for name, each in value.items()
        }
    return value


@pytest.mark.parametrize("name", DEEP)
def test_parquet_nests_as_json_does(tmp_path: Path, shop: str, name: str) -> None:
    request: dict[str, Any] = {"resource_type": name, "includes": DEEP[name]}
    (file,) = made_files(shop, "parquet", tmp_path, **request)
    rows = as_json(parquet.read_table(file.path).to_pylist())
    documents = {
        field.name
        for known in ENTITIES.values()
        for field in known.stored_fields.values()
        if field.type.value == "json"
    }
    wanted = [nested(shop, name, row, DEEP[name]) for row in rows_of(shop, name)]
    assert without_documents(rows, documents) == wanted


def test_an_empty_export_has_the_same_parquet_schema(tmp_path: Path, shop: str) -> None:
    request: dict[str, Any] = {"resource_type": "orders", "includes": DEEP["orders"]}
    (full,) = made_files(shop, "parquet", tmp_path / "full", **request)
    none: dict[str, Any] = {"filters": {"number": "none such"}, "allow_empty": True}
    (empty,) = made_files(shop, "parquet", tmp_path / "empty", **request, **none)
    assert parquet.read_schema(empty.path) == parquet.read_schema(full.path)
    (file,) = made_files(shop, "json", tmp_path / "json", **request, **none)
    assert json.loads(Path(file.path).read_bytes()) == []


@pytest.mark.parametrize("options", [{"json_lines": True}, {"pretty": False}])
def test_nested_records_are_on_one_line(
    tmp_path: Path, sqlite_shop: str, options: dict[str, bool]
) -> None:
    request: dict[str, Any] = {
        "resource_type": "orders",
        "includes": DEEP["orders"],
        "options": options,
    }
    (file,) = made_files(sqlite_shop, "json", tmp_path, **request)
    lines = Path(file.path).read_text(encoding="utf-8").rstrip("\n").split("\n")
    texts = lines if "json_lines" in options else [line.rstrip(",") for line in lines[1:-1]]
    rows = rows_of(sqlite_shop, "orders")
    wanted = [nested(sqlite_shop, "orders", row, DEEP["orders"]) for row in rows]
    assert [json.loads(text) for text in texts] == wanted


def test_pretty_json_is_as_python_indents_it(tmp_path: Path, sqlite_shop: str) -> None:
    fields = [
        "number",
        "customer.email",
        "line_items.quantity",
        "line_items.line_item_options.name",
    ]
    (file,) = made_files(sqlite_shop, "json", tmp_path, resource_type="orders", fields=fields)
    text = Path(file.path).read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
