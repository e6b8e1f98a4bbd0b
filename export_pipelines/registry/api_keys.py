"""API keys as they are made, told apart and stored; a key itself is shown once and kept nowhere.

A key is `ep_`, 8 letters and digits, `_`, and 43 characters that nobody can guess. What comes
before the second `_` is its prefix, which may be seen.
"""

import hashlib
import re
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from sqlalchemy import select

from export_pipelines.clock import now, written
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import ApiKeyRow

SCOPES = ("exports:read", "exports:write", "imports:write", "platforms:write", "admin")
"""What a key may allow."""

USE_SECONDS = 60
"""How often it is written down at most that a key is in use."""

_IMPLIED = {"exports:write": {"exports:read"}, "admin": set(SCOPES)}
_PREFIX_CHARACTERS = 8
_RANDOM_BYTES = 32
_FORM = re.compile(r"(ep_[A-Za-z0-9]{8})_[A-Za-z0-9_-]{43}")


def new_key() -> str:
    """Return the text of a key that nobody has."""
    visible = "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(_PREFIX_CHARACTERS)
    )
    return f"ep_{visible}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def prefix_of(text: str) -> str | None:
    """Return what may be seen of a key; None for a text that cannot be one."""
    found = _FORM.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """Return scopes with those that they imply: `admin` all, `exports:write` `exports:read`."""
    return frozenset().union(*({scope} | _IMPLIED.get(scope, set()) for scope in scopes))


def all_keys() -> list[ApiKeyRow]:
    """Return the keys of all organizations, those that are refused included.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with reading() as session:
        return list(session.scalars(select(ApiKeyRow)))


def is_good(row: ApiKeyRow) -> bool:
    """Return whether a key is neither revoked nor expired."""
    return row.is_active and (row.expires_at is None or row.expires_at > now())


def note_use(key_id: str) -> None:
    """Write down that a key is in use, unless that was done less than a minute ago.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    recent = written(datetime.now(timezone.utc) - timedelta(seconds=USE_SECONDS))
    with writing() as session:
        row = session.get(ApiKeyRow, key_id)
        if row and (row.last_used_at is None or row.last_used_at < recent):
            row.last_used_at = now()
