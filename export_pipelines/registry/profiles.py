"""Export profiles: requests that are saved under a name (F04)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from export_pipelines.errors import NotRegistered, unknown
from export_pipelines.registry import rows
from export_pipelines.registry.models import ProfileRow

DEFAULT = "default"
"""The profile of schedules that name none, unless one is registered under this name."""


@dataclass(frozen=True)
class Profile:
    """What is registered as a profile.

    Attributes:
        name: what people call it.
        format: a format's name.
        request: the run config of its exports, but for `platforms`.
        platforms: names of platforms; None for all that upload automatically.
        is_active: whether schedules may run it.
    """

    name: str
    format: str
    request: Mapping[str, Any] = field(default_factory=dict)
    platforms: Sequence[str] | None = None
    is_active: bool = True

    @property
    def run_config(self) -> dict[str, Any]:
        """The run config of its exports."""
        platforms = None if self.platforms is None else list(self.platforms)
        return {**self.request, "platforms": platforms}


BUILT_IN = Profile(DEFAULT, "csv", {"resource_type": "products", "filters": {"is_active": True}})
"""All active products as CSV: what Pixee's schedules export, which name nothing (P37)."""


def registered(row: ProfileRow) -> Profile:
    """Return a stored profile."""
    return Profile(row.name, row.format, row.request, row.platforms, row.is_active)


def find(session: Session, organization: str, name: str) -> Profile | None:
    """Return a registered profile, or the built-in one; None if there is none of that name."""
    row = rows.find(session, ProfileRow, organization, name)
    if row:
        return registered(row)
    return BUILT_IN if name == DEFAULT else None


def require(session: Session, organization: str, name: str) -> Profile:
    """Return a registered profile, or the built-in one.

    Raises:
        NotRegistered: there is none of that name.
    """
    found = find(session, organization, name)
    if found:
        return found
    profiles = rows.all_of(session, ProfileRow, organization)
    known = list(dict.fromkeys([*(profile.name for profile in profiles), DEFAULT]))
    raise NotRegistered(unknown("profile", name, known))
