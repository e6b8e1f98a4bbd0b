import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Table, func, select, text

from export_pipelines.catalog.database import begin
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.sample import awkward, generate, shop, table_sizes
from export_pipelines.catalog.sample.columns import ean8, ean13
from export_pipelines.catalog.sample.pattern import Pattern
from export_pipelines.errors import RequestError

TABLES = [table for name, table in Base.metadata.tables.items() if name != "import_receipts"]
"""What a shop is made of; receipts are what imports leave."""


def rows(url: str, table: Table) -> Sequence[Mapping[str, Any]]:
    statement = select(table).order_by(*table.primary_key.columns)
    with begin(url) as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def column(url: str, name: str) -> list[Any]:
    table, _, attribute = name.partition(".")
    return [row[attribute] for row in rows(url, Base.metadata.tables[table])]


def test_the_generator_knows_every_table() -> None:
    names = {make.__name__ for make in shop.TABLES}
    assert names == {table.name for table in TABLES} == set(table_sizes(10, 0))


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_both_databases_hold_the_same_rows(
    sqlite_shop: str, postgres_shop: str, table: Table
) -> None:
    expected = rows(sqlite_shop, table)
    assert len(expected) == table_sizes(1_200, 160)[table.name] > 0
    assert rows(postgres_shop, table) == expected


def test_the_same_arguments_give_the_same_rows(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("a", "b", "c")]
    generate(urls[0], products=60, orders=16, seed=1)
    generate(urls[1], products=60, orders=16, seed=1)
    generate(urls[2], products=60, orders=16, seed=2)
    for table in TABLES:
        assert rows(urls[0], table) == rows(urls[1], table)
    assert column(urls[0], "products.id") != column(urls[2], "products.id")


def test_rows_do_not_depend_on_the_size_of_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("a", "b")]
    generate(urls[0], products=120, orders=24)
    monkeypatch.setattr(shop, "_BATCH_ROWS", 7)
    seen: list[tuple[str, int]] = []
    sizes = generate(urls[1], products=120, orders=24, progress=lambda *step: seen.append(step))
    for table in TABLES:
        assert rows(urls[0], table) == rows(urls[1], table)
    assert seen[-1][0] == "fulfillment_line_items"
    assert dict(seen) == {name: size for name, size in sizes.items() if size}


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_foreign_key_resolves(sqlite_shop: str, table: Table) -> None:
    with begin(sqlite_shop) as connection:
        assert connection.execute(text(f"PRAGMA foreign_key_check({table.name})")).all() == []


@pytest.mark.parametrize(("products", "orders"), [(1, 0), (1, 3), (2, 1), (10, 7), (10, 33)])
def test_small_shops_are_whole(tmp_path: Path, products: int, orders: int) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    sizes = generate(url, products=products, orders=orders)
    with begin(url) as connection:
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        for table in TABLES:
            counted = connection.scalar(select(func.count()).select_from(table))
            assert counted == sizes[table.name]


def test_keys_are_uuid7_in_the_order_of_rows(sqlite_shop: str) -> None:
    with begin(sqlite_shop) as connection:
        keys = list(connection.scalars(text("SELECT id FROM products ORDER BY rowid")))
    assert keys == sorted(set(keys))
    parsed = [uuid.UUID(key) for key in keys]
    assert {(key.version, key.variant) for key in parsed} == {(7, uuid.RFC_4122)}
    assert [str(key) for key in parsed] == keys
    start = datetime(2023, 1, 1, tzinfo=timezone.utc)
    assert start.timestamp() * 1000 <= parsed[0].int >> 80
    made = column(sqlite_shop, "products.created_at")[100]
    assert made == start + timedelta(milliseconds=(parsed[100].int >> 80) - 1_672_531_200_000)


@pytest.mark.parametrize("shop_fixture", ["sqlite_shop", "postgres_shop"])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("products.name", awkward.REQUIRED_TEXTS),
        ("products.description", awkward.LONG_TEXTS),
        ("products.brand", awkward.TEXTS),
        ("products.sku", awkward.CODES),
        ("products.weight", (*awkward.WEIGHTS, None)),
        ("products.price_cents", (*awkward.CENTS, None)),
        ("products.ean", ("0012345678905", None)),
        ("products.supplier_id", (None,)),
        ("products.is_bundle", (True, False)),
        ("products.is_active", (True, False)),
        ("products.tags", (None, [], [""], ["with, comma", 'with "quotes"', "with; semicolon"])),
        ("customers.first_name", awkward.TEXTS),
        ("addresses.line_1", awkward.REQUIRED_TEXTS),
        ("addresses.company", awkward.TEXTS),
        ("orders.notes", awkward.TEXTS),
        ("orders.adjustment_amount_cents", awkward.CENTS),
        ("orders.currency_code", ("EUR", "USD", "GBP", "JPY", "KWD")),
        ("orders.status", ("draft", "pending", "placed", "approved", "cancelled")),
        ("skus.code", awkward.CODES),
    ],
)
def test_awkward_values_are_there(
    request: pytest.FixtureRequest, shop_fixture: str, name: str, values: Sequence[Any]
) -> None:
    found = column(request.getfixturevalue(shop_fixture), name)
    assert [value for value in values if value not in found] == []


@pytest.mark.parametrize("name", ["products.created_at", "orders.placed_at"])
def test_awkward_moments_are_there(postgres_shop: str, name: str) -> None:
    found = column(postgres_shop, name)
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    expected = [epoch + timedelta(milliseconds=value) for value in awkward.MOMENTS]
    assert [value for value in expected if value not in found] == []


def test_awkward_values_recur(sqlite_shop: str) -> None:
    names = column(sqlite_shop, "products.name")
    assert names[996] in awkward.REQUIRED_TEXTS
    assert not set(names[60:990]) & set(awkward.REQUIRED_TEXTS)


def test_long_texts_exceed_a_cell_of_excel(sqlite_shop: str) -> None:
    lengths = [len(value or "") for value in column(sqlite_shop, "products.description")]
    assert sum(length > 32_767 for length in lengths) >= 2


def test_texts_are_fit_for_both_databases() -> None:
    kept = [t for t in (*awkward.TEXTS, *awkward.LONG_TEXTS, *awkward.CODES) if t is not None]
    for value in kept:
        assert "\0" not in value
        assert not any(unicodedata.category(letter) == "Cs" for letter in value)
        assert not any(ord(letter) & 0xFFFE == 0xFFFE for letter in value)
    assert len(set(awkward.TEXTS)) == len(awkward.TEXTS)


def test_ordinary_texts_look_real(sqlite_shop: str) -> None:
    products = rows(sqlite_shop, Base.metadata.tables["products"])[60:990]
    assert len({row["name"] for row in products}) > 0.99 * len(products)
    lengths = [len(row["description"]) for row in products]
    assert 60 <= sum(lengths) / len(lengths) <= 200
    assert min(lengths) > 40
    mails = column(sqlite_shop, "customers.email")
    assert len(set(mails)) == len(mails)
    assert all(mail.lower().partition("@")[2].split(".")[-2] == "example" for mail in mails)


def test_eans_have_their_check_digit(sqlite_shop: str) -> None:
    codes = [code for code in column(sqlite_shop, "products.ean") if code is not None]
    assert {len(code) for code in codes} == {8, 13}
    assert len(set(codes)) == len(codes)
    for code in codes:
        weights = (3, 1) * 7
        total = sum(int(d) * w for d, w in zip(reversed(code[:-1]), weights, strict=False))
        assert (total + int(code[-1])) % 10 == 0
    assert ean13(np.array([400638133393])).to_pylist() == ["4006381333931"]
    assert ean8(np.array([9638507])).to_pylist() == ["96385074"]


def test_orders_add_up(sqlite_shop: str) -> None:
    lines = rows(sqlite_shop, Base.metadata.tables["line_items"])
    options = rows(sqlite_shop, Base.metadata.tables["line_item_options"])
    totals: dict[str, int] = {}
    for line in lines:
        own = sum(o["total_amount_cents"] for o in options if o["line_item_id"] == line["id"])
        assert line["options_amount_cents"] == own
        expected = line["unit_amount_cents"] * line["quantity"] + line["discount_cents"] + own
        assert line["total_amount_cents"] == expected
        totals[line["order_id"]] = totals.get(line["order_id"], 0) + expected
    for order in rows(sqlite_shop, Base.metadata.tables["orders"]):
        assert order["subtotal_amount_cents"] == totals.get(order["id"], 0)
        parts = ("subtotal", "shipping", "payment_method", "discount", "adjustment", "gift_card")
        total = sum(order[f"{part}_amount_cents"] for part in parts)
        assert order["total_amount_cents"] == total
        assert (order["placed_at"] is None) <= (order["status"] in ("draft", "pending"))


def test_lines_agree_with_what_they_refer_to(sqlite_shop: str) -> None:
    statement = text(
        "SELECT count(*) FROM line_items l JOIN skus s ON s.id = l.sku_id "
        "JOIN products p ON p.id = l.product_id WHERE s.code != l.sku_code OR p.sku != s.code"
    )
    prices = text(
        "SELECT count(*) FROM prices p JOIN skus s ON s.id = p.sku_id "
        "JOIN price_lists l ON l.id = p.price_list_id "
        "WHERE s.code != p.sku_code OR l.currency_code != p.currency_code"
    )
    customers = text(
        "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id "
        "WHERE c.email != o.customer_email OR c.status = 'prospect'"
    )
    with begin(sqlite_shop) as connection:
        for query in (statement, prices, customers):
            assert connection.scalar(query) == 0


def test_a_filled_database_is_refused(sqlite_shop: str) -> None:
    with pytest.raises(RequestError, match="has products already"):
        generate(sqlite_shop, products=10)


@pytest.mark.parametrize(("products", "orders"), [(0, 0), (10, -1)])
def test_impossible_sizes_are_refused(tmp_path: Path, products: int, orders: int) -> None:
    with pytest.raises(RequestError, match="at least 1 product"):
        generate(f"sqlite:///{tmp_path / 'shop.db'}", products=products, orders=orders)


def test_many_products_keep_other_tables_small() -> None:
    sizes = table_sizes(5_000_000, 0)
    small = sum(sizes.values()) - sizes["products"] - sizes["suppliers"]
    assert small < 600_000


def test_patterns_number_children_in_order() -> None:
    pattern = Pattern(1, 0, 3)
    parents = np.arange(6)
    children = np.arange(pattern.size(6))
    assert pattern.count(parents).tolist() == [1, 0, 3, 1, 0, 3]
    assert pattern.first(parents).tolist() == [0, 1, 1, 4, 5, 5]
    assert pattern.parent(children).tolist() == [0, 2, 2, 2, 3, 5, 5, 5]
    assert pattern.place(children).tolist() == [0, 0, 1, 2, 0, 0, 1, 2]
    assert pattern.sums(parents, lambda numbers: numbers).tolist() == [0, 0, 6, 4, 0, 18]
