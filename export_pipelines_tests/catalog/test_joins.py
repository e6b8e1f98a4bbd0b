from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from export_pipelines.catalog.entities import entity
from export_pipelines.catalog.joins import Joins, listed
from export_pipelines.catalog.select import compile_select


def sql(statement: Any) -> str:
    return " ".join(str(statement.compile(dialect=sqlite.dialect())).split())


def test_a_table_stands_alone_until_a_relation_is_used() -> None:
    joins = Joins(entity("orders"))
    assert sql(select(joins.value("number")).select_from(joins.source)) == (
        "SELECT orders.number FROM orders"
    )


def test_each_relation_is_joined_once() -> None:
    joins = Joins(entity("orders"))
    columns = [joins.value(name) for name in ("customer.email", "customer.phone", "id")]
    columns.append(joins.value("customer.customer_group.name"))
    text = sql(select(*columns).select_from(joins.source))
    assert text.count("LEFT OUTER JOIN customers") == 1
    assert text.count("LEFT OUTER JOIN customer_groups") == 1
    assert text.count("JOIN") == 2
    assert len(joins.tables) == 3


def test_two_relations_to_one_table_stay_apart() -> None:
    joins = Joins(entity("orders"))
    cities = [joins.value(f"{which}_address.city") for which in ("shipping", "billing")]
    text = sql(select(*cities).select_from(joins.source))
    assert text.count("LEFT OUTER JOIN addresses") == 2


def test_a_table_may_be_an_alias() -> None:
    alias = entity("orders").table.alias("mine")
    joins = Joins(entity("orders"), alias)
    assert joins.tables == (alias,)
    assert sql(select(joins.value("id")).select_from(joins.source)) == (
        "SELECT mine.id FROM orders AS mine"
    )


@pytest.mark.parametrize(
    ("name", "relation", "tables"),
    [
        ("skus", "prices", ["prices"]),
        ("skus", "sku_lists", ["sku_list_items", "sku_lists"]),
        ("orders", "line_item_options", ["line_items", "line_item_options"]),
        ("bundles", "sku_list_items", ["sku_list_items"]),
    ],
)
def test_records_of_a_multiple_relation(name: str, relation: str, tables: list[str]) -> None:
    joins = Joins(entity(name))
    known = entity(name).relations[relation]
    found = joins.any_related([], known, lambda inner: inner.value("id") == "k")
    text = sql(select(joins.value("id")).select_from(joins.source).where(found))
    assert text.startswith(f"SELECT {name}.id FROM {name} WHERE EXISTS (SELECT 1 FROM ")
    for table in tables:
        assert text.count(f"{table} AS ") == 1
    inside = text.partition("EXISTS")[2]
    assert f"FROM {name}," not in inside
    assert f", {name} WHERE" not in inside


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_list_is_one_parameter(backend: str) -> None:
    column = entity("skus").table.c.code
    values = [f"zqx{number}" for number in range(10_000)]
    statement = compile_select(select(column).where(column.in_(listed(column, values))), backend)
    assert "zqx" not in statement.sql
    ((_, given),) = statement.parameters
    assert given.startswith('["zqx0", "zqx1", ')


@pytest.mark.parametrize(
    ("name", "values", "stored"),
    [
        ("created_at", ["1970-01-01T00:00:00.007+00:00"], {"sqlite": "[7]"}),
        ("name", ["é", "🙂"], {"sqlite": '["é", "🙂"]', "postgresql": '["é", "🙂"]'}),
        ("do_not_ship", [True, False], {"sqlite": "[1, 0]", "postgresql": "[true, false]"}),
        ("weight", [0.1, 5e-324], {"sqlite": "[0.1, 5e-324]", "postgresql": "[0.1, 5e-324]"}),
    ],
)
def test_a_list_holds_what_the_database_stores(
    name: str, values: list[Any], stored: dict[str, str]
) -> None:
    column = entity("skus").table.c[name]
    if name == "created_at":
        values = [datetime.fromisoformat(value) for value in values]
        stored = {**stored, "postgresql": '["1970-01-01 00:00:00.007000+00:00"]'}
    for backend, text in stored.items():
        statement = compile_select(
            select(column).where(column.in_(listed(column, values))), backend
        )
        assert [value for _, value in statement.parameters] == [text]
