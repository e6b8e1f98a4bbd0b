"""Networks and processes that fail in mid-upload: no part is seen, and the next tries succeed."""

import gc
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformUnavailable
from export_pipelines.platforms.base import Platform
from export_pipelines_tests.contracts.platforms import (
    TRIES,
    assert_hides_secrets,
    content_of,
    platform_type,
    random_bytes,
    staged,
    start_target,
    trace_of,
    wait_until,
)
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.faults import Fault, FaultProxy, proxy_of, reached_through
from export_pipelines_tests.servers.targets import TARGETS, Target, Targets

# PySocks leaves the socket of a broken handshake with an HTTPS proxy to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socks.socksocket:pytest.PytestUnraisableExceptionWarning"
)

Kind = Literal["reset", "close", "stall", "throttle", "corrupt", "mute"]
Place = Literal["connect", "begin", "10%", "30%", "50%", "70%", "90%", "last", "answer", "after"]

SIZES = {
    "minio-seaweed": 17_000_000,
    "sftp-asyncssh": 12_000_000,
    "ftp-pyftpdlib": 5_000_000,
    "ftps-pyftpdlib": 5_000_000,
    "gdrive-emulator": 17_000_000,
}
"""Platforms over a network, and files large enough that a try goes on where another broke off."""

TIMEOUT_SECONDS = 2
_OLD = b"previous content"
_NEIGHBOUR = "b.csv"
_MARGIN_BYTES = 64
_QUIET_SECONDS = 0.05
_SLOW = 2_000_000
_LOCAL_BYTES = 200_000_000

_PUT = """
import json, sys
from export_pipelines.artifacts import StagedFile
from export_pipelines.platforms import PLATFORMS
given = json.load(sys.stdin)
platform = PLATFORMS[given["type"]](**given["fields"])
with platform.connect() as connection:
    connection.put(StagedFile(*given["file"]), given["name"])
"""


@dataclass(frozen=True)
class Line:
    """A platform behind a network that can be made to fail.

    Attributes:
        target: the platform, and what is behind the network.
        content: of the file to put.
        places: how many bytes have reached the server at each place of a put, where the name is
            free and where something has it already.
        seconds: how long a put takes.
    """

    target: Target
    content: bytes
    places: dict[bool, dict[Place, int]]
    seconds: float

    @contextmanager
    def proxy(self) -> Iterator[FaultProxy]:
        """Start a network without faults yet."""
        with proxy_of(self.target) as proxy:
            yield proxy

    def fault(self, kind: Kind, place: Place, times: int = 1, *, taken: bool) -> Fault:
        """Return a fault at a place; where the answer is awaited, a reset drops it."""
        if place == "answer" and kind == "reset":
            kind = "mute"
        return Fault(kind, self.places[taken][place], times, _SLOW)


@pytest.fixture(params=list(SIZES), scope="module")
def line(
    request: pytest.FixtureRequest, targets: Targets, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    name: str = request.param
    assert name in TARGETS
    file = staged(tmp_path_factory.mktemp("clean") / "a.csv", random_bytes(SIZES[name]))
    yield measured(start_target(targets, name), file)
    gc.collect()


def measured(target: Target, file: StagedFile) -> Line:
    """Put a file without faults, to know where they can happen."""
    places: dict[bool, dict[Place, int]] = {}
    began = time.monotonic()
    for taken in (False, True):
        name = f"clean-{uuid4().hex[:12]}/a.csv"
        prepare(target, name, Path(file.path).parent, _OLD if taken else None)
        places[taken] = _places_of_put(target, file, name)
    seconds = (time.monotonic() - began) / 2
    return Line(target, Path(file.path).read_bytes(), places, seconds)


def prepare(target: Target, name: str, folder: Path, old: bytes | None) -> None:
    """Put what is there before: a neighbour, and perhaps other content under the name."""
    with target.platform.connect() as connection:
        connection.put(staged(folder / _NEIGHBOUR, b"neighbour"), f"{folder_of(name)}/{_NEIGHBOUR}")
        if old is not None:
            connection.put(staged(folder / "old.csv", old), name)


def folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def _places_of_put(target: Target, file: StagedFile, name: str) -> dict[Place, int]:
    whole: list[int] = []
    with (
        proxy_of(target) as proxy,
        reached_through(proxy, target, TIMEOUT_SECONDS) as platform,
    ):

        def note(done: int) -> None:
            if done == file.bytes:
                whole.append(_when_quiet(proxy))

        with platform.connect() as connection:
            begin = _when_quiet(proxy)
            connection.put(file, name, note)
            end = _when_quiet(proxy)
    return _places(begin, whole[0], end)


def _when_quiet(proxy: FaultProxy) -> int:
    """Return how much was sent, once no more comes."""
    sent = -1
    while sent != proxy.sent:
        sent = proxy.sent
        time.sleep(_QUIET_SECONDS)
    return sent


def _places(begin: int, last: int, end: int) -> dict[Place, int]:
    def part(fraction: float) -> int:
        return begin + int((last - begin) * fraction)

    # Handshakes, and names that servers give, differ by a few bytes from one time to the next.
    last, end = last - _MARGIN_BYTES, end - _MARGIN_BYTES
    return {
        "connect": 0,
        "begin": begin + 1,
        "10%": part(0.1),
        "30%": part(0.3),
        "50%": part(0.5),
        "70%": part(0.7),
        "90%": part(0.9),
        "last": last,
        "answer": last,
        "after": (last + end) // 2,
    }


@pytest.mark.parametrize(
    ("kind", "place", "times", "old"),
    [
        ("reset", "connect", 1, _OLD),
        ("reset", "begin", 1, _OLD),
        ("reset", "10%", 3, None),
        ("reset", "30%", 1, _OLD),
        ("reset", "50%", 1, _OLD),
        ("reset", "70%", 1, None),
        ("reset", "90%", 1, _OLD),
        ("reset", "last", 1, _OLD),
        ("reset", "answer", 1, None),
        ("reset", "after", 1, _OLD),
        ("close", "30%", 1, None),
        ("close", "last", 1, _OLD),
        ("stall", "50%", 1, None),
        ("stall", "after", 1, _OLD),
        ("throttle", "90%", 1, _OLD),
        ("corrupt", "50%", 1, _OLD),
    ],
)
def test_a_fault_leaves_no_part_and_the_next_tries_succeed(
    line: Line,
    kind: Kind,
    place: Place,
    times: int,
    old: bytes | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = f"fault-{uuid4().hex[:12]}/a.csv"
    source = tmp_path / "source"
    attempt = Attempt(line, name, staged(source / "a.csv", line.content))
    prepare(line.target, name, source, old)
    (source / "old.csv").unlink(missing_ok=True)
    before = attempt.seen(tmp_path)
    threads = set(threading.enumerate())
    with line.proxy() as proxy:
        proxy.order(line.fault(kind, place, times, taken=old is not None))
        for _ in range(TRIES):
            if attempt.succeeds(proxy):
                break
            assert attempt.seen(tmp_path) in (before, before | {"a.csv": line.content})
        else:
            pytest.fail("five tries did not help")
        assert proxy.fired == times
    rclone.check(source, line.target, folder_of(name))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    wait_until(lambda: set(threading.enumerate()) <= threads)


@dataclass(frozen=True)
class Attempt:
    """One file on its way to a name."""

    line: Line
    name: str
    file: StagedFile

    def succeeds(self, proxy: FaultProxy) -> bool:
        """Put the file as a delivery does; return whether that worked."""
        began = time.monotonic()
        done: list[int] = []
        try:
            with (
                reached_through(
                    proxy, self.line.target, timeout_seconds=TIMEOUT_SECONDS
                ) as platform,
                platform.connect() as connection,
            ):
                connection.put(self.file, self.name, done.append)
        except PlatformUnavailable as error:
            self._judge(error, time.monotonic() - began)
            return False
        assert done[-1] == self.file.bytes
        return True

    def _judge(self, error: PlatformUnavailable, seconds: float) -> None:
        # A server that falls silent is noticed in time.
        assert seconds < 2 * TIMEOUT_SECONDS + 3 * self.line.seconds
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        assert str(error).endswith(".")
        assert_hides_secrets(self.line.target, trace_of(error))

    def seen(self, folder: Path) -> dict[str, bytes]:
        """Return what others see beside the name by now, looked at directly."""
        with self.line.target.platform.connect() as connection:
            below = folder_of(self.name)
            return {
                file.name.removeprefix(f"{below}/"): content_of(connection, file.name, folder)
                for file in connection.list(below)
            }


def test_a_killed_process_leaves_no_part(line: Line, tmp_path: Path) -> None:
    name = f"killed-{uuid4().hex[:12]}/a.csv"
    source = tmp_path / "source"
    file = staged(source / "a.csv", line.content)
    attempt = Attempt(line, name, file)
    prepare(line.target, name, source, _OLD)
    (source / "old.csv").unlink()
    before = attempt.seen(tmp_path)
    with (
        line.proxy() as proxy,
        reached_through(proxy, line.target, TIMEOUT_SECONDS) as platform,
    ):
        proxy.order(line.fault("throttle", "50%", taken=True))
        with _putting(platform, file, name) as process:
            wait_until(lambda: proxy.fired == 1 or process.poll() is not None)
            assert process.poll() is None
    assert proxy.fired == 1
    assert attempt.seen(tmp_path) == before
    with line.target.platform.connect() as connection:
        connection.put(file, name)
    rclone.check(source, line.target, folder_of(name))


def test_a_killed_process_leaves_no_part_in_a_folder(targets: Targets, tmp_path: Path) -> None:
    target = targets["local"]
    folder = f"killed-{uuid4().hex[:12]}"
    source = tmp_path / "source" / "a.csv"
    source.parent.mkdir()
    with source.open("wb") as sparse:
        sparse.truncate(_LOCAL_BYTES)
    digest = sha256(bytes(_LOCAL_BYTES)).hexdigest()
    file = StagedFile(str(source), "a.csv", 0, _LOCAL_BYTES, digest)
    with target.platform.connect() as connection:
        connection.put(staged(tmp_path / "old.csv", _OLD), f"{folder}/a.csv")
    delivered = Path(target.platform.location) / folder
    with _putting(target.platform, file, f"{folder}/a.csv") as process:
        wait_until(lambda: len(list(delivered.iterdir())) > 1 or process.poll() is not None)
        assert process.poll() is None
    assert (delivered / "a.csv").read_bytes() == _OLD
    assert len(list(delivered.iterdir())) == 2
    with target.platform.connect() as connection:
        assert [found.bytes for found in connection.list(folder)] == [len(_OLD)]
        connection.put(file, f"{folder}/a.csv")
    rclone.check(source.parent, target, folder)


@contextmanager
def _putting(
    platform: Platform, file: StagedFile, name: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Put a file in another process, which is killed in the end."""
    given = {
        "type": platform_type(platform),
        "fields": platform.model_dump(),
        "file": [file.path, file.name, file.rows, file.bytes, file.sha256],
        "name": name,
    }
    process = subprocess.Popen([sys.executable, "-c", _PUT], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        yield process
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL
