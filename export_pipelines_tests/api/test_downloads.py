import asyncio
import base64
import hashlib
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dagster as dg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from export_pipelines.api.downloads import CONTENT_TYPES, PIECE_BYTES, disposition, download
from export_pipelines.artifacts import StagedFile
from export_pipelines.catalog.sample import generate
from export_pipelines.clock import seconds_of
from export_pipelines.errors import StorageUnavailable
from export_pipelines.formats import FORMATS
from export_pipelines.resources import ExportStore
from export_pipelines.runs.files import NotCompleted
from export_pipelines.runs.views import ExportJob, JobFile
from export_pipelines.store import store_files
from export_pipelines_tests.api.clients import TestClient
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.servers.targets import Targets

NAME = "größe & co"


@dataclass(frozen=True)
class Made:
    """Exports in one store, and a client that downloads them by their names."""

    folder: Path
    jobs: dict[str, ExportJob]
    client: TestClient

    @property
    def one(self) -> ExportJob:
        return self.jobs["one"]

    @property
    def content(self) -> bytes:
        return self.read(self.one, self.one.files[0])

    def read(self, job: ExportJob, file: JobFile) -> bytes:
        return (self.folder / job.folder / file.name).read_bytes()

    def get(self, path: str = "/one", method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: httpx.Response = self.client.request(method, path, headers=named)
        return answer


def app(folder: Path, jobs: Mapping[str, ExportJob]) -> Starlette:
    async def serve(request: Request) -> Response:
        return await run_in_threadpool(
            download,
            jobs[request.path_params["name"]],
            request.query_params.get("part", ""),
            request.headers,
            head=request.method == "HEAD",
            signed="signed" in request.query_params,
            store=ExportStore(folder=str(folder)),
        )

    return Starlette(routes=[Route("/{name}", serve, methods=["GET", "HEAD"])])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Export once for all tests, which do not change what is there."""
    folder = tmp_path_factory.mktemp("made")
    url = f"sqlite:///{folder / 'shop.db'}"
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("EXPORT_PIPELINES_HOME", str(folder / "home"))
        generate(url, products=20, orders=2)
        exporter = Exporter(folder, instance)
        export = partial(exporter.job, url, "csv", resource_type="suppliers")

        jobs = {
            "one": export(file_name=NAME),
            "several": export(max_rows_per_file=5),
            "packed": export(max_rows_per_file=5, compression="gzip"),
        }
        with TestClient(app(exporter.store, jobs)) as client:
            yield Made(exporter.store, jobs, client)


@pytest.fixture
def large(tmp_path: Path) -> ExportJob:
    """Describe an export of two large files."""
    (tmp_path / "large" / "run").mkdir(parents=True)
    files = []
    for name in ("a.csv", "b.csv.gz"):
        with (tmp_path / "large" / "run" / name).open("wb") as file:
            file.truncate(40 << 20)
        files.append(JobFile(name=name, rows=1, bytes=40 << 20, sha256="ab" * 32))
    return ExportJob(
        id="run",
        status="completed",
        state="completed",
        resource_type="products",
        organization="default",
        progress=100,
        created_at="2026-03-01T12:00:00.000Z",
        completed_at="2026-03-01T12:00:00.000Z",
        format="csv",
        files=files,
    )


def test_one_file_is_sent_whole(made: Made) -> None:
    answer = made.get()
    (file,) = made.one.files
    digest = base64.b64encode(hashlib.sha256(made.content).digest()).decode()

    assert (answer.status_code, answer.content) == (200, made.content)
    assert dict(answer.headers) == {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": 'attachment; filename="gr__e & co.csv"; '
        "filename*=UTF-8''gr%C3%B6%C3%9Fe%20%26%20co.csv",
        "content-length": str(file.bytes),
        "content-type": "text/csv; charset=utf-8",
        "digest": f"sha-256={digest}",
        "etag": f'"{file.sha256}"',
        "last-modified": formatdate(seconds_of(str(made.one.completed_at)), usegmt=True),
        "repr-digest": f"sha-256=:{digest}:",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize("path", ["/one", "/several", "/several?part=suppliers-00002.csv"])
def test_head_says_what_get_says(made: Made, path: str) -> None:
    got, head = made.get(path), made.get(path, "HEAD")

    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(got.headers)
    assert made.get(path, "HEAD", Range="bytes=0-1").headers == head.headers


def test_several_files_are_sent_as_an_archive(made: Made) -> None:
    job = made.jobs["several"]
    answer = made.get("/several")

    assert answer.status_code == 200
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [file.name for file in job.files]
        assert all(archive.read(file.name) == made.read(job, file) for file in job.files)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="suppliers.zip"'
    assert answer.headers["accept-ranges"] == "none"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-length" not in answer.headers
    assert "repr-digest" not in answer.headers


def test_an_archive_is_known_by_its_files(made: Made) -> None:
    tag = made.get("/several").headers["etag"]

    assert re.fullmatch('W/"[0-9a-f]{64}"', tag)
    assert made.get("/several").headers["etag"] == tag
    assert made.get("/packed").headers["etag"] != tag
    assert made.get("/several", If_None_Match=tag).status_code == 304
    assert made.get("/several", Range="bytes=0-9").status_code == 200


def test_one_of_several_files_is_sent_by_its_name(made: Made) -> None:
    for name in ("several", "packed"):
        job = made.jobs[name]
        file = job.files[1]
        answer = made.get(f"/{name}?part={file.name}")

        assert (answer.status_code, answer.content) == (200, made.read(job, file))
        assert answer.headers["etag"] == f'"{file.sha256}"'
        assert answer.headers["content-disposition"] == f'attachment; filename="{file.name}"'
        assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "application/gzip"


def test_nobody_may_keep_what_came_by_a_signed_link(made: Made) -> None:
    for name in ("one", "several"):
        assert made.get(f"/{name}?signed=1").headers["cache-control"] == "private, no-store"


def test_every_ending_of_an_export_has_a_type() -> None:
    plain = {
        output.extension(options)
        for output in FORMATS.values()
        for options in (output.options(), *json_lines(output))
    }

    assert plain | {".gz", ".zst", ".zip"} == set(CONTENT_TYPES)


def json_lines(output: Any) -> list[Any]:
    return [output.options(json_lines=True)] if output.name == "json" else []


def saved_name(header: str) -> str:
    """Return the name under which a program saves a file."""
    coded = re.search(r"filename\*=UTF-8''([^;]+)", header)
    plain = re.search(r'filename="([^"]*)"', header)
    assert plain
    return unquote(coded[1]) if coded else plain[1]


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_can_be_sent_and_none_adds_a_header(name: str) -> None:
    header = disposition(name)
    parsed = Message()
    parsed["Content-Disposition"] = header

    assert header.isascii()
    assert header.isprintable()
    assert saved_name(header) == name
    assert parsed.get_content_disposition() == "attachment"
    assert re.fullmatch(r'attachment; filename="[^"\\%]*"(; filename\*=UTF-8\'\'[^";]+)?', header)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=10-", 10, None),
        ("bytes=-7", -7, None),
        ("bytes=-999999999", 0, None),
        ("bytes=3-999999999", 3, None),
        ("Bytes = 5-9", 5, 10),
        ("bytes= 5-9 , ", 5, 10),
        ("bytes=5-9,8-12", 5, 13),
        ("bytes=8-12,5-7", 5, 13),
        ("bytes=0-1,999999999-", 0, 2),
    ],
)
def test_a_range_is_sent(made: Made, asked: str, start: int, end: int | None) -> None:
    answer = made.get(Range=asked)
    wanted = made.content[start:end]
    first = start % len(made.content)

    assert (answer.status_code, answer.content) == (206, wanted)
    assert answer.headers["content-range"] == (
        f"bytes {first}-{first + len(wanted) - 1}/{len(made.content)}"
    )
    assert answer.headers["content-length"] == str(len(wanted))
    assert answer.headers["etag"] == made.get().headers["etag"]
    assert answer.headers["repr-digest"] == made.get().headers["repr-digest"]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=5",
        "bytes=a-b",
        "bytes=9-5",
        "bytes=--5",
        "bytes=+1-5",
        "bytes=1_0-20",
        "bytes=0-1,x",
        "rows=0-5",
        f"bytes={'9' * 5_000}-",
        "bytes=" + ",".join(f"{number}-{number}" for number in range(0, 202, 2)),
    ],
)
def test_a_malformed_range_is_as_none(made: Made, asked: str) -> None:
    answer = made.get(Range=asked)

    assert (answer.status_code, answer.content) == (200, made.content)


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0", "bytes=999999998-999999999"])
def test_a_range_behind_the_end_cannot_be_satisfied(made: Made, asked: str) -> None:
    answer = made.get(Range=asked)

    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(made.content)}"


def test_several_ranges_are_sent_as_parts(made: Made) -> None:
    answer = made.get(Range="bytes=20-24,0-4,-5")
    kind = answer.headers["content-type"]
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.content)
    size = len(made.content)

    assert answer.status_code == 206
    assert kind.startswith("multipart/byteranges; boundary=")
    assert int(answer.headers["content-length"]) == len(answer.content)
    found = [
        (part["Content-Range"], part["Content-Type"], part.get_payload(decode=True))
        for part in parts.walk()
        if not part.is_multipart()
    ]
    csv = "text/csv; charset=utf-8"
    assert found == [
        (f"bytes 0-4/{size}", csv, made.content[:5]),
        (f"bytes 20-24/{size}", csv, made.content[20:25]),
        (f"bytes {size - 5}-{size - 1}/{size}", csv, made.content[-5:]),
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.lists(st.integers(0, 400), min_size=1, max_size=5, unique=True),
    text=st.text("0123456789-,= bytes", max_size=20),
)
def test_ranges_one_after_the_other_join_to_the_file(
    made: Made, ends: list[int], text: str
) -> None:
    size = len(made.content)
    bounds = sorted({0, size, *(end for end in ends if end < size)})
    pieces = [made.get(Range=f"bytes={start}-{end - 1}").content for start, end in pairwise(bounds)]

    assert b"".join(pieces) == made.content
    assert made.get(Range=f"bytes={text}").status_code in (200, 206, 416)


def test_a_range_is_sent_only_of_the_file_that_was_known(made: Made) -> None:
    whole = made.get()
    tag, date = whole.headers["etag"], whole.headers["last-modified"]

    def status(condition: str) -> int:
        return made.get(Range="bytes=0-4", If_Range=condition).status_code

    assert [status(each) for each in (tag, date)] == [206, 206]
    others = ('"other"', f"W/{tag}", tag.strip('"'), formatdate(0, usegmt=True), "")
    assert [status(each) for each in others] == [200] * 5


def test_what_is_known_is_not_sent_again(made: Made) -> None:
    whole = made.get()
    tag, date = whole.headers["etag"], whole.headers["last-modified"]

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = made.get(If_None_Match=known, Range="bytes=0-4")
        assert (answer.status_code, answer.content) == (304, b"")
        kept = {"etag": tag, "last-modified": date, "cache-control": "private, no-cache"}
        assert dict(answer.headers) == kept
        assert made.get("/one", "HEAD", If_None_Match=known).status_code == 304
    assert made.get(If_Modified_Since=date).status_code == 304
    assert made.get(If_None_Match='"other"').status_code == 200
    assert made.get(If_None_Match='"other"', If_Modified_Since=date).status_code == 200
    assert made.get(If_Modified_Since="yesterday").status_code == 200
    assert parsedate_to_datetime(date).timestamp() == int(seconds_of(str(made.one.completed_at)))


def test_an_empty_file_is_sent(tmp_path: Path, large: ExportJob) -> None:
    (tmp_path / "large" / "run" / "empty.csv").touch()
    file = JobFile(name="empty.csv", rows=0, bytes=0, sha256=hashlib.sha256().hexdigest())
    job = large.model_copy(update={"files": [file]})
    with TestClient(app(tmp_path / "large", {"one": job})) as client:
        whole, part = client.get("/one"), client.get("/one", headers={"Range": "bytes=0-"})

    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", "0")
    assert (part.status_code, part.headers["content-range"]) == (416, "bytes */0")


def test_errors_are_raised_before_anything_is_sent(made: Made, tmp_path: Path) -> None:
    waiting = made.one.model_copy(update={"status": "processing"})
    elsewhere = ExportStore(folder=str(tmp_path))

    with pytest.raises(NotCompleted):
        download(waiting, "", {}, store=elsewhere)
    for head in (False, True):
        with pytest.raises(StorageUnavailable):
            download(made.one, "", {}, head=head, store=elsewhere)


Sending = Callable[[Mapping[str, Any]], None]


def send_by_hand(response: Response, send: Sending, version: str) -> None:
    """Send an answer as a server does that knows a version of ASGI; it notes when that fails."""
    gone = asyncio.Event()

    async def sending(message: Any) -> None:
        try:
            send(message)
        except ConnectionError:
            if version >= "2.4":
                raise
            gone.set()
        await asyncio.sleep(0)

    async def receiving() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "asgi": {"spec_version": version}, "headers": []}
    asyncio.run(response(scope, receiving, sending))


def open_below(folder: Path) -> list[Path]:
    """Return what this process has open in a folder."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        if each.exists():
            found.append(each.readlink())
    return [path for path in found if folder in path.parents]


@pytest.mark.parametrize("version", ["2.3", "2.4"])
@pytest.mark.parametrize("part", ["", "a.csv"])
@pytest.mark.parametrize("ranged", [False, True])
def test_a_download_that_breaks_off_closes_its_file(
    tmp_path: Path, large: ExportJob, version: str, part: str, ranged: bool
) -> None:
    headers = {"Range": "bytes=0-20000000,30000000-"} if ranged else {}
    response = download(large, part, headers, store=ExportStore(folder=str(tmp_path / "large")))
    seen = []

    def send(message: Mapping[str, Any]) -> None:
        seen.append(len(open_below(tmp_path)))
        if len(seen) > 3:
            raise ConnectionResetError

    try:
        send_by_hand(response, send, version)
    except ClientDisconnect:
        assert version == "2.4"
    assert 1 in seen
    assert len(seen) < 40
    assert open_below(tmp_path) == []


def test_a_file_that_becomes_shorter_breaks_the_download_off(
    tmp_path: Path, large: ExportJob
) -> None:
    store = ExportStore(folder=str(tmp_path / "large"))
    response = download(large, "a.csv", {}, store=store)

    def send(message: Mapping[str, Any]) -> None:
        with (tmp_path / "large" / "run" / "a.csv").open("ab") as file:
            file.truncate(1 << 20)

    with pytest.raises(StorageUnavailable, match="became shorter while it was sent"):
        send_by_hand(response, send, "2.4")
    assert open_below(tmp_path) == []


@pytest.mark.parametrize("part", ["", "a.csv"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, large: ExportJob, part: str) -> None:
    sent = []
    response = download(large, part, {}, store=ExportStore(folder=str(tmp_path / "large")))
    tracemalloc.start()
    try:
        send_by_hand(response, lambda message: sent.append(len(message.get("body", b""))), "2.4")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(sent) >= 40 << 20
    assert peak < 32 * PIECE_BYTES


def test_a_file_that_goes_while_it_is_sent_is_sent_to_its_end(
    tmp_path: Path, large: ExportJob
) -> None:
    store = ExportStore(folder=str(tmp_path / "large"))
    response = download(large, "a.csv", {}, store=store)
    (tmp_path / "large" / "run" / "a.csv").unlink()
    sent = []
    send_by_hand(response, lambda message: sent.append(len(message.get("body", b""))), "2.4")

    assert sum(sent) == 40 << 20


def test_a_store_that_signs_links_sends_the_file_itself(
    made: Made, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = targets["s3-rclone"]
    name_platforms({"bucket": target.platform}, monkeypatch)
    store = ExportStore(platform="bucket")
    for job in (made.one, made.jobs["several"]):
        put(store, made, job)

    answer = download(made.one, "", {"Range": "bytes=0-4"}, store=store)
    assert (answer.status_code, answer.body) == (307, b"")
    assert answer.headers["cache-control"] == "private, no-store"
    followed = httpx.get(answer.headers["location"])
    assert (followed.status_code, followed.content) == (200, made.content)

    head = download(made.one, "", {}, head=True, store=store)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(made.content)))
    assert "location" not in head.headers

    several = made.jobs["several"]
    sent: list[bytes] = []
    archive = download(several, "", {}, store=store)
    send_by_hand(archive, lambda message: sent.append(message.get("body", b"")), "2.4")
    with zipfile.ZipFile(BytesIO(b"".join(sent))) as found:
        assert found.testzip() is None
        assert found.namelist() == [file.name for file in several.files]


def put(store: ExportStore, made: Made, job: ExportJob) -> None:
    folder = made.folder / job.folder
    staged = [
        StagedFile(str(folder / file.name), file.name, file.rows, file.bytes, file.sha256)
        for file in job.files
    ]
    with store.connect() as connection:
        store_files(connection, job.folder, staged)
