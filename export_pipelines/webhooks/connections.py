"""Connections to receivers that end in time, whatever a receiver does."""

import io
import socket
import ssl
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from export_pipelines.webhooks.addresses import Address, Target


class Deadline:
    """A moment at which waiting ends."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return how many seconds are left.

        Raises:
            TimeoutError: none are.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class Connection:
    """A connected socket, as `http.client` uses one, that no receiver can keep open for longer.

    A socket's own limit is for each byte or packet, and begins anew with the next.
    """

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        """Send all of something.

        Raises:
            OSError: that is not possible in time.
        """
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what is received, as a file."""
        return io.BufferedReader(_Received(self._socket, self._deadline))

    def close(self) -> None:
        """Do nothing: `http.client` closes what it has sent with, and then reads the answer."""

    def __enter__(self) -> "Connection":
        """Go on."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the socket."""
        self._socket.close()


class _Received(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)


def connect(
    target: Target, addresses: Sequence[Address], connecting: Deadline, whole: Deadline
) -> Connection:
    """Connect to the first of addresses that answers; those were checked, a name was not.

    Args:
        target: whose name the certificate must have.
        addresses: one or more.
        connecting: until when there must be a connection.
        whole: until when all must be over.

    Raises:
        OSError: none answers in time, or there is no TLS with it.
    """
    connected = _first(addresses, connecting)
    try:
        if target.scheme == "https":
            connected.settimeout(whole.left())
            paths = ssl.get_default_verify_paths()
            context = _context(paths.cafile, paths.capath)
            connected = context.wrap_socket(connected, server_hostname=target.host)
    except BaseException:
        connected.close()
        raise
    return Connection(connected, whole)


def _first(addresses: Sequence[Address], connecting: Deadline) -> socket.socket:
    *others, last = addresses
    for number, address in enumerate(others):
        # One that is silent leaves the others their share of the time.
        share = connecting.left() / (len(addresses) - number)
        try:
            return _connected(address, Deadline(share))
        except OSError:
            continue
    return _connected(last, connecting)


def _connected(address: Address, connecting: Deadline) -> socket.socket:
    made = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        made.settimeout(connecting.left())
        made.connect(address.place)
    except BaseException:
        made.close()
        raise
    return made


@lru_cache(maxsize=1)
def _context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    """Return how receivers are verified: to read all authorities anew takes longer than to send."""
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    context.set_alpn_protocols(["http/1.1"])
    return context
