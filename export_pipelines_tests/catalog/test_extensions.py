"""Custom fields of products: columns that the catalogue itself defines."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import psycopg2
import pytest
from pyarrow import parquet
from sqlalchemy import make_url

from export_pipelines import spool
from export_pipelines.catalog import related
from export_pipelines.catalog.database import backend_of, create_schema
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.catalog.extensions import read_extension_fields
from export_pipelines.catalog.reading import open_snapshots
from export_pipelines.errors import RequestError
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.test_vendor_requests import read_csv, rows_of

STORED = list(ENTITIES["products"].fields)
_HEADERS = """
    SELECT f.id, 'template:' || t.slug || ':' || f.slug FROM extension_fields f
    JOIN extension_templates t ON t.id = f.template_id ORDER BY t.id, f.id
"""
_VALUES = """
    SELECT p.sku, v.field_id, v.value FROM products p
    LEFT JOIN product_extension_values v ON v.product_id = p.id
    WHERE NOT p.is_bundle ORDER BY p.id
"""


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(str(make_url(url).database))
    else:
        connection = psycopg2.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(text)
        return list(cursor.fetchall())
    finally:
        connection.close()


def pivot(url: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the headers of custom fields, and each product's SKU and values."""
    headers = dict(query(url, _HEADERS))
    products: dict[str, dict[str, Any]] = {}
    for sku, field, value in query(url, _VALUES):
        row = products.setdefault(sku, {"sku": sku, **dict.fromkeys(headers.values())})
        if field:
            row[headers[field]] = value
    return list(headers.values()), list(products.values())


def csv_files(url: str, folder: Path, **request: Any) -> list[list[list[str]]]:
    return [read_csv(Path(file.path)) for file in made_files(url, "csv", folder, **request)]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "CHUNK_ROWS", 100)
    monkeypatch.setattr(spool, "SEGMENT_ROWS", 64)


def test_fields_are_read_in_the_order_of_their_templates(shop: str) -> None:
    headers, _ = pivot(shop)
    with open_snapshots(shop) as (snapshot,):
        found = read_extension_fields(snapshot, backend_of(shop))
    assert [field.header for field in found] == headers
    assert len(headers) == 12


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("readers", [1, 3])
def test_every_part_has_the_columns_of_all(tmp_path: Path, shop: str, readers: int) -> None:
    headers, products = pivot(shop)
    files = csv_files(shop, tmp_path, max_rows_per_file=150, readers=readers)
    assert len(files) == -(-len(products) // 150)
    assert all(file[0] == [*STORED, *headers] for file in files)
    lines = [dict(zip(file[0], line, strict=True)) for file in files for line in file[1:]]
    names = ["sku", *headers]
    wanted = [{name: product[name] or "" for name in names} for product in products]
    assert [{name: line[name] for name in names} for line in lines] == wanted
    assert any(not any(product[header] for header in headers) for product in products)


@pytest.mark.usefixtures("small_pieces")
def test_chosen_together(tmp_path: Path, shop: str) -> None:
    headers, products = pivot(shop)
    request: dict[str, Any] = {"fields": ["sku", "template:*"]}
    (file,) = made_files(shop, "json", tmp_path / "json", **request)
    records = json.loads(Path(file.path).read_bytes())
    assert records == products
    assert list(records[0]) == ["sku", *headers]
    (file,) = made_files(shop, "parquet", tmp_path / "parquet", **request)
    assert parquet.read_table(file.path).to_pylist() == products


def test_one_is_a_column_where_it_was_asked_for(tmp_path: Path, shop: str) -> None:
    headers, products = pivot(shop)
    fields = [headers[5], "sku", headers[1]]
    ((header, *lines),) = csv_files(shop, tmp_path, fields=fields)
    assert header == fields
    assert lines == [[product[name] or "" for name in fields] for product in products]


def test_none_of_them(tmp_path: Path, shop: str) -> None:
    ((header, *lines),) = csv_files(shop, tmp_path, exclude_fields=["template:*"])
    assert header == STORED
    assert len(lines) == len(pivot(shop)[1])


def test_all_but_one(tmp_path: Path, sqlite_shop: str) -> None:
    headers, _ = pivot(sqlite_shop)
    ((header, *_),) = csv_files(sqlite_shop, tmp_path, exclude_fields=[headers[2], "id"])
    assert header == [name for name in [*STORED, *headers] if name not in (headers[2], "id")]


def test_beside_related_resources(tmp_path: Path, shop: str) -> None:
    headers, products = pivot(shop)
    fields = ["sku", "supplier.code", "template:*"]
    ((header, *lines),) = csv_files(shop, tmp_path, fields=fields)
    assert header == fields[:2] + headers
    found = [dict(zip(header, line, strict=True)) for line in lines]
    suppliers = {row["id"]: row["code"] for row in rows_of(shop, "suppliers")}
    codes = [suppliers.get(row["supplier_id"], "") for row in rows_of(shop, "products")]
    assert [line["supplier.code"] for line in found] == codes
    names = ["sku", *headers]
    assert [{name: line[name] for name in names} for line in found] == [
        {name: product[name] or "" for name in names} for product in products
    ]


@pytest.mark.parametrize("matcher", ["", "_eq", "_null", "_not_eq_or_null", "_start"])
def test_filters(tmp_path: Path, shop: str, matcher: str) -> None:
    headers, products = pivot(shop)
    name = max(headers, key=lambda each: len({product[each] for product in products}))
    value = next(product[name] for product in products if product[name])
    matchers: dict[str, Callable[[Any], bool]] = {
        "": lambda found: found == value,
        "_eq": lambda found: found == value,
        "_null": lambda found: found is None,
        "_not_eq_or_null": lambda found: found != value,
        "_start": lambda found: found is not None and found.startswith(value[0]),
    }
    holds = matchers[matcher]
    given = {"_null": True, "_start": value[0]}.get(matcher, value)
    wanted = [product for product in products if holds(product[name])]
    assert 0 < len(wanted) < len(products)
    filters = {name + matcher: given}
    (file,) = made_files(shop, "json", tmp_path, fields=["sku", "template:*"], filters=filters)
    assert json.loads(Path(file.path).read_bytes()) == wanted


def test_a_field_that_does_not_exist(tmp_path: Path, sqlite_shop: str) -> None:
    headers, _ = pivot(sqlite_shop)
    wrong = headers[0][:-1]
    with pytest.raises(
        RequestError, match=f"no products field '{wrong}'. Did you mean {headers[0]}"
    ):
        csv_files(sqlite_shop, tmp_path, fields=[wrong])


def test_all_where_there_are_none(tmp_path: Path, sqlite_shop: str) -> None:
    request: dict[str, Any] = {"resource_type": "suppliers", "fields": ["template:*"]}
    with pytest.raises(RequestError, match=r"^fields: .*'?template:\*'?"):
        csv_files(sqlite_shop, tmp_path, **request)


_AWKWARD = ("plain", "a.b", 'quo"ted', "comma, blank", "^a.*$", "care_eq", "größe", "a' OR 1=1 --")


@pytest.fixture(scope="module")
def awkward_shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name a shop with custom fields of awkward names, each with a value of its first product."""
    path = tmp_path_factory.mktemp("awkward") / "shop.db"
    url = f"sqlite:///{path}"
    create_schema(url)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO extension_templates VALUES ('t', 'x.y', 'x', 0, 0)")
    columns = "id, sku, name, slug, status, commodity_type, is_bundle, is_active, currency_code"
    for sku in ("full", "none"):
        connection.execute(
            f"INSERT INTO products ({columns}, created_at, updated_at) "
            "VALUES (?, ?, 'n', 's', 'live', 'physical', 0, 1, 'EUR', 0, 0)",
            (sku, sku),
        )
    for number, name in enumerate(_AWKWARD):
        connection.execute(
            "INSERT INTO extension_fields (id, slug, name, type, template_id, created_at, "
            "updated_at) VALUES (?, ?, 'n', 'string', 't', 0, 0)",
            (f"f{number}", name),
        )
        connection.execute(
            "INSERT INTO product_extension_values (product_id, field_id, value) "
            "VALUES ('full', ?, ?)",
            (f"f{number}", f"value of {name}"),
        )
    connection.commit()
    connection.close()
    return url


@pytest.mark.parametrize("name", _AWKWARD)
def test_awkward_names(tmp_path: Path, awkward_shop: str, name: str) -> None:
    header, value = f"template:x.y:{name}", f"value of {name}"
    full, none = {"sku": "full", header: value}, {"sku": "none", header: None}
    for format_name in ("json", "parquet"):
        folder = tmp_path / format_name
        request: dict[str, Any] = {"fields": ["sku", header]}
        (file,) = made_files(awkward_shop, format_name, folder / "all", **request)
        assert read_records(Path(file.path)) == [full, none]
        filters = {f"{header}_cont": "value"}
        (file,) = made_files(awkward_shop, format_name, folder / "some", **request, filters=filters)
        assert read_records(Path(file.path)) == [full]
    ((found, *lines),) = csv_files(awkward_shop, tmp_path / "csv", fields=["sku", "template:*"])
    assert found == ["sku", *(f"template:x.y:{each}" for each in _AWKWARD)]
    assert lines == [
        ["full", *(f"value of {each}" for each in _AWKWARD)],
        ["none", *("" for _ in _AWKWARD)],
    ]


def read_records(path: Path) -> Any:
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    return json.loads(path.read_bytes())


def test_an_excel_sheet_of_products_has_them(tmp_path: Path, sqlite_shop: str) -> None:
    headers, _ = pivot(sqlite_shop)
    (file,) = made_files(
        sqlite_shop,
        "excel",
        tmp_path,
        resource_type="suppliers",
        options={"include_sheets": ["suppliers", "products"]},
    )
    book = openpyxl.load_workbook(file.path, read_only=True)
    header = next(book["products"].iter_rows(values_only=True))
    book.close()
    assert list(header) == [*STORED, *headers]
