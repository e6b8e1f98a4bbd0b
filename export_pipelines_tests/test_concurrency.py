import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines import concurrency
from export_pipelines.concurrency import ordered_map, worker_count


@given(delays=st.lists(st.floats(0, 0.002), max_size=12))
def test_results_come_in_the_order_of_the_items(delays: list[float]) -> None:
    def work(item: tuple[int, float]) -> int:
        time.sleep(item[1])
        return item[0]

    assert list(ordered_map(work, enumerate(delays))) == list(range(len(delays)))


def test_work_is_done_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "worker_count", lambda: 3)
    together = threading.Barrier(3, timeout=10)
    assert len(list(ordered_map(lambda _: together.wait(), range(3)))) == 3


def test_few_results_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "worker_count", lambda: 2)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(lambda item: item, items())
    for position, _ in enumerate(results, start=1):
        assert len(taken) <= position + 3
    assert len(taken) == 100


def test_the_first_error_stops_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "worker_count", lambda: 2)
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("three is broken")
        return item

    found: list[int] = []
    results = ordered_map(work, range(1_000))
    with pytest.raises(ValueError, match="three is broken"):
        found.extend(results)
    assert found == [0, 1, 2]
    assert max(begun) < 20


def test_threads_end_when_nobody_wants_the_rest() -> None:
    before = threading.active_count()
    results = ordered_map(lambda item: item, range(1_000))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_threads_are_no_more_than_cores_and_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert worker_count() == 8
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1, 5, 6}, raising=False)
    assert worker_count() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    assert worker_count() == 2
