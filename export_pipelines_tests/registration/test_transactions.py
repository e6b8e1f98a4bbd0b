from collections.abc import Callable

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.errors import NameTaken, RegistryUnavailable
from export_pipelines.registration import platforms, schedules
from export_pipelines.registration.platforms import Platform
from export_pipelines.registration.transactions import (
    before_commit,
    instance_of,
    looking,
    registering,
)
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, schedules_revision
from export_pipelines.registry.models import PlatformRow, ScheduleRow
from export_pipelines.registry.schedules import Schedule

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


def register_and(instance: dg.DagsterInstance, write: Callable[[dg.DagsterInstance], None]) -> None:
    with registering(instance) as session:
        before_commit(session, write)
        schedules.add(session, "default", MONDAYS)


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


def test_no_row_without_its_state(instance: dg.DagsterInstance) -> None:
    """A definition that is loaded without its state would begin to count too late."""

    def fail(_: dg.DagsterInstance) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        register_and(instance, fail)
    assert (names(), states(instance), schedules_revision()) == ([], [], 0)


def test_states_are_written_while_the_row_is_not_yet_seen(instance: dg.DagsterInstance) -> None:
    seen = []
    with registering(instance) as session:
        schedules.add(session, "default", MONDAYS)
        before_commit(session, lambda opened: seen.append((states(opened), names())))
    assert seen == [(["mondays_schedule"], [])]


def test_looking_makes_no_registry(instance: dg.DagsterInstance) -> None:
    with looking(instance) as session:
        assert instance_of(session) is instance
        assert rows.all_of(session, ScheduleRow, "default") == []
    assert not (settings.home_folder() / "registry.db").exists()
