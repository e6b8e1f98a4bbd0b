import json
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformRefused, PlatformUnavailable
from export_pipelines.platforms import bucket_parts
from export_pipelines.platforms.base import Connection
from export_pipelines_tests.contracts.platforms import (
    content_of,
    platform_type,
    random_bytes,
    staged,
)
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.faults import Fault, FaultProxy
from export_pipelines_tests.servers.s3 import BUCKET, FOLDER
from export_pipelines_tests.servers.targets import Target, Targets

PART_BYTES = 5 << 20
"""The smallest that the protocol allows."""

CONTENT = random_bytes(5 * PART_BYTES)
"""More parts than there are threads, so that not all are there when the first is."""

KILLED_PUT = f"""
import json, os, signal, sys
from export_pipelines.artifacts import StagedFile
from export_pipelines.platforms import PLATFORMS, bucket_parts
bucket_parts.PART_BYTES = {PART_BYTES}
given = json.load(sys.stdin)
file = StagedFile(*given["file"])
with PLATFORMS[given["type"]](**given["fields"]).connect() as connection:
    connection.put(file, given["name"], lambda done: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.fixture(params=["minio-seaweed", "s3-rclone"])
def target(request: pytest.FixtureRequest, targets: Targets) -> Target:
    return targets[request.param]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have many parts in files that are not large."""
    monkeypatch.setattr(bucket_parts, "PART_BYTES", PART_BYTES)


@pytest.fixture
def connection(target: Target) -> Iterator[Connection]:
    with target.platform.connect() as opened:
        yield opened


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex[:12]}/products.csv"


def unfinished(connection: Connection, name: str) -> list[str]:
    """Return the uploads of a name that are neither complete nor aborted."""
    client: Any = connection._client  # type: ignore[attr-defined]
    try:
        answer = client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{FOLDER}/{name}")
    except client.exceptions.NoSuchUpload:
        return []
    return [upload["UploadId"] for upload in answer.get("Uploads", ())]


def put_and_be_killed(target: Target, file: StagedFile, name: str) -> None:
    """Put a file in another process, which dies when the first part is there."""
    given = {
        "type": platform_type(target.platform),
        "fields": target.platform.model_dump(),
        "file": [file.path, file.name, file.rows, file.bytes, file.sha256],
        "name": name,
    }
    command = [sys.executable, "-c", KILLED_PUT]
    killed = subprocess.run(command, input=json.dumps(given), text=True, check=False)
    assert killed.returncode == -signal.SIGKILL


def interrupt(done: int) -> None:
    raise KeyboardInterrupt


def test_a_killed_process_is_gone_on_with(
    target: Target, connection: Connection, name: str, tmp_path: Path
) -> None:
    # Twice as many parts as can be on their way at the same moment.
    content = CONTENT * 2
    file = staged(tmp_path / "source" / "products.csv", content)
    put_and_be_killed(target, file, name)
    assert connection.list(name.partition("/")[0]) == []
    assert len(unfinished(connection, name)) == 1
    done: list[int] = []
    receipt = connection.put(file, name, done.append)
    assert 0 < receipt.sent <= len(content) - PART_BYTES
    assert receipt.sent % PART_BYTES == 0
    assert done[-1] == len(content)
    assert unfinished(connection, name) == []
    rclone.check(tmp_path / "source", target, name.partition("/")[0])


def test_an_interrupt_ends_all_threads_and_keeps_the_parts(
    connection: Connection, name: str, tmp_path: Path
) -> None:
    file = staged(tmp_path / "a", CONTENT)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        connection.put(file, name, interrupt)
    assert set(threading.enumerate()) <= before
    assert connection.list(name.partition("/")[0]) == []
    assert connection.put(file, name).sent < len(CONTENT)
    assert content_of(connection, name, tmp_path) == CONTENT


def test_parts_of_other_content_are_not_used_and_go_away(
    connection: Connection, name: str, tmp_path: Path
) -> None:
    other = random_bytes(len(CONTENT), seed=2)
    with pytest.raises(KeyboardInterrupt):
        connection.put(staged(tmp_path / "a", other), name, interrupt)
    assert connection.put(staged(tmp_path / "b", CONTENT), name).sent == len(CONTENT)
    assert content_of(connection, name, tmp_path) == CONTENT
    assert unfinished(connection, name) == []


def test_content_that_begins_the_same_is_not_taken_for_the_same(
    targets: Targets, name: str, tmp_path: Path
) -> None:
    longer = staged(tmp_path / "a", CONTENT + b"more")
    shared = staged(tmp_path / "b", CONTENT + b"less")
    with targets["minio-seaweed"].platform.connect() as connection:
        with pytest.raises(KeyboardInterrupt):
            connection.put(longer, name, interrupt)
        connection.put(shared, name)
        assert content_of(connection, name, tmp_path) == CONTENT + b"less"
        assert connection.put(shared, name).sent == 0
        assert connection.put(longer, name).sent == longer.bytes
        assert content_of(connection, name, tmp_path) == CONTENT + b"more"


def test_a_silent_server_keeps_the_parts_it_has(
    targets: Targets, name: str, tmp_path: Path
) -> None:
    target = targets["minio-seaweed"]
    file = staged(tmp_path / "a", CONTENT)
    assert target.through is not None
    with FaultProxy(target.port) as proxy, target.through(proxy.port) as reached:
        impatient = reached.model_copy(update={"timeout_seconds": 2})
        proxy.order(Fault("stall", 4 * PART_BYTES))
        with (
            pytest.raises(PlatformUnavailable, match="does not answer"),
            impatient.connect() as connection,
        ):
            connection.put(file, name)
        assert proxy.fired == 1
    with target.platform.connect() as connection:
        assert connection.list(name.partition("/")[0]) == []
        assert connection.put(file, name).sent < len(CONTENT)
        assert unfinished(connection, name) == []


def test_a_refusal_leaves_no_parts(connection: Connection, name: str, tmp_path: Path) -> None:
    def refuse(done: int) -> None:
        raise PlatformRefused("The disk is full.")

    with pytest.raises(PlatformRefused):
        connection.put(staged(tmp_path / "a", CONTENT), name, refuse)
    assert unfinished(connection, name) == []


def test_memory_does_not_grow_with_the_file(
    targets: Targets, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    file = staged(tmp_path / "a", CONTENT * 4)
    with targets["minio-seaweed"].platform.connect() as connection:
        tracemalloc.start()
        try:
            connection.put(file, name)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < bucket_parts.PART_BYTES < file.bytes / 4
