"""Folders of servers that speak FTP, encrypted by TLS or not."""

import ftplib
import posixpath
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import Field

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformRefused, PlatformUnavailable
from export_pipelines.platforms.base import (
    Connection,
    Platform,
    Receipt,
    RemoteFile,
    hidden_name,
    is_hidden,
    secret,
)
from export_pipelines.platforms.ftp_errors import ftp_error
from export_pipelines.platforms.ftp_session import FtpLogin, FtpSession
from export_pipelines.platforms.ftp_upload import FtpUpload


class Ftp(Platform):
    """A folder of a server that speaks FTP, encrypted by TLS unless that is switched off."""

    platform_type: Literal["ftp"] = "ftp"
    host: str = Field(
        description="The server's host name or IP address.", json_schema_extra={"address": True}
    )
    port: int = Field(
        default=21,
        ge=1,
        le=65535,
        description="The port of its FTP service.",
        json_schema_extra={"address": True},
    )
    username: str = Field(default="anonymous", description="The account to log in with.")
    password: str = secret("Its password.")
    tls: Literal["explicit", "none"] = Field(
        default="explicit",
        description="`explicit` encrypts the login and all files (FTPS, by AUTH TLS). With `none` "
        "the password and the files can be read and changed by anybody on the way.",
        json_schema_extra={"address": True},
    )
    ca_file: str = Field(
        default="",
        description="A file with the certificates (PEM) of who vouches for the server's. By "
        "default those that this machine trusts.",
        json_schema_extra={"of_machine": True},
    )
    verify: Literal["auto", "readback", "size"] = Field(
        default="auto",
        description="How a file is compared before it gets its name. `auto`: by a checksum that "
        "the server makes, or as `readback` if it makes none. `readback`: by reading all of it "
        "again, which takes as long as a download. `size`: by its size only, which does not see "
        "a byte that was changed; and what an earlier try has sent is sent again.",
    )
    folder: str = Field(
        default="",
        description="A folder of the server, which must be there: an absolute path, or one below "
        "the folder in which the account starts. That one by default.",
    )

    @property
    def location(self) -> str:
        """The folder as an address: `ftp://shop@host:21/in`; `//in` is absolute."""
        return f"ftp://{self.username}@{self.host}:{self.port}/{self.folder}"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Log in, and enter the folder."""
        with self.explained():
            connection = _FtpConnection(self, self._open())
        broken = True
        try:
            yield connection
            broken = False
        finally:
            connection.close(broken=broken)

    def _open(self) -> FtpSession:
        if "\n" in self.username + self.password or "\r" in self.username + self.password:
            raise PlatformMisconfigured(
                "password: FTP cannot send a username or password of several lines; perhaps a line "
                "break was copied with it.",
                field="password",
            )
        login = FtpLogin(
            self.host,
            self.port,
            self.username,
            self.password,
            self.timeout_seconds,
            self._context(),
        )
        session = FtpSession(login)
        if self.folder:
            try:
                session.enter(self.folder)
            except ftplib.error_perm:
                session.close(broken=False)
                raise PlatformMisconfigured(
                    f"folder: {self.host} has no folder {self.folder}, or hides it from this "
                    "account. Create it there, or correct its name.",
                    field="folder",
                ) from None
            except BaseException:
                session.close(broken=True)
                raise
        return session

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise errors of the library and of the network as ours."""
        try:
            yield
        except Exception as error:
            explained = ftp_error(
                error, self.host, self.port, self.timeout_seconds, encrypted=self.tls != "none"
            )
            if explained is None:
                raise
            raise explained from None

    def _context(self) -> ssl.SSLContext | None:
        if self.tls == "none":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise PlatformMisconfigured(
                f"ca_file: {self.ca_file} cannot be read as certificates (PEM): "
                f"{error.strerror or error.args[-1]}.",
                field="ca_file",
            ) from None


class _FtpConnection(Connection):
    def __init__(self, platform: Ftp, session: FtpSession) -> None:
        self._platform = platform
        self._session = session
        self._folders: set[str] = set()
        self._parts: dict[str, list[str]] = {}

    def close(self, *, broken: bool) -> None:
        """Leave the server."""
        self._session.close(broken=broken)

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        with self._platform.explained(), Path(file.path).open("rb") as source:
            if self._is_same(name, file):
                on_bytes(file.bytes)
                return Receipt(0, "sha256")
            if self._session.has_folder(name):
                raise PlatformRefused(
                    f"{self._platform.location} has a folder that is named {name}, as the file "
                    "should be: rename one of them."
                )
            self._make_folders(posixpath.dirname(name))
            hidden = hidden_name(name, file.sha256)
            upload = FtpUpload(self._session, file, hidden, self._platform.verify)
            receipt = upload.send(source, on_bytes)
            self._replace(hidden, name)
            self._remove_parts(name)
        on_bytes(file.bytes)
        return receipt

    def get(self, name: str, target: Path) -> None:
        with self._platform.explained():
            size = self._session.size(name)
            if size is None:
                raise FileNotFoundError(name)
            with target.open("wb") as sink:
                self._session.retrieve(name, sink.write)
                self._require_size(name, sink.tell(), size)

    def list(self, folder: str = "") -> list[RemoteFile]:
        with self._platform.explained():
            files = self._session.files(folder)
        return [
            RemoteFile(posixpath.join(folder, name), size)
            for name, size in sorted(files.items())
            if not is_hidden(name)
        ]

    def delete(self, name: str) -> None:
        with self._platform.explained():
            self._session.remove(name)

    def _is_same(self, name: str, file: StagedFile) -> bool:
        if self._platform.verify != "auto" or self._session.size(name) != file.bytes:
            return False
        return self._session.checksum(name) == ("sha256", file.sha256)

    def _make_folders(self, folder: str) -> None:
        if not folder or folder in self._folders:
            return
        if not self._session.has_folder(folder):
            self._make_folders(posixpath.dirname(folder))
            self._make_folder(folder)
        self._folders.add(folder)

    def _make_folder(self, folder: str) -> None:
        try:
            self._session.make_folder(folder)
        except ftplib.error_perm:
            if self._session.size(folder) is not None:
                raise PlatformRefused(
                    f"{self._platform.location} has a file that is named {folder}, as the folder "
                    "should be: rename one of them."
                ) from None
            # Another delivery may have made it meanwhile.
            if not self._session.has_folder(folder):
                raise

    def _require_size(self, name: str, size: int, expected: int) -> None:
        if size != expected:
            raise PlatformUnavailable(
                f"{self._platform.location} sent {size} bytes of {name}, which has {expected}."
            )

    def _replace(self, hidden: str, name: str) -> None:
        try:
            self._session.rename(hidden, name)
        except ftplib.error_perm:
            if self._session.size(name) is None:
                raise
            self._replace_in_steps(hidden, name)

    def _replace_in_steps(self, hidden: str, name: str) -> None:
        """Rename where the server replaces nothing: the previous file steps aside meanwhile."""
        aside = hidden_name(name, "previous")
        self._session.remove(aside)
        self._session.rename(name, aside)
        try:
            self._session.rename(hidden, name)
        except ftplib.Error:
            with suppress(ftplib.Error):
                self._session.rename(aside, name)
            raise
        self._session.remove(aside)

    def _remove_parts(self, name: str) -> None:
        """Remove what tries at other contents of a file have left, where the server shows it."""
        if not self._session.lists_hidden:
            return
        folder, last = posixpath.split(name)
        if folder not in self._parts:
            self._parts[folder] = [one for one in self._session.files(folder) if is_hidden(one)]
        part = re.compile(rf"\.{re.escape(last)}\.([0-9a-f]{{16}}|previous)\.part")
        for hidden in filter(part.fullmatch, self._parts[folder]):
            with suppress(ftplib.Error):
                self._session.remove(posixpath.join(folder, hidden))
