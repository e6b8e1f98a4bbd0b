from collections.abc import Sequence
from typing import Any

import pytest

from export_pipelines.artifacts import FIRST_KEY, LAST_KEY, Column, ExtensionField, FieldType
from export_pipelines.catalog.database import backend_of, begin
from export_pipelines.catalog.entities import entity
from export_pipelines.catalog.filters import parse_filters
from export_pipelines.catalog.predicates import All
from export_pipelines.catalog.reading import open_snapshots
from export_pipelines.catalog.select import (
    KeyRange,
    Owners,
    build_extension_values,
    build_key_at,
    build_select,
    compile_select,
)

PRODUCTS = entity("products")


def rows(url: str, statement: Any, *names: str, **keys: str) -> list[tuple[Any, ...]]:
    """Read text columns, as exports read them."""
    columns = [Column(name, FieldType.STRING) for name in names]
    compiled = compile_select(statement, backend_of(url)).having(**keys)
    with open_snapshots(url) as (snapshot,):
        return [
            tuple(row.values())
            for batch in snapshot.stream(compiled, columns)
            for row in batch.to_pylist()
        ]


def chunk(keys: Sequence[str]) -> dict[str, str]:
    return {FIRST_KEY: keys[0], LAST_KEY: keys[-1]}


def test_sql_of_sqlite() -> None:
    predicate = parse_filters({"name": "n", "brand": None, "is_active": "true"}, PRODUCTS)
    statement = compile_select(build_select(PRODUCTS, ["sku"], predicate), "sqlite")
    assert " ".join(statement.sql.split()) == (
        "SELECT products.sku FROM products WHERE products.name = ? AND products.brand IS NULL "
        "AND products.is_active = 1 ORDER BY products.id"
    )
    assert statement.parameters == (("name_1", "n"),)


def test_sql_of_postgres_reads_parameters_from_settings() -> None:
    predicate = parse_filters({"name": "n", "price_cents": 5}, PRODUCTS)
    statement = compile_select(build_select(PRODUCTS, ["sku"], predicate), "postgresql")
    assert " ".join(statement.sql.split()) == (
        "SELECT products.sku FROM products WHERE products.name = "
        "CAST(current_setting('export_pipelines.name_1') AS TEXT) AND products.price_cents = "
        "CAST(current_setting('export_pipelines.price_cents_1') AS BIGINT) ORDER BY products.id"
    )
    assert statement.parameters == (("name_1", "n"), ("price_cents_1", 5))


@pytest.mark.parametrize(
    ("keys", "condition", "values"),
    [
        (KeyRange(None, None), "", []),
        (KeyRange("k1", None), "WHERE products.id >= ?", ["k1"]),
        (KeyRange(None, "k2"), "WHERE products.id < ?", ["k2"]),
        (KeyRange("k1", "k2"), "WHERE products.id >= ? AND products.id < ?", ["k1", "k2"]),
    ],
)
def test_key_ranges(keys: KeyRange, condition: str, values: list[str]) -> None:
    statement = compile_select(build_select(PRODUCTS, ["id"], All(), keys), "sqlite")
    expected = f"SELECT products.id FROM products {condition} ORDER BY products.id"
    assert statement.sql.split() == expected.split()
    assert [value for _, value in statement.parameters] == values


def test_the_key_of_one_row(shop: str) -> None:
    predicate = parse_filters({"status": "live"}, PRODUCTS)
    keys = rows(shop, build_select(PRODUCTS, ["id"], predicate), "id")
    assert keys == sorted(keys)
    for row in (0, 7, len(keys) - 1):
        assert rows(shop, build_key_at(PRODUCTS, predicate, row), "id") == [keys[row]]
    assert rows(shop, build_key_at(PRODUCTS, predicate, len(keys)), "id") == []


def test_columns_of_singular_relations(shop: str) -> None:
    orders = entity("orders")
    names = ["id", "customer_id", "customer.id", "customer.customer_group_id"]
    names.append("customer.customer_group.id")
    found = rows(shop, build_select(orders, names, All()), *names)
    assert len(found) == 160
    for _, customer_id, customer, group_id, group in found:
        assert customer == customer_id
        assert group == group_id
    assert any(group for *_, group in found)


def test_owners_are_the_records_of_a_chunk_that_match(shop: str) -> None:
    orders = entity("orders")
    predicate = parse_filters({"customer_email_present": True}, orders)
    keys = [key for (key,) in rows(shop, build_select(orders, ["id"], predicate), "id")]
    some = keys[3:40]
    owners = Owners(orders, predicate)
    found = rows(shop, owners.select(["id"]), "id", **chunk(some))
    assert sorted(key for (key,) in found) == some
    assert rows(shop, owners.values("id"), "id", **chunk(some[:1])) == [(some[0],)]
    assert rows(shop, owners.select(["id"]), "id") == []


def test_related_records_of_a_chunk(shop: str) -> None:
    orders, lines = entity("orders"), entity("line_items")
    predicate = parse_filters({"status_not_in": ["draft"]}, orders)
    keys = [key for (key,) in rows(shop, build_select(orders, ["id"], predicate), "id")][5:50]
    owners = Owners(orders, predicate)
    below = owners.related([], orders.relations["line_items"])
    every = rows(shop, build_select(lines, ["id", "order_id"], All()), "id", "order_id")
    expected = [row for row in every if row[1] in keys]
    assert expected
    found = rows(shop, below.select(["id", "order_id"]), "id", "order_id", **chunk(keys))
    assert sorted(found) == expected

    options = below.related([], lines.relations["line_item_options"])
    names = ("id", "line_item_id")
    mine = {key for key, _ in expected}
    every = rows(shop, build_select(entity("line_item_options"), names, All()), *names)
    expected = [row for row in every if row[1] in mine]
    assert expected
    assert sorted(rows(shop, options.select(names), *names, **chunk(keys))) == expected


def test_related_records_of_a_singular_relation(shop: str) -> None:
    subscriptions = entity("customer_subscriptions")
    owners = Owners(subscriptions, All())
    names = ("id", "customer_id")
    mine = rows(shop, build_select(subscriptions, names, All()), *names)[2:9]
    customers = {customer for _, customer in mine if customer}
    orders = owners.related(["customer"], entity("customers").relations["orders"])
    every = rows(shop, build_select(entity("orders"), names, All()), *names)
    expected = [row for row in every if row[1] in customers]
    keys = [key for key, _ in mine]
    assert sorted(rows(shop, orders.select(names), *names, **chunk(keys))) == expected


def test_values_of_custom_fields(shop: str) -> None:
    with begin(shop) as connection:
        values = [
            tuple(row)
            for row in connection.exec_driver_sql(
                "SELECT product_id, field_id, value FROM product_extension_values ORDER BY 1, 2"
            )
        ]
    fields = sorted({field for _, field, _ in values})[:2]
    products = sorted({product for product, _, _ in values})[:20]
    names = ("product_id", "field_id", "value")
    statement = build_extension_values(Owners(PRODUCTS, All()), fields)
    found = rows(shop, statement, *names, **chunk(products))
    assert sorted(found) == [row for row in values if row[0] in products and row[1] in fields]
    assert found


def test_filters_by_custom_fields(shop: str) -> None:
    with begin(shop) as connection:
        field, value = connection.exec_driver_sql(
            "SELECT field_id, value FROM product_extension_values WHERE value <> '' ORDER BY 1, 2"
        ).first() or ("", "")
        expected = connection.exec_driver_sql(
            "SELECT product_id FROM product_extension_values "
            f"WHERE field_id = '{field}' AND value = '{value}' ORDER BY 1"
        ).fetchall()
    known = entity("products", (ExtensionField(field, "care", "washing", "string"),))
    predicate = parse_filters({"template:care:washing": value}, known)
    found = rows(shop, build_select(known, ["id"], predicate), "id")
    assert found == [tuple(row) for row in expected]
    assert found
