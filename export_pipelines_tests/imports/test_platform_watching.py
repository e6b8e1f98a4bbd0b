import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.imports import drop_folder
from export_pipelines.imports.drop_folder import Taken
from export_pipelines.imports.origins import Note, Origin, add_note
from export_pipelines.imports.platform_watching import (
    FILES_AT_ONCE,
    Outcome,
    PlatformLook,
    Seen,
    left_behind,
    memory_from_text,
    memory_text,
)
from export_pipelines.imports.rules import PlatformRule
from export_pipelines.imports.takeovers import Ended, Tried
from export_pipelines.platforms.base import RemoteFile

RULE = PlatformRule("partner", "incoming", "products", {})
ORIGIN = Origin("partner", "incoming", "stock.csv")
FILE = RemoteFile("incoming/stock.csv", 7)
MEMORIES = st.dictionaries(
    st.text(),
    st.builds(
        Seen,
        st.integers(0, 10**15),
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(0, 3),
        st.text(),
    ),
)


def look(
    before: dict[str, Seen], *, taken: Sequence[Origin] = (), outcome: Outcome = "failed"
) -> PlatformLook:
    return PlatformLook(before, [], taken, lambda key: outcome)


@given(memory=MEMORIES)
def test_memory_stays_what_it_was_as_text(memory: dict[str, Seen]) -> None:
    assert memory_from_text(memory_text(memory)) == memory


def test_nothing_is_known_at_first() -> None:
    assert memory_from_text(None) == {}


def test_a_run_is_wanted_at_the_second_look() -> None:
    first = look({})
    assert first.ready(RULE, [FILE]) == []
    second = look(first.memory)
    [asked] = second.ready(RULE, [FILE])
    assert asked.files == (str(ORIGIN),)
    assert second.memory[str(ORIGIN)].tries == 1
    assert second.memory[str(ORIGIN)].key == asked.key


def test_what_a_run_has_taken_is_forgotten() -> None:
    seen = {str(ORIGIN): Seen(7, 1.0, 1, "key")}
    one = look(seen, taken=[ORIGIN])
    assert one.ready(RULE, [FILE]) == []
    assert one.memory == {}


def test_what_is_there_after_a_run_has_taken_it_is_another_file() -> None:
    one = look({str(ORIGIN): Seen(7, 1.0, 3, "key")}, outcome="taken")
    assert one.ready(RULE, [FILE]) == []
    assert one.notes == []
    [asked] = look(one.memory).ready(RULE, [FILE])
    assert asked.key != "key"


def test_a_folder_that_could_not_be_listed_is_remembered_alone() -> None:
    root = PlatformRule("partner", "", "products", {})
    seen = {
        str(ORIGIN): Seen(1, 1.0),
        "platform:partner/stock.csv": Seen(2, 1.0),
        "platform:partner/incoming/deeper/stock.csv": Seen(3, 1.0),
        "platform:other/incoming/stock.csv": Seen(4, 1.0),
    }
    for rule, size in ((RULE, 1), (root, 2)):
        one = look(seen)
        one.keep(rule)
        assert [each.bytes for each in one.memory.values()] == [size]


def test_a_folder_with_very_many_files_is_looked_at_from_its_beginning() -> None:
    files = [RemoteFile(f"incoming/{number:06}.csv", 7) for number in range(FILES_AT_ONCE + 500)]
    one = look({})
    one.ready(RULE, files)
    assert len(one.memory) == FILES_AT_ONCE
    asked = look(one.memory).ready(RULE, files)
    assert sum(len(each.files) for each in asked) == FILES_AT_ONCE


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (20, [1] * 20), (21, [21]), (60, [50, 10]), (100, [50, 50])]
)
def test_many_files_share_runs(count: int, sizes: list[int]) -> None:
    files = [RemoteFile(f"incoming/{number}.csv", 7) for number in range(count)]
    one = look({})
    one.ready(RULE, files)
    asked = look(one.memory).ready(RULE, files)
    assert [len(each.files) for each in asked] == sizes
    assert len({each.key for each in asked}) == len(asked)


@pytest.fixture
def left() -> Taken:
    """Leave a file in its claim."""
    claim = drop_folder.root() / "processing" / "20260131T090000Z-run"
    file = Taken(claim, "products", claim / "products" / "stock.csv")
    add_note(file, Note(ORIGIN, {"on_error": "skip"}))
    drop_folder.write_whole(file.path, b"whole")
    return file


def test_a_file_that_is_left_waits_for_its_platform(left: Taken) -> None:
    assert left_behind([], [], lambda claim: Tried()) == ([], [])
    [asked], hopeless = left_behind(["partner"], [], lambda claim: Tried())
    assert asked.files == (str(left.path),)
    assert asked.options == {"on_error": "skip"}
    assert asked.claim == left.claim.name
    assert hopeless == []


@pytest.mark.parametrize("place", ["path", "origin"])
def test_a_file_that_is_left_waits_for_its_run(left: Taken, place: str) -> None:
    busy = [str(left.path) if place == "path" else str(ORIGIN)]
    assert left_behind(["partner"], busy, lambda claim: Tried()) == ([], [])


def test_a_file_that_is_left_is_tried_with_pauses(left: Taken) -> None:
    now = time.time()
    away = Ended(now, "platform_unavailable")
    assert left_behind(["partner"], [], lambda claim: Tried([away])) == ([], [])
    earlier = Tried([replace(away, at=now - 31)])
    [asked], _ = left_behind(["partner"], [], lambda claim: earlier)
    assert asked.key == f"{left.claim.name}:partner:1"


def test_only_what_no_platform_explains_is_given_up(left: Taken) -> None:
    away = [Ended(0, "platform_unavailable")] * 50
    [_], hopeless = left_behind(["partner"], [], lambda claim: Tried([*away, *[Ended(1)] * 3]))
    assert hopeless == []
    silent = Tried([*away, *[Ended(1)] * 4])
    assert left_behind(["partner"], [], lambda claim: silent) == ([], [(left, silent.verdict)])


def test_dropped_files_are_not_meant(left: Taken) -> None:
    other = Taken(left.claim, "products", left.path.with_name("dropped.csv"))
    drop_folder.write_whole(other.path, b"dropped in the local folder")
    [asked], _ = left_behind(["partner"], [], lambda claim: Tried())
    assert asked.files == (str(left.path),)
