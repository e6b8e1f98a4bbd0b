"""Platforms as people configure them: by name, or written out in run config.

Names are those of `platforms.yaml` and of the registry. What is written has the same form
everywhere, `{sftp: {host: …, password: {env: NAME}}}`. Values of variables and secrets are read
when a platform is opened, and go nowhere else.
"""

import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
from dagster._config import ScalarUnion
from pydantic import ValidationError

from export_pipelines import settings
from export_pipelines.artifacts import Destination
from export_pipelines.config_types import config_type, is_secret, may_have_lines
from export_pipelines.errors import (
    PlatformMisconfigured,
    RequestError,
    one_of,
    shown,
    unknown,
)
from export_pipelines.naming import folder_name, name_values
from export_pipelines.platforms import PLATFORMS
from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.platforms_file import read_platforms
from export_pipelines.registry.platforms import automatic, find, names
from export_pipelines.registry.secrets import decrypt

Asked = str | Mapping[str, Any]
"""A platform's name, or its type with its fields."""

_TYPE_FIELD = "platform_type"
_SOMETIME = name_values(
    resource_type="products",
    format_name="csv",
    run_id="run",
    started_at="2026-01-31T09:00:00Z",
    time_zone="UTC",
)


def platform_config() -> Any:
    """Return the config type of one platform: a name, or a type with its fields."""
    kinds = {
        name: dg.Field(_fields(kind), description=kind.__doc__) for name, kind in PLATFORMS.items()
    }
    selector = dg.Selector(kinds)  # type: ignore[no-untyped-call]
    return ScalarUnion(dg.String, non_scalar_schema=selector)


def _fields(kind: type[Platform]) -> dict[str, dg.Field]:
    return {
        name: dg.Field(
            config_type(field), is_required=field.is_required(), description=field.description
        )
        if field.is_required() or is_secret(field)
        else dg.Field(
            config_type(field), default_value=field.default, description=field.description
        )
        for name, field in kind.model_fields.items()
        if name != _TYPE_FIELD
    }


def label_of(asked: Asked) -> str:
    """Return what people call a platform: its name, or its type."""
    return asked if isinstance(asked, str) else next(iter(asked), "platform")


def find_destinations(asked: Sequence[Asked] | None, organization: str) -> tuple[Destination, ...]:
    """Return where files are delivered, each with a key of its own.

    Args:
        asked: names or ids, or types with fields; None for the platforms that upload
            automatically.
        organization: whose registered platforms are meant.

    Raises:
        PlatformMisconfigured: a platform is unknown or wrong.
        RequestError: a platform is named twice, or is disabled.
        RegistryUnavailable: the registry does not answer.
    """
    if asked is None:
        asked = _automatic(organization)
    asked = [require_platform(one, organization) if isinstance(one, str) else one for one in asked]
    found: dict[str, Destination] = {}
    for one in asked:
        label = label_of(one)
        if asked.count(one) > 1:
            raise RequestError(f"platforms names {label} more than once.")
        key = base = re.sub(r"\W", "_", label, flags=re.ASCII)
        number = 1
        while key in found:
            number += 1
            key = f"{base}_{number}"
        open_active(one, organization)
        found[key] = Destination(key, label, one)
    return tuple(found.values())


def _automatic(organization: str) -> list[str]:
    """Return the platforms that upload automatically; the export store has each export anyway."""
    found = automatic(organization)
    name = settings.store_platform()
    if not name or organization != settings.organization():
        return found
    store = find(organization, name)
    return [one for one in found if store is None or one != store.name]


def open_active(asked: Asked, organization: str) -> Platform:
    """Return a platform that is delivered to.

    Raises:
        RequestError: it is disabled.
        PlatformMisconfigured, KeyUnavailable, RegistryUnavailable: as `open_platform`.
    """
    if isinstance(asked, str) and is_disabled(asked, organization):
        raise RequestError(
            f"The platform {shown(asked)} is disabled: enable it, or export without it."
        )
    return open_platform(asked, organization)


def require_platform(name: str, organization: str) -> str:
    """Return the name of a platform, which may have been given as its id.

    Raises:
        PlatformMisconfigured: there is no platform of that name.
        RegistryUnavailable: the registry does not answer.
    """
    written = read_platforms()
    if name in written:
        return name
    row = find(organization, name)
    if row is None:
        known = [*written, *names(organization)]
        raise PlatformMisconfigured(_no_platform(name, known), field="platforms")
    return row.name


def is_disabled(name: str, organization: str) -> bool:
    """Return whether a registered platform is switched off; those of the file never are.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    row = None if name in read_platforms() else find(organization, name)
    return row is not None and not row.is_active


def open_platform(asked: Asked, organization: str = "") -> Platform:
    """Return a platform with its secrets and the values of its variables; nothing connects.

    Args:
        asked: a name in `platforms.yaml` or the registry, or a type with its fields.
        organization: whose registered platforms are meant; empty for that of the settings.

    Raises:
        PlatformMisconfigured: there is no platform of that name, a field is unknown, missing or
            wrong, or a variable is not set.
        KeyUnavailable: its secrets cannot be read, as their key is not there.
        RegistryUnavailable: the registry does not answer.
    """
    if not isinstance(asked, str):
        return build_platform(asked, label_of(asked))
    written = read_platforms()
    if asked in written:
        return build_platform(written[asked], asked)
    owner = organization or settings.organization()
    row = find(owner, asked)
    if row is None:
        known = [*written, *names(owner)]
        raise PlatformMisconfigured(_no_platform(asked, known), field="platforms")
    return build_platform({row.platform_type: row.fields}, row.name, decrypt(row))


def _no_platform(name: str, known: list[str]) -> str:
    path = settings.platforms_file()
    if known:
        return f"{unknown('platform', name, known)} They are registered, or in {path}."
    return (
        f"There is no platform {shown(name)}: none is registered, and {path} names none. See "
        "docs/platforms.md."
    )


def build_platform(
    written: Any, label: str, secrets: Mapping[str, str] = MappingProxyType({})
) -> Platform:
    """Return the platform that is written out, with the values of its variables.

    Args:
        written: `{type: {field: value}}`.
        label: what people call it.
        secrets: its secret fields, from where secrets are kept.

    Raises:
        PlatformMisconfigured: a field is unknown, missing or wrong, or a variable is not set.
    """
    if not isinstance(written, Mapping) or len(written) != 1:
        raise PlatformMisconfigured(
            f"{label}: write one type of {one_of(list(PLATFORMS))} with its fields below it.",
            field=_TYPE_FIELD,
        )
    [(platform_type, fields)] = written.items()
    if platform_type not in PLATFORMS:
        sentence = unknown("platform type", platform_type, list(PLATFORMS))
        raise PlatformMisconfigured(f"{label}: {sentence}", field=_TYPE_FIELD)
    kind = PLATFORMS[platform_type]
    values = {
        name: _value(kind, name, value, label) for name, value in _mapping(fields, label).items()
    }
    for name, value in secrets.items():
        _require_characters(kind, name, value, label)
    values |= secrets
    required = [name for name, field in kind.model_fields.items() if field.is_required()]
    for name in required:
        if values.get(name) is None:
            raise PlatformMisconfigured(f"{label}.{name} is missing.", field=name)
    try:
        platform = kind(**values)
    except ValidationError as error:
        # Its own text quotes values, which may be secrets.
        problem = error.errors(include_input=False, include_context=False)[0]
        name = ".".join(str(place) for place in problem["loc"])
        raise PlatformMisconfigured(f"{label}.{name}: {problem['msg']}.", field=name) from None
    try:
        folder_name(platform.subfolder, _SOMETIME)
    except RequestError as error:
        raise PlatformMisconfigured(f"{label}: {error}", field="subfolder") from None
    return platform


def _mapping(fields: Any, label: str) -> Mapping[str, Any]:
    if fields is None or isinstance(fields, Mapping):
        return fields or {}
    raise PlatformMisconfigured(f"{label}: its fields must be names with values.", field=label)


def _value(kind: type[Platform], name: str, value: Any, label: str) -> Any:
    """Return a field's value, from the environment if it is written as `{env: NAME}`."""
    known = [field for field in kind.model_fields if field != _TYPE_FIELD]
    if name not in known:
        sentence = unknown("field", name, known)
        raise PlatformMisconfigured(f"{label}: {sentence}", field=str(name))
    if not isinstance(value, Mapping):
        _require_characters(kind, name, value, label)
        if is_secret(kind.model_fields[name]) and value:
            raise PlatformMisconfigured(
                f"{label}.{name} is a secret: put it into a variable of the environment, and write "
                f"{name}: {{env: NAME_OF_THE_VARIABLE}} here.",
                field=name,
            )
        return value
    variable = value.get("env")
    if set(value) != {"env"} or not isinstance(variable, str):
        raise PlatformMisconfigured(
            f"{label}.{name}: write a value, or {{env: NAME_OF_A_VARIABLE}}.", field=name
        )
    if variable not in os.environ:
        raise PlatformMisconfigured(
            f"{label}.{name}: the variable {variable} is not set where exports run.", field=name
        )
    found = os.environ[variable]
    if not found:
        raise PlatformMisconfigured(
            f"{label}.{name}: the variable {variable} is empty where exports run.", field=name
        )
    _require_characters(kind, name, found, label)
    return found


def _require_characters(kind: type[Platform], name: str, value: Any, label: str) -> None:
    """Refuse what was copied with a line break, or is no text."""
    if not isinstance(value, str):
        return
    lines = value.splitlines() if may_have_lines(kind.model_fields[name]) else [value]
    if not all(line.replace("\t", " ").isprintable() for line in lines):
        raise PlatformMisconfigured(
            f"{label}.{name}: it has a line break or another character that cannot be seen; "
            "perhaps that was copied with it.",
            field=name,
        )
