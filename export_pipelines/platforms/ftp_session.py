"""One session with an FTP server: commands, data connections and the server's own checksums."""

import ftplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO

_BLOCK = 1 << 18
_PERMANENT_OR_NOT = (ftplib.error_perm, ftplib.error_temp)
_MISSING = ("450", "550", "553")
_HASHES = (("XSHA256", "sha256", 64), ("HASH", "sha256", 64), ("XMD5", "md5", 32))
"""Commands by which servers tell a file's checksum, which it is, and its hexadecimal digits."""


@dataclass(frozen=True)
class FtpLogin:
    """Where to log in, and as whom.

    Attributes:
        host: the server's name.
        port: its port.
        username: the account.
        password: its password.
        seconds: how long the server may be silent.
        context: how its certificate is verified; None for a connection without encryption.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    seconds: float
    context: ssl.SSLContext | None


class TlsRefused(Exception):
    """The server does not encrypt."""


class _FtpTls(ftplib.FTP_TLS):
    """Encrypts data connections in the TLS session of the control connection, as servers demand."""

    def ntransfercmd(
        self, cmd: str, rest: int | str | None = None
    ) -> tuple[socket.socket, int | None]:
        # Not the method of the parent, which encrypts in a session of its own.
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        try:
            return self.context.wrap_socket(
                connection, server_hostname=self.host, session=session
            ), size
        except BaseException:
            connection.close()
            raise


class FtpSession:
    """A session that is logged in; paths are relative to the folder that it begins in."""

    def __init__(self, login: FtpLogin) -> None:
        self._login = login
        self._base = ""
        self._open(login)

    def renew(self) -> None:
        """Leave a connection that fell silent, and log in again with half of the patience."""
        self._ftp.close()
        self._open(replace(self._login, seconds=self._login.seconds / 2))

    def _open(self, login: FtpLogin) -> None:
        self._ftp = _log_in(login)
        try:
            self._features = self._read_features()
            self._ftp.voidcmd("TYPE I")
            if self._base:
                self._ftp.cwd(self._base)
            self._base = self._ftp.pwd()
        except BaseException:
            self._ftp.close()
            raise

    def close(self, *, broken: bool) -> None:
        """Leave the server, without a word if the connection is broken."""
        if not broken:
            with suppress(ftplib.Error, EOFError, OSError):
                self._ftp.quit()
        self._ftp.close()

    @property
    def can_resume(self) -> bool:
        """Whether the server takes the rest of a file."""
        return "REST STREAM" in self._features

    @property
    def lists_hidden(self) -> bool:
        """Whether listings have hidden files and tell sizes."""
        return any(feature.startswith("MLST") for feature in self._features)

    def enter(self, folder: str) -> None:
        """Make a folder the one that paths are relative to."""
        self._ftp.cwd(folder)
        self._base = self._ftp.pwd()

    def has_folder(self, name: str) -> bool:
        """Return whether there is such a folder."""
        try:
            self._ftp.cwd(name)
        except ftplib.error_perm:
            return False
        self._ftp.cwd(self._base)
        return True

    def make_folder(self, name: str) -> None:
        """Make a folder."""
        self._ftp.mkd(name)

    def size(self, name: str) -> int | None:
        """Return a file's size; None if there is no such file."""
        try:
            return self._ftp.size(name)
        except _PERMANENT_OR_NOT as error:
            if str(error)[:3] in _MISSING:
                return None
            raise

    def files(self, folder: str) -> dict[str, int]:
        """Return names and sizes of the files of a folder; none if it is not there."""
        if not folder:
            return self._files_here()
        try:
            self._ftp.cwd(folder)
        except ftplib.error_perm:
            return {}
        try:
            found = self._files_here()
        except ftplib.Error:
            self._ftp.cwd(self._base)
            raise
        self._ftp.cwd(self._base)
        return found

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        try:
            self._ftp.delete(name)
        except _PERMANENT_OR_NOT:
            if self.size(name) is not None:
                raise

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name."""
        self._ftp.rename(name, new_name)

    def store(
        self, source: BinaryIO, name: str, begin: int, on_bytes: Callable[[int], None]
    ) -> None:
        """Send a file from an offset on. That it arrived is for the caller to find out."""
        source.seek(begin)
        done = begin
        with self._data(f"STOR {name}", begin) as connection:
            while piece := source.read(_BLOCK):
                connection.sendall(piece)
                done += len(piece)
                on_bytes(done)

    def retrieve(self, name: str, take: Callable[[bytes], object]) -> None:
        """Hand on what a file holds, piece by piece."""
        with self._data(f"RETR {name}") as connection:
            while piece := connection.recv(_BLOCK):
                take(piece)

    def checksum(self, name: str) -> tuple[str, str] | None:
        """Return the kind and the digits of a checksum that the server makes; None if it cannot."""
        for command, kind, digits in _HASHES:
            if not any(feature.split()[0] == command for feature in self._features):
                continue
            with suppress(*_PERMANENT_OR_NOT):
                if command == "HASH":
                    self._choose_sha256()
                answer = self._ftp.sendcmd(f"{command} {name}")
                if found := re.search(rf"\b[0-9a-fA-F]{{{digits}}}\b", answer[4:]):
                    return kind, found.group().lower()
        return None

    def _choose_sha256(self) -> None:
        # A server that has no other kind, or one by default, need not take this.
        with suppress(ftplib.error_perm):
            self._ftp.sendcmd("OPTS HASH SHA-256")

    def _read_features(self) -> set[str]:
        try:
            lines = self._ftp.sendcmd("FEAT").splitlines()[1:-1]
        except ftplib.error_perm:
            return set()
        features = {line.strip().upper() for line in lines if line.strip()}
        if "UTF8" in features:
            # Servers that speak UTF-8 anyway may refuse to be asked for it.
            with suppress(ftplib.error_perm):
                self._ftp.sendcmd("OPTS UTF8 ON")
        return features

    def _files_here(self) -> dict[str, int]:
        if self.lists_hidden:
            return dict(_read_mlsd(self._lines("MLSD")))
        # vsftpd takes a name that is ~ for the home folder.
        sizes = ((name, self.size(f"./{name}")) for name in self._lines("NLST"))
        return {name: size for name, size in sizes if size is not None}

    def _lines(self, command: str) -> list[str]:
        data = bytearray()
        try:
            with self._data(command) as connection:
                while piece := connection.recv(_BLOCK):
                    data += piece
        except _PERMANENT_OR_NOT as error:
            # So do some servers say that a folder is empty.
            if str(error)[:3] not in _MISSING:
                raise
        text = data.decode("utf-8", "surrogateescape").replace("\r", "")
        return [line for line in text.split("\n") if line]

    @contextmanager
    def _data(self, command: str, begin: int = 0) -> Iterator[socket.socket]:
        connection = self._ftp.transfercmd(command, begin or None)
        try:
            try:
                yield connection
                _say_end(connection)
            except (ConnectionError, ssl.SSLError):
                # The server tells on the other connection why it closed this one.
                connection.close()
                self._ftp.voidresp()
                raise
        finally:
            connection.close()
        self._ftp.voidresp()


def _log_in(login: FtpLogin) -> ftplib.FTP:
    # For servers that know nothing safer, and only if somebody has switched encryption off.
    ftp: ftplib.FTP = ftplib.FTP() if login.context is None else _FtpTls(context=login.context)  # noqa: S321
    try:
        ftp.connect(login.host, login.port, timeout=login.seconds)
        if ftp.sock:
            ftp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if isinstance(ftp, ftplib.FTP_TLS):
            _encrypt(ftp)
        ftp.login(login.username, login.password)
        if isinstance(ftp, ftplib.FTP_TLS):
            ftp.prot_p()
    except BaseException:
        ftp.close()
        raise
    return ftp


def _encrypt(ftp: ftplib.FTP_TLS) -> None:
    try:
        ftp.auth()
    except ftplib.error_perm as error:
        raise TlsRefused(str(error)) from None


def _say_end(connection: socket.socket) -> None:
    """End a TLS connection; servers that do not answer to it are found out by the file's size."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout((connection.gettimeout() or 1) / 4)
        with suppress(OSError):
            connection.unwrap()


def _read_mlsd(lines: list[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        facts, _, name = line.partition(" ")
        values = dict(fact.lower().split("=", 1) for fact in facts.split(";") if "=" in fact)
        if values.get("type") == "file":
            yield name, int(values.get("size", 0))
