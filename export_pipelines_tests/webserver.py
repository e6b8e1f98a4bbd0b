"""Runs `export-pipelines dev` or `serve` for tests, and asks it the queries of docs/graphql."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "graphql.md").read_text(encoding="utf-8")
FILES = {path.stem: path for path in sorted((ROOT / "docs" / "graphql").glob("*.graphql"))}
DOCUMENTS = {
    name: path.read_text(encoding="utf-8")
    for path in FILES.values()
    for name in re.findall(r"^(?:query|mutation) (\w+)", path.read_text(encoding="utf-8"), re.M)
}

ENDED = ("SUCCESS", "FAILURE", "CANCELED")

_START_SECONDS = 120
_STOP_SECONDS = 30
_RUN_SECONDS = 240


@dataclass(frozen=True)
class Ask:
    """A server that can be asked.

    Attributes:
        address: where it is.
        key: an API key; empty where none is needed.
    """

    address: str
    key: str = ""

    def __call__(self, document: str, **variables: Any) -> Any:
        """Run a query, of docs/graphql by its name, with variables, and return its data."""
        body = json.dumps({"query": DOCUMENTS.get(document, document), "variables": variables})
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = Request(f"{self.address}/graphql", body.encode(), headers)
        with urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]


@contextmanager
def start_webserver(home: Path, key: str = "", **variables: str) -> Iterator[Ask]:
    """Run web server and daemon on a home folder, on a free port of 127.0.0.1.

    Of this project's environment variables they see only those that are given.

    Args:
        home: the folder.
        key: an API key, with which all is asked; without one the server asks for none.
        variables: of the environment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("EXPORT_PIPELINES_") and name != "DATABASE_URL"
    }
    command = "serve" if key else "dev"
    log = home / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "export_pipelines", command, "--port", str(port)],
            cwd=ROOT,
            env={**inherited, "EXPORT_PIPELINES_HOME": str(home), **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(server, log)
        yield Ask(f"http://127.0.0.1:{port}", key)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(_STOP_SECONDS)


def _wait_until_ready(server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while b"Ready:" not in log.read_bytes():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def launch(ask: Ask, job: str, *, organization: str | None = None, **config: Any) -> Any:
    """Start an export and return its run, with its tags as a mapping."""
    variables: dict[str, Any] = {"job": job, "config": config}
    if organization:
        variables["tags"] = [{"key": "export/organization", "value": organization}]
    answer = ask("LaunchExport", **variables)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return _with_tags(answer["run"])


def wait(ask: Ask, run_id: str, statuses: Collection[str] = ENDED) -> Any:
    """Return a run when it has ended, or got another status, with its tags as a mapping."""
    deadline = time.monotonic() + _RUN_SECONDS
    while True:
        run = ask("ExportStatus", runId=run_id)["runOrError"]
        if run["status"] in statuses:
            return _with_tags(run)
        assert run["status"] not in ENDED, run
        assert time.monotonic() < deadline, run
        time.sleep(0.5)


def _with_tags(run: Any) -> Any:
    return {**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}}
