import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    TickData,
    TickStatus,
)

from export_pipelines.cron import dagster_cron
from export_pipelines.errors import RegistryUnavailable
from export_pipelines.limits import ORGANIZATION_TAG, SCHEDULE_ID_TAG
from export_pipelines.registration import platforms, profiles, schedules
from export_pipelines.registration.platforms import Platform
from export_pipelines.registration.transactions import registering
from export_pipelines.registry import rows
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.schedules import Schedule
from export_pipelines.schedule_states import last_ticks, write_state
from export_pipelines.schedules import (
    NOTE_TAG,
    PROFILE_TAG,
    SCHEDULE_TAG,
    ChangedJobError,
    build_schedule,
    evaluate,
    registered_schedules,
)
from export_pipelines.staleness import DUE_TAG

MONDAY = datetime(2026, 11, 30, 8, tzinfo=timezone.utc)
"""Nine o'clock in Paris."""

KEY = "every_monday_schedule"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def add_schedule(instance: dg.DagsterInstance, **fields: Any) -> ScheduleRow:
    asked = Schedule("Every Monday", "0 9 * * 1", "Europe/Paris", **fields)
    with registering(instance) as session:
        return schedules.add(session, "default", asked)


def add_profile(instance: dg.DagsterInstance, **fields: Any) -> None:
    with registering(instance) as session:
        profiles.add(session, "default", Profile("weekly", **fields))


def add_folder(instance: dg.DagsterInstance, name: str, folder: Path, **fields: Any) -> None:
    asked = Platform(name, "local", {"folder": str(folder)}, **fields)
    with registering(instance) as session:
        platforms.add(session, "default", platforms.check(asked))


def tick(
    instance: dg.DagsterInstance, moment: datetime = MONDAY, job: str = "export_csv"
) -> list[dg.RunRequest] | dg.SkipReason:
    context = dg.build_schedule_context(instance, scheduled_execution_time=moment)
    with context:
        return evaluate(context, KEY, job)


def request_of(instance: dg.DagsterInstance) -> dg.RunRequest:
    found = tick(instance)
    assert isinstance(found, list), found
    [request] = found
    return request


def skip_of(instance: dg.DagsterInstance, moment: datetime = MONDAY) -> str:
    found = tick(instance, moment)
    assert isinstance(found, dg.SkipReason), found
    return str(found.skip_message)


def add_run(
    instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus
) -> str:
    job = dg.GraphDefinition("none").to_job()
    run = instance.create_run_for_job(job, tags=dict(request.tags), status=status)
    return run.run_id


def test_a_schedule_that_names_nothing_exports_all_active_products(
    instance: dg.DagsterInstance,
) -> None:
    row = add_schedule(instance)
    request = request_of(instance)
    config = {"resource_type": "products", "filters": {"is_active": True}, "platforms": None}
    assert request.run_config == config
    assert dict(request.tags) == {
        ORGANIZATION_TAG: "default",
        SCHEDULE_TAG: "Every Monday",
        SCHEDULE_ID_TAG: row.id,
        PROFILE_TAG: "default",
        DUE_TAG: "2026-11-30T08:00:00.000Z",
    }
    assert request.run_key == f"{row.id}:2026-11-30T08:00:00.000Z"
    assert request_of(instance).run_key == request.run_key


def test_its_profile_and_platforms_are_those_of_the_moment(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    for name in ("nas", "archive"):
        add_folder(instance, name, tmp_path)
    add_profile(instance, format="csv", request={"resource_type": "orders"}, platforms=["nas"])
    add_schedule(instance, profile="weekly")
    assert request_of(instance).run_config == {"resource_type": "orders", "platforms": ["nas"]}
    with registering(instance) as session:
        row = rows.require(session, ProfileRow, "default", "weekly")
        changed = Profile("weekly", "csv", {"resource_type": "customers"}, ["nas", "archive"])
        assert profiles.change(session, row, changed)
    expected = {"resource_type": "customers", "platforms": ["nas", "archive"]}
    assert request_of(instance).run_config == expected
    with registering(instance) as session:
        schedule = rows.require(session, ScheduleRow, "default", "Every Monday")
        own = replace(schedules.current(session, schedule), platforms=[])
        assert schedules.change(session, schedule, own)
    assert request_of(instance).run_config == {"resource_type": "customers", "platforms": []}


def test_disabled_platforms_are_left_out_and_named(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    for name in ("nas", "archive", "partner"):
        add_folder(instance, name, tmp_path, is_active=name == "archive")
    add_schedule(instance, platforms=["nas", "archive", "partner"])
    request = request_of(instance)
    assert request.run_config["platforms"] == ["archive"]
    assert request.tags[NOTE_TAG] == "Not delivered to nas and partner, which are disabled."
    with registering(instance) as session:
        row = rows.require(session, PlatformRow, "default", "archive")
        rows.switch(row, is_active=False)
    assert request_of(instance).run_config["platforms"] == []


def test_a_time_of_before_a_change_is_skipped(instance: dg.DagsterInstance) -> None:
    add_schedule(instance)
    assert skip_of(instance, MONDAY.replace(hour=9)) == (
        "This schedule was changed to 0 9 * * 1 in Europe/Paris, which is not due now."
    )


def test_a_removed_schedule_is_skipped(instance: dg.DagsterInstance) -> None:
    add_schedule(instance)
    with registering(instance) as session:
        schedules.remove(session, rows.require(session, ScheduleRow, "default", "Every Monday"))
    assert skip_of(instance) == "This schedule was removed."


def test_another_schedule_does_not_get_the_history_of_one_that_was_removed(
    instance: dg.DagsterInstance,
) -> None:
    add_schedule(instance)
    [state] = instance.all_instigator_state()
    instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=KEY,
            instigator_type=InstigatorType.SCHEDULE,
            status=TickStatus.SKIPPED,
            timestamp=MONDAY.timestamp(),
            selector_id=state.selector_id,
            skip_reason="The profile of somebody is disabled.",
        )
    )
    with registering(instance) as session:
        schedules.remove(session, rows.require(session, ScheduleRow, "default", "Every Monday"))
    row = add_schedule(instance)
    assert row.key == "every_monday_2_schedule"
    assert last_ticks(instance, row.key, 1) == []


def test_a_registry_that_has_lost_a_schedule_fails_the_tick(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_schedule(instance)
    for url in (f"sqlite:///{tmp_path}/another.db", f"sqlite:///{tmp_path}/unmounted/registry.db"):
        monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", url)
        with pytest.raises(RegistryUnavailable, match="disk"):
            tick(instance)


def test_a_daemon_that_writes_an_old_state_back_does_not_start_it_again(
    instance: dg.DagsterInstance,
) -> None:
    row = add_schedule(instance)

    def stored() -> InstigatorState:
        [state] = [one for one in instance.all_instigator_state() if one.instigator_name == KEY]
        return state

    before = stored()
    with registering(instance) as session:
        kept = rows.require(session, ScheduleRow, "default", row.name)
        schedules.change(session, kept, replace(schedules.current(session, kept), is_active=False))
    assert stored().status is InstigatorStatus.STOPPED
    instance.update_instigator_state(before)
    assert skip_of(instance) == "This schedule is disabled."
    assert stored().status is InstigatorStatus.STOPPED
    # Somebody switches it on in the UI.
    write_state(instance, KEY, row.cron_expression, is_active=True)
    assert isinstance(tick(instance), list)


def test_a_disabled_profile_is_skipped(instance: dg.DagsterInstance) -> None:
    add_profile(instance, format="csv")
    add_schedule(instance, profile="weekly")
    with registering(instance) as session:
        row = rows.require(session, ProfileRow, "default", "weekly")
        rows.switch(row, is_active=False)
    assert skip_of(instance) == "Nothing was exported: the profile weekly is disabled."
    with registering(instance) as session:
        session.delete(rows.require(session, ProfileRow, "default", "weekly"))
    assert skip_of(instance) == "Nothing was exported: the profile weekly does not exist."


@pytest.mark.parametrize("status", ["STARTING", "STARTED", "CANCELING"])
def test_a_run_that_is_still_going_on_is_not_overlapped(
    instance: dg.DagsterInstance, status: str
) -> None:
    add_schedule(instance)
    before = request_of(instance)
    run_id = add_run(instance, before, dg.DagsterRunStatus(status))
    later = MONDAY.replace(year=2026, month=12, day=7)
    assert skip_of(instance, later) == (
        f"The run before this one is still going on: {run_id}. This time nothing was exported."
    )
    # An interrupted tick, which is evaluated again, gets its own run.
    assert request_of(instance).run_key == before.run_key


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED", "NOT_STARTED"])
def test_a_run_that_has_ended_is_no_hindrance(instance: dg.DagsterInstance, status: str) -> None:
    add_schedule(instance)
    add_run(instance, request_of(instance), dg.DagsterRunStatus(status))
    later = tick(instance, MONDAY.replace(year=2026, month=12, day=7))
    assert isinstance(later, list)


def start_at(instance: dg.DagsterInstance, moment: datetime, monkeypatch: Any) -> None:
    """Have a schedule for each minute registered at a moment."""
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", moment.timestamp)
        with registering(instance) as session:
            schedules.add(session, "default", Schedule("Every Monday", "* * * * *"))


def due(found: list[dg.RunRequest] | dg.SkipReason) -> list[str]:
    assert isinstance(found, list), found
    return [request.tags[DUE_TAG][11:16] for request in found]


def test_what_was_due_while_it_was_loaded_is_made_up_for(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_at(instance, MONDAY.replace(hour=7, minute=58, second=55), monkeypatch)
    assert due(tick(instance, MONDAY.replace(hour=7, minute=59))) == ["07:59"]
    found = tick(instance)
    assert due(found) == ["07:59", "08:00"]
    assert isinstance(found, list)
    # An interrupted tick, which is evaluated again, asks for the same runs.
    add_run(instance, found[0], dg.DagsterRunStatus.STARTED)
    assert due(tick(instance)) == ["07:59", "08:00"]


def test_a_daemon_that_was_down_makes_up_for_the_latest_time_only(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_at(instance, MONDAY.replace(hour=7, minute=50), monkeypatch)
    assert due(tick(instance)) == ["08:00"]


def test_a_job_of_another_format_is_not_run(instance: dg.DagsterInstance) -> None:
    add_profile(instance, format="json")
    add_schedule(instance, profile="weekly")
    with pytest.raises(ChangedJobError, match="another format"):
        tick(instance, job="export_csv")
    assert isinstance(tick(instance, job="export_json"), list)


def test_a_registry_that_does_not_answer_fails_the_tick(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_schedule(instance)
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", "postgresql://shop:pw@127.0.0.1:1/none")
    with pytest.raises(RegistryUnavailable) as raised:
        tick(instance)
    assert "pw" not in str(raised.value)


def test_definitions_are_those_of_the_registry(instance: dg.DagsterInstance) -> None:
    add_profile(instance, format="excel")
    add_schedule(instance, profile="weekly")
    with registering(instance) as session:
        asked = Schedule("Ön Lord Howe!", "@hourly", "Australia/Lord_Howe", is_active=False)
        schedules.add(session, "default", asked)
    assert registered_schedules() == []
    loading = DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)
    with DefinitionsLoadContext.scoped(loading):
        found = {each.name: each for each in registered_schedules()}
    again = DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION)
    with DefinitionsLoadContext.scoped(again):
        assert registered_schedules() == []
    assert sorted(found) == [KEY, "n_lord_howe_schedule"]
    monday, island = found[KEY], found["n_lord_howe_schedule"]
    assert monday.job_name == "export_excel"
    assert monday.cron_schedule == "0 9 * * 1"
    assert monday.execution_timezone == "Europe/Paris"
    assert monday.default_status is dg.DefaultScheduleStatus.RUNNING
    assert monday.description == "Every Monday: exports the profile weekly."
    assert island.cron_schedule == dagster_cron("@hourly", "Australia/Lord_Howe")
    assert island.default_status is dg.DefaultScheduleStatus.STOPPED
    assert island.job_name == "export_csv"


def test_a_definition_evaluates_its_own_schedule(instance: dg.DagsterInstance) -> None:
    definition = build_schedule(add_schedule(instance), None)
    with dg.build_schedule_context(instance, scheduled_execution_time=MONDAY) as context:
        data = definition.evaluate_tick(context)
    [request] = data.run_requests or []
    assert request.tags[SCHEDULE_TAG] == "Every Monday"
