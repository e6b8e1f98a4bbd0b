import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus, ScheduleInstigatorData
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from export_pipelines.definitions import defs
from export_pipelines.errors import ExportPipelinesError, NameTaken, NotRegistered, RequestError
from export_pipelines.registration import platforms, profiles, schedules
from export_pipelines.registration.platforms import Platform
from export_pipelines.registration.transactions import looking, registering
from export_pipelines.registry import rows
from export_pipelines.registry.database import schedules_revision, writing
from export_pipelines.registry.models import ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.schedules import Schedule
from export_pipelines.schedule_states import running_since, write_state
from export_pipelines_tests.contracts.frames import TEXTS

MONDAYS = Schedule("Every Monday", "0 9 * * 1", "Europe/Paris")
KEY = "every_monday_schedule"


def add(instance: dg.DagsterInstance, asked: Schedule, organization: str = "default") -> str:
    with registering(instance) as session:
        return schedules.add(session, organization, asked).key


@contextmanager
def row_of(instance: dg.DagsterInstance) -> Iterator[tuple[Session, ScheduleRow]]:
    with registering(instance) as session:
        yield session, rows.require(session, ScheduleRow, "default", MONDAYS.name)


def change(instance: dg.DagsterInstance, **fields: Any) -> bool:
    with row_of(instance) as (session, row):
        return schedules.change(session, row, replace(schedules.current(session, row), **fields))


def current(instance: dg.DagsterInstance) -> Schedule:
    with looking(instance) as session:
        row = rows.require(session, ScheduleRow, "default", MONDAYS.name)
        return schedules.current(session, row)


def updated_at(instance: dg.DagsterInstance) -> str:
    with row_of(instance) as (_, row):
        return row.updated_at


def statuses(instance: dg.DagsterInstance) -> dict[str, InstigatorStatus]:
    return {state.instigator_name: state.status for state in instance.all_instigator_state()}


def test_an_expression_is_stored_with_single_blanks() -> None:
    checked = schedules.check("default", replace(MONDAYS, cron_expression="  0  9 * *\t1 "))
    assert checked == MONDAYS
    assert schedules.check("default", replace(MONDAYS, platforms=())).platforms == []


def test_names_are_stored_where_ids_were_given(instance: dg.DagsterInstance) -> None:
    with writing() as session:
        platform = Platform("nas", "local", {"folder": "/srv"})
        nas = platforms.add(session, "default", platform)
        weekly = profiles.add(session, "default", Profile("weekly", "csv"))
    asked = schedules.check("default", replace(MONDAYS, profile=weekly.id, platforms=[nas.id]))
    assert asked == replace(MONDAYS, profile="weekly", platforms=["nas"])
    add(instance, asked)
    with pytest.raises(RequestError, match="is run by the schedules 'Every Monday'"):
        remove_profile("weekly")
    with pytest.raises(RequestError, match="platforms names nas more than once"):
        schedules.check("default", replace(MONDAYS, platforms=[nas.id, "nas"]))


def remove_profile(name: str) -> None:
    with writing() as session:
        profiles.remove(session, rows.require(session, ProfileRow, "default", name))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "'' cannot be a schedule's name"),
        ({"cron_expression": "0 9 * *"}, "The cron expression '0 9 * *' has 4 fields and must"),
        ({"cron_expression": "0 25 * * 1"}, "The hour '25' of the cron expression is wrong: "),
        ({"cron_expression": "@never"}, "'@never' is not one of @hourly, "),
        ({"cron_expression": "0 0 31 2 *"}, "The cron expression '0 0 31 2 *' fits no date"),
        ({"timezone": "Europe/Pris"}, "'Europe/Pris' is no time zone: use a name"),
        ({"timezone": "../../etc/passwd"}, "'../../etc/passwd' is no time zone: use a name"),
        (
            {"alert_after_minutes": 0},
            "alert_after_minutes must be from 1 to 525,600, a year",
        ),
        ({"platforms": ["nas"]}, "There is no platform 'nas'"),
        ({"platforms": ["later", "later"]}, "platforms names later more than once."),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ExportPipelinesError) as caught:
        schedules.check("default", replace(MONDAYS, **fields), ["later"])
    assert str(caught.value).startswith(sentence)


def test_platforms_may_be_registered_in_the_same_step() -> None:
    asked = replace(MONDAYS, platforms=["later"])
    assert schedules.check("default", asked, ["later"]) == asked


def test_a_schedule_is_due_from_its_registration_on(instance: dg.DagsterInstance) -> None:
    before = time.time()
    assert add(instance, MONDAYS) == KEY
    since = running_since(instance, KEY)
    assert since is not None
    assert before <= since <= time.time()
    [state] = instance.all_instigator_state()
    assert isinstance(state.instigator_data, ScheduleInstigatorData)
    assert state.instigator_data.cron_schedule == "0 9 * * 1"
    assert current(instance) == MONDAYS


def test_a_disabled_schedule_is_stopped(instance: dg.DagsterInstance) -> None:
    asked = replace(MONDAYS, is_active=False)
    add(instance, asked)
    assert statuses(instance) == {KEY: InstigatorStatus.STOPPED}
    assert current(instance) == asked


def test_a_missing_profile_leaves_nothing(instance: dg.DagsterInstance) -> None:
    revision = schedules_revision()
    with pytest.raises(NotRegistered, match="There is no profile 'weekly'"):
        add(instance, replace(MONDAYS, profile="weekly"))
    with writing() as session:
        profiles.add(session, "acme", Profile("weekly", "csv"))
    with pytest.raises(NotRegistered):
        add(instance, replace(MONDAYS, profile="weekly"))
    assert instance.all_instigator_state() == []
    assert schedules_revision() == revision
    add(instance, replace(MONDAYS, profile="weekly"), "acme")


def test_names_are_those_of_one_organization(instance: dg.DagsterInstance) -> None:
    add(instance, MONDAYS)
    with pytest.raises(NameTaken, match="There is already a schedule 'Every Monday'"):
        add(instance, MONDAYS)
    assert add(instance, MONDAYS, "acme") == "every_monday_2_schedule"


def test_what_is_the_same_stays_untouched(instance: dg.DagsterInstance) -> None:
    add(instance, MONDAYS)
    before = (schedules_revision(), running_since(instance, KEY), updated_at(instance))
    assert not change(instance)
    assert (schedules_revision(), running_since(instance, KEY), updated_at(instance)) == before


@pytest.mark.parametrize(
    ("fields", "starts_anew"),
    [
        ({"cron_expression": "0 10 * * 1"}, True),
        ({"timezone": "UTC"}, True),
        ({"alert_after_minutes": 5}, False),
        ({"platforms": []}, False),
    ],
)
def test_only_other_times_are_due_from_now_on(
    instance: dg.DagsterInstance, fields: dict[str, Any], starts_anew: bool
) -> None:
    add(instance, MONDAYS)
    revision, since = schedules_revision(), running_since(instance, KEY)
    assert change(instance, **fields)
    assert current(instance) == replace(MONDAYS, **fields)
    assert schedules_revision() == revision + 1
    assert (running_since(instance, KEY) != since) is starts_anew


def test_a_change_to_a_missing_profile_changes_nothing(instance: dg.DagsterInstance) -> None:
    add(instance, MONDAYS)
    with pytest.raises(NotRegistered):
        change(instance, profile="weekly", cron_expression="@daily")
    assert current(instance) == MONDAYS


def test_enabled_again_it_is_due_from_then_on(instance: dg.DagsterInstance) -> None:
    add(instance, MONDAYS)
    first = running_since(instance, KEY)
    assert change(instance, is_active=False)
    assert not change(instance, is_active=False)
    assert running_since(instance, KEY) is None
    assert change(instance, is_active=True)
    since = running_since(instance, KEY)
    assert first
    assert since
    assert since > first


def test_the_switch_of_the_ui_counts(instance: dg.DagsterInstance) -> None:
    add(instance, MONDAYS)
    [state] = instance.all_instigator_state()
    instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    assert not current(instance).is_active
    assert change(instance, alert_after_minutes=5)
    assert statuses(instance) == {KEY: InstigatorStatus.STOPPED}
    assert not change(instance, is_active=False)
    assert change(instance, is_active=True)
    assert statuses(instance) == {KEY: InstigatorStatus.RUNNING}


def test_a_removed_schedule_leaves_no_state(instance: dg.DagsterInstance) -> None:
    add(instance, MONDAYS)
    revision = schedules_revision()
    with row_of(instance) as (session, row):
        schedules.remove(session, row)
    assert instance.all_instigator_state() == []
    assert schedules_revision() == revision + 1
    assert add(instance, MONDAYS) == KEY


def test_a_state_that_was_left_over_is_taken_over(instance: dg.DagsterInstance) -> None:
    write_state(instance, KEY, "@yearly", is_active=False)
    add(instance, MONDAYS)
    assert statuses(instance) == {KEY: InstigatorStatus.RUNNING}


@settings(max_examples=15)
@given(st.lists(TEXTS.map(str.strip).filter(bool), max_size=8, unique=True))
def test_any_names_get_keys_that_dagster_allows(names: list[str]) -> None:
    own = {each.name for each in (*(defs.jobs or ()), *(defs.sensors or ()))}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        registering(instance, dry_run=True) as session,
    ):
        keys = []
        for name in {*names, *own}:
            keys.append(schedules.add(session, "default", Schedule(name, "@daily")).key)
            session.flush()
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,100}", key) for key in keys)
    assert len(set(keys)) == len(keys)
    assert not own & set(keys)
