"""The Olist catalogue, dropped in the folder of a running daemon, through its mapping files."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from export_pipelines.catalog.database import begin, create_schema
from export_pipelines_tests.killing import kill_all
from export_pipelines_tests.olist import FOLDER
from export_pipelines_tests.webserver import ROOT, Ask, start_webserver, wait

PRODUCTS = 32_951
SELLERS = 3_095
SECONDS = 120
"""At most so long after a file is closed its rows are in the database."""

RULES = """
files:
  - {match: products/olist_*.csv, mapping: olist_products}
  - {match: suppliers/olist_*.csv, mapping: olist_sellers}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    create_schema(f"sqlite:///{folder / 'shop.db'}")
    (folder / "imports.yaml").write_text(RULES)
    return folder


@pytest.fixture(scope="module")
def ask(home: Path) -> Iterator[Ask]:
    with start_webserver(home, **variables(home)) as asked:
        wait_until(lambda: (home / "imports" / "incoming" / "products").is_dir(), 60)
        yield asked


def variables(home: Path) -> dict[str, str]:
    return {
        "EXPORT_PIPELINES_IMPORTS": str(home / "imports.yaml"),
        "EXPORT_PIPELINES_MAPPINGS": str(ROOT / "mappings"),
    }


def wait_until(condition: Any, seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.1)
    return time.monotonic() - began


def drop(home: Path, folder: str, name: str) -> Path:
    target = home / "imports" / "incoming" / folder / name
    shutil.copy(FOLDER / name, target)
    return target


def reports(home: Path, folder: str) -> list[dict[str, Any]]:
    found = sorted((home / "imports").glob(f"done/{folder}/*.report.json"))
    return [json.loads(path.read_bytes()) for path in found]


def count(home: Path, table: str) -> int:
    with begin(f"sqlite:///{home / 'shop.db'}") as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_the_catalogue_is_there_soon_after_it_was_dropped(home: Path, ask: Ask) -> None:
    drop(home, "suppliers", "olist_sellers_dataset.csv")
    drop(home, "products", "olist_products_dataset.csv")
    # The files are closed now.
    began = time.monotonic()
    wait_until(lambda: count(home, "products") == PRODUCTS, SECONDS)
    wait_until(lambda: count(home, "suppliers") == SELLERS, SECONDS - (time.monotonic() - began))
    wait_until(lambda: reports(home, "products") and reports(home, "suppliers"), SECONDS)
    [report] = reports(home, "products")
    assert (report["created"], report["failed"], report["mapping"]) == (
        PRODUCTS,
        0,
        "olist_products",
    )


def test_a_query_tells_what_was_imported(home: Path, ask: Ask) -> None:
    [report] = reports(home, "products")
    wait(ask, report["run_id"])
    run = ask("ImportStatus", runId=report["run_id"])["runOrError"]
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert run["status"] == "SUCCESS"
    assert (tags["import/created"], tags["import/failed"]) == (str(PRODUCTS), "0")
    assert tags["import/file"] == "olist_products_dataset.csv"
    entries = [
        {entry["label"]: entry for entry in event["metadataEntries"]}
        for event in run["eventConnection"]["events"]
        if (event.get("stepKey") or "").startswith("report[") and event.get("metadataEntries")
    ]
    assert entries[0]["created"]["intValue"] == PRODUCTS
    assert Path(entries[0]["file"]["path"]).is_file()


def test_dropped_again_all_is_unchanged(home: Path, ask: Ask) -> None:
    drop(home, "products", "olist_products_dataset.csv")
    wait_until(lambda: len(reports(home, "products")) == 2, 60)
    again = reports(home, "products")[1]
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, PRODUCTS)


def test_a_wrong_file_fails_with_its_rows(home: Path, ask: Ask) -> None:
    wrong = home / "imports" / "incoming" / "products" / "wrong.csv"
    wrong.write_text("sku,name,status,commodity_type,price\nA,Chair,live,physical,cheap\n")
    wait_until(lambda: list((home / "imports").glob("failed/products/*-wrong.csv")), 60)
    [report] = (home / "imports").glob("failed/products/*.report.json")
    run = wait(ask, json.loads(report.read_bytes())["run_id"])
    assert run["status"] == "FAILURE"
    assert run["tags"]["import/error_code"] == "file_refused"
    found = ask("ImportStatus", runId=run["runId"])["runOrError"]["eventConnection"]["events"]
    tables = [
        json.loads(record)
        for event in found
        for entry in (event.get("failureMetadata") or {}).get("metadataEntries", [])
        for record in entry.get("table", {}).get("records", [])
    ]
    assert [(row["row"], row["column"], row["value"]) for row in tables] == [(2, "price", "cheap")]


def test_everything_killed_while_it_imports(tmp_path: Path) -> None:
    create_schema(f"sqlite:///{tmp_path / 'shop.db'}")
    (tmp_path / "imports.yaml").write_text(RULES)
    processing = tmp_path / "imports" / "processing"
    (tmp_path / "imports" / "incoming" / "products").mkdir(parents=True)
    drop(tmp_path, "products", "olist_products_dataset.csv")
    with start_webserver(tmp_path, **variables(tmp_path)):
        wait_until(lambda: list(processing.glob("*/products/*.csv")), 60)
        kill_all(tmp_path)
    assert not list((tmp_path / "imports").glob("done/*/*"))
    with start_webserver(tmp_path, **variables(tmp_path)):
        wait_until(lambda: reports(tmp_path, "products"), 90)
        assert [report["created"] for report in reports(tmp_path, "products")] == [PRODUCTS]
    assert count(tmp_path, "products") == PRODUCTS
    assert not list(processing.glob("*/*/*"))
