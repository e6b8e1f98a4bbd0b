import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.remote_representation.code_location import InProcessCodeLocation
from dagster._core.remote_representation.external import RemoteSchedule
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from export_pipelines.code_location import LOCATION, REPOSITORY, repository_origin
from export_pipelines.schedule_states import (
    adopt_states,
    delete_state,
    is_running,
    last_ticks,
    running_since,
    write_state,
)

# Dagster itself reads what it has deprecated when it loads a schedule.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Property `ScheduleDefinition.environment_vars` is deprecated:DeprecationWarning"
)

KEY = "weekly_schedule"
CRON = "0 9 * * 1"
PROGRAM = f"""
import dagster as dg

@dg.op
def nothing():
    pass

@dg.job
def idle():
    nothing()

@dg.sensor(job=idle)
def watching():
    return dg.SkipReason("nothing")

schedule = dg.ScheduleDefinition(name="{KEY}", job=idle, cron_schedule="{CRON}")
defs = dg.Definitions(schedules=[schedule], sensors=[watching])
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as made:
        yield made


@pytest.fixture
def location(tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[InProcessCodeLocation]:
    """Load definitions of the same names by way of this process instead of the code server."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    target = LoadableTargetOrigin(python_file=str(program))
    origin = InProcessCodeLocationOrigin(target, location_name=LOCATION)
    with InProcessCodeLocation(origin, instance) as loaded:
        yield loaded


def loaded_schedule(location: InProcessCodeLocation) -> RemoteSchedule:
    return location.get_repository(REPOSITORY).get_schedule(KEY)


def stored(instance: dg.DagsterInstance) -> list[InstigatorState]:
    return list(instance.all_instigator_state())


def test_what_nobody_has_written_is_the_default(instance: dg.DagsterInstance) -> None:
    assert is_running(instance, KEY, default=True)
    assert not is_running(instance, KEY, default=False)
    assert running_since(instance, KEY) is None
    assert list(last_ticks(instance, KEY, 5)) == []
    delete_state(instance, KEY)
    assert stored(instance) == []


def test_a_started_schedule_counts_from_that_moment(instance: dg.DagsterInstance) -> None:
    before = time.time()
    write_state(instance, KEY, CRON, is_active=True)
    assert is_running(instance, KEY, default=False)
    since = running_since(instance, KEY)
    assert since is not None
    assert before <= since <= time.time()
    [state] = stored(instance)
    assert state.instigator_type is InstigatorType.SCHEDULE
    assert isinstance(state.instigator_data, ScheduleInstigatorData)
    assert state.instigator_data.cron_schedule == CRON
    assert state.origin.repository_origin == repository_origin()


def test_a_stopped_schedule_is_not_running_whatever_the_default(
    instance: dg.DagsterInstance,
) -> None:
    write_state(instance, KEY, CRON, is_active=False)
    assert not is_running(instance, KEY, default=True)
    assert running_since(instance, KEY) is None


def test_writing_again_changes_the_same_state(instance: dg.DagsterInstance) -> None:
    write_state(instance, KEY, CRON, is_active=True)
    first = running_since(instance, KEY)
    write_state(instance, KEY, CRON, is_active=False)
    write_state(instance, KEY, "0 10 * * *", is_active=True)
    again = running_since(instance, KEY)
    assert first is not None
    assert again is not None
    assert again > first
    [state] = stored(instance)
    assert isinstance(state.instigator_data, ScheduleInstigatorData)
    assert state.instigator_data.cron_schedule == "0 10 * * *"


def test_schedules_do_not_touch_each_other(instance: dg.DagsterInstance) -> None:
    write_state(instance, KEY, CRON, is_active=True)
    write_state(instance, "other_schedule", CRON, is_active=False)
    delete_state(instance, "other_schedule")
    assert is_running(instance, KEY, default=False)
    assert [state.instigator_name for state in stored(instance)] == [KEY]


def test_a_deleted_state_can_be_written_anew_and_its_ticks_stay(
    instance: dg.DagsterInstance,
) -> None:
    write_state(instance, KEY, CRON, is_active=True)
    [state] = stored(instance)
    for number in range(3):
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                KEY,
                InstigatorType.SCHEDULE,
                TickStatus.SKIPPED,
                1_700_000_000.0 + number,
                selector_id=state.selector_id,
            )
        )
    delete_state(instance, KEY)
    assert not is_running(instance, KEY, default=False)
    assert [tick.timestamp for tick in last_ticks(instance, KEY, 2)] == [
        1_700_000_002.0,
        1_700_000_001.0,
    ]
    write_state(instance, KEY, CRON, is_active=True)
    assert is_running(instance, KEY, default=False)
    assert len(last_ticks(instance, KEY, 5)) == 3


def test_the_switch_of_the_ui_writes_the_same_state(
    instance: dg.DagsterInstance, location: InProcessCodeLocation
) -> None:
    write_state(instance, KEY, CRON, is_active=True)
    remote = loaded_schedule(location)
    instance.stop_schedule(remote.get_remote_origin_id(), remote.selector_id, remote)
    assert not is_running(instance, KEY, default=True)
    assert running_since(instance, KEY) is None
    before = time.time()
    instance.start_schedule(remote)
    since = running_since(instance, KEY)
    assert since is not None
    assert since >= before
    write_state(instance, KEY, CRON, is_active=False)
    assert not remote.get_current_instigator_state(stored(instance)[0]).is_running
    assert len(stored(instance)) == 1


def test_what_the_ui_was_first_to_switch_is_known_too(
    instance: dg.DagsterInstance, location: InProcessCodeLocation
) -> None:
    instance.start_schedule(loaded_schedule(location))
    assert is_running(instance, KEY, default=False)
    write_state(instance, KEY, CRON, is_active=False)
    assert not is_running(instance, KEY, default=True)
    delete_state(instance, KEY)
    assert stored(instance) == []


def test_a_switch_that_was_reset_is_as_the_code_says(
    instance: dg.DagsterInstance, location: InProcessCodeLocation
) -> None:
    write_state(instance, KEY, CRON, is_active=False)
    instance.reset_schedule(loaded_schedule(location))
    assert is_running(instance, KEY, default=True)
    assert not is_running(instance, KEY, default=False)


def test_states_of_another_server_come_under_that_of_the_home_folder(
    instance: dg.DagsterInstance, location: InProcessCodeLocation
) -> None:
    repository = location.get_repository(REPOSITORY)
    sensor = repository.get_sensor("watching")
    instance.start_sensor(sensor)
    cursor = SensorInstigatorData(last_run_key="a", min_interval=30, cursor="so far")
    [started] = stored(instance)
    instance.update_instigator_state(started.with_data(cursor))
    instance.start_schedule(repository.get_schedule(KEY))
    since = running_since(instance, KEY)

    adopt_states(instance)

    states = {state.instigator_name: state for state in stored(instance)}
    assert set(states) == {"watching", KEY}
    for state in states.values():
        assert state.origin.repository_origin == repository_origin()
        assert state.status is InstigatorStatus.RUNNING
    assert states["watching"].instigator_data == cursor
    assert running_since(instance, KEY) == since
    listed = instance.all_instigator_state(repository_origin().get_id(), repository.selector_id)
    assert {state.instigator_name for state in listed} == {"watching", KEY}
    adopt_states(instance)
    assert {state.instigator_name: state for state in stored(instance)} == states


def test_states_of_other_locations_stay_where_they_are(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    target = LoadableTargetOrigin(python_file=str(program))
    origin = InProcessCodeLocationOrigin(target, location_name="somebody else's")
    with InProcessCodeLocation(origin, instance) as loaded:
        instance.start_schedule(loaded_schedule(loaded))
        before = stored(instance)
        adopt_states(instance)
        assert stored(instance) == before
        assert not is_running(instance, KEY, default=False)
