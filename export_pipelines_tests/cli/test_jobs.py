"""`export-pipelines jobs` on a home folder, and against a server that does all that servers do."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from export_pipelines import settings
from export_pipelines.cli import main
from export_pipelines.records import open_instance
from export_pipelines.runs.views import STATUSES
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.webserver import ROOT

ID = "0b5e4b2e-1d0c-4f6e-9d51-3c9a4a1c0f11"
KEY = "ep_secret_key"


def jobs(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["jobs", *(str(each) for each in arguments)])


def done(*arguments: str | Path) -> str:
    result = jobs(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(*arguments: str | Path) -> tuple[int, str]:
    result = jobs(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr.strip()


@dataclass(frozen=True)
class Home:
    """A home folder with an export, one that failed, one that waits, and an import."""

    completed: str
    failed: str
    waiting: str
    imported: str


@pytest.fixture(scope="module")
def made(sqlite_shop: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("EXPORT_PIPELINES_HOME", str(home))
        patch.setenv("DATABASE_URL", sqlite_shop)
        options = ["--max-rows-per-file", "8", "--field", "code", "--json"]
        result = CliRunner().invoke(main, ["export", "csv", "suppliers", *options])
        assert result.exit_code == 0, result.output
        completed = json.loads(result.stdout)["run_id"]
        with open_instance() as instance:
            failed = record_run(instance, "export_json", status="FAILURE").run_id
            why = {"export/error": "Nothing matches.", "export/error_code": "no_records"}
            instance.add_run_tags(failed, why)
            waiting = record_run(instance, status="QUEUED", resource_type="orders").run_id
            tags = {"import/resource_type": "prices", "import/rows": "1200"}
            imported = instance.add_run(
                dg.DagsterRun(
                    job_name="import_prices", tags=tags, status=dg.DagsterRunStatus.SUCCESS
                )
            ).run_id
            record_run(instance, "prune", status="SUCCESS")
        return home, Home(completed, failed, waiting, imported)


@pytest.fixture
def home(made: tuple[Path, Home], sqlite_shop: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(made[0]))
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    return made[1]


def listed(*arguments: str) -> list[str]:
    return [json.loads(line)["id"] for line in done("list", "--json", *arguments).splitlines()]


def test_jobs_are_listed_the_newest_first(home: Home) -> None:
    everything = [home.imported, home.waiting, home.failed, home.completed]
    assert sorted(listed()) == sorted(everything)
    times = [json.loads(line)["created_at"] for line in done("list", "--json").splitlines()]
    assert times == sorted(times, reverse=True)
    head, *lines = done("list").splitlines()
    assert head.split() == [
        "id",
        "status",
        "format",
        "resource",
        "type",
        "records",
        "created",
        "took",
    ]
    [line] = [line for line in lines if line.startswith(home.completed)]
    assert line.split()[1:5] == ["completed", "csv", "suppliers", "12"]
    [line] = [line for line in lines if line.startswith(home.imported)]
    assert line.split()[1:5] == ["completed", "import", "prices", "1,200"]


def test_lists_are_filtered(home: Home) -> None:
    assert listed("--kind", "import") == [home.imported]
    assert listed("--format", "json") == [home.failed]
    assert listed("--resource-type", "orders") == [home.waiting]
    assert listed("--resource-type", "prices") == [home.imported]
    assert listed("--status", "failed") == [home.failed]
    assert listed("--status", "pending", "--kind", "export") == [home.waiting]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert len(listed("--created-from", "2020-01-01", "--created-to", today)) == 4
    assert listed("--created-to", "2020-01-01T00:00Z") == []
    for status in STATUSES:
        assert set(listed("--status", status)) <= set(listed())


def test_a_list_says_that_there_is_more(home: Home) -> None:
    result = jobs("list", "--limit", "3")
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr == "There are more: see --limit and --all.\n"
    assert len(done("list", "--limit", "4").splitlines()) == 5
    assert len(listed("--all", "--limit", "1")) == 4


def test_the_beginning_of_an_id_may_do(home: Home) -> None:
    found = json.loads(done("show", home.failed[:8], "--json"))
    assert (found["id"], found["error"]["error_code"]) == (home.failed, "no_records")
    assert ("format", "json") in [
        tuple(line.split(None, 1)) for line in done("show", home.failed).splitlines()
    ]
    code, sentence = refused("show", home.failed[:5])
    assert (code, sentence.endswith("at least the first 6 characters of a job's id.")) == (2, True)
    assert refused("show", "ffffffff") == (2, "Error: There is no job 'ffffffff'.")
    assert refused("show", "../x")[0] == 2


def test_watching_ends_as_the_job_did(home: Home) -> None:
    assert (
        done("watch", home.completed)
        .splitlines()[-1]
        .startswith(f"Export {home.completed} is completed after ")
    )
    code, sentence = refused("watch", home.failed)
    assert (code, sentence) == (3, f"Export {home.failed} has failed. Nothing matches.")


def test_what_waits_is_cancelled(home: Home) -> None:
    with open_instance() as instance:
        waiting = record_run(instance, status="QUEUED").run_id
        try:
            said = f"Export {waiting} was cancelled. It was cancelled before it began.\n"
            assert done("cancel", waiting, "--wait") == said
            assert refused("cancel", waiting)[0] == 2
        finally:
            instance.delete_run(waiting)


def test_what_ended_well_is_not_resumed(home: Home) -> None:
    assert "there is nothing to resume" in refused("resume", home.completed)[1]


def test_files_are_downloaded_and_checked(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    lines = done("download", home.completed, "-o", f"{folder}/").splitlines()
    names = ["suppliers-00001.csv", "suppliers-00002.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert lines[0].startswith(f"{folder / names[0]}  8 rows, ")
    store = settings.exports_folder() / home.completed
    assert all((folder / name).read_bytes() == (store / name).read_bytes() for name in names)
    assert done("download", home.completed, "-o", folder).count(", there already") == 2

    (folder / names[0]).write_text("mine")
    code, sentence = refused("download", home.completed, "-o", folder, "--part", names[0])
    assert (code, sentence.endswith("is different: --force replaces it.")) == (2, True)
    assert (folder / names[0]).read_text() == "mine"
    done("download", home.completed, "-o", folder, "--part", names[0], "--force")
    assert (folder / names[0]).read_bytes() == (store / names[0]).read_bytes()


def test_what_has_no_files_is_not_downloaded(home: Home, tmp_path: Path) -> None:
    assert "is failed: only a completed one" in refused("download", home.failed)[1]
    assert "is an import: it has no files" in refused("download", home.imported)[1]
    assert (
        "Did you mean suppliers-00001"
        in refused("download", home.completed, "--part", "suppliers-0001.csv")[1]
    )
    (tmp_path / "file").touch()
    assert (
        "is a file, and the export has 2"
        in refused("download", home.completed, "-o", tmp_path / "file")[1]
    )


def test_an_export_of_a_command_line_is_cancelled(
    home: Home, made: tuple[Path, Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platforms = tmp_path / "platforms.yaml"
    place = "{host: 127.0.0.1, port: 1, username: shop, tls: none}"
    platforms.write_text(f"platforms:\n  absent:\n    ftp: {place}\n")
    monkeypatch.setenv("EXPORT_PIPELINES_PLATFORMS", str(platforms))
    command = ["export", "csv", "suppliers", "--platform", "absent"]
    with subprocess.Popen(
        [sys.executable, "-m", "export_pipelines", *command], stderr=subprocess.PIPE, text=True
    ) as program:
        while not (found := listed("--status", "in_progress")):
            assert program.poll() is None
            time.sleep(0.2)
        while json.loads(done("show", found[0], "--json"))["step"] is None:
            time.sleep(0.1)
        assert done("cancel", found[0], "--wait").startswith(f"Export {found[0]} was cancelled.")
        assert program.wait(30) != 0
    with open_instance() as instance:
        instance.delete_run(found[0])


@dataclass
class Server:
    """An HTTP server that has one export.

    Attributes:
        content: its file.
        faults: what it does wrong next, in this order.
        statuses: those of the job before it is completed.
        asked: what it was asked, with its headers.
        etag: of its file.
        job: the export.
    """

    content: bytes = bytes(range(256)) * 4_000
    faults: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    etag: str = '"one"'
    name: str = "products.csv"
    address: str = ""

    @property
    def job(self) -> dict[str, Any]:
        digest = sha256(self.content).hexdigest()
        size = len(self.content)
        return {
            "id": ID,
            "kind": "export",
            "status": "completed",
            "state": "completed",
            "resource_type": "products",
            "format": "csv",
            "progress": 100,
            "total_records": 7,
            "created_at": "2026-03-01T12:00:00.000Z",
            "started_at": "2026-03-01T12:00:01.000Z",
            "completed_at": "2026-03-01T13:02:01.000Z",
            "files": [{"name": self.name, "rows": 7, "bytes": size, "sha256": digest}],
        }


def handler(server: Server) -> type[BaseHTTPRequestHandler]:  # noqa: C901
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            fault = server.faults.pop(0) if server.faults else ""
            refusals: dict[str, tuple[int, Any, dict[str, str]]] = {
                "busy": (429, {"detail": "Slow down.", "error_code": "X"}, {"Retry-After": "0"}),
                "html": (502, b"<html>Bad gateway</html>", {}),
                "elsewhere": (302, b"", {"Location": f"{server.address}/store"}),
            }
            if fault == "closed":
                self.close_connection = True
            elif fault in refusals:
                self.answer(*refusals[fault])
            else:
                self.serve(urlsplit(self.path).path.removeprefix("/api/v1"), fault)

        def serve(self, path: str, fault: str) -> None:
            if path.endswith("/download") or path == "/store":
                self.send_file(fault)
            elif path == "/exports/jobs":
                self.page()
            elif path.endswith(f"/exports/jobs/{ID}"):
                status = server.statuses.pop(0) if server.statuses else server.job["status"]
                self.answer(200, {**server.job, "status": status}, {})
            else:
                detail = {"detail": "There is no job.", "error_code": "NOT_FOUND"}
                self.answer(404, {**detail, "code": "not_registered"}, {})

        def do_POST(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            if self.path.endswith("/cancel"):
                detail = "Export has ended."
                self.answer(
                    409, {"detail": detail, "error_code": "CONFLICT", "code": "no_records"}, {}
                )
            else:
                self.answer(202, {**server.job, "id": ID.replace("0", "1")}, {})

        def page(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            first = int(query.get("cursor", ["0"])[0])
            last = min(first + int(query["limit"][0]), 250)
            items = [{**server.job, "id": f"job-{number}"} for number in range(first, last)]
            following = str(last) if last < 250 else None
            self.answer(200, {"items": items, "next_cursor": following}, {})

        def send_file(self, fault: str) -> None:
            content, status, start = server.content, 200, 0
            asked = self.headers.get("Range")
            if asked and self.headers.get("If-Range") == server.etag:
                start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            rest = content[start:]
            if fault == "damaged":
                rest = b"x" + rest[1:]
            self.send_response(status)
            self.send_header("Content-Length", str(len(rest)))
            self.send_header("ETag", server.etag)
            if status == 206:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            self.wfile.write(rest[: len(rest) // 2] if fault == "cut" else rest)
            self.close_connection = True

        def answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("EXPORT_PIPELINES_API_KEY", KEY)
    made = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(made)) as running:
        made.address = f"http://127.0.0.1:{running.server_port}"
        thread = Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield made
        running.shutdown()
        thread.join()


@pytest.fixture
def at(server: Server) -> tuple[str, str]:
    return ("--server", server.address)


def test_a_servers_jobs_are_listed_page_by_page(server: Server, at: tuple[str, str]) -> None:
    exports = ("--kind", "export", *at)
    assert len(listed("--all", *exports)) == 250
    assert [path.rpartition("?")[2] for path, _ in server.asked] == [
        "limit=100",
        "limit=100&cursor=100",
        "limit=100&cursor=200",
    ]
    server.asked.clear()
    given = ("--format", "csv", "--status", "failed", "--created-to", "2026-03-01", "--limit", "2")
    result = jobs("list", *given, *at)
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["job-0", "job-1"]
    assert result.stderr == "There are more: see --limit and --all.\n"
    [(path, headers)] = server.asked
    assert parse_qs(urlsplit(path).query) == {
        "format": ["csv"],
        "status": ["failed"],
        "created_to": ["2026-03-01T23:59:59.999Z"],
        "limit": ["3"],
    }
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_a_servers_job_is_shown_and_watched(server: Server, at: tuple[str, str]) -> None:
    assert json.loads(done("show", ID, "--json", *at)) == server.job
    server.faults += ["busy", "busy"]
    assert done("watch", ID, *at).splitlines() == [
        "completed  100 %  7 records",
        f"Export {ID} is completed after 1:02 h.",
    ]
    assert done("resume", ID, *at).startswith(f"Resumed as {ID.replace('0', '1')}.\n")


def test_a_server_that_refuses(server: Server, at: tuple[str, str]) -> None:
    server.faults += ["busy"] * 9
    assert refused("show", ID, *at) == (1, "Error: Slow down.")


@pytest.mark.parametrize(("fault", "said"), [("html", "HTTP 502"), ("closed", "does not answer")])
def test_a_server_that_is_away(
    server: Server,
    at: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    said: str,
) -> None:
    server.faults.append(fault)
    result = jobs("list", "--kind", "export", *at)
    assert (result.exit_code, result.stdout, said in result.stderr) == (15, "", True)

    # The name `export_pipelines.cli.jobs` is that of the commands.
    module = sys.modules["export_pipelines.cli.jobs"]
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)
    server.statuses += ["processing", "processing"]
    server.faults += ["", fault, fault, ""]
    result = jobs("watch", ID, *at)
    assert (result.exit_code, result.stderr.count("asked again for some minutes")) == (0, 1)

    monkeypatch.setattr(module, "_AWAY_SECONDS", 0)
    server.statuses.append("processing")
    server.faults += ["", fault]
    assert refused("watch", ID, *at)[0] == 15


def test_what_a_server_says_has_the_exit_code_of_that(server: Server, at: tuple[str, str]) -> None:
    code, sentence = refused("show", "abcdef", *at)
    assert (code, sentence) == (
        2,
        f"Error: There is no job 'abcdef' on {server.address}, or the key's organization does not "
        "have it: give its whole id, as 'jobs list' shows it.",
    )
    assert [path for path, _ in server.asked[-2:]] == [
        "/api/v1/exports/jobs/abcdef",
        "/api/v1/imports/jobs/abcdef",
    ]
    assert refused("cancel", ID, *at) == (3, "Error: Export has ended.")


def test_an_interrupted_download_goes_on(
    server: Server, at: tuple[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "mine.csv"
    server.faults += ["", "cut"]
    code, sentence = refused("download", ID, "-o", target, *at)
    assert (code, "goes on from there" in sentence) == (15, True)
    assert not target.exists()
    done("download", ID, "-o", target, *at)
    assert server.asked[-1][1]["Range"] == f"bytes={len(server.content) // 2}-"
    assert target.read_bytes() == server.content
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_another_version_begins_anew(server: Server, at: tuple[str, str], tmp_path: Path) -> None:
    target = tmp_path / "mine.csv"
    server.faults += ["", "cut"]
    assert refused("download", ID, "-o", target, *at)[0] == 15
    server.etag = '"two"'
    done("download", ID, "-o", target, *at)
    assert target.read_bytes() == server.content


def test_what_arrives_damaged_is_not_kept(
    server: Server, at: tuple[str, str], tmp_path: Path
) -> None:
    server.faults += ["", "damaged"]
    code, sentence = refused("download", ID, "-o", tmp_path / "mine.csv", *at)
    assert (code, "is not what the manifest says" in sentence) == (8, True)
    assert [path for path in tmp_path.iterdir() if path.suffix in (".csv", ".part", ".etag")] == []


def test_a_key_does_not_follow_to_a_store(
    server: Server, at: tuple[str, str], tmp_path: Path
) -> None:
    server.faults += ["", "elsewhere"]
    done("download", ID, "-o", tmp_path / "mine.csv", *at)
    path, headers = server.asked[-1]
    assert path == "/store"
    assert "Authorization" not in headers
    assert KEY not in str(headers)


@pytest.mark.parametrize("name", ["../products.csv", "/etc/passwd", ".bashrc", "a\nb", ""])
def test_a_name_that_leads_elsewhere(
    server: Server, at: tuple[str, str], tmp_path: Path, name: str
) -> None:
    server.name = name
    code, sentence = refused("download", ID, "-o", tmp_path, *at)
    assert (code, "is no name for a file" in sentence) == (2, True)


def test_where_a_key_comes_from(server: Server, at: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("of-a-file\n")
    for given, key in ((("--key-file", str(file)), "of-a-file"), (("--key", "given"), "given")):
        done("show", ID, *at, *given)
        assert server.asked[-1][1]["Authorization"] == f"Bearer {key}"
    assert refused("show", ID, *at, "--key", "a", "--key-file", str(file))[0] == 2
    assert refused("show", ID, "--key", "a")[0] == 2
    code, sentence = refused("show", ID, *at, "--key", "geheim\r\nX: ü")
    assert code == 2
    assert "geheim" not in sentence


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("shop.example", 2),
        ("file:///etc/passwd", 2),
        ("http://me:geheim@127.0.0.1:1", 2),
        ("me:geheim@127.0.0.1", 2),
        ("http://127.0.0.1:1", 15),
    ],
)
def test_an_address_without_a_server(address: str, expected: int) -> None:
    code, sentence = refused("list", "--server", address)
    assert code == expected
    assert sentence.startswith("Error: ")
    assert "--server" in sentence
    assert "geheim" not in sentence


def test_ctrl_c_ends_the_watching_only(server: Server, at: tuple[str, str]) -> None:
    class Interrupted(Server):
        @property
        def job(self) -> dict[str, Any]:
            return {**super().job, "status": "processing", "state": "in_progress", "progress": 5}

    server.__class__ = Interrupted
    timer = Timer(0.4, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    code, sentence = refused("watch", ID, *at)
    timer.join()
    assert code == 130
    assert sentence == (f"The job goes on: 'export-pipelines jobs watch {ID}' follows it again.")
    assert not [path for path, _ in server.asked if path.endswith("/cancel")]
