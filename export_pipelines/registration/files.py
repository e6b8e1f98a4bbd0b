"""Platforms, profiles and schedules as a file, which is applied as often as one likes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy.orm import Session

from export_pipelines.errors import RequestError
from export_pipelines.registration import platforms, profiles, schedules
from export_pipelines.registration.file_form import (
    parse_platform,
    parse_profile,
    parse_schedule,
    require_fields,
    require_names,
    written_platforms,
    written_profile,
    written_schedule,
)
from export_pipelines.registration.platforms import Platform
from export_pipelines.registry import rows
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.profiles import registered as registered_profile
from export_pipelines.registry.schedules import Schedule

_SECTIONS = ("platforms", "profiles", "schedules")


@dataclass(frozen=True)
class Contents:
    """What a file registers, with its switches: None, or none, where the file does not say."""

    platforms: tuple[tuple[Platform, Mapping[str, bool]], ...]
    profiles: tuple[tuple[Profile, bool | None], ...]
    schedules: tuple[tuple[Schedule, bool | None], ...]


@dataclass(frozen=True)
class Outcome:
    """What became of something in a file: it was `added`, `changed`, or is `unchanged`."""

    kind: str
    name: str
    what: str


def read_file(path: Path) -> Contents:
    """Return what a file registers, with the values of its variables.

    Raises:
        RequestError: the file cannot be read, has another form, or a variable is not set.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "a value of it has no meaning"
        raise RequestError(f"{path} is no YAML{line}: {problem}.") from None
    sections = require_fields(content or {}, str(path), _SECTIONS)
    found = {name: require_names(sections.get(name) or {}, name) for name in _SECTIONS}
    return Contents(
        tuple(parse_platform(name, written) for name, written in found["platforms"].items()),
        tuple(parse_profile(name, written) for name, written in found["profiles"].items()),
        tuple(parse_schedule(name, written) for name, written in found["schedules"].items()),
    )


def check(organization: str, contents: Contents) -> tuple[Contents, list[str]]:
    """Return what a file registers as it is stored, and what could not be checked.

    Raises:
        RequestError: something in it is wrong.
        PlatformMisconfigured: a platform is.
    """
    coming = [platform.name for platform, _ in contents.platforms]
    requests = [
        (*profiles.check(organization, found, coming), active)
        for found, active in contents.profiles
    ]
    notes = [f"{profile.name}: {note}" for profile, each, _ in requests for note in each]
    checked = Contents(
        tuple((platforms.check(found), said) for found, said in contents.platforms),
        tuple((profile, active) for profile, _, active in requests),
        tuple(
            (schedules.check(organization, found, coming), active)
            for found, active in contents.schedules
        ),
    )
    return checked, notes


def apply(session: Session, organization: str, contents: Contents) -> list[Outcome]:
    """Register what a checked file says, and leave alone what it does not name.

    Args:
        session: of `registering`; all of it is committed together.
        organization: whose it is.
        contents: what `check` returned.

    Raises:
        RequestError: a schedule's profile does not exist.
        KeyUnavailable: secrets cannot be read or encrypted.
    """
    outcomes = []
    for platform, said in contents.platforms:
        row = rows.find(session, PlatformRow, organization, platform.name)
        switches = {**_switches(row), **said}
        kept = replace(
            platform,
            is_active=switches["is_active"],
            auto_upload=switches["auto_upload"],
        )
        done = platforms.change(session, row, kept) if row else None
        if row is None:
            platforms.add(session, organization, kept)
        outcomes.append(_outcome("platform", platform.name, done))
    for profile, active in contents.profiles:
        found = rows.find(session, ProfileRow, organization, profile.name)
        wanted = replace(profile, is_active=_active(active, found))
        done = profiles.change(session, found, wanted) if found else None
        if found is None:
            profiles.add(session, organization, wanted)
        outcomes.append(_outcome("profile", profile.name, done))
    for schedule, active in contents.schedules:
        known = rows.find(session, ScheduleRow, organization, schedule.name)
        runs = known and schedules.current(session, known)
        due = replace(schedule, is_active=_active(active, runs))
        done = schedules.change(session, known, due) if known else None
        if known is None:
            schedules.add(session, organization, due)
        outcomes.append(_outcome("schedule", schedule.name, done))
    return outcomes


def written(session: Session, organization: str) -> str:
    """Return an organization's registry as a file, with variables in place of secrets."""
    content = {
        "platforms": written_platforms(rows.all_of(session, PlatformRow, organization)),
        "profiles": {
            row.name: written_profile(registered_profile(row))
            for row in rows.all_of(session, ProfileRow, organization)
        },
        "schedules": {
            row.name: written_schedule(schedules.current(session, row))
            for row in rows.all_of(session, ScheduleRow, organization)
        },
    }
    kept = {name: section for name, section in content.items() if section}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    # Some rare line breaks do not come back; escaped they do.
    exact = yaml.safe_load(text) == kept
    return text if exact else yaml.safe_dump(kept, sort_keys=False)


def _switches(row: PlatformRow | None) -> dict[str, bool]:
    """Return the switches of a platform as they are; a new one has both on."""
    if row is None:
        return {"is_active": True, "auto_upload": True}
    return {"is_active": row.is_active, "auto_upload": row.auto_upload}


def _active(asked: bool | None, known: Any) -> bool:
    return asked if asked is not None else (known is None or bool(known.is_active))


def _outcome(kind: str, name: str, changed: bool | None) -> Outcome:
    what = "added" if changed is None else "changed" if changed else "unchanged"
    return Outcome(kind, name, what)
