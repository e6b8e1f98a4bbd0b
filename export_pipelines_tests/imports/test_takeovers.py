import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.errors import FileRefused
from export_pipelines.imports.takeovers import MAX_TRIES, PASSING, Ended, Tried

AWAY = Ended(100.0, "catalog_unavailable", "Cannot open the database.")
KILLED = Ended(100.0)


@given(runs=st.integers(1, 10_000), ended=st.floats(0, 2**32))
def test_pauses_grow_to_an_hour(runs: int, ended: float) -> None:
    away = Ended(ended, "platform_refused")
    first, second = (Tried([away] * number).next for number in (runs, runs + 1))
    assert ended + 30 <= first <= second <= ended + 3_600


def test_pauses_double() -> None:
    nexts = [Tried([AWAY] * runs).next for runs in range(10)]
    assert nexts == [0, 130, 160, 220, 340, 580, 1_060, 2_020, 3_700, 3_700]


def test_after_a_killed_run_another_is_due_at_once() -> None:
    assert Tried([KILLED]).next == 0
    assert Tried([AWAY, KILLED]).next == 0


@pytest.mark.parametrize("code", PASSING)
def test_a_file_waits_for_as_long_as_something_else_is_wrong(code: str) -> None:
    assert Tried([Ended(100.0, code)] * 1_000).verdict == ""


def test_a_file_that_kills_its_runs_is_given_up() -> None:
    assert Tried([KILLED] * MAX_TRIES).verdict == ""
    assert "4 runs ended" in Tried([KILLED] * 4).verdict
    assert "too little memory" in Tried([KILLED] * 4).verdict


def test_the_last_reason_is_said() -> None:
    refused = Ended(100.0, FileRefused.code, "Something odd.")
    assert Tried([KILLED, refused, refused, KILLED]).verdict.endswith("Something odd.")


def test_what_somebody_cancelled_is_not_tried_again() -> None:
    cancelled = Ended(100.0, cancelled=True)
    assert "cancelled" in Tried([cancelled]).verdict
    assert Tried([cancelled, KILLED]).verdict == ""
