"""The bytes of one file on their way to an SFTP server or from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from export_pipelines.errors import PlatformUnavailable
from export_pipelines.platforms.ssh_session import SshSession, Transfer

if TYPE_CHECKING:
    import asyncssh

_SMALLEST_BLOCK = 32_768
"""Each server takes requests of this size."""

_LARGEST_BLOCK = 262_144
_BYTES_ON_THEIR_WAY = 4 << 20
_FLUSH_PATIENCE = 10


class RemoteBytes:
    """What a file on the server holds.

    Attributes:
        path: where it is on the server.
    """

    def __init__(self, session: SshSession, path: str) -> None:
        self.path = path
        self._session = session
        limits = session.sftp.limits
        block = max(min(limits.max_read_len, limits.max_write_len), _SMALLEST_BLOCK)
        self._block = min(block, _LARGEST_BLOCK)

    def read_into(self, sink: BinaryIO, size: int) -> None:
        """Write all bytes of it to a file of this machine."""
        import asyncssh

        with self._opened(asyncssh.FXF_READ) as remote:

            async def fetch(offset: int, length: int) -> None:
                piece = await _read(remote, offset, length)
                if len(piece) != length:
                    raise PlatformUnavailable(f"{self.path} changed while it was read.")
                sink.seek(offset)
                sink.write(piece)

            self._transfer(0, size, fetch)

    def complete(
        self, source: BinaryIO, begun: int, size: int, on_bytes: Callable[[int], None]
    ) -> int:
        """Go on with a file of which some bytes are there, and return how many were sent.

        What is there is trusted only as far as it is read back and is the same.
        """
        import asyncssh

        same = self._count_same(source, begun)
        self._send(source, asyncssh.FXF_WRITE, same, size, on_bytes)
        return size - same

    def write(self, source: BinaryIO, size: int, on_bytes: Callable[[int], None]) -> int:
        """Write a file from its start, and return how many bytes were sent."""
        import asyncssh

        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC
        self._send(source, flags, 0, size, on_bytes)
        return size

    def _send(
        self,
        source: BinaryIO,
        flags: int,
        begin: int,
        end: int,
        on_bytes: Callable[[int], None],
    ) -> None:
        import asyncssh

        done = begin
        with self._opened(flags) as remote:

            async def send(offset: int, length: int) -> None:
                nonlocal done
                source.seek(offset)
                # The place is always told: some servers order what is only appended as it comes.
                await remote.write(source.read(length), offset)
                done += length

            self._transfer(begin, end, send, lambda: on_bytes(done))
            with suppress(asyncssh.SFTPOpUnsupported):
                self._session.run(remote.fsync(), patience=_FLUSH_PATIENCE)

    def _count_same(self, source: BinaryIO, size: int) -> int:
        """Return how many bytes from the start are surely those of a file of this machine."""
        import asyncssh

        first_other = size
        with self._opened(asyncssh.FXF_READ) as remote:

            async def compare(offset: int, length: int) -> None:
                nonlocal first_other
                if offset < first_other:
                    piece = await _read(remote, offset, length)
                    source.seek(offset)
                    if piece != source.read(length):
                        first_other = min(first_other, offset)

            self._transfer(0, size, compare)
        return first_other

    def _transfer(
        self,
        begin: int,
        end: int,
        transfer: Transfer,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        ranges = (
            (offset, min(self._block, end - offset)) for offset in range(begin, end, self._block)
        )
        at_once = _BYTES_ON_THEIR_WAY // self._block
        self._session.run_pipelined(ranges, transfer, at_once=at_once, meanwhile=meanwhile)

    @contextmanager
    def _opened(self, flags: int) -> "Iterator[asyncssh.SFTPClientFile]":
        import asyncssh

        opened = self._session.sftp.open(self.path, flags, encoding=None, block_size=None)
        remote = self._session.run(opened)
        try:
            yield remote
        except asyncssh.SFTPError:
            with suppress(asyncssh.Error):
                self._session.run(remote.close())
            raise
        # Some servers tell only now that the disk was full.
        self._session.run(remote.close())


async def _read(remote: "asyncssh.SFTPClientFile", offset: int, length: int) -> bytes:
    """Read a range; a server may answer with less than it was asked for."""
    pieces = bytearray()
    while len(pieces) < length:
        piece: bytes = await remote.read(length - len(pieces), offset + len(pieces))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)
