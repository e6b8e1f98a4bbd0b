"""What the steps of an import say about themselves: outputs, metadata, tags, sentences."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from export_pipelines import settings
from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.imports.artifacts import (
    Claim,
    Counts,
    Extract,
    ImportRequest,
    Loaded,
    Refusal,
    Validated,
)
from export_pipelines.ops.ingest import summary
from export_pipelines_tests.importer import Imported, Importer, write_csv
from export_pipelines_tests.imports.drops import drop, names, release_all
from export_pipelines_tests.stored import dump, rows

HEADER = ["sku", "name", "status", "commodity_type"]
APPLE = ["A", "Apple", "live", "physical"]
BEAN = ["B", "Bean", "live", "physical"]


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Importer(tmp_path, instance)
    release_all()


@pytest.fixture
def shop(tmp_path: Path) -> str:
    url = settings.database_url()
    create_schema(url)
    return url


def metadata(imported: Imported, step: str) -> dict[str, Any]:
    """Return what a step says with its output, or with its failure."""
    for event in imported.result.all_events:
        if not event.step_key or not event.step_key.startswith(step):
            continue
        if event.is_successful_output:
            return {name: value.value for name, value in event.step_output_data.metadata.items()}
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            assert failure
            return {name: value.value for name, value in failure.metadata.items()}
    raise AssertionError(f"{step} said nothing.")


def logged(imported: Imported, importer: Importer) -> list[str]:
    return [entry.user_message for entry in importer.instance.all_logs(imported.result.run_id)]


def test_every_step_says_what_it_did(importer: Importer, shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "stock.csv", HEADER, APPLE, BEAN)
    imported = importer.succeed(shop, "products", path)
    read = metadata(imported, "read")
    assert (read["format"], read["rows"], read["bytes"]) == ("csv", 2, path.stat().st_size)
    assert (read["encoding"], read["delimiter"]) == ("utf-8", ",")
    assert metadata(imported, "validate")["failed"] == 0
    assert metadata(imported, "validate")["columns"][:2] == ["id", "sku"]
    load = metadata(imported, "load")
    assert (load["created"], load["updated"], load["applied"]) == (2, 0, True)
    said = metadata(imported, "report")
    assert (said["rows"], said["created"], said["failed"]) == (2, 2, 0)
    assert json.loads(Path(said["report"]).read_bytes())["created"] == 2
    assert said["file"] == str(path)
    assert "failed_rows" not in said
    assert "stock.csv: 2 created, 0 updated, 0 unchanged, 0 failed." in logged(imported, importer)


def test_tags(importer: Importer, shop: str, tmp_path: Path) -> None:
    imported = importer.succeed(shop, "products", write_csv(tmp_path / "a.csv", HEADER, APPLE))
    tags = {name: value for name, value in imported.tags.items() if name.startswith("import/")}
    tags.pop("import/stage")
    assert tags == {
        "import/resource_type": "products",
        "import/queue": "imports",
        "import/progress": "100",
        "import/rows": "1",
        "import/created": "1",
        "import/updated": "0",
        "import/unchanged": "0",
        "import/failed": "0",
        **{name: value for name, value in tags.items() if name == "import/records_count"},
    }
    assert imported.tags["dagster/priority"] == "-10"


def test_counts_of_several_files_are_added(importer: Importer, shop: str, tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", HEADER, APPLE)
    bad = write_csv(tmp_path / "bad.csv", ["sku", "nme"], ["A", "x"])
    second = write_csv(tmp_path / "b.csv", HEADER, APPLE, BEAN)
    third = write_csv(tmp_path / "c.csv", HEADER, ["A", "Ample", "live", "physical"])
    wrong = write_csv(tmp_path / "d.csv", HEADER, ["A", "Ample", "new", "physical"])
    imported = importer.run(shop, "products", first, bad, second, third, wrong)
    assert not imported.result.success
    assert imported.counts == (2, 1, 1, 1)
    assert imported.tags["import/rows"] == "6"
    # Each file's sentence is there, in the order of the files.
    assert imported.error.index("bad.csv: ") < imported.error.index("d.csv: 1 of 1 rows is wrong")
    assert rows(shop, "products", "sku", "name", by="sku") == [("A", "Ample"), ("B", "Bean")]


@pytest.mark.parametrize("count", [1, 50, 51, 120])
def test_the_first_errors_are_a_table(
    importer: Importer, shop: str, tmp_path: Path, count: int
) -> None:
    lines = [[f"S{number}", "", "live", "physical"] for number in range(count)]
    path = write_csv(tmp_path / "bad.csv", HEADER, *lines)
    imported = importer.run(shop, "products", path)
    said = metadata(imported, "report")
    table = said["errors"].records
    assert len(table) == min(count, 50)
    assert table[0].data == {
        "row": 2,
        "column": "name",
        "value": "",
        "code": "required",
        "reason": "name must not be empty.",
    }
    assert said["failed"] == count
    assert len(imported.errors) == count
    assert Path(said["failed_rows"]).is_file()
    assert imported.error.startswith(f"bad.csv: {count} of {count} rows ")


def test_a_refused_file_says_why_at_every_step(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    path = tmp_path / "empty.csv"
    path.touch()
    imported = importer.run(shop, "products", path)
    for step in ("read", "validate", "load"):
        assert metadata(imported, step)["refused"] == "'empty.csv' is empty: it has no rows."
    assert imported.tags["import/error_code"] == "file_refused"
    failure = imported.result.failure_data_for_node
    assert failure is not None
    assert not any("Traceback" in line for line in logged(imported, importer))


def test_nothing_is_left_in_the_staging_area(importer: Importer, shop: str, tmp_path: Path) -> None:
    good = write_csv(tmp_path / "a.csv", HEADER, APPLE)
    bad = write_csv(tmp_path / "b.csv", HEADER, ["B", "Bean", "new", "physical"])
    importer.run(shop, "products", good, bad)
    assert list((tmp_path / "staging").iterdir()) == []


def test_warnings_are_logged(importer: Importer, shop: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [*HEADER, "supplier.name"], [*APPLE, "x"])
    imported = importer.succeed(shop, "products", path)
    sentence = "supplier.name was left out: suppliers are imported from a file of their own."
    assert f"a.csv: {sentence}" in logged(imported, importer)
    assert imported.reports[0]["warnings"] == [sentence]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"mapping": "nope"}, "There is no mapping file"),
        ({"max_error_ratio": -0.5}, "max_error_ratio is -0.5: it must be from 0 to 1"),
        ({"sheet": "Two"}, ""),
    ],
)
def test_requests_that_are_wrong(
    importer: Importer, shop: str, tmp_path: Path, config: Mapping[str, Any], sentence: str
) -> None:
    path = write_csv(tmp_path / "a.csv", HEADER, APPLE)
    imported = importer.run(shop, "products", path, **config)
    if not sentence:
        # A CSV file has no sheets to choose from.
        assert imported.result.success
        return
    assert not imported.result.success
    assert sentence in imported.error
    assert imported.tags["import/error_code"] == "request_invalid"


@pytest.mark.parametrize("config", [{"format": "xml"}, {"on_error": "maybe"}, {"colour": "red"}])
def test_what_the_launchpad_refuses_does_not_start_a_run(
    importer: Importer, shop: str, tmp_path: Path, config: Mapping[str, Any]
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=next(iter(config))):
        importer.run(shop, "products", tmp_path / "a.csv", **config)
    assert importer.instance.get_runs() == []


def test_a_database_that_fails_leaves_a_dropped_file_in_its_claim(
    importer: Importer, shop: str
) -> None:
    path = drop("stock.csv")
    with begin(shop) as connection:
        connection.execute(text("DROP TABLE products"))
    imported = importer.run(shop, "products", path)
    assert imported.tags["import/error_code"] == "catalog_unavailable"
    assert imported.error.startswith("stock.csv: ")
    assert "Traceback" not in imported.error
    assert (names("done"), names("failed")) == ([], [])
    [left] = (settings.imports_folder() / "processing").glob("*/products/stock.csv")
    # When the database is well again, the same file is imported by another run.
    release_all()
    create_schema(shop)
    again = importer.succeed(shop, "products", left)
    assert again.counts == (1, 0, 0, 0)
    assert len(names("done")) == 2


def test_a_dropped_file_that_is_gone(importer: Importer, shop: str) -> None:
    path = drop("stock.csv")
    importer.succeed(shop, "products", path)
    before = dump(shop)
    imported = importer.run(shop, "products", path)
    assert imported.error == f"There is no file {path} to take: another run may have it."
    assert dump(shop) == before


CLAIM = Claim("key", "a.csv", "", ImportRequest("products"))
TRIED = Claim("key", "a.csv", "", ImportRequest("products", dry_run=True))


@pytest.mark.parametrize(
    ("loaded", "sentence"),
    [
        (
            Loaded(Validated(Extract(CLAIM)), Counts(1_000, 2, 3), 4),
            "1,000 created, 2 updated, 3 unchanged, 4 failed.",
        ),
        (
            Loaded(Validated(Extract(TRIED)), Counts(1, 2, 3)),
            "1 would be created, 2 would be updated, 3 unchanged, 0 failed.",
        ),
        (
            Loaded(Validated(Extract(CLAIM)), Counts(1), earlier=True),
            "1 created, 0 updated, 0 unchanged, 0 failed. They had been applied before the run "
            "before this one ended.",
        ),
        (Loaded(Validated(Extract(CLAIM)), refused=Refusal("It is empty.", "x")), "It is empty."),
    ],
)
def test_summaries(loaded: Loaded, sentence: str) -> None:
    assert summary(loaded) == sentence
