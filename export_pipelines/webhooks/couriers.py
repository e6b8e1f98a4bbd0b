"""Threads that deliver: one for each webhook, so that none waits for another's receiver.

Those that take long go on after the sensor's tick; the process may end while they do.
"""

import time
from collections.abc import Sequence
from threading import Lock, Thread

from export_pipelines.webhooks.delivering import Tally, deliver_due

MOST_AT_ONCE = 8

_LOCK = Lock()
_SERVED: set[str] = set()


class Courier:
    """A thread that serves a webhook.

    Attributes:
        tally: what became of it so far.
        error: why it could not go on.
    """

    def __init__(self, webhook_id: str, *, only_first: bool) -> None:
        self.tally = Tally()
        self.error: Exception | None = None
        self._webhook_id = webhook_id
        self._only_first = only_first
        self._thread = Thread(target=self._serve, name=f"webhook {webhook_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def has_ended(self, seconds: float) -> bool:
        """Wait for some seconds at most, and return whether it has ended."""
        self._thread.join(max(seconds, 0))
        return not self._thread.is_alive()

    def _serve(self) -> None:
        try:
            deliver_due(self._webhook_id, self.tally, only_first=self._only_first)
        except Exception as error:
            self.error = error
        finally:
            with _LOCK:
                _SERVED.discard(self._webhook_id)


def serve(webhook_ids: Sequence[str], *, only_first: bool, patience: float) -> tuple[Tally, int]:
    """Deliver to webhooks at the same time; return what became of it, and how many go on.

    Those that are being served already, and those that are too many, are left for another time.

    Args:
        webhook_ids: whose turn it is, the most urgent first.
        only_first: whether only what was never tried is sent.
        patience: how many seconds are waited for them.

    Raises:
        ExportPipelinesError: the registry does not answer, secrets cannot be read, or a setting
            is wrong.
    """
    end = time.monotonic() + patience
    couriers = [Courier(each, only_first=only_first) for each in _taken(webhook_ids)]
    for courier in couriers:
        courier.start()
    ended = [courier for courier in couriers if courier.has_ended(end - time.monotonic())]
    for courier in ended:
        if courier.error:
            raise courier.error
    return _sum([courier.tally for courier in couriers]), len(couriers) - len(ended)


def _taken(webhook_ids: Sequence[str]) -> list[str]:
    with _LOCK:
        free = [each for each in webhook_ids if each not in _SERVED]
        taken = free[: MOST_AT_ONCE - len(_SERVED)]
        _SERVED.update(taken)
    return taken


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        sum(tally.delivered for tally in tallies),
        sum(tally.failed for tally in tallies),
        next((tally.reason for tally in tallies if tally.reason), ""),
    )
