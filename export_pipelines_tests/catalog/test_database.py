import math
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import adbc_driver_manager
import polars as pl
import pyarrow as pa
import pytest
from sqlalchemy import insert, select, text

from export_pipelines.catalog.database import (
    adbc_connect,
    arrow_schema,
    begin,
    bulk_insert,
    create_schema,
    engine,
)
from export_pipelines.catalog.keys import new_key
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.pim import Product, Supplier
from export_pipelines.errors import CatalogUnavailable
from export_pipelines_tests.catalog.test_models import NOW, product
from export_pipelines_tests.servers.postgres import PostgresServer

PRODUCTS = Base.metadata.tables["products"]
SUPPLIERS = Base.metadata.tables["suppliers"]


def supplier(code: str, **values: Any) -> dict[str, Any]:
    row = {"id": new_key(), "code": code, "name": code, "is_active": True}
    return row | {"created_at": NOW, "updated_at": NOW} | values


def arrow(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def count(url: str, table: str) -> int:
    with begin(url) as connection:
        rows: int = connection.scalar(text(f"SELECT count(*) FROM {table}"))
    return rows


def test_schema_can_be_created_twice(url: str) -> None:
    create_schema(url, indexes=False)
    create_schema(url)
    create_schema(url)
    assert count(url, "products") == 0


def test_sqlite_is_set_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new folder' / 'shop.db'}"
    create_schema(url)
    with engine(url).connect() as connection:
        settings = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_schemes(postgres: PostgresServer, scheme: str) -> None:
    url = postgres.url.replace("postgresql", scheme, 1)
    with begin(url) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    with adbc_connect(url) as reading, reading.query("SELECT 1 AS one") as reader:
        assert reader.read_all().to_pylist() == [{"one": 1}]


def test_postgres_urls_with_blanks(postgres: PostgresServer) -> None:
    url = postgres.create_database("shop & co") + "?options=-c%20search_path%3Dpg_catalog"
    for opened in (begin(url), adbc_connect(url)):
        with opened:
            pass
    statement = "SELECT current_database() AS name, current_setting('search_path') AS path"
    with adbc_connect(url) as reading, reading.query(statement) as reader:
        assert reader.read_all().to_pylist() == [{"name": "shop & co", "path": "pg_catalog"}]


def test_arrow_schema_has_the_canonical_types() -> None:
    schema = arrow_schema(PRODUCTS)
    assert schema.names == [column.name for column in PRODUCTS.columns]
    assert schema.field("created_at").type == pa.timestamp("ms", "UTC")
    assert schema.field("is_active").type == pa.bool_()
    assert schema.field("price_cents").type == pa.int64()
    assert schema.field("weight").type == pa.float64()
    assert schema.field("tags").type == pa.string()
    assert not schema.field("name").nullable


def test_bulk_inserts_equal_ordinary_ones(url: str) -> None:
    create_schema(url, indexes=False)
    values = {
        "description": 'tab\t, "quotes" \' and\r\nlines \x01 👩‍👧 é',
        "weight": 1e-7,
        "price_cents": 2**62,
        "ean": "0012345678905",
        "is_bundle": True,
        "external_ref": "",
        "brand": None,
    }
    ordinary = product(id=new_key(), sku="1", tags=["a", '"b"'], **values)
    bulk = product(id=new_key(), sku="2", tags='["a","\\"b\\""]', **values | {"external_ref": None})
    with begin(url) as connection:
        connection.execute(insert(Product), ordinary)
    assert bulk_insert(url, {PRODUCTS: arrow([bulk])}) == 1
    with begin(url) as connection:
        first, second = connection.execute(select(PRODUCTS).order_by(PRODUCTS.c.sku)).mappings()
    for name in first:
        if name not in ("id", "sku", "external_ref"):
            assert first[name] == second[name], name
    assert (first["external_ref"], second["external_ref"]) == ("", None)
    assert second["price_cents"] == 2**62
    statement = "SELECT is_bundle, created_at, weight FROM products"
    with adbc_connect(url) as reading, reading.query(statement) as reader:
        read = reader.read_all()
    assert len(set(read.to_pylist()[0].items()) ^ set(read.to_pylist()[1].items())) == 0


def test_bulk_inserts_take_streams_and_other_arrow_types(url: str) -> None:
    create_schema(url, indexes=False)
    micros = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)

    def pieces() -> Iterator[pa.Table | pa.RecordBatch]:
        yield arrow([supplier("a", created_at=micros)])
        yield pl.DataFrame([supplier("b", created_at=micros)]).to_arrow()
        yield from arrow([supplier("c"), supplier("d")]).to_batches(max_chunksize=1)

    assert bulk_insert(url, {SUPPLIERS: pieces(), PRODUCTS: iter(())}) == 4
    with begin(url) as connection:
        rows = connection.execute(
            select(SUPPLIERS.c.code, SUPPLIERS.c.created_at).order_by(SUPPLIERS.c.code)
        ).all()
    assert [row.code for row in rows] == ["a", "b", "c", "d"]
    assert rows[0].created_at == rows[1].created_at == micros.replace(microsecond=999_000)


def test_bulk_inserts_are_all_or_nothing(url: str) -> None:
    create_schema(url)
    good = arrow([supplier("a")])
    unknown = arrow([product(id=new_key(), colour="red")])
    with pytest.raises(ValueError, match="Table products has no column colour"):
        bulk_insert(url, {SUPPLIERS: good, PRODUCTS: unknown})

    def broken() -> Iterator[pa.Table]:
        yield arrow([supplier("b")])
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        bulk_insert(url, {SUPPLIERS: broken()})
    misfit = arrow([product(id=new_key(), price_cents="dear")])
    with pytest.raises(ValueError, match="dear"):
        bulk_insert(url, {SUPPLIERS: good, PRODUCTS: misfit})
    twice = arrow([supplier("a"), supplier("a")])
    with pytest.raises(adbc_driver_manager.Error, match=r"(?i)unique"):
        bulk_insert(url, {SUPPLIERS: twice})
    assert count(url, "suppliers") == 0
    bulk_insert(url, {SUPPLIERS: good})
    assert count(url, "suppliers") == 1


def test_reading_sees_one_snapshot(url: str) -> None:
    create_schema(url, indexes=False)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a")])})
    with adbc_connect(url) as connection:
        for _ in range(2):
            with connection.query("SELECT count(*) AS found FROM suppliers") as reader:
                assert reader.read_all().to_pylist() == [{"found": 1}]
            bulk_insert(url, {SUPPLIERS: arrow([supplier(new_key())])})
    assert count(url, "suppliers") == 3


def test_reading_connections_cannot_write(url: str) -> None:
    create_schema(url, indexes=False)
    with (
        adbc_connect(url) as connection,
        pytest.raises(adbc_driver_manager.Error, match=r"(?i)read-?only"),
    ):
        connection.execute("DELETE FROM suppliers")


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(CatalogUnavailable, match=r"no SQLite database at .*none\.db"):
        bulk_insert(f"sqlite:///{path}", {})
    with (
        pytest.raises(CatalogUnavailable, match=r"no SQLite database"),
        adbc_connect(f"sqlite:///{path}"),
    ):
        pass
    assert not path.exists()


def test_file_names_may_hold_anything(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'my shop #1 100%25 ü.db'}"
    create_schema(url, indexes=False)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a")])})
    assert count(url, "suppliers") == 1
    assert len(list(tmp_path.glob("*.db"))) == 1


@pytest.mark.parametrize("opened", [begin, adbc_connect])
def test_an_unreachable_server_is_named_without_password(opened: Any) -> None:
    url = "postgresql://shop:s3cr3t%21@127.0.0.1:1/shop"
    with (
        pytest.raises(CatalogUnavailable, match=r"shop:\*\*\*@127\.0\.0\.1:1") as caught,
        opened(url),
    ):
        pass
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("opened", [begin, adbc_connect])
def test_a_wrong_password_is_not_repeated(postgres: PostgresServer, opened: Any) -> None:
    url = postgres.url.replace(postgres.url.split(":")[2].split("@")[0], "wr0ng")
    with (
        pytest.raises(CatalogUnavailable, match="password authentication failed") as caught,
        opened(url),
    ):
        pass
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root:s3cr3t@db/shop", "mysql databases are not supported"),
        ("shop.db", "cannot be read"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
    ],
)
def test_other_urls_are_refused(url: str, message: str) -> None:
    with pytest.raises(CatalogUnavailable, match=message) as caught:
        create_schema(url, indexes=False)
    assert "s3cr3t" not in str(caught.value)


def test_special_floats_survive(url: str) -> None:
    create_schema(url, indexes=False)
    weights = [0.1, 1e300, -0.0, 5e-324, 12345678.9]
    rows = [product(id=new_key(), sku=str(n), weight=weight) for n, weight in enumerate(weights)]
    bulk_insert(url, {PRODUCTS: arrow(rows)})
    with begin(url) as connection:
        read = connection.scalars(select(PRODUCTS.c.weight).order_by(PRODUCTS.c.sku)).all()
    assert read == weights
    assert math.copysign(1, read[2]) in (1, -1)


def test_defaults_are_made_by_the_models(url: str) -> None:
    create_schema(url, indexes=False)
    row = supplier("a")
    del row["id"]
    with begin(url) as connection:
        connection.execute(insert(Supplier), row)
        assert len(str(connection.scalar(select(SUPPLIERS.c.id)))) == 36
