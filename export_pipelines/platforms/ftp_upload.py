"""One file on its way to an FTP server, under a name that nobody looks at."""

import ftplib
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformUnavailable
from export_pipelines.platforms.base import Receipt, file_md5
from export_pipelines.platforms.ftp_errors import says_full
from export_pipelines.platforms.ftp_session import FtpSession

_STEP_BACK = 1 << 20
"""So much of the end of a part may never have been written, and is sent once more."""


class FtpUpload:
    """Sends a file and compares it; what FTP servers say of their own accord is not trusted."""

    def __init__(self, session: FtpSession, file: StagedFile, hidden: str, verify: str) -> None:
        self._session = session
        self._file = file
        self._hidden = hidden
        self._verify = verify

    def send(self, source: BinaryIO, on_bytes: Callable[[int], None]) -> Receipt:
        """Send what the server has not yet, until all of it is there and is the same."""
        begin = self._begin()
        if begin is not None:
            self._send_rest(source, begin, on_bytes)
            if verified := self._verified():
                return Receipt(self._file.bytes - begin, verified)
        self._send_all(source, on_bytes)
        verified = self._verified()
        if not verified:
            self._session.remove(self._hidden)
            raise PlatformUnavailable(
                f"The server holds other bytes of {self._file.name} than were sent, although it "
                "says that it took all of them."
            )
        return Receipt(self._file.bytes, verified)

    def _begin(self) -> int | None:
        """Return the offset from which a part of an earlier try is completed; None without one."""
        if not self._session.can_resume or self._verify == "size":
            return None
        begun = self._session.size(self._hidden) or 0
        return begun - _STEP_BACK if _STEP_BACK < begun <= self._file.bytes else None

    def _send_rest(self, source: BinaryIO, begin: int, on_bytes: Callable[[int], None]) -> None:
        try:
            self._session.store(source, self._hidden, begin, on_bytes)
        except TimeoutError:
            # A session that died may hold a lock on its part for minutes: it is left to it.
            self._session.renew()
        except ftplib.Error:
            # The server does not take the rest after all.
            pass

    def _send_all(self, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._session.remove(self._hidden)
        try:
            self._session.store(source, self._hidden, 0, on_bytes)
        except ftplib.Error as error:
            if says_full(str(error)):
                # It is not to be kept full by half a file.
                with suppress(ftplib.Error):
                    self._session.remove(self._hidden)
            raise

    def _verified(self) -> str:
        """Return how the server's bytes are known to be the file's; empty if they are not."""
        if self._session.size(self._hidden) != self._file.bytes:
            return ""
        if self._verify == "size":
            return "size"
        checksum = self._session.checksum(self._hidden) if self._verify == "auto" else None
        kind, digits = checksum or ("sha256", self._read_back())
        expected = self._file.sha256 if kind == "sha256" else file_md5(Path(self._file.path))
        return kind if digits == expected else ""

    def _read_back(self) -> str:
        digest = sha256()
        self._session.retrieve(self._hidden, digest.update)
        return digest.hexdigest()
