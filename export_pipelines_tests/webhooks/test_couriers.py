import time
from collections.abc import Callable

import pytest

from export_pipelines import settings
from export_pipelines.errors import KeyUnavailable
from export_pipelines.webhooks import couriers
from export_pipelines.webhooks.couriers import serve
from export_pipelines.webhooks.delivering import Tally
from export_pipelines_tests.servers.receiver import Receiver, start_receiver
from export_pipelines_tests.webhooks.registered import event, record, register, statuses


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_that_hangs_keeps_no_other_waiting(receiver: Receiver) -> None:
    with start_receiver() as hanging:
        hanging.behaviour = "hang"
        slow = register(hanging.url, name="slow")
        quick = register(receiver.url, name="quick")
        record(event(1), event(2))
        began = time.monotonic()
        tally, going_on = serve([slow.id, quick.id], only_first=True, patience=0.5)
        assert time.monotonic() - began < 5
        assert (tally, going_on) == (Tally(delivered=2), 1)
        assert len(receiver.received) == 2
        record(event(3))
        tally, going_on = serve([slow.id, quick.id], only_first=True, patience=5)
        assert (tally, going_on) == (Tally(delivered=1), 0)
        assert len(hanging.received) == 1
        hanging.behaviour = "answer"
        hanging.stopped.set()
        wait_until(lambda: statuses().count("delivered") == 5)
    wait_until(lambda: not couriers._SERVED)


def test_at_most_eight_at_once(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "MOST_AT_ONCE", 2)
    rows = [register(receiver.url, name=f"webhook {number}") for number in range(3)]
    record(event())
    ids = [row.id for row in rows]
    assert serve(ids, only_first=True, patience=20) == (Tally(delivered=2), 0)
    assert serve(ids, only_first=True, patience=20) == (Tally(), 0)
    assert serve(ids[2:], only_first=True, patience=20) == (Tally(delivered=1), 0)


def test_what_is_wrong_here_is_said(receiver: Receiver) -> None:
    row = register(receiver.url)
    record(event())
    settings.secret_key_file().unlink()
    with pytest.raises(KeyUnavailable):
        serve([row.id], only_first=True, patience=20)
    assert not couriers._SERVED
