from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from export_pipelines.webhooks import changes
from export_pipelines.webhooks.changes import Seen, begin, from_text, read, to_text

START = dg.DagsterEventType.PIPELINE_START
ENQUEUED = dg.DagsterEventType.PIPELINE_ENQUEUED
NOW = 1_000_000.0


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as made:
        yield made


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> dg.DagsterInstance:
    opened.event_log_storage.wipe()
    return opened


def happen(
    instance: dg.DagsterInstance, run_id: str, at: float, kind: dg.DagsterEventType = START
) -> None:
    """Store an event as the process of a run does."""
    entry = dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=20,
        user_message="",
        run_id=run_id,
        timestamp=at,
        dagster_event=dg.DagsterEvent(kind.value, "none"),
    )
    instance.event_log_storage.store_event(entry)


def words(found: list[changes.Change]) -> list[str]:
    return [f"{change.run_id} {change.word}" for change in found]


def test_what_has_happened_in_order(instance: dg.DagsterInstance) -> None:
    happen(instance, "old", NOW - 200)
    happen(instance, "a", NOW - 50, ENQUEUED)
    happen(instance, "b", NOW - 40, ENQUEUED)
    happen(instance, "a", NOW - 30)
    happen(instance, "a", NOW - 20, dg.DagsterEventType.PIPELINE_SUCCESS)
    happen(instance, "b", NOW - 19, dg.DagsterEventType.PIPELINE_CANCELED)
    happen(instance, "c", NOW - 18, dg.DagsterEventType.PIPELINE_FAILURE)
    happen(instance, "c", NOW - 17, dg.DagsterEventType.PIPELINE_STARTING)
    found, cursor = read(instance, begin(NOW - 100), NOW)
    assert words(found) == [
        "a created",
        "b created",
        "a started",
        "a completed",
        "b cancelled",
        "c failed",
    ]
    again, same = read(instance, from_text(to_text(cursor)) or {}, NOW)
    assert (again, same) == ([], cursor)
    happen(instance, "d", NOW - 10)
    assert words(read(instance, cursor, NOW)[0]) == ["d started"]


def test_the_latest_are_looked_at_again(instance: dg.DagsterInstance) -> None:
    happen(instance, "a", NOW - 6)
    happen(instance, "b", NOW - 4)
    found, cursor = read(instance, begin(NOW - 100), NOW)
    assert words(found) == ["a started", "b started"]
    assert words(read(instance, cursor, NOW + 0.5)[0]) == ["b started"]
    _, cursor = read(instance, cursor, NOW + 2)
    assert read(instance, cursor, NOW + 2)[0] == []


def test_numbers_that_are_used_again(instance: dg.DagsterInstance) -> None:
    for number in range(5):
        happen(instance, f"old {number}", NOW - 100 + 10 * number)
    _, cursor = read(instance, begin(NOW - 200), NOW)
    for number in range(2, 5):
        instance.event_log_storage.delete_events(f"old {number}")
    assert read(instance, cursor, NOW)[0] == []
    for number in range(4):
        happen(instance, f"new {number}", NOW - 20 + number)
    found, moved = read(instance, cursor, NOW)
    assert words(found) == [f"new {number} started" for number in range(4)]
    assert read(instance, moved, NOW)[0] == []


def test_many_are_read_in_pages(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LIMIT", 3)
    for number in range(7):
        happen(instance, str(number), NOW - 60 + number)
    cursor, seen = begin(NOW - 100), []
    for _ in range(3):
        found, cursor = read(instance, cursor, NOW)
        seen += words(found)
    assert seen == [f"{number} started" for number in range(7)]


@pytest.mark.parametrize("text", [None, "", "x", "[]", "{}", '{"created": 1}', "null", "5"])
def test_other_cursors_are_none(text: Any) -> None:
    assert from_text(text) is None


def test_a_cursor_as_text() -> None:
    cursor = {**begin(1.25), "failed": Seen(7, 3.5)}
    assert from_text(to_text(cursor)) == cursor
