"""Folders of servers that speak SFTP."""

import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from pydantic import Field

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformRefused, PlatformUnavailable
from export_pipelines.platforms.base import (
    Connection,
    Receipt,
    RemoteFile,
    hidden_name,
    is_hidden,
)
from export_pipelines.platforms.sftp_transfer import RemoteBytes
from export_pipelines.platforms.ssh import SshPlatform
from export_pipelines.platforms.ssh_session import SshSession

if TYPE_CHECKING:
    import asyncssh


class Sftp(SshPlatform):
    """A folder of a server that speaks SFTP."""

    platform_type: Literal["sftp"] = "sftp"
    folder: str = Field(
        default="",
        description="A folder of the server, which must be there: an absolute path, or one below "
        "the folder in which the account starts. That one by default.",
    )

    @property
    def location(self) -> str:
        """The folder as an address: `sftp://shop@host:22/in`; `//in` is absolute."""
        return f"sftp://{self.username}@{self.host}:{self.port}/{self.folder}"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Log in, and see that the folder is there."""
        with self.session() as session:
            connection = _SftpConnection(self, session)
            with self.explained():
                connection.require_folder()
            yield connection


class _SftpConnection(Connection):
    def __init__(self, platform: Sftp, session: SshSession) -> None:
        self._platform = platform
        self._session = session
        self._run = session.run
        self._sftp = session.sftp
        self._parts: dict[str, list[str]] = {}

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        hidden = hidden_name(name, file.sha256)
        with self._platform.explained(), Path(file.path).open("rb") as source:
            if self._is_folder(name):
                raise PlatformRefused(
                    f"{self._platform.location} has a folder that is named {name}, as the file "
                    "should be: rename one of them."
                )
            self._make_folders(posixpath.dirname(name))
            sent = self._send(source, file.bytes, hidden, on_bytes)
            self._require_size(hidden, file.bytes)
            self._replace(self._path(hidden), name)
            self._remove_parts(name)
        on_bytes(file.bytes)
        return Receipt(sent, "size")

    def get(self, name: str, target: Path) -> None:
        with self._platform.explained():
            size = self._size(name)
            if size is None:
                raise FileNotFoundError(name)
            with target.open("wb") as sink:
                RemoteBytes(self._session, self._path(name)).read_into(sink, size)

    def list(self, folder: str = "") -> list[RemoteFile]:
        with self._platform.explained():
            found = [
                RemoteFile(name, size)
                for name, attributes in self._entries(folder)
                if not is_hidden(name) and (size := self._file_size(name, attributes)) is not None
            ]
        return sorted(found, key=lambda file: file.name)

    def delete(self, name: str) -> None:
        import asyncssh

        with self._platform.explained(), suppress(asyncssh.SFTPNoSuchFile):
            self._run(self._sftp.remove(self._path(name)))

    def require_folder(self) -> None:
        """See that the configured folder is there."""
        if not self._is_folder(""):
            raise PlatformMisconfigured(
                f"folder: {self._platform.host} has no folder {self._platform.folder}, or hides it "
                "from this account. Create it there, or correct its name.",
                field="folder",
            )

    def _path(self, name: str) -> str:
        return posixpath.join(self._platform.folder, name) or "."

    def _attributes(self, name: str) -> "asyncssh.SFTPAttrs | None":
        import asyncssh

        try:
            return self._run(self._sftp.stat(self._path(name)))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None

    def _is_folder(self, name: str) -> bool:
        found = self._attributes(name)
        return found is not None and _is_folder(found)

    def _size(self, name: str) -> int | None:
        """Return a file's size; None if there is no such file."""
        found = self._attributes(name)
        return None if found is None or _is_folder(found) else found.size

    def _file_size(self, name: str, listed: "asyncssh.SFTPAttrs") -> int | None:
        import asyncssh

        if listed.type in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_DIRECTORY):
            return None if _is_folder(listed) else listed.size
        return self._size(name)

    def _entries(self, folder: str) -> "Iterator[tuple[str, asyncssh.SFTPAttrs]]":
        import asyncssh

        with suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            for entry in self._run(self._sftp.readdir(self._path(folder))):
                yield posixpath.join(folder, str(entry.filename)), entry.attrs

    def _make_folders(self, folder: str) -> None:
        import asyncssh

        if not folder:
            return
        found = self._attributes(folder)
        if found is None:
            self._make_folders(posixpath.dirname(folder))
            try:
                self._run(self._sftp.mkdir(self._path(folder)))
            except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
                # Another delivery may have made it meanwhile.
                if not self._is_folder(folder):
                    raise
        elif not _is_folder(found):
            raise PlatformRefused(
                f"{self._platform.location} has a file that is named {folder}, as the folder "
                "should be: rename one of them."
            )

    def _send(
        self, source: BinaryIO, size: int, hidden: str, on_bytes: Callable[[int], None]
    ) -> int:
        import asyncssh

        remote = RemoteBytes(self._session, self._path(hidden))
        begun = self._size(hidden)
        if begun and begun <= size:
            try:
                return remote.complete(source, begun, size, on_bytes)
            except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
                raise
            except asyncssh.SFTPError:
                # A server may take files from their start only, or not let them be read.
                self._try_to_remove(hidden)
        try:
            return remote.write(source, size, on_bytes)
        except asyncssh.SFTPFailure:
            # A disk that is full is not to be kept full by half a file.
            self._try_to_remove(hidden)
            raise

    def _require_size(self, hidden: str, size: int) -> None:
        there = self._size(hidden)
        if there != size:
            raise PlatformUnavailable(
                f"{self._platform.location} holds {there or 0} bytes of a file of {size}, although "
                "it took all of them."
            )

    def _replace(self, hidden: str, name: str) -> None:
        import asyncssh

        try:
            self._run(self._sftp.posix_rename(hidden, self._path(name)))
        except (asyncssh.SFTPOpUnsupported, asyncssh.SFTPFailure):
            # Without the extension, or with one that replaces nothing.
            self._replace_in_steps(hidden, name)

    def _replace_in_steps(self, hidden: str, name: str) -> None:
        """Rename where the server cannot replace a file: the previous one steps aside meanwhile."""
        import asyncssh

        path = self._path(name)
        if self._attributes(name) is None:
            self._run(self._sftp.rename(hidden, path))
            return
        aside = hidden_name(name, "previous")
        self.delete(aside)
        self._run(self._sftp.rename(path, self._path(aside)))
        try:
            self._run(self._sftp.rename(hidden, path))
        except asyncssh.Error:
            with suppress(asyncssh.Error):
                self._run(self._sftp.rename(self._path(aside), path))
            raise
        self._try_to_remove(aside)

    def _remove_parts(self, name: str) -> None:
        """Remove what tries at other contents of a file have left beside it."""
        folder, last = posixpath.split(name)
        part = re.compile(rf"\.{re.escape(last)}\.([0-9a-f]{{16}}|previous)\.part")
        if folder not in self._parts:
            self._parts[folder] = [name for name, _ in self._entries(folder) if is_hidden(name)]
        for hidden in self._parts[folder]:
            if part.fullmatch(posixpath.basename(hidden)):
                self._try_to_remove(hidden)

    def _try_to_remove(self, name: str) -> None:
        import asyncssh

        with suppress(asyncssh.Error):
            self._run(self._sftp.remove(self._path(name)))


def _is_folder(attributes: "asyncssh.SFTPAttrs") -> bool:
    import asyncssh

    return attributes.type == asyncssh.FILEXFER_TYPE_DIRECTORY
