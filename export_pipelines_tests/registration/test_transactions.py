from collections.abc import Callable
from dataclasses import replace

import dagster as dg
import pytest
from sqlalchemy.exc import DBAPIError

from export_pipelines import settings
from export_pipelines.errors import NameTaken, RegistryUnavailable, StorageUnavailable
from export_pipelines.registration import platforms, schedules
from export_pipelines.registration.platforms import Platform
from export_pipelines.registration.transactions import (
    Write,
    before_commit,
    instance_of,
    looking,
    registering,
)
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, schedules_revision
from export_pipelines.registry.models import PlatformRow, ScheduleRow
from export_pipelines.registry.schedules import Schedule
from export_pipelines.schedule_states import is_running

MONDAYS = Schedule("Mondays", "@weekly")
NAS = Platform("nas", "local", {"folder": "/srv"})


def names() -> list[str]:
    with reading() as session:
        found = [row.name for row in rows.all_of(session, PlatformRow, "default")]
        return found + [row.name for row in rows.all_of(session, ScheduleRow, "default")]


def states(instance: dg.DagsterInstance) -> list[str]:
    return [state.instigator_name for state in instance.all_instigator_state()]


def register_twice(instance: dg.DagsterInstance) -> None:
    with registering(instance) as session:
        schedules.add(session, "default", MONDAYS)
        for _ in range(2):
            platforms.add(session, "default", NAS)
            session.flush()


def register_taken_key(instance: dg.DagsterInstance) -> None:
    with registering(instance, dry_run=True) as session:
        row = ScheduleRow(organization="default", name="other", key="mondays_schedule")
        row.cron_expression, row.timezone, row.profile = "@daily", "UTC", "default"
        row.alert_after_minutes, row.is_active, row.platforms = 60, True, None
        rows.add(session, row)


def register_and(instance: dg.DagsterInstance, write: Write, *, first: bool) -> None:
    with registering(instance) as session:
        if first:
            before_commit(session, write)
        schedules.add(session, "default", MONDAYS)
        if not first:
            before_commit(session, write)


def test_rows_and_states_are_made_together(instance: dg.DagsterInstance) -> None:
    with registering(instance) as session:
        assert instance_of(session) is instance
        platforms.add(session, "default", NAS)
        schedules.add(session, "default", MONDAYS)
        assert states(instance) == []
    assert names() == ["nas", "Mondays"]
    assert states(instance) == ["mondays_schedule"]


def test_an_exception_leaves_neither(instance: dg.DagsterInstance) -> None:
    with pytest.raises(NameTaken):
        register_twice(instance)
    assert (names(), states(instance), schedules_revision()) == ([], [], 0)


def test_a_dry_run_leaves_neither(instance: dg.DagsterInstance) -> None:
    with registering(instance, dry_run=True) as session:
        platforms.add(session, "default", NAS)
        schedules.add(session, "default", MONDAYS)
    assert (names(), states(instance), schedules_revision()) == ([], [], 0)


def test_a_dry_run_finds_what_a_commit_would(instance: dg.DagsterInstance) -> None:
    with registering(instance) as session:
        schedules.add(session, "default", MONDAYS)
    with pytest.raises(RegistryUnavailable, match="UNIQUE"):
        register_taken_key(instance)


@pytest.mark.parametrize("first", [True, False])
def test_no_row_without_its_state(instance: dg.DagsterInstance, first: bool) -> None:
    """A definition that is loaded without its state would begin to count too late."""

    def fail(_: dg.DagsterInstance) -> Callable[[], None]:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        register_and(instance, fail, first=first)
    assert (names(), states(instance), schedules_revision()) == ([], [], 0)


def test_states_are_taken_back_if_a_later_one_cannot_be_written(
    instance: dg.DagsterInstance,
) -> None:
    def fail(_: dg.DagsterInstance) -> Callable[[], None]:
        raise DBAPIError("UPDATE", {}, OSError("database is locked"))

    def change_both() -> None:
        with registering(instance) as session:
            row = rows.require(session, ScheduleRow, "default", "Mondays")
            stopped = replace(schedules.current(session, row), is_active=False)
            assert schedules.change(session, row, stopped)
            schedules.remove(session, rows.require(session, ScheduleRow, "default", "Other"))
            before_commit(session, fail)

    with registering(instance) as session:
        schedules.add(session, "default", MONDAYS)
        schedules.add(session, "default", replace(MONDAYS, name="Other"))
    before = states(instance)
    with pytest.raises(StorageUnavailable, match="database is locked"):
        change_both()
    assert (sorted(names()), states(instance)) == (["Mondays", "Other"], before)
    assert is_running(instance, "mondays_schedule", default=False)


def test_states_are_written_while_the_row_is_not_yet_seen(instance: dg.DagsterInstance) -> None:
    seen = []
    with registering(instance) as session:
        schedules.add(session, "default", MONDAYS)

        def look(opened: dg.DagsterInstance) -> Callable[[], None]:
            seen.append((states(opened), names()))
            return lambda: None

        before_commit(session, look)
    assert seen == [(["mondays_schedule"], [])]


def test_looking_makes_no_registry(instance: dg.DagsterInstance) -> None:
    with looking(instance) as session:
        assert instance_of(session) is instance
        assert rows.all_of(session, ScheduleRow, "default") == []
    assert not (settings.home_folder() / "registry.db").exists()
