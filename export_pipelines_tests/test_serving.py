"""Each start takes some seconds, so that one test looks at several things."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from export_pipelines import serving
from export_pipelines.errors import StorageUnavailable
from export_pipelines.listening import Place
from export_pipelines.serving import _servers
from export_pipelines.supervision import Server, stop_all
from export_pipelines_tests.killing import kill_all, processes_of
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.webserver import ROOT

pytestmark = pytest.mark.timeout(600)

GONE_SECONDS = 10
READY_SECONDS = 120
SERVERS = {"code-server", "export_pipelines.api.server", "dagster._daemon"}
LOADED = """{
  workspaceOrError {
    ... on Workspace { locationEntries { locationOrLoadError { __typename } } }
  }
}"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Yield a home folder; what works on it at the end is killed."""
    yield tmp_path
    kill_all(tmp_path)


class Dev:
    """An `export-pipelines dev` that was started.

    Attributes:
        port: where its web server listens.
        log: what it and its servers have said.
        process: itself.
    """

    def __init__(self, home: Path, *before: str, output: int | None = None) -> None:
        self.port = free_port()
        self.log = home / f"log.{self.port}"
        variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("EXPORT_PIPELINES_")
            and name not in ("DATABASE_URL", "PYTHONUNBUFFERED")
        }
        command = [sys.executable, "-m", "export_pipelines", "dev", "--port", str(self.port)]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [*before, *command],
                cwd=ROOT,
                env={**variables, "EXPORT_PIPELINES_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=output or file,
                stderr=output or file,
                start_new_session=True,
            )

    def says(self, words: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return words in self.log.read_text()

    def wait_until_ready(self) -> None:
        """Wait until it says so, and see that it is."""
        wait_until(lambda: self.says("Ready:"), READY_SECONDS)
        assert self.definitions() == "RepositoryLocation"

    def definitions(self) -> str:
        """Return what the web server has of the definitions."""
        request = Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": LOADED}).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=20) as answer:
            data: Any = json.load(answer)["data"]
        (entry,) = data["workspaceOrError"]["locationEntries"]
        return str(entry["locationOrLoadError"]["__typename"])

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return how it ended."""
        self.process.send_signal(number)
        return self.process.wait(60)


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"nothing happened for {seconds} seconds"
        time.sleep(0.05)


def servers_of(home: Path) -> list[str]:
    """Return which servers work on a home folder; not the process inside the code server."""
    found: list[str] = []
    for pid in processes_of(home):
        with suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            found += SERVERS.intersection(words)
    return sorted(found)


def wait_until_gone(home: Path) -> None:
    wait_until(lambda: not servers_of(home), GONE_SECONDS)


def test_a_server_that_does_not_start_ends_the_start() -> None:
    servers = [Server(f"{name} server", [name], {}) for name in ("code", "no_such_module")]
    servers[1].start()
    try:
        with pytest.raises(StorageUnavailable, match="The no_such_module server does not start"):
            serving._wait_until(servers, lambda: False)
    finally:
        stop_all(servers)


@pytest.mark.parametrize(
    ("host", "url", "is_said"),
    [
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("0.0.0.0", "https://shop.example", False),
        ("127.0.0.1", "", False),
        ("192.0.2.7", "", False),
    ],
)
def test_links_that_others_cannot_follow(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host: str,
    url: str,
    is_said: bool,
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", url)
    serving._note_links(Place(host, 80, authenticates=True, token=""))
    assert ("set EXPORT_PIPELINES_PUBLIC_URL" in capsys.readouterr().err) is is_said


def test_one_that_is_killed_leaves_no_server_behind_and_a_second_is_refused(home: Path) -> None:
    first = Dev(home)
    first.wait_until_ready()
    assert servers_of(home) == sorted(SERVERS)

    second = Dev(home)
    assert second.process.wait(60) == 2
    assert second.log.read_text() == (
        f"Error: A server is running for {home} already, as process "
        f"{first.process.pid}: stop that one, or choose another home folder with "
        "EXPORT_PIPELINES_HOME.\n"
    )
    assert servers_of(home) == sorted(SERVERS)

    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    wait_until_gone(home)

    third = Dev(home, "nohup")
    third.wait_until_ready()
    third.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert not third.says("Stopping."), "nohup is for what outlives its terminal"
    assert third.end(signal.SIGTERM) == 0
    assert "Stopping." in third.log.read_text()
    assert not servers_of(home)


def test_one_whose_terminal_is_closed_stops_its_servers(home: Path) -> None:
    """The shell that starts it makes the terminal that of its session."""
    master, slave = os.openpty()
    terminal = os.ttyname(slave)
    script = f'exec 3<>{terminal}; exec "$@"'
    dev = Dev(home, "sh", "-c", script, "sh", output=slave)
    os.close(slave)
    said = b""
    while b"Ready:" not in said:
        said += os.read(master, 10_000)
    assert servers_of(home) == sorted(SERVERS)
    os.close(master)
    assert dev.process.wait(60) == 0
    assert not list(processes_of(home))


def test_it_is_ready_when_the_definitions_are_loaded(home: Path) -> None:
    broken = home / "registry.db"
    broken.mkdir()
    dev = Dev(home)
    wait_until(lambda: dev.says("The definitions cannot be loaded"), READY_SECONDS)
    assert dev.definitions() == "PythonError"
    assert not dev.says("Ready:")
    broken.rmdir()
    dev.wait_until_ready()
    dev.process.send_signal(signal.SIGHUP)
    wait_until(lambda: dev.says("Stopping."), GONE_SECONDS)
    assert dev.end(signal.SIGHUP) == 0, "it goes on to stop its servers"
    assert not list(processes_of(home))


def test_the_web_server_is_told_where_it_is_only_by_who_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "EXPORT_PIPELINES_PUBLIC_URL"
    place = Place("0.0.0.0", 3000, authenticates=True, token="a token")
    told = {each.name: each.environment.get(variable) for each in _servers(tmp_path, place)}
    own = "http://127.0.0.1:3000"
    assert told == {"code server": own, "web server": None, "daemon": own}
    monkeypatch.setenv(variable, "https://shop.example")
    assert {each.environment[variable] for each in _servers(tmp_path, place)} == {
        "https://shop.example"
    }
