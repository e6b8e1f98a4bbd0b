"""Starts the web server, Dagster's daemon and one code server for both, and stops them together.

The code server loads the definitions anew when the registry's schedules change; webserver and
daemon notice that within a second. A home folder has one of each, since two daemons would each
start the runs of a due schedule.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from http.client import HTTPException
from pathlib import Path
from secrets import token_urlsafe
from threading import Event, Thread
from types import FrameType
from typing import Any
from urllib.request import Request, urlopen

import click
import yaml

from export_pipelines import settings
from export_pipelines.code_location import LOCATION, answers_on, code_socket
from export_pipelines.errors import ExportPipelinesError, RequestError, StorageUnavailable
from export_pipelines.listening import Place, check_free, free_port, require_safe
from export_pipelines.records import make_records, prepare_dagster_home
from export_pipelines.registry.database import schedules_revision
from export_pipelines.server_environment import CODE_SOCKET, NO_AUTH, SERVER_TOKEN
from export_pipelines.supervision import Server, stop_all

_READY_SECONDS = 120
_POLL_SECONDS = 0.5
_RELOAD_SECONDS = 120
_ANSWER_SECONDS = 5
_CODE_SERVER = "export_pipelines.code_server"
_MODULE = "export_pipelines.definitions"
_NO_ANSWER = (OSError, HTTPException, ValueError, KeyError, TypeError)
_LOADED = "RepositoryLocation"
_LOCATIONS = """
query {
  workspaceOrError {
    ... on Workspace { locationEntries { name locationOrLoadError { __typename } } }
  }
}
"""
_RELOAD = """
mutation ($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
  }
}
"""


def serve(host: str, port: int, *, authenticates: bool) -> None:
    """Run web server, daemon and code server until a signal; one that dies is started again.

    Args:
        host: the address that the web server listens on.
        port: its port; 0 for any free one.
        authenticates: whether it asks for a key.

    Raises:
        RequestError: the port is taken, this folder has no workspace.yaml, one runs for this home
            folder already, or everybody on a network could come in, or nobody.
        StorageUnavailable: a server does not start, or does not stay.
    """
    if not Path("workspace.yaml").is_file():
        raise RequestError("There is no workspace.yaml here: start this in the project's folder.")
    require_safe(host, authenticates=authenticates)
    home = prepare_dagster_home()
    with _only_one(home):
        place = Place(host, port or free_port(host), authenticates, token_urlsafe())
        check_free(place)
        _note_links(place)
        servers = _servers(home, place)
        make_records()
        _stop_on_signals()
        loaded = _revision()
        try:
            _start(servers, place)
            with _following_the_registry(place, loaded):
                _keep_running(servers, place)
        except KeyboardInterrupt:
            _say_stopping()
        finally:
            stop_all(servers)


def _note_links(place: Place) -> None:
    """Say if others could not follow the links that they are sent."""
    linked = settings.public_url(place.own_address)
    if linked == place.own_address != place.address:
        click.echo(
            f"Links in webhooks begin with {linked}, which others cannot follow: set "
            "EXPORT_PIPELINES_PUBLIC_URL to where they reach this server.",
            err=True,
        )


def _say_stopping() -> None:
    """Say that servers are stopped; a terminal that was closed takes no more words."""
    try:
        click.echo("Stopping.")
    except OSError:
        # What is kept back for it would fail the end of this process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Keep others from serving a home folder; the system sees to it that a killed one does not.

    Raises:
        RequestError: another serves it.
    """
    with (home / "dev.lock").open("a+", encoding="ascii") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RequestError(
                f"A server is running for {settings.home_folder()} already, as process "
                f"{lock.read()}: stop that one, or choose another home folder with "
                "EXPORT_PIPELINES_HOME."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _start(servers: Sequence[Server], place: Place) -> None:
    """Start servers, and wait until the web server has loaded the definitions or failed to.

    The web server begins with the code server, and waits for that; the daemon follows.
    """
    code, web, daemon = servers
    code.start()
    web.start()
    _wait_until(servers, lambda: answers_on(code_socket()))
    daemon.start()
    _wait_until(servers, lambda: _location(place) is not None)
    if _location(place) not in (None, _LOADED):
        click.echo(
            "The definitions cannot be loaded: the messages above say why. If the registry does "
            "not answer, they are loaded when it does.",
            err=True,
        )


def _keep_running(servers: Sequence[Server], place: Place) -> None:
    """Keep servers running until a signal, and say once that they are ready."""
    ready = False
    while True:
        if not ready and _location(place) == _LOADED:
            click.echo(f"Ready: {place.address}   (Ctrl-C stops it)")
            ready = True
        for server in servers:
            server.keep_running()
        time.sleep(_POLL_SECONDS)


def _servers(home: Path, place: Place) -> list[Server]:
    """Return the code server, which the others reach over a socket, and these."""
    code = code_socket()
    # What a killed server left is in the way of the next.
    code.unlink(missing_ok=True)
    location = {"socket": str(code), "location_name": LOCATION}
    workspace = home / "workspace.yaml"
    workspace.write_text(
        yaml.safe_dump({"load_from": [{"grpc_server": location}]}), encoding="utf-8"
    )
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "EXPORT_PIPELINES_HOME": str(settings.home_folder()),
    }
    # Requests tell the web server where it is, unless somebody has said so.
    linking = {**environment, "EXPORT_PIPELINES_PUBLIC_URL": settings.public_url(place.own_address)}
    loading = ["-m", _MODULE, "--socket", str(code), "--location-name", LOCATION]
    where = ["-w", str(workspace)]
    serving = ["-h", place.host, "-p", str(place.port), *where]
    told = {
        CODE_SOCKET: str(code),
        NO_AUTH: "" if place.authenticates else "true",
        SERVER_TOKEN: place.token,
    }
    return [
        Server("code server", [_CODE_SERVER, "code-server", "start", *loading], linking),
        Server("web server", ["export_pipelines.api.server", *serving], {**environment, **told}),
        Server("daemon", ["dagster._daemon", "run", *where], linking),
    ]


@contextmanager
def _following_the_registry(place: Place, loaded: int | None) -> Iterator[None]:
    """Have definitions loaded anew whenever the registry's schedules have changed."""
    ended = Event()

    def follow() -> None:
        nonlocal loaded
        while not ended.wait(_POLL_SECONDS):
            found = _revision()
            if found is not None and found != loaded and _reload(place):
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


def _reload(place: Place) -> bool:
    """Have definitions loaded anew, and return whether that worked."""
    try:
        data = _ask(place, _RELOAD, _RELOAD_SECONDS, location=LOCATION)
        return _outcome(data["reloadRepositoryLocation"]) == _LOADED
    except _NO_ANSWER:
        return False


def _location(place: Place) -> str | None:
    """Return what the web server has of the definitions: `_LOADED`, or an error's type.

    None while it is loading them, or does not answer.
    """
    try:
        entries = _ask(place, _LOCATIONS, _ANSWER_SECONDS)["workspaceOrError"]["locationEntries"]
    except _NO_ANSWER:
        return None
    return next((_outcome(entry) for entry in entries if entry["name"] == LOCATION), None)


def _ask(place: Place, query: str, seconds: float, **variables: str) -> Mapping[str, Any]:
    """Return the data of the web server's answer."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {place.token}"}
    request = Request(f"{place.own_address}/graphql", body, headers)  # noqa: S310
    with urlopen(request, timeout=seconds) as answer:  # noqa: S310
        data: Mapping[str, Any] = json.load(answer)["data"]
    return data


def _outcome(entry: Mapping[str, Any]) -> str | None:
    """Return the type of a location or of its error; None while it is being loaded."""
    found = entry.get("locationOrLoadError")
    return str(found["__typename"]) if found else None


def _stop_on_signals() -> None:
    # SIGINT too: a shell that starts this in the background has it ignored.
    numbers = [signal.SIGINT, signal.SIGTERM]
    # nohup has this ignored so that what it starts outlives its terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:
        # A closed terminal sends more than one, and servers are stopped only once.
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in numbers:
        signal.signal(each, interrupt)


def _wait_until(servers: Sequence[Server], is_ready: Callable[[], bool]) -> None:
    """Wait until servers that were started are ready.

    Raises:
        StorageUnavailable: one has ended, or they are not ready in time.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if is_ready():
            return
        for server in servers:
            if server.has_ended:
                raise StorageUnavailable(
                    f"The {server.name} does not start; its last messages are above."
                )
        time.sleep(0.1)
    raise StorageUnavailable(
        f"The servers are not ready after {_READY_SECONDS} seconds; their last messages are above."
    )
