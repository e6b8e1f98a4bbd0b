import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_pipelines import settings
from export_pipelines.catalog.database import create_schema
from export_pipelines.errors import CatalogUnavailable, FileRefused
from export_pipelines.imports import drop_folder
from export_pipelines.imports.artifacts import Claim, Extract, ImportRequest, Loaded, Validated
from export_pipelines.imports.claiming import claim_file, give_up, report_file, require_claim
from export_pipelines_tests.importer import write_csv
from export_pipelines_tests.imports.batches import STARTED
from export_pipelines_tests.imports.drops import (
    CONTENT,
    ODD_NAMES,
    drop,
    names,
    other,
    release_all,
)
from export_pipelines_tests.imports.loads import NOW, apply

REQUEST = ImportRequest("products")


@pytest.fixture(autouse=True)
def own_locks() -> Iterator[None]:
    yield
    release_all()


def claim(path: Path, run_id: str = "run-1", number: int = 1) -> Claim:
    found = claim_file(REQUEST, str(path), run_id, number, NOW)
    assert found
    return found


def report(found: Claim, run_id: str = "run-1") -> dict[str, str]:
    return vars(report_file(Loaded(Validated(Extract(found))), run_id, STARTED))


def test_a_dropped_file_is_moved() -> None:
    path = drop("a.csv")
    found = claim(path)
    assert not path.exists()
    assert found.key == "20260131T090000Z-run-1/products/a.csv"
    assert Path(found.path).parent.parent == Path(found.folder)
    assert claim_file(REQUEST, str(path), "run-2", 1, NOW) is None
    ended = report(found)
    assert ended["failed_rows"] == ""
    assert ended["report"] == f"{ended['file']}.report.json"
    assert Path(ended["file"]).read_bytes() == CONTENT
    assert json.loads(Path(ended["report"]).read_bytes())["file"] == "a.csv"
    assert drop_folder.claims() == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_other_files_stay_where_they_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    found = claim(path)
    assert (found.name, found.path, found.folder) == (name, str(path), "")
    assert found.key.startswith("run-1/1/")
    found.key.encode()
    ended = report(found)
    assert path.read_bytes() == CONTENT
    assert ended["file"] == str(path)
    folder = settings.imports_folder() / "reports" / "run-1"
    assert [str(each) for each in folder.iterdir()] == [ended["report"]]
    kept = os.fsencode(name) if name.isprintable() else None
    said = json.loads(Path(ended["report"]).read_bytes())["file"]
    assert kept is None or os.fsencode(said) == kept


def test_files_of_one_name_have_reports_of_their_own(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.csv" for folder in ("first", "second", "third")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(CONTENT)
    claims = [claim(path, number=number) for number, path in enumerate(paths, start=1)]
    assert len({found.key for found in claims}) == 3
    reports = [Path(report(found)["report"]) for found in claims]
    assert len(set(reports)) == 3
    assert all(path.is_file() for path in reports)


def test_a_file_that_another_process_has(tmp_path: Path) -> None:
    with other(drop("a.csv")) as taken:
        assert claim_file(REQUEST, str(taken), "run-1", 1, NOW) is None
        found = Claim("key", "a\n.csv", str(taken), REQUEST, str(taken.parent.parent))
        with pytest.raises(FileRefused) as refused:
            require_claim(found, "run-1")
        assert str(refused.value) == (
            r"'a\n.csv' is worked on by another run, or was taken away: look for it in the drop "
            "folder's done, failed and processing."
        )
    again = claim(taken)
    require_claim(again, "run-1")
    assert again.key == "20260131T090000Z-other/products/a.csv"
    assert drop_folder.is_at_work("run-1")


def test_a_file_that_was_taken_away() -> None:
    found = claim(drop("a.csv"))
    Path(found.path).unlink()
    with pytest.raises(FileRefused, match=r"a\.csv is worked on by another run, or was taken"):
        require_claim(found, "run-1")


def test_files_elsewhere_need_no_claim(tmp_path: Path) -> None:
    require_claim(Claim("key", "a.csv", str(tmp_path / "a.csv"), REQUEST), "run-1")


def test_failed_rows_are_beside_the_report(tmp_path: Path) -> None:
    header = ["sku", "name", "status", "commodity_type"]
    path = write_csv(tmp_path / "a.csv", header, ["A", "Apple", "new", "physical"])
    create_schema(settings.database_url())
    loaded = apply(settings.database_url(), path)
    ended = report_file(loaded, "run-1", STARTED)
    assert Path(ended.failed_rows).read_text("utf-8-sig").splitlines()[0].endswith(",_reason")
    assert Path(ended.failed_rows).parent == Path(ended.report).parent


@pytest.mark.parametrize("applied", [False, True])
def test_a_file_is_given_up(tmp_path: Path, *, applied: bool) -> None:
    create_schema(settings.database_url())
    with other(drop("a.csv")) as path:
        pass
    taken = drop_folder.take_over(path)
    assert taken
    if applied:
        apply(settings.database_url(), path, taken.key)
    give_up(taken, "Nobody wants it.", STARTED)
    end = "done" if applied else "failed"
    [file, said] = names(end)
    assert (file, said) == ("20260131T090000Z-other-a.csv", f"{file}.report.json")
    content = json.loads((drop_folder.root() / end / "products" / said).read_bytes())
    assert (content["status"], content["code"]) == (end, "interrupted")
    assert content["reason"] == (
        "Nobody wants it."
        + (" Its rows are in the catalogue." if applied else "")
        + " See the runs with the tag import/claim 20260131T090000Z-other."
    )
    assert names("done" if not applied else "failed") == []


def test_nothing_is_given_up_while_the_catalogue_does_not_answer() -> None:
    with other(drop("a.csv")) as path:
        pass
    taken = drop_folder.take_over(path)
    assert taken
    with pytest.raises(CatalogUnavailable):
        give_up(taken, "Nobody wants it.", STARTED)
    assert path.read_bytes() == CONTENT
