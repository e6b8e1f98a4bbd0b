import time

import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)

from export_pipelines.retention import ticks
from export_pipelines_tests.retention.past import DAY, Past

ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("export_pipelines"), "__repository__")


def instigator(past: Past, name: str, status: InstigatorStatus) -> InstigatorState:
    origin = RemoteInstigatorOrigin(ORIGIN, name)
    state = InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData())
    return past.instance.add_instigator_state(state)


def tick(past: Past, state: InstigatorState, days: float) -> None:
    past.instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=state.instigator_name,
            instigator_type=InstigatorType.SENSOR,
            status=TickStatus.SKIPPED,
            timestamp=time.time() - days * DAY,
            selector_id=state.selector_id,
        )
    )


def ages(past: Past, state: InstigatorState) -> list[int]:
    found = past.instance.get_ticks(state.instigator_origin_id, state.selector_id)
    return [round((time.time() - each.timestamp) / DAY) for each in found]


@pytest.mark.parametrize("page", [1, 2, 1_000])
def test_old_ticks_go_also_of_what_does_not_tick_any_more(
    past: Past, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(ticks, "_PAGE", page)
    running = instigator(past, "one", InstigatorStatus.RUNNING)
    stopped = instigator(past, "two", InstigatorStatus.STOPPED)
    for days in (400, 50, 31, 29, 1):
        tick(past, running, days)
    for days in (60, 45):
        tick(past, stopped, days)

    dry = past.prune(dry_run=True)["ticks"]
    assert ages(past, running) == [1, 29, 31, 50, 400]
    pruned = past.prune()["ticks"]

    assert pruned == dry
    assert {name: removed.count for name, removed in pruned.listed} == {"one": 3, "two": 2}
    assert (pruned.count, pruned.bytes) == (5, 0)
    assert ages(past, running) == [1, 29]
    assert ages(past, stopped) == []
    assert past.prune()["ticks"].count == 0
