"""Networks that fail: TCP proxies that cut, stall, slow down or corrupt what goes to a server."""

import selectors
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread, current_thread
from types import TracebackType
from typing import Literal

from export_pipelines.platforms.base import Platform
from export_pipelines_tests.servers.targets import Target

_PIECE_BYTES = 1 << 16
_SLOW_PIECE_BYTES = 1 << 13
_BUFFER_BYTES = 1 << 18
"""So much can be on its way: no client is far ahead of its server, however busy that one is."""

_END_SECONDS = 10
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a connection.

    Attributes:
        kind: `reset` (RST) and `close` (FIN) end it; `stall` keeps it open and forwards nothing
            more; `throttle` slows it down from there; `corrupt` flips one bit; `mute` drops the
            server's next answer and ends it.
        at: how many bytes reach the server before, on all connections together.
        times: how often, each counted from the last; then the network is clean.
        bytes_per_second: of `throttle`.
    """

    kind: Literal["reset", "close", "stall", "throttle", "corrupt", "mute"]
    at: int
    times: int = 1
    bytes_per_second: int = 1 << 20


class FaultProxy:
    """A way to a server that is clean until a fault is ordered.

    Attributes:
        host: where it listens.
        port: a free one.
        sent: bytes that reached the server.
        fired: how many faults happened.
    """

    def __init__(
        self, server_port: int, *, host: str = "127.0.0.1", more_ports: Iterable[int] = ()
    ) -> None:
        self.host = host
        self.sent = 0
        self.fired = 0
        self.closed = Event()
        self._lock = Lock()
        self._fault: Fault | None = None
        self._left = 0
        self._since = 0
        self._pairs: list[_Pair] = []
        self._selector = selectors.DefaultSelector()
        self._waker, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ)
        self.port = self._listen(0, server_port)
        for port in more_ports:
            self._listen(port, port)
        self._thread = Thread(target=self._accept)
        self._thread.start()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closed.set()
        self._waker.close()
        self._thread.join(_END_SECONDS)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        for pair in self._pairs:
            pair.end()

    def order(self, fault: Fault) -> None:
        """Let a fault happen, counted from now."""
        with self._lock:
            self._fault, self._left, self._since = fault, fault.times, 0

    def meet(self, count: int) -> tuple[Fault | None, int]:
        """Return the fault that hits the next bytes to the server, and at which of them."""
        with self._lock:
            began, self._since = self._since, self._since + count
            fault = self._fault
            if fault is None or fault.kind == "mute" or not began <= fault.at < self._since:
                return None, count
            self._spend()
            return fault, fault.at - began

    def drops_answer(self) -> bool:
        """Return whether the server's answer gets lost."""
        with self._lock:
            fault = self._fault
            if fault is None or fault.kind != "mute" or self._since < fault.at:
                return False
            self._spend()
            return True

    def count(self, count: int) -> None:
        """Note what reached the server."""
        with self._lock:
            self.sent += count

    def _spend(self) -> None:
        self.fired += 1
        self._left -= 1
        self._since = 0
        if not self._left:
            self._fault = None

    def _listen(self, port: int, server_port: int) -> int:
        listener = socket.create_server((self.host, port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._selector.register(listener, selectors.EVENT_READ, server_port)
        chosen: int = listener.getsockname()[1]
        return chosen

    def _accept(self) -> None:
        while not self.closed.is_set():
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                client, _ = key.fileobj.accept()  # type: ignore[union-attr]
                try:
                    server = socket.create_connection(("127.0.0.1", key.data))
                except OSError:
                    client.close()
                    continue
                server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pairs.append(_Pair(self, client, server))


class FtpFaultProxy(FaultProxy):
    """The same for FTP, with its data connections, encrypted or not.

    Clients take the port of a data connection from the server's answer and the host from their
    control connection. So on another loopback address the same ports lead here, and no answer has
    to be rewritten: TLS would hide it.
    """

    def __init__(self, server_port: int, passive_ports: Iterable[int]) -> None:
        super().__init__(server_port, host="127.0.0.2", more_ports=passive_ports)


@contextmanager
def proxy_of(target: Target) -> Iterator[FaultProxy]:
    """Start a way to a target's server that is clean until a fault is ordered."""
    with (
        FtpFaultProxy(target.port, target.passive_ports)
        if target.passive_ports
        else FaultProxy(target.port)
    ) as proxy:
        yield proxy


@contextmanager
def reached_through(proxy: FaultProxy, target: Target, timeout_seconds: int) -> Iterator[Platform]:
    """Yield a target's platform as it is reached through a proxy."""
    assert target.through is not None
    changes: dict[str, int | str] = {"timeout_seconds": timeout_seconds}
    if isinstance(proxy, FtpFaultProxy):
        changes["host"] = proxy.host
    with target.through(proxy.port) as platform:
        yield platform.model_copy(update=changes)


class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._broken = False
        self._bytes_per_second = 0
        self._cutting = Lock()
        self._threads = [Thread(target=self._forward), Thread(target=self._answer)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Close both sides and wait for the threads."""
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_END_SECONDS)
        self._client.close()
        self._server.close()

    def _forward(self) -> None:
        with suppress(OSError):
            while piece := self._client.recv(_PIECE_BYTES):
                fault, offset = self._proxy.meet(len(piece))
                if fault is None:
                    self._send(piece)
                elif not self._suffer(fault, piece, offset):
                    return
            if not self._broken:
                self._server.shutdown(socket.SHUT_WR)

    def _answer(self) -> None:
        with suppress(OSError):
            while piece := self._server.recv(_PIECE_BYTES):
                if self._broken:
                    return
                if self._proxy.drops_answer():
                    self._cut(reset=True)
                    return
                self._client.sendall(piece)
            if not self._broken:
                self._client.shutdown(socket.SHUT_WR)

    def _suffer(self, fault: Fault, piece: bytes, offset: int) -> bool:
        """Apply a fault; return whether the connection goes on."""
        if fault.kind == "throttle":
            self._bytes_per_second = fault.bytes_per_second
            self._send(piece)
            return True
        if fault.kind == "corrupt":
            self._send(piece[:offset] + bytes([piece[offset] ^ 1]) + piece[offset + 1 :])
            return True
        self._broken = True
        self._send(piece[:offset])
        if fault.kind != "stall":
            self._cut(reset=fault.kind == "reset")
        return False

    def _send(self, piece: bytes) -> None:
        if not self._bytes_per_second:
            self._server.sendall(piece)
            self._proxy.count(len(piece))
            return
        for start in range(0, len(piece), _SLOW_PIECE_BYTES):
            slow = piece[start : start + _SLOW_PIECE_BYTES]
            self._server.sendall(slow)
            self._proxy.count(len(slow))
            self._proxy.closed.wait(len(slow) / self._bytes_per_second)

    def _cut(self, *, reset: bool) -> None:
        if not self._cutting.acquire(blocking=False):
            return
        self._broken = True
        for side in (self._client, self._server):
            with suppress(OSError):
                # Wakes the other thread, and says nothing to either end.
                side.shutdown(socket.SHUT_RD)
        for thread in self._threads:
            if thread is not current_thread() and thread.is_alive():
                thread.join(_END_SECONDS)
        for side in (self._client, self._server):
            with suppress(OSError):
                if reset:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                else:
                    side.shutdown(socket.SHUT_RDWR)
            side.close()
