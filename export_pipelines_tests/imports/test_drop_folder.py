import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from export_pipelines.imports import drop_folder
from export_pipelines_tests.imports.drops import (
    CONTENT,
    ODD_NAMES,
    age,
    drop,
    names,
    other,
    release_all,
)

CLAIM = drop_folder.claim_name("run-1234567", datetime(2026, 1, 31, 9, 5, tzinfo=timezone.utc))


@pytest.fixture(autouse=True)
def own_locks() -> Iterator[None]:
    yield
    release_all()


def take(path: Path, claim: str = CLAIM) -> drop_folder.Taken:
    taken = drop_folder.take(path, claim)
    assert taken
    return taken


def waiting() -> list[str]:
    return [path.name for path in drop_folder.waiting()]


def test_only_whole_files_wait(tmp_path: Path) -> None:
    for name in [
        ".hidden.csv", "~lock.csv", "~$book.xlsx", "a.csv.part", "b.csv.TMP", "c.csv.partial",
        "d.csv.crdownload", "e.csv",
    ]:  # fmt: skip
        drop(name)
    folder = drop_folder.root() / "incoming"
    (tmp_path / "target.csv").write_bytes(CONTENT)
    (folder / "products" / "link.csv").symlink_to(tmp_path / "target.csv")
    (folder / "products" / "dangling.csv").symlink_to(tmp_path / "none.csv")
    (folder / "products" / "folder.csv").mkdir()
    (folder / "products" / "folder.csv" / "inner.csv").write_bytes(CONTENT)
    (folder / "above.csv").write_bytes(CONTENT)
    os.mkfifo(folder / "products" / "pipe.csv")
    assert waiting() == ["e.csv"]


def test_nothing_waits_without_a_folder() -> None:
    assert waiting() == []
    assert drop_folder.claims() == []
    assert list(drop_folder.abandoned()) == []


def test_the_oldest_file_is_first() -> None:
    for seconds, name in enumerate(["c.csv", "a.csv", "b.csv"]):
        age(drop(name, resource_type=f"type-{name[0]}"), seconds)
    assert waiting() == ["b.csv", "a.csv", "c.csv"]


def test_folders_are_made_once() -> None:
    for _ in range(2):
        drop_folder.make_folders(["products", "prices"])
    found = [path.name for path in (drop_folder.root() / "incoming").iterdir()]
    assert sorted(found) == ["prices", "products"]


def test_places_tell_what_becomes_of_a_file() -> None:
    path = drop("a.csv")
    assert (drop_folder.is_waiting(path), drop_folder.is_taken(path)) == (True, False)
    taken = take(path)
    assert (drop_folder.is_waiting(taken.path), drop_folder.is_taken(taken.path)) == (False, True)
    outside = Path("/elsewhere/incoming/a.csv")
    assert (drop_folder.is_waiting(outside), drop_folder.is_taken(outside)) == (False, False)


def test_a_claim_says_when_it_was_made_and_by_whom() -> None:
    assert CLAIM == "20260131T090500Z-run-1234567"
    taken = take(drop("a.csv"))
    assert taken.claim.name == CLAIM
    assert drop_folder.run_of(taken.claim) == "run-1234567"
    assert taken.key == f"{CLAIM}/products/a.csv"
    assert taken.resource_type == "products"
    assert taken.path.read_bytes() == CONTENT


def test_a_file_is_taken_once() -> None:
    path = drop("a.csv")
    take(path)
    assert not path.exists()
    assert drop_folder.take(path, "20260131T090600Z-another") is None
    assert drop_folder.claims() == [CLAIM]


def test_a_file_that_is_gone_leaves_no_claim() -> None:
    drop_folder.make_folders(["products"])
    path = drop_folder.root() / "incoming" / "products" / "none.csv"
    assert drop_folder.take(path, CLAIM) is None
    assert drop_folder.claims() == []


@pytest.mark.parametrize("succeeded", [True, False])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_ends_with_what_is_said_about_it(name: str, *, succeeded: bool) -> None:
    taken = take(drop(name))
    beside = {".report.json": b"{}", ".failed_rows.jsonl": b"rows"}
    end = drop_folder.finish(taken, succeeded=succeeded, beside=beside)
    drop_folder.leave(taken.claim)
    assert end.read_bytes() == CONTENT
    assert not taken.path.exists()
    assert drop_folder.claims() == []
    folder = "done" if succeeded else "failed"
    assert sorted(path.name for path in end.parent.iterdir()) == names(folder)
    assert names(folder) == sorted([end.name, *(f"{end.name}{ending}" for ending in beside)])
    assert end.name.startswith("20260131T090500Z-run-1234-")
    assert end.name.endswith(name[-4:])
    if len(os.fsencode(name)) <= 200:
        assert end.name.split("-", 3)[3] == name


def test_a_file_that_cannot_end_is_where_it_was() -> None:
    taken = take(drop("a.csv"))
    (drop_folder.root() / "done").write_bytes(b"no folder")
    with pytest.raises(OSError, match="done"):
        drop_folder.finish(taken, succeeded=True, beside={".report.json": b"{}"})
    assert taken.path.read_bytes() == CONTENT


def test_the_same_name_ends_beside_itself() -> None:
    for claim in (CLAIM, "20260131T090600Z-another"):
        taken = take(drop("a.csv"), claim)
        drop_folder.finish(taken, succeeded=True, beside={})
    assert len(names("done")) == 2


def test_a_claim_lasts_until_its_last_file_ends() -> None:
    first, second = take(drop("a.csv")), take(drop("b.csv"))
    drop_folder.finish(first, succeeded=True, beside={})
    drop_folder.leave(first.claim)
    assert drop_folder.claims() == [CLAIM]
    drop_folder.finish(second, succeeded=True, beside={})
    drop_folder.leave(second.claim)
    assert drop_folder.claims() == []


def test_what_is_written_whole_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    for content in (b"first", b"2"):
        drop_folder.write_whole(path, content)
        assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == ["report.json"]


def test_another_process_keeps_what_it_has_taken() -> None:
    path = drop("a.csv")
    with other(path) as taken:
        assert taken.read_bytes() == CONTENT
        assert drop_folder.take_over(taken) is None
        assert list(drop_folder.abandoned()) == []
        assert drop_folder.is_at_work("other")
        assert drop_folder.take(path, CLAIM) is None
    assert not drop_folder.is_at_work("other")
    [(claim, files)] = drop_folder.abandoned()
    assert (claim, files) == (taken.parent.parent, [taken])
    found = drop_folder.take_over(taken)
    assert found
    assert found.key == f"20260131T090000Z-other/products/{path.name}"


def test_what_this_process_has_taken_is_not_abandoned() -> None:
    taken = take(drop("a.csv"))
    assert list(drop_folder.abandoned()) == []
    drop_folder.release(taken.claim)
    assert [files for _, files in drop_folder.abandoned()] == [[taken.path]]


def test_empty_claims_of_dead_processes_are_removed() -> None:
    path = drop("a.csv")
    with other(path) as taken:
        pass
    taken.unlink()
    assert list(drop_folder.abandoned()) == []
    assert drop_folder.claims() == []


def test_folders_that_are_no_claims_are_left_alone() -> None:
    folder = drop_folder.root() / "processing"
    (folder / "notes").mkdir(parents=True)
    (folder / "readme.txt").write_bytes(b"do not touch")
    assert list(drop_folder.abandoned()) == []
    assert (folder / "readme.txt").exists()


def test_work_begins_and_ends() -> None:
    assert not drop_folder.is_at_work("run")
    for _ in range(2):
        drop_folder.begin_work("run")
    assert drop_folder.is_at_work("run")
    drop_folder.end_work("run")
    assert not drop_folder.is_at_work("run")
    assert list((drop_folder.root() / ".runs").iterdir()) == []
