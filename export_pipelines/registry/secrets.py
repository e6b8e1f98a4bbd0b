"""The registry's secrets: encrypted with Fernet, under a key that is kept apart from them.

The key is that of `EXPORT_PIPELINES_SECRET_KEY`, or of the file `registry.key` in the home folder.
Both may hold several: the first encrypts, all of them decrypt.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, cast
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select
from sqlalchemy.orm import Session

from export_pipelines import settings
from export_pipelines.errors import KeyUnavailable
from export_pipelines.registry.database import is_dry_run, reading, state, writing
from export_pipelines.registry.models import PlatformRow, SigningKeyRow, WebhookRow

Row: TypeAlias = "PlatformRow | SigningKeyRow | WebhookRow"
"""What has secrets."""

_CHECK = b"export-pipelines"
_READ_ONLY_FOR_OWNER = 0o600


def encrypt(session: Session, secrets: Mapping[str, str]) -> str:
    """Return secrets as they are stored; a key is made if there has never been one.

    A dry run makes none: without one it returns an empty text, which is not kept.

    Args:
        session: of `writing`, so that no rotation is going on.
        secrets: field and value.

    Raises:
        KeyUnavailable: what is stored already cannot be read with the key that is there.
    """
    if not secrets:
        return ""
    known = state(session)
    if known.key_check and _given(session):
        keys = _fernets(known.key_check, _texts())
    else:
        if is_dry_run(session) and not _has_key():
            return ""
        keys = _first_keys()
        known.key_check = keys.encrypt(_CHECK).decode()
        _forget_unreadable(session, keys)
    return keys.encrypt(json.dumps(dict(secrets)).encode()).decode()


def decrypt(row: Row) -> dict[str, str]:
    """Return the secrets of a row by field.

    Raises:
        KeyUnavailable: the key is not there, or it is another one.
    """
    if not row.secrets:
        return {}
    token = row.secrets
    while True:
        try:
            return _decrypted(token)
        except KeyUnavailable:
            # A rotation may have ended since the row was read.
            with reading() as session:
                again: Row | None = cast(Any, session.get(type(row), row.id))
            if again is None or again.secrets == token:
                raise
            token = again.secrets


def rotate() -> int:
    """Encrypt all secrets with a new key, and return how many platforms and webhooks have some.

    A key of the environment is not made here: put the new one before the old one, separated by a
    comma, then rotate, then take the old one away.

    Raises:
        KeyUnavailable: what is stored cannot be read with the keys that are there.
    """
    with writing() as session:
        known = state(session)
        if not known.key_check:
            return 0
        path = settings.secret_key_file()
        old = _texts()
        _fernets(known.key_check, old)
        texts = old
        if not settings.secret_key():
            texts = [Fernet.generate_key().decode(), *old]
            # Until all is encrypted anew, and whenever this is interrupted, both are needed.
            _replace(path, texts)
        keys = _multiple(texts)
        given = _given(session)
        rows: list[Row] = [*given, *session.scalars(select(SigningKeyRow))]
        for row in rows:
            row.secrets = keys.encrypt(_read(keys, row.secrets)).decode()
        known.key_check = keys.encrypt(_CHECK).decode()
    if not settings.secret_key():
        _drop_old_keys()
    return len(given)


def _drop_old_keys() -> None:
    """Leave only the key that all is encrypted with; another rotation may have begun meanwhile."""
    with writing() as session:
        newest = _texts()[:1]
        with suppress(KeyUnavailable):
            _fernets(state(session).key_check, newest)
            _replace(settings.secret_key_file(), newest)


def _given(session: Session) -> list[PlatformRow | WebhookRow]:
    """Return what has secrets that nobody can make anew."""
    return [
        *session.scalars(select(PlatformRow).where(PlatformRow.secrets != "")),
        *session.scalars(select(WebhookRow).where(WebhookRow.secrets != "")),
    ]


def _forget_unreadable(session: Session, keys: MultiFernet) -> None:
    """Remove keys for signing that were encrypted with a key which is gone."""
    for row in session.scalars(select(SigningKeyRow)):
        try:
            keys.decrypt(row.secrets.encode())
        except InvalidToken:
            session.delete(row)


def _decrypted(token: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(_read(_multiple(_texts()), token))
    return found


def _fernets(key_check: str, texts: Sequence[str]) -> MultiFernet:
    """Return keys of which one is right."""
    keys = _multiple(texts)
    _read(keys, key_check)
    return keys


def _read(keys: MultiFernet, token: str) -> bytes:
    try:
        return keys.decrypt(token.encode())
    except InvalidToken:
        raise KeyUnavailable(
            f"The secrets of the registry cannot be read with the key {_place()}: it is another "
            "than that they were encrypted with. Put the right one back, or remove the platforms "
            "and webhooks and register them again."
        ) from None


def _texts() -> list[str]:
    """Return the keys that there are, the one that encrypts first."""
    given = settings.secret_key()
    if given:
        return [text.strip() for text in given.split(",") if text.strip()]
    path = settings.secret_key_file()
    try:
        return path.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        raise KeyUnavailable(
            f"The key of the registry's secrets is gone: there is no {path}, and "
            "EXPORT_PIPELINES_SECRET_KEY is not set. Put the file or the variable back; "
            "without it, remove the platforms and webhooks and register them again."
        ) from None
    except OSError as error:
        raise KeyUnavailable(
            f"The key of the registry's secrets cannot be read from {path}: {error.strerror}. "
            "Correct what is there, or its permissions."
        ) from None


def _first_keys() -> MultiFernet:
    """Return the keys of a registry without secrets; the file is made by whoever is first."""
    path = settings.secret_key_file()
    if not _has_key():
        made = _written(path, [Fernet.generate_key().decode()])
        try:
            with suppress(FileExistsError):
                os.link(made, path)
        finally:
            made.unlink()
        _flush_folder(path.parent)
    return _multiple(_texts())


def _has_key() -> bool:
    return bool(settings.secret_key()) or settings.secret_key_file().exists()


def _multiple(texts: Sequence[str]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(text) for text in texts])
    except ValueError:
        raise KeyUnavailable(
            f"The key {_place()} is none: it must be 32 bytes in URL-safe base64, as "
            "'export-pipelines registry make-key' prints one."
        ) from None


def _place() -> str:
    if settings.secret_key():
        return "in EXPORT_PIPELINES_SECRET_KEY"
    return f"in {settings.secret_key_file()}"


def _replace(path: Path, texts: Sequence[str]) -> None:
    _written(path, texts).replace(path)
    _flush_folder(path.parent)


def _written(beside: Path, texts: Sequence[str]) -> Path:
    """Write keys to a file beside another, which only its owner may read, and flush it.

    Raises:
        KeyUnavailable: the folder cannot be written to.
    """
    path = beside.with_name(f".{beside.name}.{uuid4().hex}")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY_FOR_OWNER)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write("\n".join(texts) + "\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise KeyUnavailable(
            f"The key of the registry's secrets cannot be written to {beside}: {error.strerror}. "
            "Make room, or correct the folder's place or permissions."
        ) from None
    return path


def _flush_folder(folder: Path) -> None:
    """Have a new name of a key survive a power cut, as what is encrypted with the key does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
