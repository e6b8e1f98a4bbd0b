"""The form of platforms, profiles and schedules in a file."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from export_pipelines.config_types import is_secret
from export_pipelines.errors import RequestError, one_of, shown, unknown
from export_pipelines.platforms import PLATFORMS
from export_pipelines.registration.platforms import Platform
from export_pipelines.registry.models import PlatformRow
from export_pipelines.registry.profiles import DEFAULT, Profile
from export_pipelines.registry.schedules import ALERT_MINUTES, Schedule

_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
_UNESCAPED = re.compile(r"(?<!\$)\$\{")
_SCHEDULE_KEYS = (
    "cron_expression",
    "timezone",
    "profile",
    "platforms",
    "alert_after_minutes",
    "is_active",
)


def require_fields(content: Any, where: str, known: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Return fields with their values.

    Raises:
        RequestError: it is something else, or a field is unknown.
    """
    if not isinstance(content, dict):
        raise RequestError(f"{where} must have names with values: {one_of(known)}.")
    for name in content:
        if name not in known:
            raise RequestError(f"{where}: {unknown('field', name, list(known))}")
    return content


def require_names(content: Any, section: str) -> dict[str, Any]:
    """Return what is named in a section.

    Raises:
        RequestError: it is something else.
    """
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise RequestError(f"{section} must have a name for each, with its fields below.")
    return content


def _switch(written: Mapping[str, Any], name: str, where: str) -> bool | None:
    value = written.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise RequestError(f"{where}.{name} must be true or false, not {shown(value)}.")


def parse_platform(name: str, content: Any) -> tuple[Platform, dict[str, bool]]:
    """Return a platform, and those of its switches that are said: is_active, auto_upload.

    Raises:
        RequestError: a field is unknown, missing or of another kind, or a variable is not set.
    """
    where = f"platforms.{name}"
    written = require_fields(content, where, [*PLATFORMS, "is_active", "auto_upload"])
    types = [each for each in written if each in PLATFORMS]
    if len(types) != 1:
        raise RequestError(
            f"{where}: write one type of {one_of(list(PLATFORMS))} with its fields below it."
        )
    [platform_type] = types
    fields = written[platform_type] or {}
    if not isinstance(fields, dict):
        raise RequestError(f"{where}.{platform_type}: its fields must be names with values.")
    variables = {
        str(field): found.group(1)
        for field, value in fields.items()
        if isinstance(value, str) and (found := _VARIABLE.fullmatch(value))
    }
    values = {
        field: _value(f"{where}.{field}", value, variables.get(field))
        for field, value in fields.items()
    }
    known = PLATFORMS[platform_type].model_fields
    for field, value in fields.items():
        literal = isinstance(value, str) and value and field not in variables
        if literal and field in known and is_secret(known[field]):
            raise RequestError(
                f"{where}.{field} is a secret: put it into a variable of the environment, and "
                f'write {field}: "${{NAME_OF_THE_VARIABLE}}" here.'
            )
    said = {switch: _switch(written, switch, where) for switch in ("is_active", "auto_upload")}
    switches = {switch: value for switch, value in said.items() if value is not None}
    return Platform(name, platform_type, values, variables), switches


def _value(where: str, value: Any, variable: str | None) -> Any:
    if variable is None:
        if not isinstance(value, str):
            return value
        if _UNESCAPED.search(value):
            raise RequestError(
                f"{where}: a variable stands for a whole value, as in ${{NAME}}; a ${{ within a "
                "text is written $${."
            )
        return value.replace("$${", "${")
    found = os.environ.get(variable)
    if not found:
        state = "is empty" if found == "" else "is not set"
        raise RequestError(f"{where}: the variable {variable} {state} here.")
    return found


def parse_profile(name: str, content: Any) -> tuple[Profile, bool | None]:
    """Return a profile, and whether it is active if that is said.

    Raises:
        RequestError: a field is unknown, missing or of another kind.
    """
    where = f"profiles.{name}"
    if not isinstance(content, dict) or not isinstance(content.get("format"), str):
        raise RequestError(f"{where}.format is missing: name the format of its exports.")
    request = {
        field: value
        for field, value in content.items()
        if field not in ("format", "platforms", "is_active")
    }
    platforms = _names(content.get("platforms"), f"{where}.platforms")
    made = Profile(name, content["format"], request, platforms)
    return made, _switch(content, "is_active", where)


def parse_schedule(name: str, content: Any) -> tuple[Schedule, bool | None]:
    """Return a schedule, and whether it is active if that is said.

    Raises:
        RequestError: a field is unknown, missing or of another kind.
    """
    where = f"schedules.{name}"
    written = require_fields(content, where, _SCHEDULE_KEYS)
    texts = {"cron_expression": None, "timezone": "UTC", "profile": DEFAULT}
    found = {field: written.get(field) or default for field, default in texts.items()}
    for field, value in found.items():
        if not isinstance(value, str):
            raise RequestError(f"{where}.{field} must be a text, not {shown(value)}.")
    minutes = written.get("alert_after_minutes", ALERT_MINUTES)
    if not isinstance(minutes, int) or isinstance(minutes, bool):
        raise RequestError(f"{where}.alert_after_minutes must be a number, not {shown(minutes)}.")
    made = Schedule(
        name,
        str(found["cron_expression"]),
        str(found["timezone"]),
        str(found["profile"]),
        _names(written.get("platforms"), f"{where}.platforms"),
        minutes,
    )
    return made, _switch(written, "is_active", where)


def _names(value: Any, where: str) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise RequestError(f"{where} must be a list of names, not {shown(value)}.")


def written_platforms(stored: Sequence[PlatformRow]) -> dict[str, dict[str, Any]]:
    """Return platforms as they are written, each secret as a variable of its own."""
    taken = {variable for row in stored for variable in _variables(row)}
    written = {}
    for row in stored:
        variables = dict(row.variables)
        for name in row.secret_names:
            if name not in variables:
                variables[name] = _free_variable(row.name, name, taken)
                taken.add(variables[name])
        written[row.name] = _written_platform(row, variables)
    return written


def _variables(row: PlatformRow) -> list[str]:
    """Return the variables that a platform's fields came from, or are read from."""
    read = [value["env"] for value in row.fields.values() if isinstance(value, Mapping)]
    return [*row.variables.values(), *read]


def _free_variable(platform: str, field: str, taken: set[str]) -> str:
    words = re.sub(r"\W+", "_", platform, flags=re.ASCII).strip("_").upper()
    if not words or words[0].isdigit():
        words = f"PLATFORM_{words}".rstrip("_")
    found, number = f"{words}_{field.upper()}", 1
    while found in taken:
        number += 1
        found = f"{words}_{number}_{field.upper()}"
    return found


def _written_platform(row: PlatformRow, variables: Mapping[str, str]) -> dict[str, Any]:
    fields = {name: f"${{{variable}}}" for name, variable in sorted(variables.items())}
    plain = {
        name: value.replace("${", "$${") if isinstance(value, str) else value
        for name, value in row.fields.items()
        if name not in fields
    }
    switches = {"is_active": row.is_active, "auto_upload": row.auto_upload}
    return {row.platform_type: {**plain, **fields}, **switches}


def written_profile(profile: Profile) -> dict[str, Any]:
    """Return a profile as it is written."""
    platforms = {} if profile.platforms is None else {"platforms": list(profile.platforms)}
    switch = {"is_active": profile.is_active}
    return {"format": profile.format, **profile.request, **platforms, **switch}


def written_schedule(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as it is written."""
    values = {name: getattr(schedule, name) for name in _SCHEDULE_KEYS}
    return {name: value for name, value in values.items() if value is not None}
