"""Starts Dagster's webserver and daemon on one home folder, and stops both together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

import click

from export_pipelines import settings
from export_pipelines.errors import RequestError, StorageUnavailable
from export_pipelines.execution import make_records, prepare_dagster_home

_HOST = "127.0.0.1"
_READY_SECONDS = 120
_STOP_SECONDS = 15


def serve(port: int) -> None:
    """Run webserver and daemon until a signal, or until one of them ends.

    Raises:
        RequestError: the port is taken, or this folder has no workspace.yaml.
        StorageUnavailable: a server did not start.
    """
    workspace = Path("workspace.yaml").resolve()
    if not workspace.is_file():
        raise RequestError("There is no workspace.yaml here: start this in the project's folder.")
    port = port or _free_port()
    _check_free(port)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(prepare_dagster_home()),
        "EXPORT_PIPELINES_HOME": str(settings.home_folder()),
    }
    make_records()
    _stop_on_signals()
    servers: list[subprocess.Popen[bytes]] = []
    try:
        where = ["-w", str(workspace)]
        servers.append(
            _start("dagster_webserver", ["-h", _HOST, "-p", str(port), *where], environment)
        )
        servers.append(_start("dagster._daemon", ["run", *where], environment))
        _wait_until_ready(port, servers)
        click.echo(f"Ready: http://{_HOST}:{port}   (Ctrl-C stops it)")
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        raise StorageUnavailable("A server ended by itself; its last messages are above.")
    except KeyboardInterrupt:
        click.echo("Stopping.")
    finally:
        _stop(servers)


def _start(
    module: str, arguments: list[str], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        [sys.executable, "-m", module, *arguments], env=dict(environment), start_new_session=True
    )


def _stop(servers: "list[subprocess.Popen[bytes]]") -> None:
    for server in servers:
        with suppress(ProcessLookupError):
            server.terminate()
    for server in servers:
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _stop_on_signals() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts this in the background has it ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


def _wait_until_ready(port: int, servers: "list[subprocess.Popen[bytes]]") -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and all(server.poll() is None for server in servers):
        try:
            with urlopen(f"http://{_HOST}:{port}/server_info", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise StorageUnavailable("The web server did not start; its last messages are above.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            raise RequestError(
                f"Port {port} is taken: stop what uses it, or choose another with --port."
            ) from None
