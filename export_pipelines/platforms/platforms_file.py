"""Platforms by name in `platforms.yaml`, as they are written there."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from export_pipelines import settings
from export_pipelines.errors import PlatformMisconfigured, shown

_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


def read_platforms() -> dict[str, Mapping[str, Any]]:
    """Return the platforms of `platforms.yaml` by name, as they are written there; none without it.

    Raises:
        PlatformMisconfigured: the file cannot be read, or has another form.
    """
    path = settings.platforms_file()
    try:
        content = yaml.safe_load(path.read_bytes()) if path.exists() else {}
    except OSError as error:
        raise _unreadable(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "a value of it has no meaning"
        raise _unreadable(f"{path} is no YAML{line}: {problem}.") from None
    named = _named(content or {})
    if named is None:
        raise _unreadable(f"{path} must have one key, platforms, with a name for each platform.")
    for name in named:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _unreadable(
                f"{path}: {shown(name)} cannot be a platform's name: use letters, digits, - and _."
            )
    return named


def _named(content: Any) -> dict[str, Any] | None:
    if not isinstance(content, dict) or content.keys() - {"platforms"}:
        return None
    named = content.get("platforms") or {}
    return named if isinstance(named, dict) else None


def _unreadable(sentence: str) -> PlatformMisconfigured:
    return PlatformMisconfigured(sentence, field="platforms")
