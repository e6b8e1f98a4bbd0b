import time
from collections.abc import Callable

import pytest

from export_pipelines import settings
from export_pipelines.errors import KeyUnavailable, RegistryUnavailable
from export_pipelines.webhooks import couriers, sending
from export_pipelines.webhooks.couriers import serve
from export_pipelines.webhooks.delivering import Tally
from export_pipelines_tests.servers.receiver import Receiver, start_receiver
from export_pipelines_tests.webhooks.registered import event, record, register, statuses, webhook


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
        tally, going_on = serve([slow, quick], only_first=True, patience=0.5)
        assert time.monotonic() - began < 5
        assert (tally, going_on) == (Tally(delivered=2), 1)
        assert len(receiver.received) == 2
        record(event(3))
        tally, going_on = serve([slow, quick], only_first=True, patience=0.5)
        assert (tally, going_on) == (Tally(delivered=1), 0)
        assert len(hanging.received) == 1
        hanging.behaviour = "answer"
        hanging.stopped.set()
        wait_until(lambda: not couriers._SERVED)
        assert serve([slow], only_first=True, patience=20) == (Tally(delivered=2), 0)
    assert sorted(statuses()) == ["delivered"] * 5 + ["pending"]


def test_those_that_hang_leave_places_to_others(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 2.0)
    with start_receiver() as hanging:
        hanging.behaviour = "hang"
        rows = [register(hanging.url, name=f"slow {number}") for number in range(12)]
        other = register(receiver.url, organization="other")
        record(event(), event(organization="other"))
        served = serve([*rows, other], only_first=True, patience=0.5)
        assert served == (Tally(delivered=1), couriers.MOST_OF_ONE)
        wait_until(lambda: not couriers._SERVED)

        # Within the organization too, as soon as they have failed once.
        own = register(receiver.url, name="quick")
        failing = [webhook(row.name) for row in rows if webhook(row.name).failures]
        record(event(2))
        served = serve([*failing, own], only_first=True, patience=0.5)
        assert served == (Tally(delivered=1), couriers.MOST_OF_ONE // 2)
        hanging.stopped.set()
    wait_until(lambda: not couriers._SERVED)


def test_one_that_hangs_is_not_served_again_before_it_is_known_to_fail(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    with start_receiver() as hanging:
        hanging.behaviour = "hang"
        slow = register(hanging.url, name="slow")
        record(event(1), event(2))
        assert serve([slow], only_first=True, patience=0) == (Tally(), 1)
        quick = register(receiver.url, name="quick")
        record(event(3))
        monkeypatch.setattr(sending, "SECONDS", 5.0)
        receiver.seconds = 1.0
        assert serve([slow, quick], only_first=True, patience=20) == (Tally(delivered=1), 0)
        assert len(hanging.received) == 1


def test_who_finds_no_place_waits_for_one(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "MOST_OF_ONE", 2)
    rows = [register(receiver.url, name=f"webhook {number}") for number in range(5)]
    record(event())
    assert serve(rows, only_first=True, patience=20) == (Tally(delivered=5), 0)


def test_what_is_wrong_here_is_said(receiver: Receiver) -> None:
    row = register(receiver.url)
    record(event())
    settings.secret_key_file().unlink()
    with pytest.raises(KeyUnavailable):
        serve([row], only_first=True, patience=20)
    assert not couriers._SERVED


def test_what_goes_wrong_after_the_tick_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        time.sleep(0.2)
        raise RegistryUnavailable("The registry is away.")

    monkeypatch.setattr(couriers, "deliver_due", fail)
    assert serve([register("http://127.0.0.1:9/")], only_first=True, patience=0.05) == (Tally(), 1)
    wait_until(lambda: not couriers._SERVED)
    assert [each.getMessage() for each in caplog.records] == ["Webhook crm: The registry is away."]
