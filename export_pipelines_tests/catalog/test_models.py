from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    MetaData,
    String,
    Table,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session, configure_mappers
from sqlalchemy.schema import CreateTable

from export_pipelines.catalog.database import begin, create_schema, engine
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.base import Resource
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.inventory import Bundle, Sku, SkuList, SkuListItem
from export_pipelines.catalog.models.orders import LineItem, LineItemOption, Order
from export_pipelines.catalog.models.pim import Product
from export_pipelines.catalog.models.types import Amount, Json, StringList, UtcDateTime

TABLES = list(Base.metadata.tables.values())
NOW = datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=timezone.utc)
COMMON = ["reference", "reference_origin", "metadata", "created_at", "updated_at"]
EXPORTED = [
    "addresses", "bundles", "cart_line_items", "carts", "coupons", "customer_subscriptions",
    "customers", "disputes", "fulfillment_line_items", "fulfillments", "gift_cards",
    "line_item_options", "line_items", "orders", "price_tiers", "prices", "products",
    "return_line_items", "returns", "shipping_categories", "sku_list_items", "sku_lists",
    "sku_options", "skus", "stock_items", "subscription_line_items", "subscriptions", "suppliers",
    "tax_categories", "transactions",
]  # fmt: skip
INCLUDES = {
    "bundles": ["sku_list", "sku_list_items"],
    "customer_subscriptions": ["customer"],
    "customers": ["customer_subscriptions"],
    "orders": ["customer", "shipping_address", "billing_address", "line_items"],
    "line_items": ["line_item_options"],
    "prices": ["sku", "price_tiers", "price_list"],
    "shipping_categories": ["skus"],
    "skus": ["shipping_category", "prices", "stock_items", "tax_categories"],
    "sku_lists": ["sku_list_items", "bundles"],
    "sku_list_items": ["sku"],
    "stock_items": ["sku"],
    "tax_categories": ["sku"],
    "products": ["supplier", "main_image"],
}


def product(**values: Any) -> dict[str, Any]:
    return {
        "name": "Tent",
        "slug": "tent",
        "status": "live",
        "commodity_type": "physical",
        "is_bundle": False,
        "is_active": True,
        "currency_code": "EUR",
        "created_at": NOW,
        "updated_at": NOW,
    } | values


def test_every_exported_table_is_there() -> None:
    assert set(EXPORTED) <= set(Base.metadata.tables)


def test_relationships_that_exports_include_are_there() -> None:
    configure_mappers()
    by_table = {str(mapper.local_table): mapper for mapper in Base.registry.mappers}
    for table, names in INCLUDES.items():
        assert set(names) <= set(by_table[table].relationships.keys()), table


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_columns_are_in_the_order_of_exports(table: Table) -> None:
    names = [column.name for column in table.columns]
    foreign = [column.name for column in table.columns if column.foreign_keys]
    last = [name for name in COMMON if name in names]
    assert names[len(names) - len(last) :] == last
    before = [name for name in names[: len(names) - len(last)] if name != "item_id"]
    if "id" in names:
        assert before[0] == "id"
        assert before[len(before) - len(foreign) :] == foreign


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_column_types_are_those_that_bulk_copies_know(table: Table) -> None:
    known = (BigInteger, Double, Boolean, String, UtcDateTime, Json, StringList)
    assert [column.name for column in table.columns if not isinstance(column.type, known)] == []


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_amounts_are_minor_units_of_a_currency(table: Table) -> None:
    amounts = [column for column in table.columns if "amount" in column.info]
    for column in amounts:
        assert column.name.endswith("_cents")
        assert isinstance(column.info["amount"], Amount)
    if amounts:
        assert "currency_code" in table.columns


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_foreign_keys_are_named_after_a_relationship_and_indexed(table: Table) -> None:
    mapper = next(m for m in Base.registry.mappers if m.local_table is table)
    names = {name.rstrip("_") for name in mapper.relationships.keys()}  # noqa: SIM118
    leading = {index.columns[0].name for index in table.indexes}
    leading |= {column.name for column in table.primary_key}
    for column in table.columns:
        if column.foreign_keys:
            assert column.name.removesuffix("_id") in names
            assert column.name in leading


def test_names_fit_postgres() -> None:
    for table in TABLES:
        names = [table.name, *(str(index.name) for index in table.indexes)]
        names += [str(constraint.name) for constraint in table.constraints]
        assert [name for name in names if len(name) > 63] == []


def test_resources_have_what_all_resources_have() -> None:
    configure_mappers()
    for mapper in Base.registry.mappers:
        if issubclass(mapper.class_, Resource):
            assert list(mapper.local_table.columns.keys())[-5:] == COMMON


def test_postgres_columns() -> None:
    table = Base.metadata.tables["products"]
    created = str(CreateTable(table).compile(dialect=PGDialect_psycopg2()))  # type: ignore[no-untyped-call]
    assert 'id VARCHAR(36) COLLATE "C" NOT NULL' in created
    assert 'supplier_id VARCHAR(36) COLLATE "C"' in created
    assert "created_at TIMESTAMP(3) WITH TIME ZONE NOT NULL" in created
    assert "tags JSON" in created


def test_sqlite_columns() -> None:
    table = Base.metadata.tables["products"]
    created = str(CreateTable(table).compile(dialect=SQLiteDialect()))
    assert "id VARCHAR(36) NOT NULL" in created
    assert "created_at BIGINT NOT NULL" in created
    assert "tags TEXT" in created


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        datetime(1970, 1, 1, 0, 0, 0, 1_000, tzinfo=timezone.utc),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc),
        datetime(2099, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc),
        datetime(2024, 3, 31, 3, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_moments_come_back_in_utc(url: str, moment: datetime) -> None:
    create_schema(url, indexes=False)
    table = Product.__table__
    with begin(url) as connection:
        connection.execute(insert(Product), product(created_at=moment))
        read = connection.scalar(select(table.c.created_at))
    assert read == moment
    assert read.utcoffset() == timedelta(0)


def test_moments_are_compared_and_cut_to_milliseconds(url: str) -> None:
    create_schema(url, indexes=False)
    moments = [NOW + timedelta(microseconds=micros) for micros in (-1, 0, 999, 1_000)]
    column = Product.__table__.c.created_at
    with begin(url) as connection:
        connection.execute(insert(Product), [product(created_at=moment) for moment in moments])

        def count(condition: Any) -> int:
            return len(connection.execute(select(column).where(condition)).all())

        assert count(column == NOW) == 2
        assert count(column >= NOW) == 3
        assert count(column < NOW) == 1
        assert count(column > NOW + timedelta(microseconds=500)) == 1
        assert count(column.between(NOW, NOW + timedelta(milliseconds=1))) == 3
        assert count(column.in_([NOW])) == 2


def test_moments_without_time_zone_are_refused(url: str) -> None:
    create_schema(url, indexes=False)
    naive = NOW.replace(tzinfo=None)
    with begin(url) as connection, pytest.raises(StatementError, match="has no time zone"):
        connection.execute(insert(Product), product(created_at=naive))


def test_documents_keep_their_text(url: str) -> None:
    create_schema(url, indexes=False)
    document = {"b": 1, "a": [1.5, None, True, "é\n\u2028👩‍👧"], "名": {}}
    with Session(engine(url)) as session:
        session.add(
            Customer(
                email="a@example.com",
                status="prospect",
                accepts_marketing=False,
                is_blocked=False,
                user_type="lead",
                metadata_=document,
                tags=["a,b", '"', "é"],
                created_at=NOW,
                updated_at=NOW,
            )
        )
        session.commit()
        customer = session.scalars(select(Customer)).one()
        assert customer.metadata_ == document
        assert list(customer.metadata_) == ["b", "a", "名"]
        assert customer.tags == ["a,b", '"', "é"]
        assert customer.anonymization_info is None
        stored = session.execute(
            text("SELECT CAST(metadata AS TEXT), CAST(tags AS TEXT) FROM customers")
        ).one()
        unset = text("SELECT count(*) FROM customers WHERE anonymization_info IS NULL")
        assert session.scalar(unset) == 1
    assert stored[0] == '{"b":1,"a":[1.5,null,true,"é\\n\u2028👩‍👧"],"名":{}}'
    assert stored[1] == '["a,b","\\"","é"]'


@pytest.mark.parametrize("tags", ["abc", [1]])
def test_lists_of_texts_hold_only_texts(url: str, tags: Any) -> None:
    create_schema(url, indexes=False)
    with begin(url) as connection, pytest.raises(StatementError, match="list of texts"):
        connection.execute(insert(Product), product(tags=tags))


def test_choices_are_checked_by_the_database(url: str) -> None:
    create_schema(url, indexes=False)
    with begin(url) as connection:
        connection.execute(insert(Product), product())
    with pytest.raises(IntegrityError, match="ck_products_status"), begin(url) as connection:
        connection.execute(insert(Product), product(status="retired"))


def test_foreign_keys_are_checked_by_the_database(url: str) -> None:
    create_schema(url, indexes=False)
    with pytest.raises(IntegrityError), begin(url) as connection:
        connection.execute(insert(Product), product(supplier_id="nobody"))


def test_relationships_lead_to_the_right_rows(url: str) -> None:
    create_schema(url, indexes=False)
    times = {"created_at": NOW, "updated_at": NOW}
    sku_list = SkuList(name="Set", slug="set", **times)
    sku = Sku(code="A", name="a", **times)
    item = SkuListItem(sku_list=sku_list, sku=sku, sku_code="A", quantity=2, **times)
    bundle = Bundle(code="B", name="b", sku_list=sku_list, **times)
    order = Order(
        status="placed",
        payment_status="paid",
        fulfillment_status="unfulfilled",
        is_test=False,
        **times,
    )
    line = LineItem(
        quantity=1,
        is_upsell=False,
        is_gift_card=False,
        requires_shipping=True,
        order=order,
        **times,
    )
    option = LineItemOption(quantity=1, options={}, line_item=line, **times)
    with Session(engine(url)) as session:
        session.add_all([item, bundle, option])
        session.commit()
        assert bundle.sku_list_items == [item]
        assert sku_list.skus == [sku]
        assert order.line_item_options == [option]
        assert [found.code for found in sku.sku_lists[0].bundles] == ["B"]


def test_reflected_tables_match_the_models(url: str) -> None:
    create_schema(url)
    reflected = MetaData()
    reflected.reflect(engine(url))
    for table in TABLES:
        found = reflected.tables[table.name]
        assert [column.name for column in found.columns] == [c.name for c in table.columns]
        assert {index.name for index in found.indexes} >= {index.name for index in table.indexes}
