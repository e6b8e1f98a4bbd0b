"""Imports whose process is killed: each file ends once, and is applied once or not at all."""

import csv
import json
import multiprocessing
import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from export_pipelines.catalog.database import begin, create_schema
from export_pipelines_tests.drop_folder_process import POINTS, look_in

ROWS = 400


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "home"
    (found / "imports" / "incoming" / "products").mkdir(parents=True)
    return found


# It imports what it needs once; each process is then a copy of it that has done nothing yet.
_FRESH = multiprocessing.get_context("forkserver")
_FRESH.set_forkserver_preload(["export_pipelines_tests.drop_folder_process"])


def look(home: Path, url: str, point: str = "") -> int:
    """Run a process until it has nothing to do, or kills itself; return its exit code."""
    process = _FRESH.Process(target=look_in, args=(str(home), url, point))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), (home / "log").read_text()
    return process.exitcode


def drop(home: Path, name: str, price: int) -> Path:
    path = home / "imports" / "incoming" / "products" / name
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(["sku", "name", "status", "commodity_type", "price_cents"])
        for number in range(ROWS):
            writer.writerow([f"S-{number}", f"Thing {number}", "live", "physical", price])
    return path


def ends(home: Path) -> list[str]:
    """Return the files that ended, by folder and own name."""
    found = (path for path in (home / "imports").glob("*/*/*") if path.suffix == ".csv")
    return [f"{path.parents[1].name}/{path.name.split('-', 2)[2]}" for path in found]


def prices(url: str) -> list[tuple[int, int]]:
    with begin(url) as connection:
        rows = connection.execute(
            text("SELECT price_cents, count(*) FROM products GROUP BY price_cents")
        )
        return [(row[0], row[1]) for row in rows]


def report(home: Path) -> dict[str, object]:
    [path] = (home / "imports").glob("*/products/*.report.json")
    found: dict[str, object] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("point", list(POINTS))
def test_a_killed_import_ends_once_and_is_applied_once(
    point: str, home: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    drop(home, "prices.csv", 100)
    assert look(home, url, point) == -signal.SIGKILL
    assert prices(url) in ([], [(100, ROWS)])
    assert look(home, url) == 0
    assert prices(url) == [(100, ROWS)]
    assert ends(home) == ["done/prices.csv"]
    # Whoever finished it says what was done, even if another process had done it.
    assert (report(home)["created"], report(home)["unchanged"]) == (ROWS, 0)
    assert not list((home / "imports" / "processing").iterdir())
    assert not list((home / "imports" / ".runs").glob("*"))


@pytest.mark.parametrize(
    "point", ["load, compared", "load, written but not committed", "load, committed"]
)
def test_a_killed_import_is_applied_once_on_postgres(
    point: str, home: Path, postgres_database: str
) -> None:
    url = postgres_database
    drop(home, "prices.csv", 100)
    assert look(home, url, point) == -signal.SIGKILL
    assert look(home, url) == 0
    try:
        assert prices(url) == [(100, ROWS)]
        assert ends(home) == ["done/prices.csv"]
        assert report(home)["created"] == ROWS
    finally:
        with begin(url) as connection:
            connection.execute(text("DELETE FROM products"))


def test_what_others_changed_since_a_killed_import_was_applied_stays(
    home: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    drop(home, "prices.csv", 100)
    look(home, url, "load, committed")
    with begin(url) as connection:
        connection.execute(text("UPDATE products SET price_cents = 7"))
    look(home, url)
    assert prices(url) == [(7, ROWS)]
    assert report(home)["created"] == ROWS


def test_a_file_that_kills_every_run_is_given_up(home: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    drop(home, "prices.csv", 100)
    for _ in range(4):
        assert look(home, url, "read, done") == -signal.SIGKILL
    assert look(home, url) == 0
    assert ends(home) == ["failed/prices.csv"]
    assert prices(url) == []
    assert "4 runs ended before they were done" in str(report(home)["reason"])


def test_the_same_file_dropped_again_is_another_import(home: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    for _ in range(2):
        drop(home, "prices.csv", 100)
        assert look(home, url) == 0
    assert ends(home) == ["done/prices.csv"] * 2
    found = [json.loads(path.read_text()) for path in (home / "imports").glob("*/*/*.report.json")]
    assert sorted((each["created"], each["unchanged"]) for each in found) == [(0, ROWS), (ROWS, 0)]
