import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import dagster as dg
import pytest

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformRefused, PlatformUnavailable
from export_pipelines.platforms.base import RemoteFile, hidden_name
from export_pipelines.platforms.sftp import Sftp
from export_pipelines_tests.contracts.platforms import random_bytes, staged, trace_of
from export_pipelines_tests.servers.faults import Fault, FaultProxy
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.servers.sftp import (
    SftpServer,
    has_openssh,
    run_asyncssh,
    run_openssh,
    run_rclone,
)

NEEDS_OPENSSH = pytest.mark.skipif(
    not has_openssh() and not os.environ.get("CI"), reason="sshd is not installed"
)
BIG = 20_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with run_asyncssh(tmp_path_factory.mktemp("asyncssh")) as started:
        yield started


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with run_openssh(tmp_path_factory.mktemp("openssh")) as started:
        yield started


@pytest.fixture(params=["asyncssh", pytest.param("openssh", marks=NEEDS_OPENSSH)])
def either(request: pytest.FixtureRequest) -> SftpServer:
    name = "server" if request.param == "asyncssh" else "openssh"
    started: SftpServer = request.getfixturevalue(name)
    return started


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> StagedFile:
    return staged(tmp_path_factory.mktemp("big") / "big.csv", random_bytes(BIG))


def changed(platform: Sftp, **fields: object) -> Sftp:
    return platform.model_copy(update=fields)


def refusal(platform: Sftp) -> PlatformMisconfigured:
    """Return why a platform cannot be opened, having seen that nothing secret is in it."""
    with pytest.raises(PlatformMisconfigured) as raised, platform.connect():
        pass
    trace = trace_of(raised.value)
    for secret in (platform.password, platform.passphrase, platform.private_key):
        assert not secret or secret not in trace
    return raised.value


def put(platform: Sftp, file: StagedFile, name: str) -> int:
    with platform.connect() as connection:
        return connection.put(file, name).sent


class TestLogin:
    def test_by_a_password(self, server: SftpServer) -> None:
        with server.platform.connect() as connection:
            assert connection.list("nowhere") == []

    def test_by_a_key(self, server: SftpServer) -> None:
        key = server.key_file.read_text()
        with changed(server.platform, password="", private_key=key).connect() as connection:
            assert connection.list("nowhere") == []

    @NEEDS_OPENSSH
    def test_by_a_key_in_a_file(self, openssh: SftpServer) -> None:
        assert openssh.platform.private_key_file
        with openssh.platform.connect() as connection:
            assert connection.list() == []

    @pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
    def test_by_an_encrypted_key(self, server: SftpServer, form: str) -> None:
        key = encrypted(server, form)
        platform = changed(server.platform, password="", private_key=key, passphrase="open sesame")
        with platform.connect() as connection:
            assert connection.list("nowhere") == []

    @pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
    @pytest.mark.parametrize("passphrase", ["", "wrong"])
    def test_an_encrypted_key_needs_its_passphrase(
        self, server: SftpServer, passphrase: str, form: str
    ) -> None:
        key = encrypted(server, form)
        platform = changed(server.platform, password="", private_key=key, passphrase=passphrase)
        assert refusal(platform).field == "passphrase"

    def test_a_wrong_password(self, server: SftpServer) -> None:
        error = refusal(changed(server.platform, password="wrong-password"))
        assert error.field == "password"
        assert f"127.0.0.1:{server.platform.port} does not let shop log in" in str(error)

    def test_a_wrong_key(self, server: SftpServer) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        error = refusal(changed(server.platform, password="", private_key=key))
        assert error.field == "private_key"

    def test_a_key_that_is_none(self, server: SftpServer) -> None:
        error = refusal(changed(server.platform, password="", private_key="not a key at all"))
        assert error.field == "private_key"

    def test_a_key_file_that_is_not_there(self, server: SftpServer, tmp_path: Path) -> None:
        error = refusal(changed(server.platform, private_key_file=str(tmp_path / "gone")))
        assert error.field == "private_key_file"
        assert "No such file" in str(error)

    def test_two_keys(self, server: SftpServer) -> None:
        error = refusal(changed(server.platform, private_key="§key§", private_key_file="b"))
        assert error.field == "private_key"

    def test_nothing_to_log_in_with(self, server: SftpServer) -> None:
        assert refusal(changed(server.platform, password="")).field == "password"

    def test_nothing_is_taken_from_the_home_folder(
        self, server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / ".ssh"
        folder.mkdir()
        (folder / "id_ed25519").write_bytes(server.key_file.read_bytes())
        (folder / "config").write_text("Host *\n  Port 1\n  User nobody\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert refusal(changed(server.platform, password="wrong-password")).field == "password"


def encrypted(server: SftpServer, form: str) -> str:
    key = asyncssh.read_private_key(server.key_file)
    return key.export_private_key(form, "open sesame").decode()


class TestHostKey:
    def test_is_required(self, server: SftpServer) -> None:
        error = refusal(changed(server.platform, host_key=""))
        assert error.field == "host_key"
        assert f"ssh-keyscan -p {server.platform.port} 127.0.0.1" in str(error)

    @pytest.mark.parametrize("form", ["{key}", "# a comment\n\n[shop]:22 {key}", "{print}"])
    def test_is_known_in_each_form(self, server: SftpServer, form: str) -> None:
        host_key = form.format(key=server.host_key, print=fingerprint(server.host_key))
        with changed(server.platform, host_key=host_key).connect() as connection:
            assert connection.list("nowhere") == []

    def test_may_be_one_of_several(self, server: SftpServer) -> None:
        keys = f"{other_key('ecdsa-sha2-nistp256')}\n{server.host_key}"
        with changed(server.platform, host_key=keys).connect() as connection:
            assert connection.list("nowhere") == []

    @pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
    @pytest.mark.parametrize("form", ["key", "fingerprint"])
    def test_another_one_is_refused_and_shown(
        self, server: SftpServer, kind: str, form: str
    ) -> None:
        key = other_key(kind)
        pinned = key if form == "key" else fingerprint(key)
        error = refusal(changed(server.platform, host_key=pinned))
        assert error.field == "host_key"
        assert fingerprint(server.host_key) in str(error)

    def test_a_line_that_is_no_key(self, server: SftpServer) -> None:
        error = refusal(changed(server.platform, host_key="ssh-ed25519 nonsense"))
        assert error.field == "host_key"
        assert "nonsense" in str(error)

    def test_is_found_in_a_file(self, server: SftpServer, tmp_path: Path) -> None:
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{server.platform.port} {server.host_key}\n")
        platform = changed(server.platform, host_key="", known_hosts_file=str(known))
        with platform.connect() as connection:
            assert connection.list("nowhere") == []

    @pytest.mark.parametrize("kind", ["", "ssh-ed25519", "ecdsa-sha2-nistp256"])
    def test_unknown_or_another_than_in_the_file(
        self, server: SftpServer, tmp_path: Path, kind: str
    ) -> None:
        known = tmp_path / "known_hosts"
        line = f"[127.0.0.1]:{server.platform.port} {other_key(kind)}" if kind else ""
        known.write_text(f"{line}\n")
        error = refusal(changed(server.platform, host_key="", known_hosts_file=str(known)))
        assert error.field == "known_hosts_file"
        assert fingerprint(server.host_key) in str(error)
        assert known.read_text() == f"{line}\n"

    def test_one_that_is_revoked(self, server: SftpServer, tmp_path: Path) -> None:
        known = tmp_path / "known_hosts"
        known.write_text(f"* {server.host_key}\n@revoked * {server.host_key}\n")
        error = refusal(changed(server.platform, host_key="", known_hosts_file=str(known)))
        assert error.field == "known_hosts_file"
        assert "revoked" in str(error)

    def test_a_file_that_is_not_there(self, server: SftpServer, tmp_path: Path) -> None:
        gone = str(tmp_path / "gone")
        error = refusal(changed(server.platform, host_key="", known_hosts_file=gone))
        assert error.field == "known_hosts_file"


def other_key(kind: str) -> str:
    return asyncssh.generate_private_key(kind).export_public_key().decode().strip()


def fingerprint(key: str) -> str:
    return asyncssh.import_public_key(key).get_fingerprint()


class TestConnecting:
    @pytest.mark.parametrize("folder", ["missing", "a-file"])
    def test_a_folder_that_is_none(self, either: SftpServer, folder: str) -> None:
        (either.directory / "a-file").write_bytes(b"")
        path = f"{either.platform.folder}/{folder}"
        assert refusal(changed(either.platform, folder=path)).field == "folder"

    def test_a_folder_that_is_there(self, server: SftpServer, tmp_path: Path) -> None:
        (server.directory / "in").mkdir()
        file = staged(tmp_path / "a.csv", b"abc")
        with changed(server.platform, folder="in").connect() as connection:
            connection.put(file, "x/a.csv")
            assert connection.list("x") == [RemoteFile("x/a.csv", 3)]
        assert (server.directory / "in" / "x" / "a.csv").read_bytes() == b"abc"

    def test_nothing_listens(self, server: SftpServer) -> None:
        platform = changed(server.platform, port=free_port())
        with pytest.raises(PlatformUnavailable, match="Nothing listens"), platform.connect():
            pass

    @pytest.mark.parametrize("host", ["no such host", "no..host"])
    def test_a_host_that_is_none(self, server: SftpServer, host: str) -> None:
        assert refusal(changed(server.platform, host=host)).field == "host"

    def test_a_server_that_says_nothing(self, server: SftpServer) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            platform = changed(server.platform, port=silent.getsockname()[1], timeout_seconds=1)
            began = time.monotonic()
            with pytest.raises(PlatformUnavailable), platform.connect():
                pass
        assert time.monotonic() - began < 2


class TestPut:
    def test_a_cut_is_made_good_by_the_rest(
        self, either: SftpServer, big: StagedFile, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        with FaultProxy(either.platform.port) as proxy:
            platform = changed(either.platform, port=proxy.port)
            proxy.order(Fault("reset", at=BIG // 2))
            with pytest.raises(PlatformUnavailable):
                put(platform, big, "cut.csv")
            assert not (either.directory / "cut.csv").exists()
            before = proxy.sent
            sent = put(platform, big, "cut.csv")
            assert 0 < sent < BIG * 0.75
            assert proxy.sent - before < BIG * 0.8
        assert (either.directory / "cut.csv").read_bytes() == Path(big.path).read_bytes()
        assert [record.getMessage() for record in caplog.records] == []

    def test_a_bit_that_flips_on_the_way(self, either: SftpServer, big: StagedFile) -> None:
        with FaultProxy(either.platform.port) as proxy:
            # A length that has changed makes a server wait for what does not come.
            platform = changed(either.platform, port=proxy.port, timeout_seconds=2)
            proxy.order(Fault("corrupt", at=BIG // 2))
            with pytest.raises(PlatformUnavailable):
                put(platform, big, "flipped.csv")
            assert proxy.fired == 1
        assert not (either.directory / "flipped.csv").exists()
        put(either.platform, big, "flipped.csv")
        assert (either.directory / "flipped.csv").read_bytes() == Path(big.path).read_bytes()

    def test_a_server_that_falls_silent(self, either: SftpServer, big: StagedFile) -> None:
        with FaultProxy(either.platform.port) as proxy:
            platform = changed(either.platform, port=proxy.port, timeout_seconds=2)
            with platform.connect() as connection:
                connection.delete("silent.csv")
                proxy.order(Fault("stall", at=BIG // 4))
                began = time.monotonic()
                with pytest.raises(PlatformUnavailable):
                    connection.put(big, "silent.csv")
                assert time.monotonic() - began < 4
        assert not (either.directory / "silent.csv").exists()

    @pytest.mark.parametrize("size", [BIG, BIG // 2, BIG + 1])
    def test_a_part_with_other_bytes_ends_right(
        self, either: SftpServer, big: StagedFile, size: int
    ) -> None:
        content = bytearray(Path(big.path).read_bytes() + b"?")[:size]
        content[BIG // 4] ^= 1
        part = either.directory / hidden_name("part.csv", big.sha256)
        part.write_bytes(content)
        part.chmod(0o666)
        sent = put(either.platform, big, "part.csv")
        assert sent == BIG if size > BIG else sent < BIG
        assert (either.directory / "part.csv").read_bytes() == Path(big.path).read_bytes()
        assert not part.exists()

    def test_a_part_where_files_begin_at_their_start_only(self, tmp_path: Path) -> None:
        file = staged(tmp_path / "a.csv", random_bytes(100_000))
        with run_rclone(tmp_path) as server:
            part = server.directory / hidden_name("a.csv", file.sha256)
            part.write_bytes(Path(file.path).read_bytes()[:50_000])
            assert put(server.platform, file, "a.csv") == 100_000
            assert (server.directory / "a.csv").read_bytes() == Path(file.path).read_bytes()
            assert not part.exists()

    def test_parts_are_hidden_and_removed_after_success(
        self, server: SftpServer, tmp_path: Path
    ) -> None:
        folder = server.directory / "parts"
        folder.mkdir()
        stale = folder / ".a.csv.0123456789abcdef.part"
        others = [folder / ".a.csv.other", folder / ".b.a.csv.0123456789abcdef.part"]
        for path in (stale, *others):
            path.write_bytes(b"part")
        with server.platform.connect() as connection:
            assert connection.list("parts") == []
            connection.put(staged(tmp_path / "a.csv", b"abc"), "parts/a.csv")
            assert connection.list("parts") == [RemoteFile("parts/a.csv", 3)]
        assert sorted(folder.iterdir()) == sorted([*others, folder / "a.csv"])

    @NEEDS_OPENSSH
    def test_replaces_where_the_server_cannot(self, tmp_path: Path) -> None:
        with (
            run_openssh(tmp_path, sftp_options="-P posix-rename") as server,
            server.platform.connect() as connection,
        ):
            for content in (b"first", b"second", b"third"):
                connection.put(staged(tmp_path / "new.csv", content), "a.csv")
                assert (server.directory / "a.csv").read_bytes() == content
            assert list(server.directory.iterdir()) == [server.directory / "a.csv"]

    @NEEDS_OPENSSH
    def test_a_server_that_is_only_read(self, tmp_path: Path) -> None:
        with run_openssh(tmp_path, sftp_options="-R") as server:
            (server.directory / "a.csv").write_bytes(b"old")
            with server.platform.connect() as connection:
                for name in ("a.csv", "x/a.csv"):
                    with pytest.raises(PlatformRefused, match="permission"):
                        connection.put(staged(tmp_path / "new.csv", b"new"), name)
                with pytest.raises(PlatformRefused):
                    connection.delete("a.csv")
            assert (server.directory / "a.csv").read_bytes() == b"old"

    def test_a_disk_that_is_full(self, tmp_path: Path) -> None:
        file = staged(tmp_path / "new.csv", random_bytes(3_000_000))
        with run_asyncssh(tmp_path, max_file_bytes=1_000_000) as server:
            (server.directory / "a.csv").write_bytes(b"old")
            with pytest.raises(PlatformRefused, match="full"):
                put(server.platform, file, "a.csv")
            assert list(server.directory.iterdir()) == [server.directory / "a.csv"]
            assert (server.directory / "a.csv").read_bytes() == b"old"

    def test_a_file_where_a_folder_should_be(self, either: SftpServer, tmp_path: Path) -> None:
        file = staged(tmp_path / "new.csv", b"new")
        with either.platform.connect() as connection:
            connection.put(file, "taken")
            with pytest.raises(PlatformRefused, match="has a file that is named taken"):
                connection.put(file, "taken/below/a.csv")


class TestGet:
    def test_a_cut(self, either: SftpServer, big: StagedFile, tmp_path: Path) -> None:
        (either.directory / "get.csv").write_bytes(Path(big.path).read_bytes())
        with FaultProxy(either.platform.port) as proxy:
            platform = changed(either.platform, port=proxy.port)
            with platform.connect() as connection:
                proxy.order(Fault("reset", at=1_000))
                with pytest.raises(PlatformUnavailable):
                    connection.get("get.csv", tmp_path / "back")


def test_no_secret_is_logged(
    server: SftpServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncssh.set_debug_level(2)
    key = server.key_file.read_text()
    platform = changed(server.platform, private_key=key)
    with platform.connect() as connection:
        connection.put(staged(tmp_path / "a.csv", b"a"), "logged.csv")
    asyncssh.set_debug_level(1)
    assert caplog.text
    for secret in (platform.password, *key.splitlines()[1:-1]):
        assert secret not in caplog.text


# A coroutine that the signal came before ends when Python clears it away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.1, 0.15])
def test_a_cancelled_run_ends_as_cancelled(
    server: SftpServer, big: StagedFile, seconds: float
) -> None:
    """Dagster cancels by a signal, whose handler raises an error that asyncio would swallow."""

    def cancel(number: int, frame: object) -> None:
        raise dg.DagsterExecutionInterruptedError

    before = signal.signal(signal.SIGUSR1, cancel)
    try:
        with pytest.raises(dg.DagsterExecutionInterruptedError):
            put_until_cancelled(server.platform, big, seconds)
    finally:
        signal.signal(signal.SIGUSR1, before)
    there = server.directory / "cancelled.csv"
    assert not there.exists() or there.stat().st_size == BIG
    assert "ssh" not in {thread.name for thread in threading.enumerate()}


def put_until_cancelled(platform: Sftp, file: StagedFile, seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    with platform.connect() as connection:
        while True:
            connection.put(file, "cancelled.csv")
