"""Registering platforms: their fields are checked, their secrets encrypted, neither is shown."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from export_pipelines import settings
from export_pipelines.clock import now
from export_pipelines.config_types import is_address, is_else_of_machine, is_of_machine, is_secret
from export_pipelines.errors import (
    NameTaken,
    PlatformMisconfigured,
    RequestError,
    one_of,
    shown,
    unknown,
)
from export_pipelines.platforms import PLATFORMS
from export_pipelines.platforms.configuration import build_platform
from export_pipelines.platforms.platforms_file import read_platforms
from export_pipelines.registry import rows
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.platforms import put_fields
from export_pipelines.registry.secrets import decrypt


@dataclass(frozen=True)
class Platform:
    """What is registered as a platform (P24-P28).

    Attributes:
        name: what people call it.
        platform_type: `gdrive`, `minio`, `ftp`, `sftp`, `s3` or `local`.
        fields: its fields, secrets included; `{env: NAME}` for one that is read from a variable
            whenever it is opened.
        variables: which variables some fields were read from, when a file was applied.
        is_active: whether anything is delivered to it.
        auto_upload: whether exports go there that name no platforms.
    """

    name: str
    platform_type: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    is_active: bool = True
    auto_upload: bool = True


def check(asked: Platform) -> Platform:
    """Return a platform with its values in the types of its fields.

    Raises:
        RequestError: its name is none, or is that of one in `platforms.yaml`.
        PlatformMisconfigured: a field is unknown, missing or wrong.
    """
    rows.check_name("platform", asked.name)
    if "/" in asked.name:
        raise RequestError(f"{shown(asked.name)} cannot be a platform's name: it has a /.")
    if asked.name in read_platforms():
        raise NameTaken(
            f"There is already a platform {shown(asked.name)} in {settings.platforms_file()}: "
            "choose another name, or take that one out."
        )
    if asked.platform_type not in PLATFORMS:
        raise RequestError(unknown("platform type", asked.platform_type, list(PLATFORMS)))
    plain, secrets = _apart(asked)
    made = build_platform({asked.platform_type: plain}, asked.name, secrets)
    typed = {
        name: value if isinstance(value, Mapping) else getattr(made, name)
        for name, value in plain.items()
    }
    return replace(asked, fields={**typed, **secrets})


def uses_machine(asked: Platform) -> bool:
    """Return whether a platform uses files, credentials or variables of where exports run."""
    if any(isinstance(value, Mapping) for value in asked.fields.values()):
        return True
    kind = PLATFORMS.get(asked.platform_type)
    return kind is not None and any(
        is_of_machine(known) if asked.fields.get(name) else is_else_of_machine(known)
        for name, known in kind.model_fields.items()
    )


def require_secrets(before: Platform, asked: Platform, given: Collection[str]) -> None:
    """Refuse to send secrets to another server than they were given for.

    Args:
        before: the platform as it is registered.
        asked: what it is to be, checked.
        given: names of the fields that are given anew.

    Raises:
        PlatformMisconfigured: it connects elsewhere, and a secret was not given again.
    """
    known = PLATFORMS[asked.platform_type].model_fields
    kept = [
        name
        for name, value in asked.fields.items()
        if value and is_secret(known[name]) and name not in given
    ]
    moved = [
        name
        for name, each in known.items()
        if is_address(each)
        and before.fields.get(name, each.default) != asked.fields.get(name, each.default)
    ]
    if kept and moved:
        raise PlatformMisconfigured(
            f"{asked.name}.{kept[0]}: give it again, as {one_of(moved)} changes to where and how "
            "it is sent.",
            field=kept[0],
        )


def add(session: Session, organization: str, asked: Platform) -> PlatformRow:
    """Store a checked platform.

    Raises:
        NameTaken: the organization has one of that name.
        KeyUnavailable: its secrets cannot be encrypted, as the key of those before is gone.
    """
    rows.require_free(session, PlatformRow, organization, asked.name)
    row = PlatformRow(organization=organization, name=asked.name, secrets="", secret_names=[])
    _assign(session, row, asked)
    rows.add(session, row)
    return row


def change(session: Session, row: PlatformRow, asked: Platform) -> bool:
    """Store what a checked platform is now, and return whether anything differs.

    Raises:
        RequestError: it is the export store, and would be disabled.
        KeyUnavailable: its secrets cannot be read or encrypted.
    """
    if asked == registered(row):
        return False
    if row.is_active and not asked.is_active:
        _require_no_store(row)
    _assign(session, row, asked)
    row.updated_at = now()
    return True


def remove(session: Session, row: PlatformRow) -> None:
    """Take a platform out of the registry, with its secrets.

    Raises:
        RequestError: profiles or schedules deliver to it, or it is the export store.
    """
    _require_no_store(row)
    profiles = rows.all_of(session, ProfileRow, row.organization)
    schedules = rows.all_of(session, ScheduleRow, row.organization)
    users = [f"the profile {shown(one.name)}" for one in profiles if row.name in _names(one)]
    users += [f"the schedule {shown(one.name)}" for one in schedules if row.name in _names(one)]
    if users:
        raise RequestError(
            f"The platform {shown(row.name)} is used by {one_of(users)}: change those first, or "
            "disable it."
        )
    session.delete(row)


def switch(row: PlatformRow, *, is_active: bool) -> bool:
    """Enable or disable a platform, and return whether it was not so before.

    Raises:
        RequestError: it is the export store, and would be disabled.
    """
    if not is_active:
        _require_no_store(row)
    return rows.switch(row, is_active=is_active)


def _require_no_store(row: PlatformRow) -> None:
    is_own = row.organization == settings.organization()
    if is_own and settings.store_platform() in (row.name, row.id):
        raise RequestError(
            f"The platform {shown(row.name)} is the export store: name another one in "
            "EXPORT_PIPELINES_STORE first."
        )


def _names(user: ProfileRow | ScheduleRow) -> list[str]:
    return user.platforms or []


def registered(row: PlatformRow) -> Platform:
    """Return a stored platform with its secrets.

    Raises:
        KeyUnavailable: they cannot be read.
    """
    return Platform(
        row.name,
        row.platform_type,
        {**row.fields, **decrypt(row)},
        row.variables,
        row.is_active,
        row.auto_upload,
    )


def _assign(session: Session, row: PlatformRow, asked: Platform) -> None:
    plain, secrets = _apart(asked)
    row.platform_type = asked.platform_type
    row.is_active = asked.is_active
    row.auto_upload = asked.auto_upload
    put_fields(session, row, plain, secrets, asked.variables)


def _apart(asked: Platform) -> tuple[dict[str, Any], dict[str, str]]:
    """Return fields that may be stored and shown, and those that are secrets."""
    known = PLATFORMS[asked.platform_type].model_fields
    secrets = {
        name: value
        for name, value in asked.fields.items()
        if name in known and is_secret(known[name]) and isinstance(value, str) and value
    }
    plain = {name: value for name, value in asked.fields.items() if name not in secrets}
    return plain, secrets
