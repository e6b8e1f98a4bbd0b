"""Schedules: cron expressions at which profiles are exported (P30-P36)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from export_pipelines.registry.database import reading
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.registry.profiles import DEFAULT, Profile, find

ALERT_MINUTES = 60


@dataclass(frozen=True)
class Schedule:
    """What is registered as a schedule.

    Attributes:
        name: what people call it.
        cron_expression: when it is due: five fields, or an alias such as `@daily`.
        timezone: the zone in which it is due.
        profile: the name of the profile that it exports.
        platforms: names of the platforms that files are delivered to; None for the profile's.
        alert_after_minutes: how long after it was due it must have succeeded.
        is_active: whether it is due at all until somebody switches it.
    """

    name: str
    cron_expression: str
    timezone: str = "UTC"
    profile: str = DEFAULT
    platforms: Sequence[str] | None = None
    alert_after_minutes: int = ALERT_MINUTES
    is_active: bool = True


def registered(row: ScheduleRow) -> Schedule:
    """Return a stored schedule."""
    return Schedule(
        row.name,
        row.cron_expression,
        row.timezone,
        row.profile,
        row.platforms,
        row.alert_after_minutes,
        row.is_active,
    )


def all_schedules() -> list[tuple[ScheduleRow, Profile | None]]:
    """Return the schedules of all organizations, each with its profile if there is one.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with reading() as session:
        rows = session.scalars(select(ScheduleRow).order_by(ScheduleRow.key))
        return [(row, find(session, row.organization, row.profile)) for row in rows]


def find_by_key(key: str) -> tuple[ScheduleRow, Profile | None] | None:
    """Return the schedule that has a name in Dagster, with its profile if there is one.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with reading() as session:
        row = session.scalars(select(ScheduleRow).where(ScheduleRow.key == key)).one_or_none()
        return (row, find(session, row.organization, row.profile)) if row else None
