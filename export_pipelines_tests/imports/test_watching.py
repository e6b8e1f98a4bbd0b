import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines import settings
from export_pipelines.config import IMPORT_OPTIONS
from export_pipelines.errors import RequestError
from export_pipelines.imports.takeovers import MAX_TRIES, Ended, Tried
from export_pipelines.imports.watching import Asked, Look, Memory, left_behind
from export_pipelines_tests.imports.drops import CONTENT, ODD_NAMES, drop, other, release_all

STAMPS = st.lists(st.integers(0, 2**63), min_size=4, max_size=4)


@pytest.fixture(autouse=True)
def own_locks() -> Iterator[None]:
    yield
    release_all()


class Watch:
    """Looks one after the other, each of which remembers the one before it."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.notes: list[str] = []

    def look(self, busy: Collection[str] = (), given_up: Collection[str] = ()) -> list[Asked]:
        found = Look(Memory.from_text(self.memory.to_text()), IMPORT_OPTIONS)
        asked = found.ready(busy, given_up)
        self.memory, self.notes = found.memory, found.notes
        return asked

    def ready(self) -> list[Asked]:
        assert self.look() == []
        return self.look()


def files(asked: Sequence[Asked]) -> list[list[str]]:
    return [[Path(file).name for file in each.files] for each in asked]


@given(
    seen=st.dictionaries(st.text(), STAMPS),
    asked=st.dictionaries(st.text(), st.tuples(STAMPS, st.integers(0, 9), st.text())),
)
def test_memory_stays_what_it_was_as_text(
    seen: dict[str, list[int]], asked: dict[str, tuple[list[int], int, str]]
) -> None:
    assert Memory.from_text(Memory(seen, asked).to_text()) == Memory(seen, asked)


def test_nothing_is_known_at_first() -> None:
    assert Memory.from_text(None) == Memory.from_text("") == Memory()


def test_a_run_is_wanted_at_the_second_look() -> None:
    path = drop("a.csv")
    watch = Watch()
    assert watch.look() == []
    [asked] = watch.look()
    assert asked.files == (str(path),)
    assert (asked.resource_type, asked.options, asked.claim) == ("products", {}, "")
    assert asked.label == "a.csv"


def test_a_file_that_grows_waits() -> None:
    watch = Watch()
    for size in range(4):
        drop("a.csv", b"x" * size)
        assert watch.look() == []
    assert len(watch.look()) == 1


def test_what_is_asked_for_is_asked_for_again_under_another_key() -> None:
    """Until it is known that there is a run, whose key is the same."""
    drop("a.csv")
    watch = Watch()
    watch.look()
    before = watch.memory
    [first] = watch.look()
    watch.memory = before
    [lost] = watch.look()
    assert lost == first
    [second] = watch.look()
    assert second.files == first.files
    assert second.key != first.key


def test_a_file_that_runs_leave_alone_is_asked_for_three_times() -> None:
    drop("a.csv")
    watch = Watch()
    watch.look()
    keys = {watch.look()[0].key for _ in range(MAX_TRIES)}
    assert len(keys) == MAX_TRIES == 3
    assert watch.look() == []
    assert watch.notes == ["products/a.csv was asked for 3 times: see its runs."]
    drop("a.csv", CONTENT + b"\n")
    assert len(watch.ready()) == 1


def test_a_file_whose_run_waits_is_not_asked_for() -> None:
    path = drop("a.csv")
    watch = Watch()
    watch.ready()
    for _ in range(MAX_TRIES + 1):
        assert watch.look(busy=[str(path)]) == []
    [again] = watch.look()
    assert again.files == (str(path),)


def test_another_file_of_the_same_name_is_another_file() -> None:
    path = drop("a.csv")
    watch = Watch()
    [first] = watch.ready()
    new = path.with_name(".new")
    new.write_bytes(CONTENT)
    # As programs leave it that copy a file with its times.
    before = path.stat()
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.rename(path)
    [second] = watch.ready()
    assert second.key != first.key
    path.unlink()
    assert watch.look() == []
    assert watch.memory == Memory()


@pytest.mark.parametrize("count", [1, 3, 20, 21, 60])
def test_cancelled_runs_are_not_asked_for_again(count: int, tmp_path: Path) -> None:
    paths = [drop(f"{number:02}.csv") for number in range(count)]
    watch = Watch()
    keys = [asked.key for asked in watch.ready()]
    for _ in range(3):
        assert watch.look(given_up=keys) == []
    assert watch.notes[0] == (
        "products/00.csv was cancelled: move it away and in again to import it."
    )
    assert len(watch.notes) == count
    away = tmp_path / "away.csv"
    paths[0].rename(away)
    assert watch.look(given_up=keys) == []
    away.rename(paths[0])
    assert watch.look(given_up=keys) == []
    assert files(watch.look(given_up=keys)) == [["00.csv"]]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (3, [1] * 3), (20, [1] * 20), (21, [21]), (60, [50, 10]), (100, [50, 50])],
)
def test_many_files_share_runs(count: int, sizes: list[int]) -> None:
    paths = {str(drop(f"{number:03}.csv")) for number in range(count)}
    asked = Watch().ready()
    assert [len(each.files) for each in asked] == sizes
    assert {file for each in asked for file in each.files} == paths
    assert len({each.key for each in asked}) == len(asked)
    if sizes[-1:] == [21]:
        assert asked[0].label == "21 files"


def test_files_of_different_kinds_share_no_run() -> None:
    settings.imports_file().write_text(
        "files:\n- match: 'products/x*'\n  on_error: skip\n- match: 'any/p*'\n"
        "  resource_type: prices\n"
    )
    for number in range(10):
        drop(f"a{number}.csv")
        drop(f"x{number}.csv")
        drop(f"p{number}.csv", resource_type="any")
    asked = {each.files[0].split("/")[-1][0]: each for each in Watch().ready()}
    assert {name: len(each.files) for name, each in asked.items()} == {"a": 10, "x": 10, "p": 10}
    assert {name: each.resource_type for name, each in asked.items()} == {
        "a": "products", "x": "products", "p": "prices",
    }  # fmt: skip
    assert (asked["a"].options, asked["x"].options) == ({}, {"on_error": "skip"})


def test_rules_that_are_wrong() -> None:
    settings.imports_file().write_text("files:\n- match: 'products/*'\n  on_eror: skip\n")
    drop("a.csv")
    watch = Watch()
    assert watch.look() == []
    with pytest.raises(RequestError, match=r"There is no key 'on_eror'\. Did you mean"):
        watch.look()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_are_odd(name: str) -> None:
    path = drop(name)
    watch = Watch()
    [asked] = watch.ready()
    assert asked.files == (str(path),)
    assert asked.label.isprintable()
    asked.label.encode()
    assert watch.look(given_up=[asked.key]) == []
    assert watch.notes[0].isprintable()


def test_what_a_dead_run_has_left_is_taken_over() -> None:
    with other(drop("a.csv")) as path:
        assert left_behind(lambda claim: Tried(), [], IMPORT_OPTIONS) == ([], [])
    [asked], hopeless = left_behind(lambda claim: Tried(), [], IMPORT_OPTIONS)
    assert hopeless == []
    assert (asked.files, asked.resource_type) == ((str(path),), "products")
    assert asked.claim == "20260131T090000Z-other"
    assert left_behind(lambda claim: Tried(), [str(path)], IMPORT_OPTIONS) == ([], [])
    killed = Ended(time.time())
    [second], _ = left_behind(lambda claim: Tried([killed]), [], IMPORT_OPTIONS)
    assert second.key != asked.key
    many = Tried([killed] * (MAX_TRIES + 1))
    wanted, [(given_up, reason)] = left_behind(lambda claim: many, [], IMPORT_OPTIONS)
    assert wanted == []
    assert given_up.path == path
    assert reason.startswith("4 runs ended before they were done with this file, without a word")


def test_what_a_database_has_interrupted_waits_for_it() -> None:
    with other(drop("a.csv")):
        pass
    now = time.time()
    for seconds, due in ((29, 0), (31, 1)):
        failed = Tried([Ended(now - seconds, "catalog_unavailable")])
        asked, hopeless = left_behind(lambda claim: failed, [], IMPORT_OPTIONS)  # noqa: B023
        assert (len(asked), hopeless) == (due, [])


def test_what_somebody_cancelled_is_given_up() -> None:
    with other(drop("a.csv")):
        pass
    cancelled = Tried([Ended(1.0, cancelled=True)])
    asked, [(_, reason)] = left_behind(lambda claim: cancelled, [], IMPORT_OPTIONS)
    assert asked == []
    assert reason == "Somebody cancelled the import. Drop the file again to import it."


def test_the_rules_hold_for_what_was_left() -> None:
    settings.imports_file().write_text("files:\n- match: 'products/*'\n  on_error: skip\n")
    with other(drop("a.csv")):
        pass
    [asked], _ = left_behind(lambda claim: Tried(), [], IMPORT_OPTIONS)
    assert asked.options == {"on_error": "skip"}
