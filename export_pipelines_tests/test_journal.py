from pathlib import Path

import pytest

from export_pipelines.artifacts import StagedFile
from export_pipelines.journal import Journal

FIRST = StagedFile("/staging/a.csv", "a.csv", 1, 10, "aa")
SECOND = StagedFile("/staging/b.csv", "b.csv", 1, 20, "bb")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deliveries" / "partner.jsonl"


def noted(path: Path) -> Journal:
    journal = Journal(path, "sftp://host/in")
    journal.begin()
    journal.add(FIRST, "size")
    return journal


def test_what_was_noted_is_read_again(path: Path) -> None:
    noted(path)
    again = Journal(path, "sftp://host/in")
    assert again.verified == {"size"}
    assert again.has(FIRST)
    assert not again.has(SECOND)
    again.add(SECOND, "sha256")
    assert Journal(path, "sftp://host/in").verified == {"size", "sha256"}


def test_a_file_with_other_content_is_not_there(path: Path) -> None:
    assert not noted(path).has(StagedFile("/staging/a.csv", "a.csv", 1, 10, "cc"))


def test_notes_of_another_place_do_not_count(path: Path) -> None:
    noted(path)
    moved = Journal(path, "sftp://host/out")
    assert not moved.has(FIRST)
    moved.begin()
    moved.add(SECOND, "size")
    assert not Journal(path, "sftp://host/in").has(SECOND)
    assert Journal(path, "sftp://host/out").has(SECOND)


@pytest.mark.parametrize("kept", range(1, 50, 7))
def test_a_torn_line_loses_only_itself(path: Path, kept: int) -> None:
    noted(path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:kept], encoding="utf-8")
    torn = Journal(path, "sftp://host/in")
    assert not torn.has(FIRST)
    torn.add(SECOND, "size")
    assert Journal(path, "sftp://host/in").has(SECOND)


def test_nothing_is_written_before_something_is_noted(path: Path) -> None:
    assert not Journal(path, "sftp://host/in").has(FIRST)
    assert not path.exists()


def test_what_begins_anew_has_nothing_yet(path: Path) -> None:
    journal = noted(path)
    journal.begin()
    assert not journal.has(FIRST)
    assert not Journal(path, "sftp://host/in").has(FIRST)
