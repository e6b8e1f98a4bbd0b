"""Starts Dagster's webserver, daemon and one code server for both, and stops them together.

The code server loads the definitions anew when the registry's schedules change; webserver and
daemon notice that within a second.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import click
import yaml

from export_pipelines import settings
from export_pipelines.code_location import LOCATION, code_socket
from export_pipelines.errors import ExportPipelinesError, RequestError, StorageUnavailable
from export_pipelines.execution import make_records, prepare_dagster_home
from export_pipelines.registry.database import schedules_revision
from export_pipelines.supervision import Server, stop_all

_HOST = "127.0.0.1"
_READY_SECONDS = 120
_POLL_SECONDS = 0.5
_RELOAD_SECONDS = 120
_MODULE = "export_pipelines.definitions"
_RELOAD = """
mutation ($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
  }
}
"""


def serve(port: int) -> None:
    """Run webserver, daemon and code server until a signal; one that dies is started again.

    Raises:
        RequestError: the port is taken, or this folder has no workspace.yaml.
        StorageUnavailable: a server does not start, or does not stay.
    """
    if not Path("workspace.yaml").is_file():
        raise RequestError("There is no workspace.yaml here: start this in the project's folder.")
    port = port or _free_port()
    _check_free(port)
    servers = _servers(port)
    make_records()
    _stop_on_signals()
    loaded = _revision()
    try:
        servers[0].start()
        _wait_until(servers, lambda: _answers_on(code_socket()))
        for server in servers[1:]:
            server.start()
        _wait_until(servers, lambda: _answers_at(port))
        click.echo(f"Ready: http://{_HOST}:{port}   (Ctrl-C stops it)")
        with _following_the_registry(port, loaded):
            while True:
                for server in servers:
                    server.keep_running()
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        click.echo("Stopping.")
    finally:
        stop_all(servers)


def _servers(port: int) -> list[Server]:
    """Return the code server, which the others reach over a socket, and these.

    Raises:
        RequestError: one runs for this home folder already.
    """
    home = prepare_dagster_home()
    code = code_socket()
    if _answers_on(code):
        raise RequestError(
            f"export-pipelines dev is running for {settings.home_folder()} already: stop that one, "
            "or choose another home folder with EXPORT_PIPELINES_HOME."
        )
    # What a killed server left is in the way of the next.
    code.unlink(missing_ok=True)
    place = {"socket": str(code), "location_name": LOCATION}
    workspace = home / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": place}]}), encoding="utf-8")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "EXPORT_PIPELINES_HOME": str(settings.home_folder()),
    }
    loading = ["-m", _MODULE, "--socket", str(code), "--location-name", LOCATION]
    where = ["-w", str(workspace)]
    serving = ["-h", _HOST, "-p", str(port), *where]
    return [
        Server("code server", ["dagster", "code-server", "start", *loading], environment),
        Server("web server", ["dagster_webserver", *serving], environment),
        Server("daemon", ["dagster._daemon", "run", *where], environment),
    ]


@contextmanager
def _following_the_registry(port: int, loaded: int | None) -> Iterator[None]:
    """Have definitions loaded anew whenever the registry's schedules have changed."""
    ended = Event()

    def follow() -> None:
        nonlocal loaded
        while not ended.wait(_POLL_SECONDS):
            found = _revision()
            if found is not None and found != loaded and _reload(port):
                loaded = found

    thread = Thread(target=follow, name="registry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _revision() -> int | None:
    """Return the number of the schedules' state; None while the registry does not answer."""
    try:
        return schedules_revision()
    except ExportPipelinesError:
        return None


def _reload(port: int) -> bool:
    """Have definitions loaded anew, and return whether that worked."""
    body = json.dumps({"query": _RELOAD, "variables": {"location": LOCATION}}).encode()
    request = Request(f"http://{_HOST}:{port}/graphql", body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=_RELOAD_SECONDS) as answer:  # noqa: S310
            entry: Mapping[str, Any] = json.load(answer)["data"]["reloadRepositoryLocation"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    loaded = (entry.get("locationOrLoadError") or {}).get("__typename")
    return bool(loaded == "RepositoryLocation")


def _stop_on_signals() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts this in the background has it ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


def _wait_until(servers: Sequence[Server], is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and servers[0].is_running:
        if is_ready():
            return
        time.sleep(0.1)
    raise StorageUnavailable("A server did not start; its last messages are above.")


def _answers_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _answers_at(port: int) -> bool:
    try:
        with urlopen(f"http://{_HOST}:{port}/server_info", timeout=5):
            return True
    except (URLError, OSError):
        return False


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
