"""What has become of runs since the last look at Dagster's events.

Events become visible in another order than they were numbered, and a run's status follows its
event: those of the last seconds are looked at again. Numbers are also used again after the newest
runs were deleted: then it goes on by time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from export_pipelines.webhooks.topics import CANCELLED, COMPLETED, CREATED, FAILED, STARTED

SETTLING_SECONDS = 5.0
LIMIT = 500

_WORDS = {
    dg.DagsterEventType.PIPELINE_ENQUEUED: CREATED,
    dg.DagsterEventType.PIPELINE_START: STARTED,
    dg.DagsterEventType.PIPELINE_SUCCESS: COMPLETED,
    dg.DagsterEventType.PIPELINE_FAILURE: FAILED,
    dg.DagsterEventType.PIPELINE_CANCELED: CANCELLED,
}


@dataclass(frozen=True)
class Change:
    """An event of a run.

    Attributes:
        number: Dagster's.
        run_id: whose.
        word: what has become of it.
        at: when, in seconds since 1970.
    """

    number: int
    run_id: str
    word: str
    at: float

    def is_settled(self, moment: float) -> bool:
        """Return whether no earlier one can turn up any more, and the run's status has followed."""
        return self.at < moment - SETTLING_SECONDS


@dataclass(frozen=True)
class Seen:
    """The last event of a kind that need not be looked at again; at first there is only a time."""

    number: int
    at: float


Cursor = Mapping[str, Seen]
"""What was seen, by words."""


def begin(at: float) -> Cursor:
    """Return where to begin: at a time, in seconds since 1970."""
    return {word: Seen(0, at) for word in _WORDS.values()}


def to_text(cursor: Cursor) -> str:
    """Return a cursor as it is stored."""
    return json.dumps({word: [seen.number, seen.at] for word, seen in cursor.items()})


def from_text(text: str | None) -> Cursor | None:
    """Return a stored cursor; None if there is none, or somebody has written another."""
    try:
        stored = json.loads(text or "")
        return {
            word: Seen(int(stored[word][0]), float(stored[word][1])) for word in _WORDS.values()
        }
    except (ValueError, TypeError, LookupError):
        return None


def read(
    instance: dg.DagsterInstance, cursor: Cursor, moment: float
) -> tuple[list[Change], Cursor]:
    """Return what happened since a cursor, in order, and the next cursor.

    Some of it may have been returned before.

    Args:
        instance: where runs are recorded.
        cursor: where the last look ended.
        moment: seconds since 1970.
    """
    found: list[Change] = []
    moved = dict(cursor)
    for kind, word in _WORDS.items():
        changes = _read(instance, kind, cursor[word])
        for change in changes:
            if not change.is_settled(moment):
                break
            moved[word] = Seen(change.number, change.at)
        found += changes
    return sorted(found, key=lambda change: change.number), moved


def _read(instance: dg.DagsterInstance, kind: dg.DagsterEventType, seen: Seen) -> list[Change]:
    if seen.number:
        found = _fetch(instance, kind, after_storage_id=seen.number - 1)
        if found and (found[0].number, found[0].at) == (seen.number, seen.at):
            return found[1:]
        return _fetch(instance, kind, after_timestamp=seen.at - SETTLING_SECONDS)
    return _fetch(instance, kind, after_timestamp=seen.at)


def _fetch(instance: dg.DagsterInstance, kind: dg.DagsterEventType, **after: float) -> list[Change]:
    wanted = dg.RunStatusChangeRecordsFilter(kind, **after)  # type: ignore[arg-type]
    result = instance.fetch_run_status_changes(wanted, limit=LIMIT, ascending=True)
    return [
        Change(record.storage_id, record.run_id, _WORDS[kind], record.timestamp)
        for record in result.records
    ]
