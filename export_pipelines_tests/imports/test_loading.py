import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url, text

from export_pipelines.catalog import database
from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.errors import CatalogUnavailable, FileRefused
from export_pipelines_tests.importer import write_csv
from export_pipelines_tests.imports.loads import apply, loading
from export_pipelines_tests.stored import add, dump, product, rows

HEADER = ["sku", "name", "status", "commodity_type"]
PAYMENT = ["id", "parent_id", "customer_id", "type", "status", "currency_code", "amount_cents"]
FLAGS = ["is_disputed", "is_external", "is_test"]


@pytest.fixture
def shop(url: str) -> str:
    """Name a database of each kind with a product."""
    if url.startswith("sqlite"):
        create_schema(url)
    add(url, "products", product("K1", "A", "Apple"))
    return url


def payments(path: Path, *links: tuple[str, str, str]) -> Path:
    """Write transactions: each its id, its parent's and its customer's."""
    rest = ["sale", "succeeded", "EUR", 100, "false", "false", "false"]
    return write_csv(path, [*PAYMENT, *FLAGS], *([*link, *rest] for link in links))


def codes(errors: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    return sorted((error["row"], error["column"], error["code"]) for error in errors)


_HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1])
held.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Keep a table as another program does that is writing to it."""
    if url.startswith("sqlite"):
        # Two copies of SQLite in one process do not see each other's locks.
        asked = [sys.executable, "-c", _HOLD, str(make_url(url).database)]
        with subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"locked\n"
            yield
            process.communicate()
        return
    other = psycopg2.connect(url)
    other.cursor().execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
    yield
    other.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_SQLITE_WRITING", ("PRAGMA busy_timeout = 50",))
    monkeypatch.setattr(database, "_POSTGRES_WRITING", ("SET lock_timeout = 50",))


@pytest.mark.usefixtures("impatient")
def test_a_table_that_somebody_else_writes_to(shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", HEADER, ["B", "Bean", "live", "physical"])
    before = dump(shop)
    with (
        locked(shop, "products"),
        loading(shop, path) as load,
        pytest.raises(CatalogUnavailable) as refused,
    ):
        load.lock()
    assert str(refused.value) == (
        "Somebody else has been writing to the table for 30 seconds, so nothing was imported: "
        "import the file again."
    )
    assert dump(shop) == before
    with locked(shop, "products"), pytest.raises(CatalogUnavailable) as again:
        apply(shop, path)
    assert str(again.value) == str(refused.value)
    assert apply(shop, path).counts.created == 1


@pytest.mark.usefixtures("impatient")
def test_nobody_else_writes_between_comparing_and_writing(shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", HEADER, ["B", "Bean", "live", "physical"])
    with loading(shop, path) as load:
        load.lock()
        assert load.compare() == []
        second = write_csv(tmp_path / "second.csv", HEADER, ["B", "Beam", "live", "physical"])
        with pytest.raises(CatalogUnavailable, match="Somebody else has been writing"):
            apply(shop, second)
        # Whoever reads is not kept waiting.
        assert rows(shop, "products", "sku") == [("A",)]
        load.write()
        load.commit()
    assert rows(shop, "products", "sku", "name", by="sku") == [("A", "Apple"), ("B", "Bean")]


@contextmanager
def rule(url: str, made: str, dropped: str) -> Iterator[None]:
    with begin(url) as connection:
        connection.execute(text(made))
    try:
        yield
    finally:
        with begin(url) as connection:
            connection.execute(text(dropped))


def test_a_rule_that_only_the_database_knows(shop: str, tmp_path: Path) -> None:
    lines = [["B", "Bean", "live", "physical", "m1"], ["C", "Core", "live", "physical", "m1"]]
    path = write_csv(tmp_path / "new.csv", [*HEADER, "mpn"], *lines)
    before = dump(shop)
    with rule(shop, "CREATE UNIQUE INDEX own_mpn ON products (mpn)", "DROP INDEX own_mpn"):
        with loading(shop, path) as load:
            load.lock()
            assert load.compare() == []
            with pytest.raises(FileRefused) as refused:
                load.write()
        sentence = str(refused.value)
        assert sentence.startswith(
            "The database refuses a row, so none was imported: correct it, and import the file "
            "again. It said: "
        )
        assert "mpn" in sentence
        assert "\n" not in sentence
        loaded = apply(shop, path)
    assert loaded.refused
    assert (loaded.refused.reason[:30], loaded.refused.code) == (sentence[:30], "file_refused")
    assert dump(shop) == before


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    create_schema(url)
    with begin(url) as connection:
        connection.execute(text("DROP TABLE products"))
    path = write_csv(tmp_path / "new.csv", HEADER, ["B", "Bean", "live", "physical"])
    with pytest.raises(CatalogUnavailable, match="products"):
        apply(url, path)


def test_what_is_written_is_kept_only_when_it_is_committed(shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", HEADER, ["B", "Bean", "live", "physical"])
    before = dump(shop)
    with loading(shop, path) as load:
        load.lock()
        load.compare()
        load.write()
    assert dump(shop) == before


def test_counts(shop: str, tmp_path: Path) -> None:
    lines = [["A", "Apple", "live", "physical"], ["B", "Bean", "live", "physical"]]
    path = write_csv(tmp_path / "some.csv", HEADER, *lines, ["C", "Core", "live", "physical"])
    add(shop, "products", product("K2", "B", "Beam"))
    with loading(shop, path) as load:
        load.lock()
        assert load.compare() == []
        assert vars(load.counts()) == {"created": 1, "updated": 1, "unchanged": 1}
        assert load.leave_out([3]) == []
        assert vars(load.counts()) == {"created": 1, "updated": 0, "unchanged": 1}
        assert load.leave_out([2, 4]) == []
        assert vars(load.counts()) == {"created": 0, "updated": 0, "unchanged": 0}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_rows_refer_to_rows_of_the_same_file_in_any_order(
    shop: str, tmp_path: Path, order: tuple[int, ...]
) -> None:
    chain = [("T1", "", ""), ("T2", "T1", ""), ("T3", "T2", "")]
    path = payments(tmp_path / "p.csv", *(chain[at] for at in order))
    loaded = apply(shop, path, resource_type="transactions")
    assert (loaded.applied, loaded.counts.created) == (True, 3)
    found = rows(shop, "transactions", "id", "parent_id")
    assert found == [("T1", None), ("T2", "T1"), ("T3", "T2")]
    again = apply(shop, path, resource_type="transactions")
    assert vars(again.counts) == {"created": 0, "updated": 0, "unchanged": 3}


def test_a_row_that_refers_to_itself(shop: str, tmp_path: Path) -> None:
    path = payments(tmp_path / "p.csv", ("T1", "T1", ""))
    assert apply(shop, path, resource_type="transactions").counts.created == 1


def test_what_refers_to_rows_that_are_left_out_is_left_out(shop: str, tmp_path: Path) -> None:
    links = [("T3", "T2", ""), ("T2", "T1", ""), ("T1", "", "NOBODY"), ("T4", "", "")]
    path = payments(tmp_path / "p.csv", *links)
    with loading(shop, path, resource_type="transactions") as load:
        load.lock()
        assert codes(load.compare()) == [(4, "customer_id", "not_found")]
        assert codes(load.leave_out([4])) == [(3, "parent_id", "not_found")]
        assert codes(load.leave_out([3])) == [(2, "parent_id", "not_found")]
        assert load.leave_out([2]) == []
        assert load.counts().created == 1
    options: dict[str, Any] = {"on_error": "skip", "max_error_ratio": 0.75}
    loaded = apply(shop, path, resource_type="transactions", **options)
    assert (loaded.counts.created, loaded.failed, loaded.errors.rows) == (1, 3, 3)
    assert rows(shop, "transactions", "id") == [("T4",)]


def test_what_refers_to_a_row_that_the_catalogue_has_stays(shop: str, tmp_path: Path) -> None:
    apply(shop, payments(tmp_path / "first.csv", ("T1", "", "")), resource_type="transactions")
    links = [("T1", "", "NOBODY"), ("T2", "T1", "")]
    path = payments(tmp_path / "second.csv", *links)
    options: dict[str, Any] = {"on_error": "skip", "max_error_ratio": 0.5}
    loaded = apply(shop, path, resource_type="transactions", **options)
    assert (loaded.counts.created, loaded.failed) == (1, 1)
    assert rows(shop, "transactions", "id", "parent_id") == [("T1", None), ("T2", "T1")]


INJECTIONS = [
    "'; DROP TABLE products; --",
    "x' OR '1'='1",
    '"; DELETE FROM products; --',
    "\\'; DROP TABLE products; --",
    "%s %(name)s %% ? ?1 $1 :name :1 {0} {name}",
    "$$; DROP TABLE products; $$",
    "/* */ -- \t\\x00 E'\\\\'",
    "',name,'",
]


def test_values_are_never_sql(shop: str, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow([*HEADER, "id", "description"])
        for text_ in INJECTIONS:
            writer.writerow([text_, text_, "live", "physical", text_[:36], text_])
    loaded = apply(shop, path)
    assert loaded.counts.created == len(INJECTIONS)
    found = rows(shop, "products", "sku", "name", "id", "description", by="sku")
    wanted = [(each, each, each[:36], each) for each in INJECTIONS]
    assert sorted(found) == sorted([("A", "Apple", "K1", None), *wanted])
    assert apply(shop, path).counts.unchanged == len(INJECTIONS)


@pytest.mark.parametrize("name", INJECTIONS)
def test_references_and_keys_are_never_sql(shop: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "new.csv"
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow([*HEADER, "supplier_id"])
        writer.writerows([[name, "Thing", "live", "physical", name[:36]]] * 2)
    before = dump(shop)
    with loading(shop, path) as load:
        load.lock()
        found = load.compare()
    assert codes(found) == [
        (2, "sku", "repeated"),
        (2, "supplier_id", "not_found"),
        (3, "sku", "repeated"),
        (3, "supplier_id", "not_found"),
    ]
    assert {error["value"] for error in found} == {name, name[:36]}
    assert dump(shop) == before
