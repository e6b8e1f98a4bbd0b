"""The HTTP API under load: reads of jobs while ten exports run, and two hundred launches at once.

python -m benchmarks.api [--seconds 60]     needs wrk
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from export_pipelines.catalog.sample import generate
from export_pipelines_tests.command_line import Program
from export_pipelines_tests.webserver import Ask, start_webserver

CONNECTIONS = 50
LAUNCHES = 200
LIMIT = 10
RUNNING = "/exports/json/orders"


def ask(server: Ask, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=300)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    content = json.dumps(body) if body is not None else None
    connection.request(method, f"/api/v1{path}", content, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


@contextmanager
def ten_exports(server: Ask) -> Iterator[Counter[str]]:
    """Keep as many exports going as there is room for."""
    ended, counted = Event(), Counter[str]()

    def keep() -> None:
        while not ended.is_set():
            status, _ = ask(server, "POST", RUNNING, {"includes": ["line_items"]})
            counted["started" if status == 202 else "refused"] += 1
            if status != 202:
                ended.wait(0.5)

    thread = Thread(target=keep)
    thread.start()
    while ask(server, "GET", "/exports/jobs?status=in_progress")[1]["items"] == []:
        time.sleep(0.5)
    try:
        yield counted
    finally:
        ended.set()
        thread.join()


def reads(server: Ask, path: str, seconds: int) -> str:
    command = [
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "10s",
        "-H", f"Authorization: Bearer {server.key}", f"{server.address}/api/v1{path}",
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"(Requests/sec:|50%|99%|Non-2xx[^:]*:)\s+(\S+)", said)
    return ", ".join(f"{name.rstrip(':')} {value}" for name, value in found)


def wait_until_idle(server: Ask) -> None:
    while ask(server, "GET", "/exports/jobs?status=processing&limit=1")[1]["items"]:
        time.sleep(1)


def launches(server: Ask) -> None:
    before = len(all_jobs(server))
    began = time.monotonic()
    with ThreadPoolExecutor(LAUNCHES) as threads:
        answers = list(threads.map(lambda _: ask(server, "POST", RUNNING), range(LAUNCHES)))
    seconds = time.monotonic() - began
    codes = Counter(status for status, _ in answers)
    accepted = {job["id"] for status, job in answers if status == 202}
    made = all_jobs(server)
    wait_until_idle(server)
    states = Counter(job["status"] for job in all_jobs(server) if job["id"] in accepted)
    print(f"{LAUNCHES} launches at once, {LIMIT} allowed: {dict(codes)} in {seconds:.1f} s")
    print(f"jobs made {len(made) - before}, of which accepted ones ended as {dict(states)}")


def all_jobs(server: Ask) -> list[Any]:
    found, cursor = [], ""
    while True:
        page = ask(server, "GET", f"/exports/jobs?limit=200{cursor}")[1]
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: install it, it makes the load.")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        generate(f"sqlite:///{home / 'shop.db'}", products=2_000, orders=20_000)
        variables = {
            "EXPORT_PIPELINES_REQUESTS_PER_MINUTE": "none",
            "EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS": str(LIMIT),
        }
        os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
        made = Program(home).run_here("keys", "add", "load", "--scope", "admin", "--json")
        with start_webserver(home, json.loads(made)["key"], **variables) as server:
            job = ask(server, "POST", "/exports/csv/suppliers")[1]
            wait_until_idle(server)
            path = f"/exports/jobs/{job['id']}"
            print(f"reads, nothing else runs: {reads(server, path, seconds)}")
            with ten_exports(server) as counted:
                print(f"reads while ten exports run: {reads(server, path, seconds)}")
            print(f"exports meanwhile: {dict(counted)}")
            wait_until_idle(server)
            launches(server)


if __name__ == "__main__":
    main()
