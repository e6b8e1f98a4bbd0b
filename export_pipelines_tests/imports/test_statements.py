from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Text, cast, literal, select

from export_pipelines.catalog.adbc import WritingConnection
from export_pipelines.catalog.database import adbc_write, backend_of, create_schema
from export_pipelines.catalog.entities import TABLES, entity
from export_pipelines.catalog.models.types import Json
from export_pipelines.imports.shape import Shape, sql_text
from export_pipelines.imports.statements import Statements
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.imports.loads import NOW
from export_pipelines_tests.imports.test_loading import INJECTIONS


def statements(resource_type: str, columns: Sequence[str], **changes: Any) -> Statements:
    values: dict[str, Any] = {
        "entity": entity(resource_type),
        "backend": "sqlite",
        "columns": tuple(columns),
        "given_id": "id" in columns,
        "absent": frozenset(),
        "create_only": frozenset(),
        "made": frozenset(),
        "defaults": {},
        "custom": (),
        "now": NOW,
    }
    return Statements(Shape(**values | changes))


def said(connection: WritingConnection, sql: str) -> Any:
    with connection.query(sql) as reader:
        return reader.read_all().column(0)[0].as_py()


def test_constants_are_what_they_were(url: str) -> None:
    """A text between the quotes of a statement is that text, whatever is in it."""
    create_schema(url)
    with adbc_write(url) as connection:

        @given(constant=TEXTS | st.sampled_from(INJECTIONS) | st.text("'\\%:$?\"{}-;", max_size=8))
        def check(constant: str) -> None:
            statement = select(cast(literal(constant), Text()))
            assert said(connection, sql_text(statement, backend_of(url))) == constant

        check()


@pytest.mark.parametrize(
    ("resource_type", "columns", "keys"),
    [
        ("products", ["id", "sku"], [("id",), ("sku",)]),
        ("products", ["external_ref", "sku"], [("external_ref",), ("sku",)]),
        ("products", ["id", "external_ref", "sku"], [("id",), ("external_ref",), ("sku",)]),
        ("stock_items", ["id", "sku_code"], [("id",)]),
        ("stock_items", ["sku_code", "stock_location_id"], [("sku_code", "stock_location_id")]),
        ("transactions", ["id", "number"], [("id",)]),
    ],
)
def test_keys_that_a_file_has(
    resource_type: str, columns: list[str], keys: list[tuple[str, ...]]
) -> None:
    assert list(statements(resource_type, columns).usable_keys) == keys


def test_ids_that_were_made_are_no_key() -> None:
    found = statements("products", ["id", "sku"], given_id=False)
    assert found.usable_keys == (("sku",),)


def test_what_new_rows_need() -> None:
    found = statements("products", ["sku", "name"], defaults={"is_active": True})
    assert found.required == ("slug", "status", "commodity_type", "is_bundle", "currency_code")
    some = statements("products", ["sku", "name"], absent=frozenset({"name"}))
    assert "name" in some.required


def test_references() -> None:
    found = statements("transactions", ["id", "parent_id", "customer_id", "number"])
    assert list(found.references) == ["parent_id", "customer_id"]
    assert found.refers_to_itself("parent_id")
    assert not found.refers_to_itself("customer_id")


def test_others_are_kept_from_writing() -> None:
    assert statements("products", ["id"]).lock() == "BEGIN IMMEDIATE"
    postgres = statements("products", ["id"], backend="postgresql")
    assert postgres.lock() == "LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE"


def test_statements_are_ones_of_their_database(url: str) -> None:
    """Every table with all of its columns: the database itself says whether they are SQL."""
    create_schema(url)
    for resource_type in TABLES:
        run_statements(url, resource_type)


def run_statements(url: str, resource_type: str) -> None:
    table = entity(resource_type).table
    columns = list(table.c.keys())
    found = statements(
        resource_type, columns, backend=backend_of(url), absent=frozenset(columns[1:3])
    )
    with adbc_write(url) as connection:
        # Documents are kept as texts until they are written.
        kept = ", ".join(
            f"CAST({name} AS TEXT) AS {name}" if isinstance(table.c[name].type, Json) else name
            for name in columns
        )
        connection.execute(
            f"CREATE TEMPORARY TABLE import_rows AS SELECT 1 AS row_number, {kept}, "
            f"'' AS absent FROM {table.name} WHERE false"
        )
        connection.execute(found.plan())
        queries = [found.repeated(key) for key in found.usable_keys]
        queries += [found.taken(key) for key in found.usable_keys if key != ("id",)]
        queries += [found.unresolved(name) for name in found.references]
        queries += [found.incomplete(name) for name in found.required]
        for sql in [*queries, found.counts(), found.repeated_matches()]:
            with connection.query(sql) as reader:
                assert reader.read_all().num_rows == int(sql == found.counts())
        connection.execute(found.write())
