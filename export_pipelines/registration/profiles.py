"""Registering export profiles: requests that are saved under a name (F04)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
from sqlalchemy.orm import Session

from export_pipelines.clock import now
from export_pipelines.config import export_request
from export_pipelines.errors import (
    CatalogUnavailable,
    RequestError,
    one_of,
    shown,
    unknown,
)
from export_pipelines.formats import FORMATS
from export_pipelines.jobs import export_jobs
from export_pipelines.planning import plan_export
from export_pipelines.platforms.configuration import require_platform
from export_pipelines.registration.json_values import require_json
from export_pipelines.registry import rows
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import DEFAULT, Profile, registered
from export_pipelines.resources import Catalog


def check(
    organization: str, asked: Profile, registering: Collection[str] = frozenset()
) -> tuple[Profile, list[str]]:
    """Return a profile with its platforms by name, and what could not be checked.

    Args:
        organization: whose it is.
        asked: the profile.
        registering: names of platforms that are registered in the same step.

    Raises:
        RequestError: its name, its format or something in its request is wrong; its exports would
            fail.
        PlatformMisconfigured: it names a platform that does not exist.
    """
    rows.check_name("profile", asked.name)
    require_json(asked.request, asked.name)
    _check_request(asked.format, asked.request)
    checked = replace(asked, platforms=platform_names(organization, asked.platforms, registering))
    try:
        _plan(organization, checked)
    except CatalogUnavailable as error:
        return checked, [f"Names of fields were not checked: {error}"]
    return checked, []


def _check_request(format_name: str, request: Mapping[str, Any]) -> None:
    """Refuse a run config that the format's job would refuse.

    Raises:
        RequestError: there is no such format, or a field of the request is unknown or wrong.
    """
    if format_name not in FORMATS:
        raise RequestError(unknown("format", format_name, list(FORMATS)))
    if "platforms" in request:
        raise RequestError("platforms does not belong into the request, but beside it.")
    job = next(job for job in export_jobs if job.name == f"export_{format_name}")
    try:
        dg.validate_run_config(job, dict(request))
    except dg.DagsterInvalidConfigError as error:
        reasons = " ".join(each.message for each in error.errors)
        raise RequestError(f"The request does not fit export_{format_name}: {reasons}") from None


def platform_names(
    organization: str, asked: Sequence[str] | None, registering: Collection[str] = frozenset()
) -> list[str] | None:
    """Return names of platforms, some of which were given as ids.

    Raises:
        RequestError: a platform stands there twice.
        PlatformMisconfigured: there is no platform of a name.
    """
    if asked is None:
        return None
    names = [
        name if name in registering else require_platform(name, organization) for name in asked
    ]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"platforms names {name} more than once.")
    return names


def require_platforms(session: Session, organization: str, names: Sequence[str] | None) -> None:
    """Refuse names that no platform has any more; somebody may have removed one since the check.

    Raises:
        PlatformMisconfigured: there is no platform of a name.
    """
    for name in names or ():
        if rows.find(session, PlatformRow, organization, name) is None:
            require_platform(name, organization)


def _plan(organization: str, asked: Profile) -> None:
    catalog = Catalog()
    config = {**asked.request, "platforms": []}
    request = export_request(asked.format, config)
    with catalog.snapshots() as (snapshot,):
        plan_export(
            request,
            snapshot,
            backend=catalog.backend,
            run_id="profile",
            started_at=now(),
            organization=organization,
        )


def add(session: Session, organization: str, asked: Profile) -> ProfileRow:
    """Store a checked profile.

    Raises:
        NameTaken: the organization has one of that name.
    """
    rows.require_free(session, ProfileRow, organization, asked.name)
    row = ProfileRow(organization=organization, name=asked.name)
    _assign(session, row, asked)
    if asked.name == DEFAULT:
        rows.changed(session)
    rows.add(session, row)
    return row


def change(session: Session, row: ProfileRow, asked: Profile) -> bool:
    """Store what a checked profile is now, and return whether anything differs."""
    if asked == registered(row):
        return False
    if row.format != asked.format:
        # Dagster's schedules are bound to the job of a format.
        rows.changed(session)
    _assign(session, row, asked)
    row.updated_at = now()
    return True


def remove(session: Session, row: ProfileRow) -> None:
    """Take a profile out of the registry.

    Raises:
        RequestError: schedules run it.
    """
    schedules = rows.all_of(session, ScheduleRow, row.organization)
    users = [shown(user.name) for user in schedules if user.profile == row.name]
    if users and row.name != DEFAULT:
        raise RequestError(
            f"The profile {shown(row.name)} is run by the schedules {one_of(users)}: change or "
            "remove those first."
        )
    if row.name == DEFAULT:
        rows.changed(session)
    session.delete(row)


def _assign(session: Session, row: ProfileRow, asked: Profile) -> None:
    require_platforms(session, row.organization, asked.platforms)
    row.format = asked.format
    row.request = dict(asked.request)
    row.platforms = None if asked.platforms is None else list(asked.platforms)
    row.is_active = asked.is_active
