"""What an emulated Google Drive knows beside its files: accounts, uploads, and ordered failures."""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from export_pipelines_tests.servers.drive_files import DriveError, Files, Item

EMAIL = "exports@test-project.iam.gserviceaccount.com"
SUBJECT = "shop@example.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/drive"
_SKEW_SECONDS = 300


@dataclass
class Session:
    """A resumable upload: invisible until its last byte has come."""

    account: str
    item: Item
    values: dict[str, Any]
    query: Mapping[str, str]
    path: Path
    total: int | None
    received: int = 0
    done: bool = False


@dataclass
class Drive:
    """A running emulator, and orders for it.

    Attributes:
        drive_id: a shared drive that the service account is a member of.
        personal_id: a folder of SUBJECT's own, which he shares with the service account.
        files: what is in it; its roles, its quota and its complaints.
        sessions: resumable uploads; forget them to have them lost.
        key: the service account's public key, None once it is deleted.
        delegates: whether the service account may act for SUBJECT.
        clock: seconds that Google's clock is ahead of this machine's.
        requests: method and path of each request that came.
    """

    folder: Path
    key: rsa.RSAPublicKey | None
    drive_id: str = ""
    personal_id: str = ""
    files: Files = field(default_factory=Files)
    sessions: dict[str, Session] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    delegates: bool = True
    clock: int = 0
    requests: list[str] = field(default_factory=list)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    lock: Lock = field(default_factory=Lock)
    _failures: list[tuple[str, DriveError]] = field(default_factory=list)

    def fail(self, status: int, reason: str, *, times: int = 1, path: str = "/") -> None:
        """Answer the next requests below a path with an error."""
        self._failures += [(path, DriveError(status, reason))] * times

    def meet(self, path: str) -> None:
        """Raise the error that was ordered for a request."""
        for number, (prefix, error) in enumerate(self._failures):
            if path.startswith(prefix):
                del self._failures[number]
                raise error

    def token(self, assertion: str) -> Any:
        """Exchange a signed assertion for an access token."""
        head, _, signature = assertion.rpartition(".")
        claims = _json(head.partition(".")[2])
        if self.key is None or claims.get("iss") != EMAIL:
            raise DriveError(400, "invalid_grant", "Invalid grant: account not found")
        try:
            self.key.verify(_base64(signature), head.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise DriveError(400, "invalid_grant", "Invalid JWT Signature.") from None
        now = time.time() + self.clock
        begins, ends = claims["iat"], claims["exp"]
        if ends - begins > 3600 or begins > now + _SKEW_SECONDS or ends < now:
            raise DriveError(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token")
        if claims["aud"] != TOKEN_URI or _SCOPE not in claims["scope"].split():
            raise self.files.refuse(f"audience or scope of the assertion: {claims}")
        account = claims.get("sub", EMAIL)
        if account != EMAIL and not self.delegates:
            raise DriveError(401, "unauthorized_client", "Client is unauthorized.")
        if account not in (EMAIL, SUBJECT):
            raise DriveError(400, "invalid_grant", "Invalid email or User ID")
        token = f"ya29.{self.secret}{len(self.tokens)}"
        self.tokens[token] = account
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3599}

    def begin(
        self,
        account: str,
        file_id: str,
        body: Any,
        query: Mapping[str, str],
        *,
        size: int | None,
        media_type: str,
    ) -> tuple[str, Session]:
        """Start an upload, resumable or not."""
        item, values = self.files.write(account, file_id, body, query)
        if media_type:
            values.setdefault("mimeType", media_type)
        self.files.room(account, item, size or 0)
        upload_id = secrets.token_hex(8)
        path = self.folder / secrets.token_hex(8)
        path.touch()
        session = Session(account, item, values, query, path, size)
        self.sessions[upload_id] = session
        return upload_id, session

    def finish(self, session: Session) -> Any:
        """Make an upload visible and return its file."""
        if not session.done:
            self.files.room(session.account, session.item, session.received)
            self.files.commit(session.item, session.values, session.path)
            session.done = True
        return self.files.shown(session.item.values, session.query)


def _base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(text: str) -> Any:
    return json.loads(_base64(text))
