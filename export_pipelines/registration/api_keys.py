"""Registering API keys: each allows somebody something, in one organization, perhaps for a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy.orm import Session

from export_pipelines.clock import written
from export_pipelines.errors import RequestError, one_of, shown, unknown
from export_pipelines.registry import rows
from export_pipelines.registry.api_keys import SCOPES, digest_of, new_key, prefix_of
from export_pipelines.registry.models import NAME_CHARACTERS, ApiKeyRow

LONGEST_DAYS = 36_500


@dataclass(frozen=True)
class ApiKey:
    """What is asked for as a key.

    Attributes:
        name: whose it is, or what for.
        scopes: what it allows.
        expires_at: from when on it is refused, with its zone; None for never.
    """

    name: str
    scopes: Sequence[str]
    expires_at: datetime | None = None


def in_days(days: int) -> datetime:
    """Return the moment a number of days from now.

    Raises:
        RequestError: there are none, or more than a century has.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise RequestError(
            f"A key cannot expire in {days} days: choose 1 to {LONGEST_DAYS:,}, or none for a key "
            "that does not expire."
        )
    return datetime.now(timezone.utc) + timedelta(days=days)


def add(session: Session, organization: str, asked: ApiKey) -> tuple[ApiKeyRow, str]:
    """Store a new key, and return it with its text, which nobody can find out again.

    Raises:
        RequestError: its name or its organization's is none, a scope is unknown or there is none,
            or it would have expired.
        NameTaken: the organization has a key of that name.
    """
    _check(organization, asked)
    rows.require_free(session, ApiKeyRow, organization, asked.name)
    text = new_key()
    row = ApiKeyRow(
        organization=organization,
        name=asked.name,
        is_active=True,
        prefix=prefix_of(text),
        digest=digest_of(text),
        scopes=[scope for scope in SCOPES if scope in asked.scopes],
        expires_at=written(asked.expires_at) if asked.expires_at else None,
    )
    rows.add(session, row)
    return row, text


def revoke(row: ApiKeyRow) -> bool:
    """Have a key refused from now on, and return whether it was not so before."""
    return rows.switch(row, is_active=False)


def remove(session: Session, row: ApiKeyRow) -> None:
    """Take a key out of the registry; it is refused from now on."""
    session.delete(row)


def _check(organization: str, asked: ApiKey) -> None:
    rows.check_name("key", asked.name)
    if not (0 < len(organization) <= NAME_CHARACTERS and organization.isprintable()):
        raise RequestError(
            f"{shown(organization)} cannot be an organization: use 1 to {NAME_CHARACTERS} "
            "characters that can be seen."
        )
    if not asked.scopes:
        raise RequestError(f"A key needs a scope: choose from {one_of(SCOPES)}.")
    for scope in asked.scopes:
        if scope not in SCOPES:
            raise RequestError(unknown("scope", scope, list(SCOPES)))
    _check_expiry(asked.expires_at)


def _check_expiry(moment: datetime | None) -> None:
    if moment is None:
        return
    if moment.tzinfo is None:
        raise RequestError(
            f"The key's end {moment.isoformat()} says no time zone: write it with one, such as "
            f"{moment.isoformat()}Z."
        )
    if moment <= datetime.now(timezone.utc):
        raise RequestError(
            f"The key would have expired at {written(moment)}: choose a time that is still to come."
        )
