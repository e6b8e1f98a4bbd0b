"""Threads that deliver, one for each webhook that something is due for.

Places are few, and kept so that those who hang hold up nobody who works: an organization has half
of them, and webhooks that failed the last time have half of all and half of an organization's.
Those that take long go on after the sensor's tick; the process may end while they do.
"""

import logging
import time
from collections.abc import Sequence
from threading import Condition, Thread

from export_pipelines.errors import ExportPipelinesError
from export_pipelines.registry.models import WebhookRow
from export_pipelines.webhooks.delivering import Tally, deliver_due

MOST_AT_ONCE = 16
MOST_OF_ONE = 8
"""So many of an organization at once."""

_log = logging.getLogger(__name__)
_PLACES = Condition()
_SERVED: dict[str, WebhookRow] = {}


class Courier:
    """A thread that serves a webhook.

    Attributes:
        tally: what became of it so far.
        error: why it could not go on.
        has_ended: whether its place is free.
    """

    def __init__(self, webhook: WebhookRow, *, only_first: bool) -> None:
        self.tally = Tally()
        self.error: Exception | None = None
        self.has_ended = False
        self._webhook = webhook
        self._only_first = only_first
        self._thread = Thread(target=self._serve, name=f"webhook {webhook.id}", daemon=True)

    def start(self) -> None:
        """Take a place, and begin. Whoever calls this holds `_PLACES`."""
        _SERVED[self._webhook.id] = self._webhook
        self._thread.start()

    def _serve(self) -> None:
        try:
            deliver_due(self._webhook.id, self.tally, only_first=self._only_first)
        except Exception as error:
            self.error = error
            unexpected = not isinstance(error, ExportPipelinesError)
            _log.error("Webhook %s: %s", self._webhook.name, error, exc_info=unexpected)
        finally:
            with _PLACES:
                self.has_ended = True
                del _SERVED[self._webhook.id]
                _PLACES.notify_all()


def serve(
    webhooks: Sequence[WebhookRow], *, only_first: bool, patience: float
) -> tuple[Tally, int]:
    """Deliver to webhooks at the same time; return what became of it, and how many go on.

    Those that are being served already, and those for which no place becomes free in time, are
    left for another time.

    Args:
        webhooks: whose turn it is, the most urgent first.
        only_first: whether only what was never tried is sent.
        patience: how many seconds are waited for them.

    Raises:
        ExportPipelinesError: the registry does not answer, secrets cannot be read, or a setting
            is wrong.
    """
    end = time.monotonic() + patience
    couriers: list[Courier] = []
    with _PLACES:
        # Of those that are being served it is not known yet whether they fail.
        waiting = [each for each in webhooks if each.id not in _SERVED]
        while True:
            for webhook in filter(_has_place, list(waiting)):
                waiting.remove(webhook)
                couriers.append(Courier(webhook, only_first=only_first))
                couriers[-1].start()
            going_on = sum(not courier.has_ended for courier in couriers)
            left = end - time.monotonic()
            if not going_on or left <= 0:
                break
            _PLACES.wait(left)
    for courier in couriers:
        if courier.error:
            raise courier.error
    return _sum([courier.tally for courier in couriers]), going_on


def _has_place(webhook: WebhookRow) -> bool:
    if webhook.id in _SERVED:
        return False
    everybody = list(_SERVED.values())
    own = [each for each in everybody if each.organization == webhook.organization]
    return all(
        len(rows) < most and (not webhook.failures or sum(map(_fails, rows)) < most // 2)
        for rows, most in ((everybody, MOST_AT_ONCE), (own, MOST_OF_ONE))
    )


def _fails(webhook: WebhookRow) -> bool:
    return webhook.failures > 0


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        sum(tally.delivered for tally in tallies),
        sum(tally.failed for tally in tallies),
        next((tally.reason for tally in tallies if tally.reason), ""),
    )
