from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.errors import RequestError
from export_pipelines.imports import drop_folder
from export_pipelines.imports.drop_folder import Taken
from export_pipelines.imports.origins import (
    Note,
    Origin,
    add_note,
    copy_path,
    find_note,
    is_origin,
    origins,
    parse_origin,
    remove_ended,
    remove_note,
)

PLATFORMS = st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True)
PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda part: part not in (".", ".."))
FOLDERS = st.lists(PARTS, max_size=3).map("/".join)
ORIGIN = Origin("partner", "incoming/products", "stock.csv")


def taken(name: str = "stock.csv", run: str = "run") -> Taken:
    claim = drop_folder.root() / "processing" / f"20260131T090000Z-{run}"
    return Taken(claim, "products", claim / "products" / name)


@given(platform=PLATFORMS, folder=FOLDERS, name=PARTS)
def test_what_is_written_is_read_as_the_same(platform: str, folder: str, name: str) -> None:
    origin = Origin(platform, folder, name)
    assert is_origin(str(origin))
    assert parse_origin(str(origin)) == origin


def test_it_is_written_as_a_path_on_a_platform() -> None:
    assert str(ORIGIN) == "platform:partner/incoming/products/stock.csv"
    assert str(Origin("partner", "", "a.csv")) == "platform:partner/a.csv"
    assert ORIGIN.place == "incoming/products/stock.csv"


@pytest.mark.parametrize(
    "file",
    ["", "partner", "/a.csv", "partner/", "partner//a.csv", "partner/../a.csv", "partner/a/."],
)
def test_what_names_no_file_is_refused(file: str) -> None:
    with pytest.raises(RequestError, match="names no file on a platform: write platform:NAME"):
        parse_origin(f"platform:{file}")


def test_other_files_are_none() -> None:
    assert not is_origin("/data/platform:a/b.csv")


def test_a_note_is_there_until_it_is_removed() -> None:
    file, note = taken(), Note(ORIGIN, {"on_error": "skip"})
    assert find_note(file) is None
    assert add_note(file, note)
    assert find_note(file) == note
    assert origins() == {ORIGIN}
    # It is none of the files of the claim.
    assert [path for path in file.claim.glob("*/*") if path.is_file()] == []
    copy_path(file).write_bytes(b"begun")
    remove_note(file)
    remove_note(file)
    assert origins() == set()
    assert list(file.claim.iterdir()) == []


def test_an_origin_is_noted_once() -> None:
    assert add_note(taken(), Note(ORIGIN, {}))
    assert not add_note(taken(run="another"), Note(ORIGIN, {}))
    assert not taken(run="another").claim.exists()


def test_two_files_of_one_name_are_refused() -> None:
    assert add_note(taken(), Note(ORIGIN, {}))
    with pytest.raises(RequestError, match=r"are called stock\.csv"):
        add_note(taken(), Note(Origin("partner", "elsewhere", "stock.csv"), {}))


def test_the_note_of_one_file_leaves_those_of_others() -> None:
    first, second = taken(), taken("prices.csv")
    other = Origin("partner", "incoming/products", "prices.csv")
    add_note(first, Note(ORIGIN, {}))
    add_note(second, Note(other, {}))
    remove_note(first)
    assert origins() == {other}


def test_notes_of_files_that_are_not_there_end_with_their_run() -> None:
    drop_folder.make_claim(taken().claim.name)
    drop_folder.begin_work("run")
    add_note(taken(), Note(ORIGIN, {}))
    copy_path(taken()).write_bytes(b"half of it")
    remove_ended()
    assert origins() == {ORIGIN}
    drop_folder.end_work("run")
    remove_ended()
    assert origins() == set()
    assert drop_folder.claims() == []


def test_notes_of_files_that_are_there_stay() -> None:
    file = taken()
    add_note(file, Note(ORIGIN, {}))
    drop_folder.write_whole(file.path, b"whole")
    remove_ended()
    assert origins() == {ORIGIN}
    assert list(drop_folder.abandoned()) == [(file.claim, [file.path])]


def test_names_may_be_long(tmp_path: Path) -> None:
    name = "ü" * 98 + ".csv"
    add_note(taken(name), Note(Origin("partner", "", name), {}))
    copy_path(taken(name)).write_bytes(b"")
    assert find_note(taken(name))
