"""A folder on Google Drive, as a service account sees it.

Drive allows several files of one name in a folder. This never makes a second one; where others did,
the one that was changed last counts, and to delete the name is to delete them all.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformUnavailable
from export_pipelines.platforms.base import (
    Connection,
    Platform,
    Receipt,
    RemoteFile,
    file_md5,
    file_sha256,
    is_hidden,
    secret,
)
from export_pipelines.platforms.gdrive_errors import Account
from export_pipelines.platforms.gdrive_files import FIELDS, PAUSES, DriveFiles, age, is_file
from export_pipelines.platforms.gdrive_upload import (
    CHUNK_BYTES,
    Content,
    LostSessionError,
    next_chunk,
)

_SCOPE = "https://www.googleapis.com/auth/drive"
_SESSIONS = 3


class Gdrive(Platform):
    """A folder on Google Drive, written to by a service account."""

    platform_type: Literal["gdrive"] = "gdrive"
    credentials: str = secret(
        "The key of a service account: the whole text of the JSON file that Google Cloud gives "
        "out.",
        lines=True,
    )
    credentials_file: str = Field(
        default="",
        description="The path of that JSON file where exports run, in place of its text.",
        json_schema_extra={"of_machine": True},
    )
    folder_id: str = Field(
        pattern=r"^[A-Za-z0-9_-]+$",
        description="What follows folders/ in the folder's address in a browser. Its shared drive "
        "must have the service account's e-mail address as Content manager, or the folder must be "
        "shared with it.",
    )
    subject: str = Field(
        default="",
        description="The e-mail address of the person for whom the service account acts, with the "
        "storage of that person (domain-wide delegation). Needed only for a folder outside of "
        "shared drives, as a service account has no storage of its own.",
    )

    @property
    def location(self) -> str:
        """The folder's address in a browser."""
        return f"https://drive.google.com/drive/folders/{self.folder_id}"

    def location_of(self, folder: str) -> str:
        """Return the folder's address in a browser; those below it have other ones."""
        return self.location

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the folder."""
        credentials = self._credentials()
        field = "credentials" if self.credentials else "credentials_file"
        account = Account(
            credentials.service_account_email,
            self.subject,
            field,
            self.folder_id,
            self.timeout_seconds,
        )
        with closing(_http(self.timeout_seconds)) as http:
            files = DriveFiles(_service(http, credentials).files(), account)
            yield _DriveConnection(files)

    def _credentials(self) -> Any:
        from google.oauth2 import service_account

        read: Any = service_account.Credentials.from_service_account_info
        field, text = self._key()
        try:
            info = json.loads(text)
            if info["type"] != "service_account" or not info["client_email"]:
                raise ValueError
            return read(info, scopes=[_SCOPE], subject=self.subject or None)
        except (ValueError, KeyError, TypeError):
            raise PlatformMisconfigured(
                f"{field}: this is no key of a service account. In Google Cloud, open the service "
                "account, add a JSON key and use the whole file.",
                field=field,
            ) from None

    def _key(self) -> tuple[str, str]:
        if bool(self.credentials) == bool(self.credentials_file):
            raise PlatformMisconfigured(
                "Set one of credentials and credentials_file.", field="credentials"
            )
        if self.credentials:
            return "credentials", self.credentials
        try:
            return "credentials_file", Path(self.credentials_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text"
            raise PlatformMisconfigured(
                f"credentials_file: {self.credentials_file} cannot be read: {reason}.",
                field="credentials_file",
            ) from None


def _http(timeout_seconds: int) -> Any:
    from googleapiclient.http import build_http

    http = build_http()
    http.timeout = timeout_seconds
    return http


def _service(http: Any, credentials: Any) -> Any:
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.discovery import build

    # It tells of each refusal, which is told in our words already.
    logging.getLogger("googleapiclient.http").setLevel(logging.ERROR)
    authorized = AuthorizedHttp(credentials, http=http)
    return build("drive", "v3", http=authorized, cache_discovery=False, static_discovery=True)


class _DriveConnection(Connection):
    def __init__(self, files: DriveFiles) -> None:
        self._files = files

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        path, _, last = name.rpartition("/")
        with Path(file.path).open("rb") as source:
            content = Content(source, file)
            folder = self._files.folder(path, make=True)
            for _ in range(_SESSIONS):
                before = self._files.newest(folder, last)
                verified = _compared(before, file) if before else ""
                if not verified:
                    try:
                        after = self._send(content, last, folder, before, on_bytes)
                    except LostSessionError:
                        continue
                    verified = self._verify(after, file, is_new=before is None)
                on_bytes(file.bytes)
                return Receipt(content.sent, verified)
        raise PlatformUnavailable(f"Google Drive lost the upload of {name} {_SESSIONS} times.")

    def get(self, name: str, target: Path) -> None:
        path, _, last = name.rpartition("/")
        folder = self._files.folder(path, make=False)
        found = self._files.newest(folder, last) if folder else None
        if found is None:
            raise FileNotFoundError(name)
        with target.open("wb") as output:
            for piece in self._pieces(found):
                output.write(piece)
        if not _holds(found, target.stat().st_size, file_sha256(target), target):
            raise PlatformUnavailable(f"{name} on Google Drive was changed while it was read.")

    def list(self, folder: str = "") -> list[RemoteFile]:
        below = self._files.folder(folder, make=False)
        prefix = f"{folder}/" if folder else ""
        found: dict[str, int] = {}
        for item in sorted(self._files.children(below), key=age) if below else ():
            if is_file(item) and not is_hidden(item["name"]):
                found[item["name"]] = int(item["size"])
        return [RemoteFile(prefix + name, found[name]) for name in sorted(found)]

    def delete(self, name: str) -> None:
        path, _, last = name.rpartition("/")
        folder = self._files.folder(path, make=False)
        for item in self._files.named(folder, last) if folder else ():
            if is_file(item):
                self._files.remove(item)

    def _send(
        self,
        content: Content,
        name: str,
        folder: str,
        before: Any,
        on_bytes: Callable[[int], None],
    ) -> Any:
        """Upload a file and return it as Google describes it."""
        always = {"media_body": content.media(name), "fields": FIELDS, "supportsAllDrives": True}
        if before is None:
            body = {"name": name, "parents": [folder]}
            request = self._files.api.create(body=body, **always)
        else:
            request = self._files.api.update(fileId=before["id"], body={}, **always)
        # More often than needed: where Google keeps less than was sent, some is sent again.
        for _ in range(2 * (content.size // CHUNK_BYTES + 1) + len(PAUSES)):
            stored = self._files.call(lambda: next_chunk(request))
            if stored is not None:
                return stored
            on_bytes(request.resumable_progress)
        raise PlatformUnavailable(f"Google Drive does not keep what is sent to it of {name}.")

    def _verify(self, stored: Any, file: StagedFile, *, is_new: bool) -> str:
        verified = _compared(stored, file)
        if not verified:
            if is_new:
                self._files.remove(stored)
            raise PlatformUnavailable(
                f"Google Drive holds other bytes of {stored['name']} than were sent."
            )
        return verified

    def _pieces(self, item: Any) -> Iterator[bytes]:
        from googleapiclient.http import MediaIoBaseDownload

        request = self._files.api.get_media(fileId=item["id"], supportsAllDrives=True)
        buffer = BytesIO()
        download = MediaIoBaseDownload(buffer, request, chunksize=CHUNK_BYTES)
        done = item["size"] == "0"
        while not done:
            _, done = self._files.call(download.next_chunk)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()


def _compared(item: Any, file: StagedFile) -> str:
    """Return which checksum shows that Google holds a file, empty if it holds something else."""
    if not _holds(item, file.bytes, file.sha256, Path(file.path)):
        return ""
    return "sha256" if "sha256Checksum" in item else "md5"


def _holds(item: Any, size: int, sha256: str, path: Path) -> bool:
    if item["size"] != str(size):
        return False
    if "sha256Checksum" in item:
        return bool(item["sha256Checksum"] == sha256)
    return bool(item["md5Checksum"] == file_md5(path))
