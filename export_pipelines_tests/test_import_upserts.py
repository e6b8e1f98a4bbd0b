"""Which row an imported row is about, what it changes in it, and what a new one begins with."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from export_pipelines.catalog.database import create_schema
from export_pipelines_tests.importer import Importer, write_csv
from export_pipelines_tests.stored import add, dump, product, rows

NEW = ["sku", "name", "status", "commodity_type"]


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Importer(tmp_path, instance)


@pytest.fixture
def shop(url: str, importer: Importer, tmp_path: Path) -> str:
    """Name a database of each kind with two products and a custom field."""
    if url.startswith("sqlite"):
        create_schema(url)
    add(url, "extension_templates", {"id": "T", "slug": "care", "name": "Care"})
    common = {"template_id": "T", "slug": "wash", "name": "Wash", "type": "integer"}
    iron = {"slug": "iron", "name": "Iron", "type": "string"}
    add(url, "extension_fields", {**common, "id": "F1"}, {**common, **iron, "id": "F2"})
    apple = product("K1", "A", "Apple", external_ref="R1", brand="Acme", price_cents=100)
    bean = product("K2", "B", "Bean", external_ref="R2", brand="Bond", price_cents=200)
    add(url, "products", apple, {**bean, "status": "draft", "commodity_type": "digital"})
    values = [("K1", "F1", "30"), ("K1", "F2", "low"), ("K2", "F1", "60"), ("K2", "F2", "high")]
    names = ("product_id", "field_id", "value")
    add(url, "product_extension_values", *(dict(zip(names, row, strict=True)) for row in values))
    return url


def write_json(path: Path, *records: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(records))
    return path


def products(url: str, *columns: str) -> list[tuple[Any, ...]]:
    return rows(url, "products", *columns, by="sku")


def customs(url: str) -> list[tuple[Any, ...]]:
    names = ["product_id", "field_id", "value"]
    return sorted(rows(url, "product_extension_values", *names, by="field_id"), key=repr)


def test_dry_run_says_what_the_import_then_does(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    header = [*NEW, "template:care:wash"]
    lines = [
        ["A", "Apple", "live", "physical", "30"],
        ["B", "Bean", "live", "digital", "60"],
        ["C", "Cherry", "live", "physical", "40"],
        ["D", "Date", "new", "physical", "40"],
        ["E", "Elder", "live", "physical", "hot"],
    ]
    path = write_csv(tmp_path / "some.csv", header, *lines)
    options = {"on_error": "skip", "max_error_ratio": 0.4}
    before = dump(shop)
    dry = importer.succeed(shop, "products", path, dry_run=True, **options)
    assert dump(shop) == before
    wet = importer.succeed(shop, "products", path, **options)
    assert dry.counts == wet.counts == (1, 1, 1, 2)
    assert dry.errors == wet.errors == [
        (5, "status", "not_allowed"),
        (6, "template:care:wash", "not_allowed"),
    ]  # fmt: skip
    assert [report["applied"] for report in dry.reports + wet.reports] == [False, True]
    assert dry.failed_rows().read_bytes() == wet.failed_rows().read_bytes()
    assert products(shop, "sku", "status") == [("A", "live"), ("B", "live"), ("C", "live")]
    again = importer.succeed(shop, "products", path, dry_run=True, **options)
    assert again.counts == (0, 0, 3, 2)


def test_dry_run_is_refused_as_the_import_is(importer: Importer, shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", NEW, ["D", "Date", "new", "physical"])
    before = dump(shop)
    dry, wet = (importer.run(shop, "products", path, dry_run=each) for each in (True, False))
    assert dry.error == wet.error
    assert dry.errors == wet.errors
    assert dump(shop) == before


def test_absent_columns_are_left_alone(importer: Importer, shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", ["sku", "name"], ["A", "Ample"])
    assert importer.succeed(shop, "products", path).counts == (0, 1, 0, 0)
    found = products(shop, "sku", "name", "brand", "price_cents", "status", "slug")
    assert found[0] == ("A", "Ample", "Acme", 100, "live", "apple")
    assert customs(shop) == [
        ("K1", "F1", "30"), ("K1", "F2", "low"), ("K2", "F1", "60"), ("K2", "F2", "high"),
    ]  # fmt: skip


def test_empty_cells_empty_what_may_be_empty(importer: Importer, shop: str, tmp_path: Path) -> None:
    header = ["sku", "brand", "price_cents", "is_active", "slug", "template:care:wash"]
    path = write_csv(tmp_path / "some.csv", header, ["A", "", "", "", "", ""])
    assert importer.succeed(shop, "products", path).counts == (0, 1, 0, 0)
    found = products(shop, "brand", "price_cents", "is_active", "slug")[0]
    # What cannot be empty and has a default is left as it is.
    assert found == (None, None, True, "apple")
    assert ("K1", "F2", "low") in customs(shop)


def test_custom_fields_are_set_and_taken_away(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    header = ["sku", "template:care:wash", "template:CARE:Iron"]
    lines = [["A", "__REMOVE_ATTRIBUTE__", "mid"], ["B", "", "__REMOVE_ATTRIBUTE__"]]
    path = write_csv(tmp_path / "some.csv", header, *lines)
    imported = importer.succeed(shop, "products", path)
    assert imported.counts == (0, 2, 0, 0)
    assert ("K1", "F2", "mid") in customs(shop)
    assert [row[:2] for row in customs(shop) if row[2] is not None and row[0] == "K1"] == [
        ("K1", "F2")
    ]
    assert ("K2", "F2") not in [row[:2] for row in customs(shop)]
    assert importer.succeed(shop, "products", path).counts == (0, 0, 2, 0)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        (["id", "external_ref", "sku"], ["K1", "R1", "A"]),
        (["sku", "id"], ["changed", "K1"]),
        (["id", "external_ref"], ["unknown", "R1"]),
        (["external_ref", "sku"], ["R1", "changed"]),
        (["external_ref", "sku"], ["unknown", "A"]),
        (["id", "sku"], ["unknown", "A"]),
        (["ID", " Sku "], ["", "A"]),
    ],
)
def test_a_row_is_known_by_the_first_key_that_is(
    importer: Importer, shop: str, tmp_path: Path, header: list[str], cells: list[str]
) -> None:
    path = write_csv(tmp_path / "some.csv", [*header, "name"], [*cells, "Found"])
    assert importer.succeed(shop, "products", path).counts == (0, 1, 0, 0)
    found = rows(shop, "products", "id", "name", "external_ref", "sku")
    given = {name.strip().lower(): cell for name, cell in zip(header, cells, strict=True)}
    assert found == [
        ("K1", "Found", given.get("external_ref", "R1"), given.get("sku", "A")),
        ("K2", "Bean", "R2", "B"),
    ]


def test_custom_fields_go_to_the_row_that_is_known(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    header = ["id", "sku", "template:care:wash"]
    path = write_csv(tmp_path / "some.csv", header, ["unknown", "A", "90"])
    importer.succeed(shop, "products", path)
    assert ("K1", "F1", "90") in customs(shop)
    assert {row[0] for row in customs(shop)} == {"K1", "K2"}


@pytest.mark.parametrize(
    ("header", "cells", "error"),
    [
        (["id", "sku"], ["K1", "B"], (2, "sku", "taken")),
        (["external_ref", "sku"], ["R1", "B"], (2, "sku", "taken")),
        (["id", "external_ref"], ["K1", "R2"], (2, "external_ref", "taken")),
        (["id", "external_ref", "sku"], ["unknown", "R2", "A"], (2, "sku", "taken")),
    ],
)
def test_keys_of_different_rows(
    importer: Importer, shop: str, tmp_path: Path, header: list[str], cells: list[str], error: Any
) -> None:
    before = dump(shop)
    path = write_csv(tmp_path / "some.csv", [*header, "name"], [*cells, "Found"])
    imported = importer.run(shop, "products", path)
    assert imported.errors == [error]
    assert dump(shop) == before


def test_two_rows_about_the_same(importer: Importer, shop: str, tmp_path: Path) -> None:
    lines = [["K1", "", "One"], ["", "A", "Two"], ["K2", "B", "Three"]]
    path = write_csv(tmp_path / "some.csv", ["id", "sku", "name"], *lines)
    imported = importer.run(shop, "products", path)
    assert imported.errors == [(2, "id", "repeated"), (3, "id", "repeated")]
    [report] = imported.reports
    assert report["errors"][0]["reason"] == ("The row is about the same as row 3, by another key.")


def test_keys_cannot_be_swapped(importer: Importer, shop: str, tmp_path: Path) -> None:
    """Each SKU is another row's until both are written: the file is refused, not half done."""
    before = dump(shop)
    path = write_csv(tmp_path / "some.csv", ["id", "sku"], ["K1", "B"], ["K2", "A"])
    imported = importer.run(shop, "products", path)
    assert imported.errors == [(2, "sku", "taken"), (3, "sku", "taken")]
    assert dump(shop) == before


def test_what_new_rows_begin_with(
    importer: Importer, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_CURRENCY", "GBP")
    lines = [["X1", "Crème Brûlée: 2 €", "live", "physical"], ["X2", "日本", "live", "digital"]]
    path = write_csv(tmp_path / "new.csv", NEW, *lines)
    assert importer.succeed(shop, "products", path).counts == (2, 0, 0, 0)
    names = ["slug", "is_active", "is_bundle", "currency_code", "brand", "price_cents"]
    *_, first, second = products(shop, *names, "id", "created_at", "updated_at")
    assert first[:6] == ("creme-brulee-2", True, False, "GBP", None, None)
    # A name without any letter that an address can have: the key stands for it.
    assert second[0] == second[6]
    assert first[7] == first[8]
    assert len(first[6]) == 36


def test_defaults_of_customers(importer: Importer, shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", ["email"], ["a@x.org"])
    importer.succeed(shop, "customers", path)
    names = ["status", "accepts_marketing", "is_blocked", "user_type"]
    assert rows(shop, "customers", *names) == [("prospect", False, False, "customer")]


def test_members_that_json_does_not_have(importer: Importer, shop: str, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"sku": "A", "name": "Ample"},
        {"sku": "B", "brand": None, "price": 3.5, "template:care:wash": None},
        {"sku": "C", "name": "Cherry", "status": "live", "commodity_type": "physical"},
    ]
    path = write_json(tmp_path / "some.json", *records)
    assert importer.succeed(shop, "products", path).counts == (1, 2, 0, 0)
    assert products(shop, "sku", "name", "brand", "price_cents", "status") == [
        ("A", "Ample", "Acme", 100, "live"),
        ("B", "Bean", None, 350, "draft"),
        ("C", "Cherry", None, None, "live"),
    ]
    assert ("K1", "F1", "30") in customs(shop)


def test_stock_is_known_by_sku_and_location(importer: Importer, shop: str, tmp_path: Path) -> None:
    places = [["L1", "North"], ["L2", "South"]]
    path = write_csv(tmp_path / "l.csv", ["id", "name"], *places)
    importer.succeed(shop, "stock_locations", path)
    header = ["sku_code", "stock_location_id", "quantity"]
    first = write_csv(tmp_path / "1.csv", header, ["A", "L1", 1], ["A", "L2", 2], ["B", "L1", 3])
    assert importer.succeed(shop, "stock_items", first).counts == (3, 0, 0, 0)
    second = write_csv(tmp_path / "2.csv", header, ["A", "L1", 1], ["A", "L2", 9], ["B", "L2", 4])
    assert importer.succeed(shop, "stock_items", second).counts == (1, 1, 1, 0)
    found = rows(shop, "stock_items", "sku_code", "stock_location_id", "quantity")
    assert sorted(found) == [("A", "L1", 1), ("A", "L2", 9), ("B", "L1", 3), ("B", "L2", 4)]
    doubled = write_csv(tmp_path / "3.csv", header, ["A", "L1", 5], ["A", "L1", 6])
    imported = importer.run(shop, "stock_items", doubled)
    assert imported.errors == [(2, "sku_code", "repeated"), (3, "sku_code", "repeated")]


def test_half_a_key_is_none(importer: Importer, shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "1.csv", ["sku_code", "quantity"], ["A", 1])
    imported = importer.run(shop, "stock_items", path)
    assert "the file needs one of id and sku_code with stock_location_id" in imported.error
