"""A real catalogue: the products and sellers of Olist, a Brazilian marketplace.

Two CSV files that are optional: `EXPORT_PIPELINES_TEST_DATA` names their folder.
"""

import csv
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa

from export_pipelines.catalog.database import bulk_insert, create_schema
from export_pipelines.catalog.keys import format_key
from export_pipelines.catalog.models import Base

FOLDER = Path(
    os.environ.get("EXPORT_PIPELINES_TEST_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data" / "olist"
)
PRODUCTS_FILE = FOLDER / "olist_products_dataset.csv"
SELLERS_FILE = FOLDER / "olist_sellers_dataset.csv"

_STARTED = datetime(2018, 10, 17, tzinfo=timezone.utc)


def load(url: str) -> None:
    """Make the tables and put the catalogue into them."""
    create_schema(url)
    tables = Base.metadata.tables
    rows = {tables["suppliers"]: list(suppliers()), tables["products"]: list(products())}
    bulk_insert(url, {table: pa.Table.from_pylist(content) for table, content in rows.items()})


def products() -> Iterator[dict[str, Any]]:
    """Yield the rows of the products table."""
    for number, row in enumerate(_rows(PRODUCTS_FILE)):
        category = row["product_category_name"] or None
        yield {
            "id": _key(number),
            "external_ref": row["product_id"],
            "name": f"{category or 'sem categoria'} {number + 1}",
            "slug": f"{category or 'sem_categoria'}-{number + 1}",
            "category": category,
            "status": "live",
            "commodity_type": "physical",
            "is_bundle": False,
            "is_active": True,
            "weight": float(row["product_weight_g"]) if row["product_weight_g"] else None,
            "currency_code": "BRL",
            "created_at": _STARTED,
            "updated_at": _STARTED,
        }


def suppliers() -> Iterator[dict[str, Any]]:
    """Yield the rows of the suppliers table."""
    for number, row in enumerate(_rows(SELLERS_FILE)):
        yield {
            "id": _key(number),
            "code": row["seller_id"],
            "name": f"{row['seller_city']} {number + 1}",
            "city": row["seller_city"],
            "state_code": row["seller_state"],
            "zip_code": row["seller_zip_code_prefix"],
            "country_code": "BR",
            "is_active": True,
            "created_at": _STARTED,
            "updated_at": _STARTED,
        }


def _key(number: int) -> str:
    return format_key(int(_STARTED.timestamp() * 1000), number)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.DictReader(source))
