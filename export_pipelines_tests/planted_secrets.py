"""Secrets for all fields of all platforms, and the search for them in every form they may take."""

import json
import secrets
import sqlite3
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_CLOSED = "127.0.0.1"
_LINE = 16
_SAMPLE_SECONDS = 0.02

REQUIRED = {
    "ftp": {"host": _CLOSED, "port": "1", "tls": "none"},
    "sftp": {"host": _CLOSED, "port": "1", "username": "shop", "host_key": "SHA256:" + "A" * 43},
    "minio": {"endpoint_url": f"http://{_CLOSED}:1", "bucket": "exports"},
    "s3": {"endpoint_url": f"http://{_CLOSED}:1", "bucket": "exports", "region_name": "eu-west-1"},
    "gdrive": {"folder_id": "folder"},
}
"""Fields that are no secrets, of platforms that nobody answers for."""

SECRET_FIELDS = {
    "ftp": ("password",),
    "sftp": ("passphrase", "password", "private_key"),
    "minio": ("access_key", "secret_key"),
    "s3": ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    "gdrive": ("credentials",),
}


def make_secret(field_name: str) -> str:
    """Return a value that a field takes, unlike any other, and written in many ways."""
    token = secrets.token_urlsafe(16)
    if field_name == "credentials":
        return _service_account()
    if field_name == "private_key":
        lines = [f"{token}{number}" for number in range(3)]
        return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines])
    return token if "key" in field_name or "token" in field_name else f'pä"ss\\%/+ <{token}>'


def _service_account() -> str:
    key = rsa.generate_private_key(65_537, 2_048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "shop@project.example",
        "private_key_id": secrets.token_hex(20),
        "private_key": key.decode(),
        "token_uri": f"http://{_CLOSED}:1/token",
    }
    return json.dumps(account)


def _parts(secret: str) -> list[str]:
    """Return a secret, and what of it would be enough: its lines, its private key's."""
    texts = [secret]
    with suppress(ValueError):
        account = json.loads(secret)
        texts += [account["private_key"], account["private_key_id"]]
    lines = [line for text in texts for line in text.splitlines()]
    backwards = ["\n".join(reversed(text.splitlines())) for text in texts]
    windows = ["\r\n".join(text.splitlines()) for text in texts]
    long = [line for line in lines if len(line) >= _LINE and not line.startswith("-----")]
    return list(dict.fromkeys([*texts, *backwards, *windows, *long]))


def forms(secret: str) -> set[bytes]:
    """Return what to look for: a secret as it is, escaped and encoded in the usual ways."""
    found: set[bytes] = set()
    for text in _parts(secret):
        once = [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
        twice = [json.dumps(each)[1:-1] for each in once]
        quoted = [quote(text), quote(text, safe=""), quote_plus(text)]
        written = [text, repr(text)[1:-1], escape(text), *once, *twice, *quoted]
        found |= {each.encode() for each in written}
        found |= {text.encode().hex().encode(), text.encode("utf-16-le")}
        found |= set(_base64(text.encode()))
    return found


def _base64(content: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of a text wherever it begins, but for characters at its ends."""
    for begin in range(3):
        inner = content[begin : begin + (len(content) - begin) // 3 * 3]
        yield from (b64encode(inner), urlsafe_b64encode(inner))


def found_in(planted: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Return which secrets are where."""
    wanted = {name: forms(secret) for name, secret in planted.items()}
    return [
        f"{name} in {place}"
        for place, content in places.items()
        for name, looks in wanted.items()
        if any(look in content for look in looks)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder, and of each database all of its values."""
    places: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        # Files come and go while servers run.
        with suppress(FileNotFoundError):
            if path.is_file():
                places[str(path)] = path.read_bytes()
    for name, content in list(places.items()):
        if content.startswith(b"SQLite format 3\0"):
            places[f"values of {name}"] = b"\n".join(_values(Path(name)))
    return places


def _values(path: Path) -> Iterator[bytes]:
    """Yield the values of a database, unpacked where they are packed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    content = value if isinstance(value, bytes) else str(value).encode()
                    yield content
                    with suppress(zlib.error):
                        yield zlib.decompress(content)


@dataclass
class ProcessArguments:
    """Samples the arguments of all processes of the machine for as long as it is entered."""

    seen: set[bytes] = field(default_factory=set)
    _ended: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def __enter__(self) -> "ProcessArguments":
        self._thread = Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.seen.update(_arguments())


def _arguments() -> Iterable[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (process / "cmdline").read_bytes()
