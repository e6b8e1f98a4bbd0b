"""The whole chain: a platform, a profile and a schedule, registered as people do while all runs.

It takes some minutes of real time, and mostly waits.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from export_pipelines import settings
from export_pipelines.catalog.sample import generate
from export_pipelines.clock import seconds_of
from export_pipelines_tests.command_line import Program
from export_pipelines_tests.deliveries import as_delivered
from export_pipelines_tests.servers.sftp import SftpServer, run_asyncssh
from export_pipelines_tests.webserver import ENDED, Ask, start_webserver

pytestmark = pytest.mark.timeout(600)

NAME = "Each minute"
MINUTE = 60
LATE = 15
"""Seconds in which the daemon has looked at what is due."""

SELECTOR = {
    "repositoryLocationName": "export_pipelines",
    "repositoryName": "__repository__",
    "scheduleName": "each_minute_schedule",
}
SCHEDULE = """
query ($selector: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $selector) {
    __typename
    ... on Schedule {
      cronSchedule
      executionTimezone
      pipelineName
      futureTicks(limit: 2) { results { timestamp } }
      scheduleState { id status ticks(limit: 10) { timestamp status runIds } }
    }
  }
}
"""
START = """
mutation ($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) {
    ... on ScheduleStateResult { scheduleState { status } }
  }
}
"""
STOP = """
mutation ($id: String!) {
  stopRunningSchedule(id: $id) {
    ... on ScheduleStateResult { scheduleState { status } }
  }
}
"""


@dataclass(frozen=True)
class Chain:
    """All that is at work.

    Attributes:
        program: the command line, at the same home folder.
        ask: the web server's GraphQL.
        server: where files are delivered.
    """

    program: Program
    ask: Ask
    server: SftpServer

    def runs(self) -> list[Any]:
        """Return the runs of the schedule in the order of their due times, with tags by name."""
        tags = [{"key": "export/schedule", "value": NAME}]
        found = self.ask("Exports", filter={"tags": tags})["runsOrError"]["results"]
        runs = [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]
        return sorted(runs, key=lambda run: str(run["tags"]["export/due_at"]))

    def run_after(self, moment: float) -> Any:
        """Return the first run that was due after a moment, when it has ended."""
        deadline = moment + 2 * MINUTE + 60
        while True:
            runs = [run for run in self.runs() if due(run) > moment]
            if runs and runs[0]["status"] in ENDED:
                return runs[0]
            assert time.time() < deadline, runs
            time.sleep(1)

    def schedule(self) -> Any:
        """Return what the UI knows of the schedule, when its definition is loaded."""
        deadline = time.monotonic() + 60
        while True:
            found = self.ask(SCHEDULE, selector=SELECTOR)["scheduleOrError"]
            if found["__typename"] == "Schedule":
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    @property
    def status(self) -> str:
        """Whether the UI shows its switch as on: `RUNNING` or `STOPPED`."""
        return str(self.schedule()["scheduleState"]["status"])

    @property
    def listed(self) -> str:
        """What `schedules list` says of its next time."""
        [line] = self.program.run_here("schedules", "list").splitlines()
        assert line.startswith(NAME)
        return line.partition(" catalogue ")[2].strip()

    @property
    def delivered(self) -> dict[str, tuple[bytes, int]]:
        """What lies on the server: content and time of change of each file."""
        return {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.server.directory.iterdir()
        }


def due(run: Any) -> float:
    return seconds_of(run["tags"]["export/due_at"])


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    home = settings.home_folder()
    home.mkdir(parents=True)
    generate(settings.database_url(), products=50)
    server = tmp_path / "server"
    server.mkdir()
    with run_asyncssh(server) as running, start_webserver(home) as ask:
        yield Chain(Program(home), ask, running)


def register(chain: Chain) -> float:
    """Register all three as people do, and return when that was done."""
    login = chain.server.platform
    fields = {
        "host": login.host,
        "port": login.port,
        "username": login.username,
        "host_key": chain.server.host_key,
    }
    options = [f"--set={name}={value}" for name, value in fields.items()]
    password = f"{chain.server.password}\n"
    add = ("platforms", "add", "partner", "sftp", *options, "--secret", "password")
    chain.program.run(*add, "--no-auto-upload", given=password)
    request = ("products", "--field", "sku", "--field", "name", "--platform", "partner")
    chain.program.run_here("profiles", "add", "csv", "catalogue", *request)
    cron = ("--cron", "* * * * *", "--timezone", "Europe/Paris", "--profile", "catalogue")
    # Of one that is registered just before a full minute, the next tick starts two runs.
    seconds = time.time() % MINUTE
    if seconds > MINUTE - 3 * LATE / 2:
        time.sleep(MINUTE - seconds)
    before = time.time()
    chain.program.run_here("schedules", "add", NAME, *cron)
    return before


def delivers(chain: Chain, since: float, tmp_path: Path) -> None:
    """The file is on the server after the tick, and the UI shows the tick."""
    run = chain.run_after(since)
    assert run["status"] == "SUCCESS", run
    assert run["jobName"] == "export_csv"
    assert run["tags"]["export/profile"] == "catalogue"
    assert "export/note" not in run["tags"]
    store = as_delivered(settings.exports_folder() / run["runId"], tmp_path / "store")
    expected = {path.name: path.read_bytes() for path in store.iterdir()}
    assert {name: content for name, (content, _) in chain.delivered.items()} == expected
    assert expected["products.csv"].count(b"\n") > 40
    found = chain.schedule()
    assert (found["cronSchedule"], found["executionTimezone"]) == ("* * * * *", "Europe/Paris")
    assert found["pipelineName"] == "export_csv"
    assert found["scheduleState"]["status"] == "RUNNING"
    ticks = {tick["timestamp"]: tick for tick in found["scheduleState"]["ticks"]}
    assert ticks[due(run)]["runIds"] == [run["runId"]]
    assert ticks[due(run)]["status"] == "SUCCESS"
    first, second = (tick["timestamp"] for tick in found["futureTicks"]["results"])
    assert second - first == MINUTE
    assert first > due(run)
    last = chain.program.run_here("schedules", "show", NAME)
    assert f"SUCCESS run {run['runId']}" in last


def delivers_nowhere(chain: Chain) -> None:
    """A disabled platform is left out from the next time on, and the run says so."""
    chain.program.run_here("platforms", "disable", "partner")
    since = time.time()
    going = [run["runId"] for run in chain.runs() if run["status"] not in ENDED]
    for run_id in going:
        wait_for_end(chain, run_id)
    before = chain.delivered
    run = chain.run_after(since)
    assert run["status"] == "SUCCESS", run
    assert run["tags"]["export/note"] == "Not delivered to partner, which is disabled."
    assert chain.delivered == before
    manifest = settings.exports_folder() / run["runId"] / "manifest.json"
    assert manifest.exists()


def wait_for_end(chain: Chain, run_id: str) -> None:
    deadline = time.monotonic() + 60
    while any(run["runId"] == run_id and run["status"] not in ENDED for run in chain.runs()):
        assert time.monotonic() < deadline
        time.sleep(1)


def switches_are_the_same(chain: Chain) -> float:
    """The UI's switch and the command line's are one; return when it was switched off last."""
    chain.program.run_here("schedules", "disable", NAME)
    assert chain.status == "STOPPED"
    assert chain.ask(START, selector=SELECTOR)["startSchedule"] == {
        "scheduleState": {"status": "RUNNING"}
    }
    assert chain.listed.endswith((" CET", " CEST"))
    state = chain.schedule()["scheduleState"]["id"]
    assert chain.ask(STOP, id=state)["stopRunningSchedule"] == {
        "scheduleState": {"status": "STOPPED"}
    }
    assert chain.listed == "disabled"
    chain.program.run_here("schedules", "enable", NAME)
    assert chain.status == "RUNNING"
    chain.program.run_here("schedules", "disable", NAME)
    assert chain.status == "STOPPED"
    return time.time()


def test_from_a_registration_to_a_file_on_a_server(chain: Chain, tmp_path: Path) -> None:
    since = register(chain)
    delivers(chain, since, tmp_path)
    delivers_nowhere(chain)
    stopped = switches_are_the_same(chain)
    time.sleep(MINUTE + LATE - stopped % MINUTE)
    assert [run for run in chain.runs() if due(run) > stopped] == []
    assert chain.listed == "disabled"
