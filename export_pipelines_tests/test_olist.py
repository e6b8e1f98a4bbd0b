import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

from export_pipelines_tests import olist
from export_pipelines_tests.contracts.formats import digests
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.servers.postgres import PostgresServer

FIELDS = ["id", "external_ref", "name", "category", "weight"]
PRODUCTS = 32_951
SELLERS = 3_095


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> list[str]:
    """Name the databases with the catalogue: SQLite, Postgres."""
    names = [
        f"sqlite:///{tmp_path_factory.mktemp('olist') / 'shop.db'}",
        postgres.create_database("olist"),
    ]
    for name in names:
        olist.load(name)
    return names


def from_csv(data: bytes) -> list[tuple[Any, ...]]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return [
        (
            row["id"],
            row["external_ref"],
            row["name"],
            row["category"] or None,
            weight(row["weight"]),
        )
        for row in csv.DictReader(text, strict=True)
    ]


def weight(text: str) -> float | None:
    return float(text) if text else None


def from_json(file: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in json.loads(file.read_bytes())]


def from_excel(file: Path) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(file, read_only=True)
    header, *rows = book["products"].iter_rows(values_only=True)
    book.close()
    assert list(header) == FIELDS
    return [tuple(row) for row in rows]


def from_zip(file: Path) -> list[tuple[Any, ...]]:
    with zipfile.ZipFile(file) as archive:
        members = {name: from_csv(archive.read(name)) for name in archive.namelist()}
    assert {name: len(rows) for name, rows in members.items()} == {
        "products-00001.csv": 30_000,
        "products-00002.csv": 2_951,
    }
    return [row for rows in members.values() for row in rows]


def from_parquet(file: Path) -> list[tuple[Any, ...]]:
    columns = pq.read_table(file).to_pydict()
    assert list(columns) == FIELDS
    return list(zip(*columns.values(), strict=True))


READERS: dict[str, Callable[[Path], list[tuple[Any, ...]]]] = {
    "csv": lambda file: from_csv(file.read_bytes()),
    "json": from_json,
    "excel": from_excel,
    "zip": from_zip,
    "parquet": from_parquet,
}


@pytest.mark.parametrize("format_name", READERS)
def test_the_whole_catalogue_is_exported(
    exporter: Exporter, urls: list[str], format_name: str
) -> None:
    expected = [tuple(row[name] for name in FIELDS) for row in olist.products()]
    assert len(expected) == PRODUCTS
    made = [exporter.succeed(url, format_name, fields=FIELDS) for url in urls]
    assert [exported.manifest["records_count"] for exported in made] == [PRODUCTS] * 2
    assert digests(made[0].files) == digests(made[1].files)
    [file] = made[0].files
    assert READERS[format_name](file) == expected


def test_every_seller_is_exported(exporter: Exporter, urls: list[str]) -> None:
    expected = {row["code"]: row["city"] for row in olist.suppliers()}
    assert len(expected) == SELLERS
    for url in urls:
        exported = exporter.succeed(url, "json", resource_type="suppliers")
        rows = json.loads(exported.files[0].read_bytes())
        assert {row["code"]: row["city"] for row in rows} == expected
        assert len(rows) == SELLERS


def test_all_fields_are_exported(exporter: Exporter, urls: list[str]) -> None:
    made = [exporter.succeed(url, "zip") for url in urls]
    assert digests(made[0].files) == digests(made[1].files)
    assert len(from_zip(made[0].files[0])) == PRODUCTS
