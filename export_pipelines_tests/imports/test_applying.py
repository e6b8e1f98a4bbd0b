import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.errors import CatalogUnavailable
from export_pipelines.imports.applying import was_applied
from export_pipelines.imports.artifacts import Loaded
from export_pipelines.imports.report import row_errors
from export_pipelines_tests.importer import write_csv
from export_pipelines_tests.imports.loads import NOW, apply
from export_pipelines_tests.imports.test_loading import INJECTIONS
from export_pipelines_tests.stored import dump, rows

HEADER = ["sku", "name", "status", "commodity_type"]
GOOD = ["A", "Apple", "live", "physical"]
LOST = ["B", "Bean", "live", "physical"]


@pytest.fixture
def shop(url: str) -> str:
    if url.startswith("sqlite"):
        create_schema(url)
    return url


@contextmanager
def without_receipts(url: str) -> Iterator[None]:
    """Take the table away that catalogues did not have before there were imports."""
    with begin(url) as connection:
        connection.execute(text("DROP TABLE import_receipts"))
    yield
    create_schema(url)


def errors(loaded: Loaded) -> list[tuple[int, str, str]]:
    return [(each["row"], each["column"], each["code"]) for each in row_errors(loaded.errors)]


def two_rows(tmp_path: Path) -> Path:
    """Write a row that is right, and one that refers to a supplier that is not there."""
    header = [*HEADER, "supplier_id"]
    return write_csv(tmp_path / "some.csv", header, [*GOOD, ""], [*LOST, "NOBODY"])


def test_a_file_that_was_applied_is_told_again(shop: str, tmp_path: Path) -> None:
    path = two_rows(tmp_path)
    first = apply(shop, path, "claim/products/some.csv", on_error="skip", max_error_ratio=0.5)
    assert (first.applied, first.earlier, first.failed) == (True, False, 1)
    with begin(shop) as connection:
        connection.execute(text("DELETE FROM products"))
    before = dump(shop)
    second = apply(shop, path, "claim/products/some.csv", on_error="skip", max_error_ratio=0.5)
    assert (second.applied, second.earlier, second.failed) == (True, True, 1)
    assert second.counts == first.counts
    assert errors(second) == errors(first) == [(3, "supplier_id", "not_found")]
    assert dump(shop) == before
    other = apply(shop, path, "other/products/some.csv", on_error="skip", max_error_ratio=0.5)
    assert (other.earlier, other.counts.created) == (False, 1)


def test_what_was_not_applied_has_no_receipt(shop: str, tmp_path: Path) -> None:
    path = two_rows(tmp_path)
    every: list[dict[str, Any]] = [{}, {"dry_run": True}, {"dry_run": True, "on_error": "skip"}]
    for options in every:
        assert not apply(shop, path, "claim/products/some.csv", **options).applied
    assert rows(shop, "import_receipts", "claim", by="claim") == []


@pytest.mark.parametrize(("days", "kept"), [(30, True), (31, False)])
def test_receipts_are_kept_for_thirty_days(
    shop: str, tmp_path: Path, days: int, *, kept: bool
) -> None:
    path = write_csv(tmp_path / "some.csv", HEADER, GOOD)
    apply(shop, path, "first")
    later = NOW + timedelta(days=days)
    # What does not apply anything removes nothing.
    apply(shop, path, "looked at", later, dry_run=True)
    assert [claim for (claim,) in rows(shop, "import_receipts", "claim", by="claim")] == ["first"]
    apply(shop, path, "second", later)
    found = [claim for (claim,) in rows(shop, "import_receipts", "claim", by="claim")]
    assert found == (["first", "second"] if kept else ["second"])


def test_a_catalogue_without_receipts(shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", HEADER, GOOD)
    with without_receipts(shop):
        before = dump(shop)
        assert apply(shop, path, "claim", dry_run=True).counts.created == 1
        assert dump(shop) == before
        assert not was_applied(shop, "claim")
        assert apply(shop, path, "claim").counts.created == 1
        assert apply(shop, path, "claim").earlier
        assert was_applied(shop, "claim")
        with begin(shop) as connection:
            assert inspect(connection).has_table("import_receipts")


@pytest.mark.parametrize("name", INJECTIONS)
def test_names_of_files_are_never_sql(shop: str, tmp_path: Path, name: str) -> None:
    path = two_rows(tmp_path)
    key = f"claim/products/{name}"
    options: dict[str, Any] = {"on_error": "skip", "max_error_ratio": 0.5}
    assert not apply(shop, path, key, **options).earlier
    assert apply(shop, path, key, **options).earlier
    assert not apply(shop, path, "claim/products/", **options).earlier
    claims = [claim for (claim,) in rows(shop, "import_receipts", "claim", by="claim")]
    assert claims == sorted(["claim/products/", key])


def test_what_is_told_again_is_what_was_said(shop: str, tmp_path: Path) -> None:
    """Errors have values of the file in them, whatever characters these have."""
    path = tmp_path / "some.jsonl"
    lines = [dict(zip(HEADER, GOOD, strict=True))]
    lines += [lines[0] | {"sku": each, "supplier_id": each[:36]} for each in INJECTIONS]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    options: dict[str, Any] = {"on_error": "skip", "max_error_ratio": 1.0}
    first, second = (apply(shop, path, "claim", **options) for _ in range(2))
    assert second.earlier
    assert list(row_errors(second.errors)) == list(row_errors(first.errors))
    assert [each["value"] for each in row_errors(first.errors)] == [
        each[:36] for each in INJECTIONS
    ]


def test_rows_without_any_column_are_nothing_to_apply(shop: str, tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    path.write_text("[]")
    before = dump(shop)
    loaded = apply(shop, path, "claim")
    assert (loaded.applied, loaded.refused, loaded.failed) == (True, None, 0)
    assert dump(shop) == before


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", HEADER, GOOD)
    for url, words in {
        f"sqlite:///{tmp_path}/none.db": "There is no SQLite database at",
        "postgresql://u:s3cr3t@127.0.0.1:1/x": "Cannot open the database postgresql://u:***@",
    }.items():
        with pytest.raises(CatalogUnavailable) as refused:
            apply(url, path)
        assert str(refused.value).startswith(words)
        assert "s3cr3t" not in str(refused.value)


def test_reasons_of_a_ratio_are_exact(shop: str, tmp_path: Path) -> None:
    loaded = apply(shop, two_rows(tmp_path), on_error="skip", max_error_ratio=0.125)
    assert loaded.refused
    assert loaded.refused.reason == (
        "1 of 2 rows is wrong, more than the 12.5% that may be left out (max_error_ratio), so "
        "nothing was imported."
    )
