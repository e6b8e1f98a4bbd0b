"""One session with an SSH server, for threads that know nothing of coroutines.

It has an event loop of its own, in a thread of its own: an interrupt reaches the thread that waits,
where inside the loop asyncio may take it for an error of a connection.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from export_pipelines.platforms.ssh_keys import HostKeys

if TYPE_CHECKING:
    import asyncssh

_CLOSE_SECONDS = 5
_REPORT_SECONDS = 0.1
_NOISE = "socket.send() raised exception."

_Result = TypeVar("_Result")

Transfer = Callable[[int, int], Coroutine[Any, Any, None]]
"""Asks a server for what is from an offset on so many bytes long, and ends with its answer."""


@contextmanager
def ssh_session(host: str, port: int, seconds: int) -> "Iterator[SshSession]":
    """Make a session, and close it when the context ends.

    Args:
        host: the server's name.
        port: where it speaks SSH.
        seconds: how long it may be silent.
    """
    logger = logging.getLogger("asyncio")
    logger.addFilter(_is_not_noise)
    session = SshSession(host, port, seconds)
    broken = True
    try:
        yield session
        broken = False
    finally:
        session.close(broken=broken)
        logger.removeFilter(_is_not_noise)


class SshSession:
    """A session: connect, log in, run coroutines of its SFTP client, close."""

    def __init__(self, host: str, port: int, seconds: int) -> None:
        self._host = host
        self._port = port
        self._seconds = seconds
        self._answered = 0.0
        self._socket: socket.socket | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        self._thread.start()
        # What a broken connection leaves behind was told already, by the request that it ended.
        self._loop.set_exception_handler(lambda loop, context: None)

    def close(self, *, broken: bool) -> None:
        """Leave the server, at once if the connection is broken."""
        try:
            self._wait(self._close(broken=broken))
            self._wait(self._loop.shutdown_default_executor())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            if self._socket:
                self._socket.close()

    def connect(self) -> str:
        """Connect to the server, and return the address that its name has."""
        self._socket = socket.create_connection((self._host, self._port), timeout=self._seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return str(self._socket.getpeername()[0])

    def log_in(self, trusted: HostKeys, options: dict[str, Any]) -> None:
        """Log in at the server, once it has shown one of the trusted keys."""
        import asyncssh

        offered: list[str] = []

        class Verifier(asyncssh.SSHClient):
            def validate_host_public_key(
                self, host: str, addr: str, port: int, key: asyncssh.SSHKey
            ) -> bool:
                offered.append(f"{key.get_algorithm()} {key.get_fingerprint()}")
                return trusted.has(key)

        try:
            self._connection = self.run(
                asyncssh.connect(
                    self._host,
                    self._port,
                    sock=self._socket,
                    client_factory=Verifier,
                    known_hosts=([], trusted.authorities, trusted.revoked),
                    server_host_key_algs=trusted.algorithms,
                    **options,
                )
            )
        except asyncssh.HostKeyNotVerifiable as error:
            shows = f"it shows {offered[-1]}" if offered else error.reason
            raise asyncssh.HostKeyNotVerifiable(shows) from None
        _send_nothing_to_be_ignored(self._connection)
        self.sftp = self.run(self._connection.start_sftp_client(path_errors="surrogateescape"))

    def run(self, work: Awaitable[_Result], *, patience: int = 1) -> _Result:
        """Run a coroutine to its end, and return its result.

        Args:
            work: the coroutine.
            patience: how many times the allowed silence it may take to answer.

        Raises:
            TimeoutError: nothing was answered for too long.
        """
        return self._wait(self._watched(work, self._seconds * patience))

    def _wait(
        self, work: Coroutine[Any, Any, _Result], meanwhile: Callable[[], None] = lambda: None
    ) -> _Result:
        """Wait in this thread for what the loop does in its own, and do something meanwhile."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while not wait({future}, _REPORT_SECONDS).done:
                meanwhile()
            return future.result()
        finally:
            # Of an interrupt the loop knows nothing.
            future.cancel()

    def run_pipelined(
        self,
        ranges: Iterable[tuple[int, int]],
        transfer: Transfer,
        *,
        at_once: int,
        meanwhile: Callable[[], None],
    ) -> None:
        """Transfer ranges of a file, several of them on their way at the same time.

        Args:
            ranges: offsets and lengths, taken in order.
            transfer: does one.
            at_once: how many are on their way.
            meanwhile: called in this thread now and then, and at the end.
        """
        work = self._watched(self._pipelined(iter(ranges), transfer, at_once), self._seconds)
        self._wait(work, meanwhile)
        meanwhile()

    async def _pipelined(
        self,
        ranges: Iterator[tuple[int, int]],
        transfer: Transfer,
        at_once: int,
    ) -> None:
        async def work() -> None:
            for offset, length in ranges:
                await transfer(offset, length)
                self._answered = time.monotonic()

        tasks = [asyncio.ensure_future(work()) for _ in range(at_once)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watched(self, work: Awaitable[_Result], seconds: float) -> _Result:
        """Wait for work, unless the server falls silent while its connection seems to be alive."""
        task = asyncio.ensure_future(work)
        self._answered = time.monotonic()
        while not task.done():
            await asyncio.wait({task}, timeout=seconds / 4)
            if not task.done() and time.monotonic() - self._answered > seconds:
                task.cancel()
                await asyncio.wait({task})
                raise TimeoutError
        return task.result()

    async def _close(self, *, broken: bool) -> None:
        if broken:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        if self._connection:
            if broken:
                self._connection.abort()
            else:
                self._connection.close()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._connection.wait_closed(), _CLOSE_SECONDS)
            self._connection.abort()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _send_nothing_to_be_ignored(connection: "asyncssh.SSHClientConnection") -> None:
    """Halve the packets: asyncssh puts one to be ignored before each.

    That protects ciphers of the CBC kind, which none of ours is, and takes a quarter of the time.
    """
    from asyncssh.constants import MSG_IGNORE

    send = connection.send_packet

    def send_packet(kind: int, *parts: bytes, **options: Any) -> None:
        if kind != MSG_IGNORE:
            send(kind, *parts, **options)

    connection.send_packet = send_packet  # type: ignore[assignment, method-assign]


def _is_not_noise(record: logging.LogRecord) -> bool:
    return record.msg != _NOISE
