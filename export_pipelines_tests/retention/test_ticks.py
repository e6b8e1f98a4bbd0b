import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
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

from export_pipelines.errors import StorageUnavailable
from export_pipelines.retention.candidates import Pruned, remove_all
from export_pipelines.retention.ticks import old_ticks
from export_pipelines_tests.retention.past import DAY, Past
from export_pipelines_tests.servers.postgres import PostgresServer

ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("export_pipelines"), "__repository__")


@pytest.fixture(scope="module")
def ticks_database(postgres: PostgresServer) -> str:
    """Name one database for all tests: to create one for each would take most of their time."""
    return postgres.create_database("ticks").replace("postgresql:", "postgresql+psycopg2:")


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's records in a database of each kind."""
    overrides = {}
    if request.param == "postgres":
        url = request.getfixturevalue("ticks_database")
        overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as made:
        yield made
        assert made.schedule_storage
        made.schedule_storage.wipe()


def instigator(name: str, status: InstigatorStatus) -> InstigatorState:
    origin = RemoteInstigatorOrigin(ORIGIN, name)
    return InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData())


def tick(
    instance: dg.DagsterInstance, state: InstigatorState, days: float, *, selected: bool = True
) -> None:
    instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=state.instigator_name,
            instigator_type=InstigatorType.SENSOR,
            status=TickStatus.SKIPPED,
            timestamp=time.time() - days * DAY,
            selector_id=state.selector_id if selected else None,
        )
    )


def ages(instance: dg.DagsterInstance, state: InstigatorState) -> list[float]:
    found = instance.get_ticks(state.instigator_origin_id, state.selector_id)
    return [round((time.time() - each.timestamp) / DAY, 1) for each in found]


def prune(instance: dg.DagsterInstance, *, dry_run: bool = False) -> Pruned:
    found = old_ticks(instance, time.time() - 30 * DAY)
    return remove_all("ticks", found, dry_run=dry_run)


def test_old_ticks_go_also_of_what_does_not_tick_any_more(instance: dg.DagsterInstance) -> None:
    running = instance.add_instigator_state(instigator("one", InstigatorStatus.RUNNING))
    stopped = instance.add_instigator_state(instigator("two", InstigatorStatus.STOPPED))
    gone = instance.add_instigator_state(instigator("three", InstigatorStatus.RUNNING))
    young = instance.add_instigator_state(instigator("four", InstigatorStatus.RUNNING))
    for state, days in ((running, (400, 50, 30.1, 29.9, 1)), (stopped, (60, 45)), (gone, (70, 2))):
        for age in days:
            tick(instance, state, age)
    tick(instance, young, 29)
    instance.delete_instigator_state(gone.instigator_origin_id, gone.selector_id)

    dry = prune(instance, dry_run=True)
    assert ages(instance, running) == [1, 29.9, 30.1, 50, 400]
    assert ages(instance, gone) == [2, 70]
    pruned = prune(instance)

    assert pruned == dry
    assert [(name, removed.count) for name, removed in pruned.listed] == [
        ("one", 3),
        ("two", 2),
        ("three", 1),
    ]
    assert (pruned.count, pruned.bytes, pruned.failed) == (6, 0, 0)
    assert ages(instance, running) == [1, 29.9]
    assert ages(instance, stopped) == []
    assert ages(instance, gone) == [2]
    assert ages(instance, young) == [29]
    assert prune(instance).count == 0


def test_ticks_of_old_versions_of_dagster_have_no_selector(instance: dg.DagsterInstance) -> None:
    one, two = (instigator(name, InstigatorStatus.RUNNING) for name in ("one", "two"))
    for state in (one, two):
        tick(instance, state, 31, selected=False)
        tick(instance, state, 29, selected=False)
    pruned = prune(instance)
    assert [(name, removed.count) for name, removed in pruned.listed] == [("one", 1), ("two", 1)]
    assert (ages(instance, one), ages(instance, two)) == ([29], [29])


def test_they_go_when_everything_old_does(past: Past) -> None:
    state = instigator("one", InstigatorStatus.RUNNING)
    for days in (31, 29):
        tick(past.instance, state, days)
    assert past.prune(dry_run=True)["ticks"].count == 1
    assert past.removed("ticks") == ["one"]
    assert ages(past.instance, state) == [29]


def test_ticks_that_cannot_be_found_are_a_failure() -> None:
    with dg.DagsterInstance.ephemeral() as nowhere:
        pruned = prune(nowhere)
    assert (pruned.count, pruned.failed, pruned.code) == (0, 1, StorageUnavailable.code)
    assert pruned.reason.startswith("ticks: Dagster does not record ticks in an SQL database, so ")
