"""A receiver of webhooks, which behaves as a test tells it to."""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """What it does and has got. It answers with `status`, unless it behaves in another way.

    `hang` says nothing, `drip` sends a header without an end, `close` closes the connection, and
    `babble` does not speak HTTP.
    """

    port: int
    scheme: str = "http"
    status: int = 200
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    behaviour: Literal["answer", "hang", "drip", "close", "babble"] = "answer"
    received: list[Received] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    stopped: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/hooks?shop=1"

    @property
    def events(self) -> list[str]:
        """The ids of what it has got, in order."""
        return [each.headers["webhook-id"] for each in self.received]


@contextmanager
def start_receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """Receive webhooks on a free port of 127.0.0.1 until the context ends.

    Args:
        certificate: a file with a certificate and its key, for TLS.
    """
    server = ThreadingHTTPServer((HOST, 0), _Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1])
    server.__dict__["receiver"] = receiver
    if certificate:
        receiver.scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _socket, name, _context: receiver.server_names.append(name)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    @property
    def receiver(self) -> Receiver:
        found: Receiver = self.server.__dict__["receiver"]
        return found

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append(Received(self.path, headers, body, time.time()))
        getattr(self, f"_{self.receiver.behaviour}")()

    def _answer(self) -> None:
        receiver = self.receiver
        receiver.stopped.wait(receiver.seconds)
        text = receiver.text.encode()
        self.send_response(receiver.status)
        for name, value in {**receiver.headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _hang(self) -> None:
        self.receiver.stopped.wait()

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.receiver.stopped.wait(0.02):
            self.wfile.write(b"x")

    def _close(self) -> None:
        self.close_connection = True

    def _babble(self) -> None:
        self.wfile.write(b"220 smtp.example ready\r\n")

    def log_message(self, *args: Any) -> None:
        """Say nothing."""
