"""The whole at work: `serve` with keys, asked by curl, by a browser, and a webhook that is told.

It takes about a minute of real time.
"""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG

from export_pipelines.catalog.sample import generate
from export_pipelines.records import open_instance
from export_pipelines_tests.command_line import Program
from export_pipelines_tests.killing import processes_of
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.servers.receiver import Receiver, start_receiver
from export_pipelines_tests.webserver import ROOT, start_webserver

pytestmark = pytest.mark.timeout(600)

HOST = "https://api.pixeepim.com"
CURLS = {
    "csv": """\
curl -X POST https://api.pixeepim.com/api/v1/exports/csv/products \\
  -H "Authorization: Bearer {api_key}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "filters": {"is_active": true},
    "include_fields": ["ean", "name", "price", "cost_price"]
  }'""",
    "json": """\
curl -X POST https://api.pixeepim.com/api/v1/exports/json/products \\
  -H "Authorization: Bearer {api_key}" \\
  -H "Content-Type: application/json" \\
  -d '{"filters": {"is_active": true}, "pretty": false}'""",
    "excel": """\
curl -X POST https://api.pixeepim.com/api/v1/exports/excel/products \\
  -H "Authorization: Bearer {api_key}" \\
  -H "Content-Type: application/json" \\
  -d '{"include_sheets": ["products", "suppliers"]}'""",
    "zip": """\
curl -X POST https://api.pixeepim.com/api/v1/exports/zip/products \\
  -H "Authorization: Bearer {api_key}" \\
  -H "Content-Type: application/json" \\
  -d '{"max_rows_per_file": 50000}'""",
    "status": """\
curl https://api.pixeepim.com/api/v1/exports/jobs/550e8400-e29b-41d4-a716-446655440000 \\
  -H "Authorization: Bearer {api_key}\"""",
    "download": """\
curl https://api.pixeepim.com/api/v1/exports/jobs/550e8400-e29b-41d4-a716-446655440000/download \\
  -H "Authorization: Bearer {api_key}" \\
  -o catalog_export.csv""",
    "platform": """\
curl -X POST https://api.pixeepim.com/api/v1/exports/platforms \\
  -H "Authorization: Bearer {api_key}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Google Drive \u2013 Exports",
    "platform_type": "gdrive",
    "config": {
      "credentials": "...",
      "folder_id": "1abc123xyz"
    }
  }'""",
    "schedule": """\
curl -X POST https://api.pixeepim.com/api/v1/exports/schedules \\
  -H "Authorization: Bearer {api_key}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "platform_id": "550e8400-e29b-41d4-a716-446655440010",
    "schedule_name": "Weekly Products Export",
    "cron_expression": "0 9 * * 1",
    "timezone": "Europe/Paris"
  }'""",
}
"""The requests of the vendor's document, to the letter (P03-P36)."""

QUIETLY = ("--silent", "--show-error", "--fail-with-body")


@dataclass(frozen=True)
class Live:
    """A server at work.

    Attributes:
        address: where it is.
        key: with which it is asked.
        folder: where curl saves files.
        receiver: of webhooks.
        home: the servers' home folder.
    """

    address: str
    key: str
    folder: Path
    receiver: Receiver
    home: Path

    def curl(self, name: str, **ids: str) -> Any:
        """Return what one of the document's requests is answered."""
        text = CURLS[name].replace(HOST, self.address).replace("{api_key}", self.key)
        for example, real in ids.items():
            text = text.replace(f"550e8400-e29b-41d4-a716-4466554400{example[1:]}", real)
        return self._answer(shlex.split(text.replace("\\\n", " ")))

    def deliver_nothing_to(self, platform_id: str) -> None:
        """Have exports not go to a platform, of which there is only an example."""
        address = f"{self.address}/api/v1/exports/platforms/{platform_id}"
        head = ["-H", f"Authorization: Bearer {self.key}", "-H", "Content-Type: application/json"]
        self._answer(["curl", "-X", "PATCH", address, *head, "-d", '{"auto_upload": false}'])

    def _answer(self, command: list[str]) -> Any:
        done = subprocess.run(
            [*command, *QUIETLY],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def completed(self, job_id: str) -> Any:
        """Return a job when it is no longer processing."""
        deadline = time.monotonic() + 240
        while (job := self.curl("status", _00=job_id))["status"] == "processing":
            assert time.monotonic() < deadline, job
            time.sleep(1)
        return job


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    generate(f"sqlite:///{home / 'shop.db'}", products=300)
    allowed = {"EXPORT_PIPELINES_WEBHOOK_HOSTS": "127.0.0.1"}
    program = Program(home, allowed)
    key = json.loads(program.run_here("keys", "add", "me", "--scope", "admin", "--json"))["key"]
    with start_receiver() as receiver:
        program.run_here("webhooks", "add", "shop", receiver.url, "--topic", "export.*")
        with start_webserver(home, key, **allowed) as ask:
            yield Live(ask.address, key, tmp_path_factory.mktemp("curl"), receiver, home)


def test_every_request_of_the_document_is_answered_in_its_shape(live: Live) -> None:
    began = {name: live.curl(name) for name in ("csv", "json", "excel", "zip")}
    for name, job in began.items():
        assert (job["status"], job["format"]) == ("processing", name)
        assert {"id", "status", "format", "created_at"} <= set(job)
    jobs = {name: live.completed(job["id"]) for name, job in began.items()}
    for name, job in jobs.items():
        assert (job["status"], job["format"], job["id"]) == ("completed", name, began[name]["id"])
        assert job["total_records"] > 0
        assert job["created_at"] < job["completed_at"]
        assert job["file_url"].startswith(live.address)
    live.curl("download", _00=jobs["csv"]["id"])
    content = (live.folder / "catalog_export.csv").read_bytes()
    [file] = jobs["csv"]["files"]
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert content.decode("utf-8-sig").splitlines()[0] == "ean,name,price,cost_price"
    assert content.startswith(b"\xef\xbb\xbf")

    platform = live.curl("platform")
    shown = {"id", "name", "platform_type", "is_active", "created_at"}
    assert shown <= set(platform)
    assert "credentials" not in platform["config"]
    schedule = live.curl("schedule", _10=platform["id"])
    shown = {"id", "schedule_name", "cron_expression", "timezone", "is_active", "created_at"}
    assert shown <= set(schedule)
    assert schedule["is_active"] is True
    live.deliver_nothing_to(platform["id"])


def test_a_webhook_was_told_of_each_step(live: Live) -> None:
    wanted = {"export.created", "export.started", "export.completed"}
    ended = ":completed"
    wait_until(lambda: sum(each.endswith(ended) for each in live.receiver.events) >= 4)
    told = [json.loads(request.body) for request in live.receiver.received]
    for event in [each for each in told if each["type"] == "export.completed"]:
        topics = {each["type"] for each in told if each["data"]["id"] == event["data"]["id"]}
        assert wanted <= topics
        assert event["data"]["file_url"].startswith(live.address)


def test_a_run_that_the_code_server_does_not_know_is_a_conflict(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(live.home))
    monkeypatch.chdir(ROOT)
    with open_instance() as instance:
        [known] = instance.get_runs(limit=1)
        run = record_run(instance, status="STARTED")
        instance.add_run_tags(run.run_id, {GRPC_INFO_TAG: known.tags[GRPC_INFO_TAG]})
        answer = httpx.post(
            f"{live.address}/api/v1/exports/jobs/{run.run_id}/cancel",
            headers={"Authorization": f"Bearer {live.key}"},
            timeout=30,
        )
        instance.delete_run(run.run_id)
    assert answer.status_code == 409
    assert "is not known to the code server" in answer.json()["detail"]


def test_a_webhook_is_told_through_a_crash_of_the_servers_that_tell_it(live: Live) -> None:
    live.receiver.status = 503
    job = live.completed(live.curl("csv")["id"])
    event = f"{job['id']}:completed"
    wait_until(lambda: event in live.receiver.events)
    killed = [pid for pid in processes_of(live.home) if is_told_by(pid)]
    assert len(killed) >= 2
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    live.receiver.status = 200
    tries = live.receiver.events.count(event)
    wait_until(lambda: live.receiver.events.count(event) > tries)


def is_told_by(pid: int) -> bool:
    """Return whether a process is the daemon, or is or has the code server."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes()
    return any(name in words for name in (b"dagster._daemon", b"code-server", b"api\0grpc"))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


CHROMIUM = shutil.which("chromium")


def test_a_browser_goes_from_the_login_to_the_file(live: Live, tmp_path: Path) -> None:
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    options = [
        "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-quic",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{live.address}/locations/export_pipelines/jobs/export_csv/playground")
        page.fill("input[name=key]", "wrong")
        page.click("button[type=submit]")
        assert "ep_" in page.content()
        page.fill("input[name=key]", live.key)
        page.click("button[type=submit]")
        page.wait_for_url("**/playground")
        page.get_by_role("button", name="Launch run").last.click(timeout=60_000)
        page.wait_for_url("**/runs/*", timeout=60_000)
        run_id = page.url.rstrip("/").rpartition("/")[2]
        assert live.completed(run_id)["status"] == "completed"
        page.goto(f"{live.address}/runs/{run_id}?logs=type%3AASSET_MATERIALIZATION")
        link = page.get_by_role("link", name=f"{run_id}/download").first
        # It opens a tab of its own, which a download ends at once.
        link.evaluate("link => link.removeAttribute('target')")
        with page.expect_download(timeout=60_000) as download:
            link.click(timeout=60_000)
        target = tmp_path / download.value.suggested_filename
        download.value.save_as(target)
        assert target.name == "products.csv"
        assert target.read_bytes().count(b"\n") > 200
        browser.close()
