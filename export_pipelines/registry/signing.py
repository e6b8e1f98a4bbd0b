"""Keys by which links to files and sessions in a browser are signed.

They are the registry's own secrets. A new one is made on first use and by each rotation; what an
older one has signed is good until that expires.
"""

import math
import secrets
import time
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from export_pipelines import settings
from export_pipelines.clock import now, written
from export_pipelines.errors import KeyUnavailable
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import SigningKeyRow
from export_pipelines.registry.secrets import decrypt, encrypt

LONGEST_SECONDS = 43_200
"""How long anything that is signed is good at most."""

_KEY_BYTES = 32
_KNOWN_SECONDS = 5
_known: dict[str, tuple[float, list[bytes]]] = {}


def signing_keys() -> list[bytes]:
    """Return the keys that are good, that which signs first; it is made if there is none.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: they cannot be read, or the first one not be stored.
    """
    try:
        found = _good_keys()
    except KeyUnavailable:
        # Where nothing else is encrypted, a lost key costs no more than the links of five minutes.
        rotate_signing_key()
        found = _good_keys()
    if not found:
        rotate_signing_key(only_first=True)
        found = _good_keys()
    return found


def known_signing_keys() -> list[bytes]:
    """Return the keys as they were 5 seconds ago at most: to read them takes milliseconds.

    One that another process has made since may be missing: it is for signing.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: they cannot be read, or the first one not be stored.
    """
    registry = settings.registry_url()
    read_at, keys = _known.get(registry, (-math.inf, []))
    if time.monotonic() - read_at > _KNOWN_SECONDS:
        keys = signing_keys()
        _known[registry] = (time.monotonic(), keys)
    return keys


def rotate_signing_key(*, only_first: bool = False) -> None:
    """Have another key sign from now on.

    Args:
        only_first: do so only if there is none yet.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: it cannot be encrypted.
    """
    with writing() as session:
        rows = session.scalars(select(SigningKeyRow)).all()
        if rows and only_first:
            return
        for row in rows:
            if row.retired_at is None:
                row.retired_at = now()
            elif row.retired_at < _oldest():
                session.delete(row)
        session.add(_new(session))


def _new(session: Session) -> SigningKeyRow:
    key = secrets.token_hex(_KEY_BYTES)
    encrypted = encrypt(session, {"key": key})
    return SigningKeyRow(id=str(uuid4()), secrets=encrypted, created_at=now(), retired_at=None)


def _good_keys() -> list[bytes]:
    with reading() as session:
        rows = session.scalars(select(SigningKeyRow)).all()
    good = [row for row in rows if row.retired_at is None or row.retired_at >= _oldest()]
    newest_first = sorted(good, key=lambda row: row.retired_at or "9", reverse=True)
    return [bytes.fromhex(decrypt(row)["key"]) for row in newest_first]


def _oldest() -> str:
    """Return when a key was retired of which nothing is good any more."""
    return written(datetime.now(timezone.utc) - timedelta(seconds=LONGEST_SECONDS))
