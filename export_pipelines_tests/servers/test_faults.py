import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Literal

import pytest

from export_pipelines_tests.servers.faults import Fault, FaultProxy, FtpFaultProxy
from export_pipelines_tests.servers.process import free_port

DATA = bytes(range(256)) * 4_000


class Sink:
    """A server that takes bytes until their end, notes them, and answers."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                pieces = []
                with suppress(OSError):
                    while piece := connection.recv(1 << 16):
                        pieces.append(piece)
                if pieces == [b"end"]:
                    return
                self.received.append(b"".join(pieces))
                with suppress(OSError):
                    connection.sendall(b"whole")

    def end(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"end")
        self._thread.join()
        self._listener.close()


@contextmanager
def sink(port: int = 0) -> Iterator[Sink]:
    server = Sink(port)
    try:
        yield server
    finally:
        server.end()


def answer_through(host: str, port: int, seconds: float = 5) -> bytes | None:
    """Send DATA; return the server's answer, or None if there was none."""
    with socket.create_connection((host, port), timeout=seconds) as client:
        try:
            client.sendall(DATA)
            client.shutdown(socket.SHUT_WR)
            return client.recv(100) or None
        except OSError:
            return None


def test_a_proxy_without_faults_changes_nothing() -> None:
    with sink() as server, FaultProxy(server.port) as proxy:
        assert answer_through(proxy.host, proxy.port) == b"whole"
        assert (proxy.sent, proxy.fired) == (len(DATA), 0)
    assert server.received == [DATA]


@pytest.mark.parametrize("kind", ["reset", "close"])
@pytest.mark.parametrize("at", [0, 1, 300_000, len(DATA) - 1])
def test_cuts_let_so_many_bytes_pass_and_then_it_is_clean(
    kind: Literal["reset", "close"], at: int
) -> None:
    with sink() as server, FaultProxy(server.port) as proxy:
        proxy.order(Fault(kind, at, times=2))
        answers = [answer_through(proxy.host, proxy.port) for _ in range(3)]
        assert answers == [None, None, b"whole"]
        assert proxy.fired == 2
        assert proxy.sent == 2 * at + len(DATA)
    assert server.received[-1] == DATA
    # A reset may overtake bytes that the server has not read yet.
    assert all(DATA.startswith(cut) and len(cut) <= at for cut in server.received[:-1])


def end_seen_by_client(fault: Fault) -> bytes:
    with (
        sink() as server,
        FaultProxy(server.port) as proxy,
        socket.create_connection((proxy.host, proxy.port), timeout=5) as client,
    ):
        proxy.order(fault)
        client.sendall(b"xx")
        return client.recv(1)


def test_a_close_is_an_end_and_a_reset_an_error() -> None:
    assert end_seen_by_client(Fault("close", 1)) == b""
    with pytest.raises(ConnectionResetError):
        end_seen_by_client(Fault("reset", 1))


def test_a_stall_is_silent_for_good_and_ends_with_the_proxy() -> None:
    with sink() as server, FaultProxy(server.port) as proxy:
        proxy.order(Fault("stall", 10))
        began = time.monotonic()
        assert answer_through(proxy.host, proxy.port, seconds=0.2) is None
        assert time.monotonic() - began >= 0.2
        assert (proxy.fired, proxy.sent) == (1, 10)
    assert server.received == [DATA[:10]]


def test_corruption_flips_one_bit() -> None:
    with sink() as server, FaultProxy(server.port) as proxy:
        proxy.order(Fault("corrupt", 70_000))
        assert answer_through(proxy.host, proxy.port) == b"whole"
        assert proxy.fired == 1
    [received] = server.received
    assert [
        place for place, pair in enumerate(zip(received, DATA, strict=True)) if len(set(pair)) > 1
    ] == [70_000]


def test_a_slow_network_loses_nothing() -> None:
    with sink() as server, FaultProxy(server.port) as proxy:
        proxy.order(Fault("throttle", len(DATA) - 100_000, bytes_per_second=500_000))
        began = time.monotonic()
        assert answer_through(proxy.host, proxy.port) == b"whole"
        assert time.monotonic() - began >= 0.2
        assert proxy.fired == 1
    assert server.received == [DATA]


def test_a_lost_answer_comes_after_all_bytes() -> None:
    with sink() as server, FaultProxy(server.port) as proxy:
        proxy.order(Fault("mute", len(DATA)))
        assert answer_through(proxy.host, proxy.port) is None
        assert proxy.fired == 1
    assert server.received == [DATA]


def test_other_ports_lead_to_the_same_ports_of_the_server() -> None:
    with (
        sink() as control,
        sink(free_port()) as data,
        FtpFaultProxy(control.port, [data.port]) as proxy,
    ):
        assert answer_through(proxy.host, proxy.port) == b"whole"
        proxy.order(Fault("reset", 5))
        assert answer_through(proxy.host, data.port) is None
        assert proxy.fired == 1
    assert control.received == [DATA]
    assert data.received == [DATA[:5]] or data.received == [b""]


def test_a_server_that_is_gone_closes_the_connection() -> None:
    with FaultProxy(free_port()) as proxy:
        assert answer_through(proxy.host, proxy.port) is None
