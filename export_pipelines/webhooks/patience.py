"""For how long, and how often, what a webhook did not take is tried again."""

from datetime import timedelta

TRYING = timedelta(days=3)
"""How long after it was recorded an event is given up."""

KEPT = timedelta(days=30)
"""How long what has ended stays in the log."""

FAILURES_BEFORE_PAUSE = 5
"""So many failures in a row, and nothing is sent for a while."""

_FIRST_SECONDS = 5
_LONGEST_SECONDS = 6 * 3_600
_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 600
_JITTER = 0.2


def delay(attempts: int, chance: float) -> timedelta:
    """Return how long to wait before the next attempt.

    Args:
        attempts: how many there have been, at least 1.
        chance: from 0 to 1, at random: what failed together is not tried again together.
    """
    seconds = _doubled(_FIRST_SECONDS, attempts - 1, _LONGEST_SECONDS)
    return timedelta(seconds=seconds * (1 - _JITTER * chance))


def pause(failures: int) -> timedelta | None:
    """Return for how long nothing is sent after failures in a row; None for no pause."""
    more = failures - FAILURES_BEFORE_PAUSE
    if more < 0:
        return None
    return timedelta(seconds=_doubled(_FIRST_PAUSE_SECONDS, more, _LONGEST_PAUSE_SECONDS))


def _doubled(first: int, times: int, longest: int) -> int:
    # Beyond so many times all are longer than the longest.
    return int(min(first * 2 ** min(times, longest.bit_length()), longest))
