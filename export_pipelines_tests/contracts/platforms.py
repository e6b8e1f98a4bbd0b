"""What every platform must do, whatever server stands behind it."""

import hashlib
import os
import random
import shutil
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import ExportPipelinesError, PlatformError, PlatformUnavailable
from export_pipelines.platforms.base import Connection, Platform, RemoteFile
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.servers.targets import Target, Targets

TRIES = 5
"""Of a delivery, when a platform is not available."""

SIZES = (0, 1, 5_000_000)
AWKWARD_NAMES = (
    "two words.csv",
    "größe, ß & 漢字.csv",
    'it\'s "quoted".csv',
    "a+b=c.csv",
    "100%.csv",
    "%41%2F.csv",
    "#1.csv",
    "-dash.csv",
    "~tilde;.csv",
    "[a]{b}(c)!@$^,.csv",
    "ü" * 98 + ".csv",
)
KNOWS_CONTENT = {"local", "s3", "minio", "gdrive"}
"""Types of platforms whose servers tell a file's checksum, or are this machine."""

_PROGRAMS = {"sftp-openssh": "sshd", "ftp-vsftpd": "vsftpd", "ftps-vsftpd": "vsftpd"}
_LINK_SECONDS = 2
_WAIT_SECONDS = 10

_NAME_CHARACTERS = "abzAZ09 .üé漢'\"+%#&()[]{}=@!,;~$^-_"
_NAMES = st.text(_NAME_CHARACTERS, min_size=1, max_size=30).filter(
    lambda name: name == name.strip(" ").rstrip(".") and not name.startswith(".")
)
_CONTENTS = st.dictionaries(_NAMES, st.binary(max_size=200), min_size=1, max_size=3)


def start_target(targets: Targets, name: str) -> Target:
    """Start a platform; outside CI, leave its tests out if its server's program is missing."""
    program = _PROGRAMS.get(name)
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    if program and not shutil.which(program, path=path) and not os.environ.get("CI"):
        pytest.skip(f"{program} is not installed")
    return targets[name]


@lru_cache(maxsize=4)
def random_bytes(size: int, seed: int = 1) -> bytes:
    """Return bytes that no compression makes smaller, the same each time."""
    return random.Random(seed).randbytes(size)


def staged(path: Path, content: bytes) -> StagedFile:
    """Write a file as an export leaves it in the staging area."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return StagedFile(str(path), path.name, 0, len(content), digest)


def content_of(connection: Connection, name: str, folder: Path) -> bytes:
    """Return what is under a name on a platform."""
    target = folder / uuid4().hex
    connection.get(name, target)
    return target.read_bytes()


def assert_hides_secrets(target: Target, text: str) -> None:
    """Require that none of a target's secrets is in a text."""
    # Not `in` in the assertion itself: pytest would show the secret.
    shown = [number for number, one in enumerate(target.secrets) if one in text]
    assert not shown


def trace_of(error: BaseException) -> str:
    """Return all that Python would print of an error, with those it came from."""
    return "".join(traceback.format_exception(error))


class PlatformContract:
    """Files put on a real server, and looked at by a program that is not ours."""

    @pytest.fixture
    def subfolder(self) -> str:
        """Name a folder on the platform that is not there yet."""
        return f"test-{uuid4().hex[:12]}"

    @pytest.fixture
    def connection(self, target: Target) -> Iterator[Connection]:
        with target.platform.connect() as opened:
            yield opened

    @pytest.mark.parametrize("size", SIZES)
    def test_a_file_arrives_whole(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path, size: int
    ) -> None:
        content = random_bytes(size)
        file = staged(tmp_path / "source" / "products.csv", content)
        name = f"{subfolder}/products.csv"
        done: list[int] = []
        receipt = connection.put(file, name, done.append)
        assert size <= receipt.sent <= size * 1.01
        assert receipt.verified
        assert done == sorted(done)
        assert done[-1] == size
        assert connection.list(subfolder) == [RemoteFile(name, size)]
        assert content_of(connection, name, tmp_path) == content
        rclone.check(tmp_path / "source", target, subfolder)

    def test_awkward_names_stay_as_they_are(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        for name in AWKWARD_NAMES:
            file = staged(source / name, name.encode())
            connection.put(file, f"{subfolder}/{name}")
            assert content_of(connection, f"{subfolder}/{name}", tmp_path) == name.encode()
        found = connection.list(subfolder)
        expected = sorted(f"{subfolder}/{name}" for name in AWKWARD_NAMES)
        assert [file.name for file in found] == expected
        rclone.check(source, target, subfolder)
        for name in AWKWARD_NAMES:
            connection.delete(f"{subfolder}/{name}")
        assert rclone.files(target, subfolder) == []

    def test_an_awkward_subfolder_is_one_folder(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        inner = f"{subfolder}/it's 100% + ü #1/-x"
        file = staged(tmp_path / "source" / "a.csv", b"a")
        connection.put(file, f"{inner}/a.csv")
        assert connection.list(inner) == [RemoteFile(f"{inner}/a.csv", 1)]
        rclone.check(tmp_path / "source", target, inner)

    def test_subfolders_are_made_and_listed_apart(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        names = ["b.csv", "a.csv", "2026/c.csv", "2026/11/24/d.csv"]
        for name in names:
            connection.put(staged(tmp_path / "source" / name, name.encode()), f"{subfolder}/{name}")
        listed = {
            folder: [file.name.removeprefix(f"{subfolder}/") for file in connection.list(folder)]
            for folder in (subfolder, f"{subfolder}/2026", f"{subfolder}/2026/11/24")
        }
        assert list(listed.values()) == [["a.csv", "b.csv"], ["2026/c.csv"], ["2026/11/24/d.csv"]]
        rclone.check(tmp_path / "source", target, subfolder)

    def test_a_file_in_the_platforms_own_folder(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        name = f"{subfolder}.csv"
        connection.put(staged(tmp_path / "a.csv", b"abc"), name)
        assert RemoteFile(name, 3) in connection.list()
        assert rclone.cat(target, name) == b"abc"
        connection.delete(name)
        assert name not in {file.name for file in connection.list()}

    def test_the_same_again_changes_nothing(
        self, target: Target, subfolder: str, tmp_path: Path
    ) -> None:
        file = staged(tmp_path / "source" / "a.csv", random_bytes(300_000))
        name = f"{subfolder}/a.csv"
        with target.platform.connect() as connection:
            connection.put(file, name)
        done: list[int] = []
        with target.platform.connect() as connection:
            receipt = connection.put(file, name, done.append)
        assert done[-1] == file.bytes
        if platform_type(target.platform) in KNOWS_CONTENT:
            assert receipt.sent == 0
        rclone.check(tmp_path / "source", target, subfolder)

    def test_other_content_replaces_all_of_the_old(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        name = f"{subfolder}/a.csv"
        for seed, size in enumerate((300_000, 300_000, 10, 0, 400_000)):
            content = random_bytes(size, seed)
            connection.put(staged(tmp_path / "source" / "a.csv", content), name)
            assert connection.list(subfolder) == [RemoteFile(name, size)]
            assert content_of(connection, name, tmp_path) == content
        rclone.check(tmp_path / "source", target, subfolder)

    def test_a_file_that_is_gone_here_leaves_the_old_one_there(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        name = f"{subfolder}/a.csv"
        connection.put(staged(tmp_path / "source" / "a.csv", b"old"), name)
        gone = staged(tmp_path / "new.csv", b"other")
        Path(gone.path).unlink()
        with pytest.raises((OSError, ExportPipelinesError)) as raised:
            connection.put(gone, name)
        assert_hides_secrets(target, trace_of(raised.value))
        rclone.check(tmp_path / "source", target, subfolder)

    def test_a_name_that_is_a_folder_leaves_what_is_in_it(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        connection.put(staged(tmp_path / "inner.csv", b"inner"), f"{subfolder}/a/inner.csv")
        try:
            connection.put(staged(tmp_path / "a", b"a"), f"{subfolder}/a")
        except PlatformError as error:
            assert_hides_secrets(target, trace_of(error))
            assert connection.list(subfolder) == []
        assert content_of(connection, f"{subfolder}/a/inner.csv", tmp_path) == b"inner"
        hidden = [name for name, _ in rclone.files(target, subfolder) if "/." in f"/{name}"]
        assert hidden == []

    def test_a_folder_that_is_not_there_is_empty(
        self, connection: Connection, subfolder: str
    ) -> None:
        assert connection.list(subfolder) == []
        assert connection.list(f"{subfolder}/deeper/still") == []

    def test_what_is_not_there_can_be_deleted(
        self, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        connection.delete(f"{subfolder}/never/was.csv")
        name = f"{subfolder}/a.csv"
        connection.put(staged(tmp_path / "a.csv", b"a"), name)
        connection.delete(name)
        connection.delete(name)
        assert connection.list(subfolder) == []

    def test_what_is_not_there_cannot_be_read(
        self, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        connection.put(staged(tmp_path / "a.csv", b"a"), f"{subfolder}/a.csv")
        for name in (f"{subfolder}/b.csv", f"{subfolder}/deeper/b.csv"):
            with pytest.raises(FileNotFoundError):
                connection.get(name, tmp_path / "target")
            assert not (tmp_path / "target").exists()

    def test_two_connections_at_once(self, target: Target, subfolder: str, tmp_path: Path) -> None:
        source = tmp_path / "source"
        with target.platform.connect() as first, target.platform.connect() as second:
            first.put(staged(source / "a.csv", b"a"), f"{subfolder}/a.csv")
            second.put(staged(source / "b.csv", b"b"), f"{subfolder}/b.csv")
            first.put(staged(source / "c.csv", b"c"), f"{subfolder}/c.csv")
            assert len(second.list(subfolder)) == len(first.list(subfolder)) == 3
        rclone.check(source, target, subfolder)

    def test_three_threads_with_a_connection_each(
        self, target: Target, subfolder: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        names = [f"{number}.csv" for number in range(3)]
        files = [
            staged(source / name, random_bytes(200_000, seed)) for seed, name in enumerate(names)
        ]

        def put(file: StagedFile) -> None:
            with target.platform.connect() as connection:
                connection.put(file, f"{subfolder}/{file.name}")

        threads = [threading.Thread(target=put, args=(file,)) for file in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rclone.check(source, target, subfolder)

    def test_an_interrupt_passes_and_leaves_no_part(
        self, target: Target, subfolder: str, tmp_path: Path
    ) -> None:
        name = f"{subfolder}/a.csv"
        old, new = random_bytes(1_000, 4), random_bytes(5_000_000, 5)
        file = staged(tmp_path / "source" / "a.csv", new)

        def interrupt(done: int) -> None:
            raise KeyboardInterrupt

        before = set(threading.enumerate())
        with target.platform.connect() as connection:
            connection.put(staged(tmp_path / "old.csv", old), name)
        with pytest.raises(KeyboardInterrupt), target.platform.connect() as connection:
            connection.put(file, name, interrupt)
        wait_until(lambda: set(threading.enumerate()) <= before)
        with target.platform.connect() as connection:
            assert [found.name for found in connection.list(subfolder)] == [name]
            assert content_of(connection, name, tmp_path) in (old, new)
        assert any(is_put(target.platform, file, name) for _ in range(TRIES))
        rclone.check(tmp_path / "source", target, subfolder)

    def test_the_connection_test_passes_and_leaves_nothing(self, target: Target) -> None:
        before = rclone.files(target, recursive=False)
        steps = target.platform.check()
        assert [(step.name, step.error) for step in steps] == [
            (name, None) for name in ("connect", "write", "list", "read", "delete")
        ]
        assert rclone.files(target, recursive=False) == before

    def test_a_link_serves_the_bytes_for_a_while(
        self, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        content = random_bytes(100_000, 6)
        name = f"{subfolder}/größe 1+1.csv"
        connection.put(staged(tmp_path / "a.csv", content), name)
        link = connection.link(name, _LINK_SECONDS)
        if link is None:
            return
        assert served(link) == content
        assert served(link.replace("%201%2B1.csv", ".csv", 1)) is None
        changed = "0" if link[-1] != "0" else "1"
        assert served(link[:-1] + changed) is None
        wait_until(lambda: served(link) is None)

    def test_secrets_are_never_shown(
        self, target: Target, connection: Connection, capfd: pytest.CaptureFixture[str]
    ) -> None:
        shown = [repr(target.platform), str(target.platform), target.platform.location]
        shown += [repr(connection), str(connection)]
        assert_hides_secrets(target, "\n".join(shown))
        assert target.platform.location in str(shown)

    def test_a_server_that_is_gone_is_named(
        self,
        target: Target,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        if target.through is None:
            assert target.port == 0
            return
        port = free_port()
        with (
            target.through(port) as platform,
            pytest.raises(PlatformUnavailable) as raised,
            platform.connect(),
        ):
            pass
        error = raised.value
        assert str(error).endswith(".")
        assert error.__cause__ is None
        assert "\n" not in str(error)
        output = capfd.readouterr()
        everything = trace_of(error) + caplog.text + output.out + output.err
        assert_hides_secrets(target, everything)

    def test_any_names_and_contents(
        self, target: Target, connection: Connection, subfolder: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"

        @given(contents=_CONTENTS)
        @settings(max_examples=5)
        def arrive(contents: dict[str, bytes]) -> None:
            folder = uuid4().hex[:8]
            for name, content in contents.items():
                connection.put(
                    staged(source / folder / name, content), f"{subfolder}/{folder}/{name}"
                )
            listed = connection.list(f"{subfolder}/{folder}")
            assert {file.name.rpartition("/")[2]: file.bytes for file in listed} == {
                name: len(content) for name, content in contents.items()
            }
            for name, content in contents.items():
                back = content_of(connection, f"{subfolder}/{folder}/{name}", tmp_path)
                assert back == content

        arrive()
        rclone.check(source, target, subfolder)


def is_put(platform: Platform, file: StagedFile, name: str) -> bool:
    """Put a file as one try of a delivery does; return whether that worked."""
    try:
        with platform.connect() as connection:
            connection.put(file, name)
    except PlatformUnavailable:
        return False
    return True


def platform_type(platform: Platform) -> str:
    """Return the name of a platform's type, its discriminator."""
    name: str = platform.model_dump()["platform_type"]
    return name


def served(link: str) -> bytes | None:
    """Return what a plain client gets from an address without any credentials; None if refused."""

    try:
        with urllib.request.urlopen(link, timeout=_WAIT_SECONDS) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        error.close()
        return None


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something is so; fail if it takes too long."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
