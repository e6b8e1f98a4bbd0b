"""Child processes that are servers: started when they answer, and gone with the test run."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_START_SECONDS = 30
_STOP_SECONDS = 2
_KILL_SECONDS = 10
_PR_SET_PDEATHSIG = 1


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    is_ready: Callable[[], bool],
    *,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the context ends; on Linux it dies with the thread that started it.

    Args:
        command: program and arguments.
        log: a file for what it prints.
        is_ready: whether it answers; asked again and again.
        environment: its whole environment; that of this process by default.
        options: others of `subprocess.Popen`.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent(),
            **options,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready():
            text = log.read_text(encoding="utf-8", errors="replace")
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {text}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_KILL_SECONDS)


def answers(port: int) -> bool:
    """Return whether something listens on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """Return what a child must call so that a killed test run leaves no server behind."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask_for_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, number)

    return ask_for_signal
