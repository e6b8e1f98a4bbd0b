from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus

from export_pipelines import staleness
from export_pipelines.clock import seconds_of
from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.registration import schedules
from export_pipelines.registration.transactions import registering
from export_pipelines.registry import rows
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.registry.schedules import Schedule
from export_pipelines.schedule_sensor import stale_schedules
from export_pipelines.schedule_states import write_state
from export_pipelines.staleness import DUE_TAG, late_schedules

DUE = "2099-11-30T09:00:00.000Z"
BEFORE = "2099-11-29T09:00:00.000Z"
HOUR = 3_600.0


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@pytest.fixture
def row(instance: dg.DagsterInstance) -> ScheduleRow:
    with registering(instance) as session:
        asked = Schedule("Every day", "0 9 * * *", alert_after_minutes=30)
        return schedules.add(session, "default", asked)


def add_run(instance: dg.DagsterInstance, row: ScheduleRow, status: str, due: str) -> str:
    run = instance.create_run_for_job(
        dg.GraphDefinition("none").to_job(),
        tags={SCHEDULE_ID_TAG: row.id, DUE_TAG: due, "export/error": "The disk is full."},
        status=dg.DagsterRunStatus(status),
    )
    return run.run_id


def late(instance: dg.DagsterInstance, row: ScheduleRow, hours: float) -> list[str]:
    """Return the sentences some hours after it was due."""
    found = late_schedules(instance, [row], seconds_of(DUE) + hours * HOUR)
    assert {each.row.id for each in found} <= {row.id}
    return [each.sentence for each in found]


def test_it_is_late_when_its_time_is_over(instance: dg.DagsterInstance, row: ScheduleRow) -> None:
    add_run(instance, row, "SUCCESS", BEFORE)
    assert late(instance, row, 0.49) == []
    [sentence] = late(instance, row, 0.51)
    assert sentence.startswith(
        f"Every day is late: it was due at {DUE}, and it succeeded last at {BEFORE}. Its last run "
    )
    add_run(instance, row, "SUCCESS", DUE)
    assert late(instance, row, 0.51) == []
    assert late(instance, row, 24.49) == []
    assert late(instance, row, 24.51) != []


def test_a_failure_is_named(instance: dg.DagsterInstance, row: ScheduleRow) -> None:
    run_id = add_run(instance, row, "FAILURE", DUE)
    assert late(instance, row, 1) == [
        f"Every day is late: it was due at {DUE}, and it has never succeeded. Its last run "
        f"{run_id} is FAILURE: The disk is full."
    ]
    add_run(instance, row, "SUCCESS", DUE)
    assert late(instance, row, 1) == []


def test_no_run_at_all(instance: dg.DagsterInstance, row: ScheduleRow) -> None:
    [sentence] = late(instance, row, 1)
    assert sentence.endswith("There is no run of it: is the daemon running?")


def test_a_tick_that_started_nothing_says_why(
    instance: dg.DagsterInstance, row: ScheduleRow
) -> None:
    add_run(instance, row, "SUCCESS", BEFORE)
    state = next(iter(instance.all_instigator_state()))
    instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=row.key,
            instigator_type=InstigatorType.SCHEDULE,
            status=TickStatus.SKIPPED,
            timestamp=seconds_of(DUE),
            selector_id=state.selector_id,
            skip_reason="Nothing was exported: the profile weekly is disabled.",
        )
    )
    [sentence] = late(instance, row, 1)
    assert sentence.endswith(
        "Its last tick started nothing: Nothing was exported: the profile weekly is disabled."
    )


def test_what_was_not_due_since_it_was_started_is_not_late(
    instance: dg.DagsterInstance, row: ScheduleRow
) -> None:
    assert late_schedules(instance, [row], seconds_of(row.created_at) + 1) == []


def test_a_stopped_schedule_is_not_late(instance: dg.DagsterInstance, row: ScheduleRow) -> None:
    write_state(instance, row.key, row.cron_expression, is_active=False)
    assert late(instance, row, 1) == []
    write_state(instance, row.key, row.cron_expression, is_active=True)
    assert late(instance, row, 1) != []


def test_the_sensor_says_it(
    instance: dg.DagsterInstance, row: ScheduleRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> str:
        with dg.build_sensor_context(instance) as context:
            found = stale_schedules(context)
        assert isinstance(found, dg.SkipReason)
        return str(found.skip_message)

    assert said() == "All schedules are on time."
    monkeypatch.setattr(staleness, "running_since", lambda instance, key: 0.0)
    with registering(instance) as session:
        stored = rows.require(session, ScheduleRow, "default", "Every day")
        stored.alert_after_minutes = 1
    assert said().startswith("Every day is late: it was due at ")
