"""Registering schedules: each is due from that moment on, also before it is loaded."""

import re
from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from export_pipelines.clock import now
from export_pipelines.cron import check_cron, check_time_zone
from export_pipelines.errors import RequestError
from export_pipelines.registration.profiles import platform_names, require_platforms
from export_pipelines.registration.transactions import before_commit, instance_of
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.registry.profiles import find as find_profile
from export_pipelines.registry.profiles import require
from export_pipelines.registry.schedules import Schedule, registered
from export_pipelines.schedule_states import delete_state, has_history, is_running, write_state

_KEY_CHARACTERS = 60
_YEAR_MINUTES = 525_600


def check(
    organization: str,
    asked: Schedule,
    platforms: Collection[str] = frozenset(),
) -> Schedule:
    """Return a schedule as it is stored: its profile and its platforms by name.

    Args:
        organization: whose it is.
        asked: the schedule.
        platforms: names of platforms that are registered in the same step.

    Raises:
        RequestError: its name, its cron expression, its zone or its delay is wrong.
        PlatformMisconfigured: it names a platform that does not exist.
    """
    rows.check_name("schedule", asked.name)
    if not 1 <= asked.alert_after_minutes <= _YEAR_MINUTES:
        raise RequestError(
            f"alert_after_minutes must be from 1 to {_YEAR_MINUTES:,}, a year, not "
            f"{asked.alert_after_minutes}."
        )
    return replace(
        asked,
        cron_expression=check_cron(asked.cron_expression),
        timezone=check_time_zone(asked.timezone),
        profile=_profile_name(organization, asked.profile),
        platforms=platform_names(organization, asked.platforms, platforms),
    )


def _profile_name(organization: str, asked: str) -> str:
    """Return the name of what was given as an id; one that is registered yet is given by name."""
    with reading() as session:
        found = find_profile(session, organization, asked)
    return found.name if found else asked


def add(session: Session, organization: str, asked: Schedule) -> ScheduleRow:
    """Store a checked schedule, and start it if it is active.

    Raises:
        NameTaken: the organization has one of that name.
        NotRegistered: there is no such profile.
    """
    rows.require_free(session, ScheduleRow, organization, asked.name)
    row = ScheduleRow(organization=organization, name=asked.name, key=_key(session, asked.name))
    _assign(session, row, asked)
    rows.add(session, row)
    rows.changed(session)
    _follow(session, row)
    return row


def change(session: Session, row: ScheduleRow, asked: Schedule) -> bool:
    """Store what a checked schedule is now, and return whether anything differs.

    Raises:
        NotRegistered: there is no such profile.
    """
    before = current(session, row)
    if asked == before:
        return False
    _assign(session, row, asked)
    row.updated_at = now()
    rows.changed(session)
    times = (before.cron_expression, before.timezone, before.is_active)
    if (asked.cron_expression, asked.timezone, asked.is_active) != times:
        _follow(session, row)
    return True


def remove(session: Session, row: ScheduleRow) -> None:
    """Take a schedule out of the registry; its runs and ticks stay."""
    key = row.key
    session.delete(row)
    rows.changed(session)
    before_commit(session, lambda instance: delete_state(instance, key))


def current(session: Session, row: ScheduleRow) -> Schedule:
    """Return a stored schedule, active or not as the UI's switch has it."""
    runs = is_running(instance_of(session), row.key, default=row.is_active)
    return replace(registered(row), is_active=runs)


def _follow(session: Session, row: ScheduleRow) -> None:
    """Start a schedule from now on, or stop it."""
    key, cron, is_active = row.key, row.cron_expression, row.is_active
    before_commit(session, lambda instance: write_state(instance, key, cron, is_active=is_active))


def _key(session: Session, name: str) -> str:
    """Return a name that Dagster allows, and that no other schedule has.

    Its ending keeps it apart from the schedules and sensors that this project itself defines.
    """
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:_KEY_CHARACTERS] or "registered"
    taken = set(session.scalars(select(ScheduleRow.key)))
    key, number = f"{words}_schedule", 1
    instance = instance_of(session)
    # The history of one that was removed is not that of another, perhaps another organization's.
    while key in taken or has_history(instance, key):
        number += 1
        key = f"{words}_{number}_schedule"
    return key


def _assign(session: Session, row: ScheduleRow, asked: Schedule) -> None:
    require(session, row.organization, asked.profile)
    require_platforms(session, row.organization, asked.platforms)
    row.cron_expression = asked.cron_expression
    row.timezone = asked.timezone
    row.profile = asked.profile
    row.platforms = None if asked.platforms is None else list(asked.platforms)
    row.alert_after_minutes = asked.alert_after_minutes
    row.is_active = asked.is_active
