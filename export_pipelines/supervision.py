"""Processes that belong together: one that dies is started again, all are stopped together.

On Linux they also end with the process that started them, however that ends. For that this module
is run too: `python -m export_pipelines.supervision PARENT ARGUMENTS` becomes `python -m ARGUMENTS`.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

import click

from export_pipelines.errors import StorageUnavailable

_STOP_SECONDS = 15
_QUICK_SECONDS = 30
_MOST_QUICK_ENDS = 3
_PR_SET_PDEATHSIG = 1


@dataclass
class Server:
    """A process of ours.

    Attributes:
        name: what people call it.
        arguments: of `python -m`.
        environment: its variables.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    _quick_ends: int = field(default=0, init=False)

    def start(self) -> None:
        """Start it, in a session of its own: the terminal's Ctrl-C is for us to pass on.

        On Linux it is killed when the thread that calls this ends.
        """
        self._started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [sys.executable, "-m", __name__, str(os.getpid()), *self.arguments],
            env=dict(self.environment),
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_ended(self) -> bool:
        """Whether it was started, and is no longer there."""
        return self._process is not None and not self.is_running

    def keep_running(self) -> None:
        """Start it again if it has ended.

        Raises:
            StorageUnavailable: it has ended soon after each of its last starts.
        """
        if self.is_running:
            return
        quick = time.monotonic() - self._started < _QUICK_SECONDS
        self._quick_ends = self._quick_ends + 1 if quick else 0
        if self._quick_ends >= _MOST_QUICK_ENDS:
            raise StorageUnavailable(
                f"The {self.name} ends by itself again and again; its last messages are above."
            )
        click.echo(f"The {self.name} has ended by itself, and is started again.", err=True)
        self.start()

    def ask_to_stop(self) -> None:
        """Ask it to end."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def stop(self) -> None:
        """Wait until it has ended, and end it if it does not."""
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def stop_all(servers: Sequence[Server]) -> None:
    """Stop servers together."""
    for server in servers:
        server.ask_to_stop()
    for server in servers:
        server.stop()


def become(parent: int, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into `python -m`, which on Linux is killed as soon as its parent ends.

    Args:
        parent: the process that must be there.
        arguments: of `python -m`.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
            raise OSError(ctypes.get_errno(), "a process cannot be bound to its parent")
    # A parent that has ended before this was asked for sends no signal.
    if os.getppid() != parent:
        sys.exit(f"Process {parent}, which started this, has ended.")
    os.execv(sys.executable, [sys.executable, "-m", *arguments])  # noqa: S606


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
