import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformRefused, PlatformUnavailable
from export_pipelines.platforms.base import Receipt, RemoteFile, hidden_name
from export_pipelines.platforms.ftp import Ftp
from export_pipelines_tests.contracts.platforms import random_bytes, staged, trace_of
from export_pipelines_tests.servers.faults import Fault, FaultProxy, FtpFaultProxy
from export_pipelines_tests.servers.ftp import (
    FtpServer,
    has_vsftpd,
    run_pyftpdlib,
    run_rclone,
    run_vsftpd,
)
from export_pipelines_tests.servers.process import free_port

NEEDS_VSFTPD = pytest.mark.skipif(
    not has_vsftpd() and not os.environ.get("CI"), reason="vsftpd is not installed"
)
BIG = 12_000_000


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with run_pyftpdlib(tmp_path_factory.mktemp("plain")) as started:
        yield started


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with run_pyftpdlib(tmp_path_factory.mktemp("tls"), tls=True) as started:
        yield started


@pytest.fixture(scope="module")
def vsftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with run_vsftpd(tmp_path_factory.mktemp("vsftpd")) as started:
        yield started


@pytest.fixture(scope="module")
def vsftpd_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with run_vsftpd(tmp_path_factory.mktemp("vsftpd_tls"), tls=True) as started:
        yield started


@pytest.fixture(
    params=[
        "plain",
        "tls",
        pytest.param("vsftpd", marks=NEEDS_VSFTPD),
        pytest.param("vsftpd_tls", marks=NEEDS_VSFTPD),
    ]
)
def each(request: pytest.FixtureRequest) -> FtpServer:
    started: FtpServer = request.getfixturevalue(request.param)
    return started


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> StagedFile:
    return staged(tmp_path_factory.mktemp("big") / "big.csv", random_bytes(BIG))


def changed(platform: Ftp, **fields: object) -> Ftp:
    return platform.model_copy(update=fields)


def through(server: FtpServer, proxy: FaultProxy, **fields: object) -> Ftp:
    return changed(server.platform, host=proxy.host, port=proxy.port, **fields)


def refusal(platform: Ftp) -> PlatformMisconfigured:
    """Return why a platform cannot be opened, having seen that the password is not in it."""
    with pytest.raises(PlatformMisconfigured) as raised, platform.connect():
        pass
    assert platform.password not in trace_of(raised.value)
    return raised.value


def put(platform: Ftp, file: StagedFile, name: str) -> Receipt:
    with platform.connect() as connection:
        return connection.put(file, name)


class TestConnecting:
    def test_a_wrong_password(self, each: FtpServer) -> None:
        error = refusal(changed(each.platform, password="wrong-password"))
        assert error.field == "password"

    def test_a_password_of_two_lines(self, plain: FtpServer) -> None:
        assert refusal(changed(plain.platform, password="one\ntwo")).field == "password"

    @pytest.mark.parametrize("folder", ["missing", "a-file"])
    def test_a_folder_that_is_none(self, each: FtpServer, folder: str) -> None:
        (each.directory / "a-file").write_bytes(b"")
        assert refusal(changed(each.platform, folder=folder)).field == "folder"

    def test_a_folder_that_is_there(self, each: FtpServer, tmp_path: Path) -> None:
        (each.directory / "in").mkdir()
        (each.directory / "in").chmod(0o777)
        with changed(each.platform, folder="in").connect() as connection:
            connection.put(staged(tmp_path / "a.csv", b"abc"), "x/a.csv")
            assert connection.list("x") == [RemoteFile("x/a.csv", 3)]
        assert (each.directory / "in" / "x" / "a.csv").read_bytes() == b"abc"

    def test_nothing_listens(self, plain: FtpServer) -> None:
        platform = changed(plain.platform, port=free_port())
        with pytest.raises(PlatformUnavailable, match="Nothing listens"), platform.connect():
            pass

    @pytest.mark.parametrize("host", ["no such host", "no..host"])
    def test_a_host_that_is_none(self, plain: FtpServer, host: str) -> None:
        assert refusal(changed(plain.platform, host=host)).field == "host"

    def test_a_server_that_says_nothing(self, plain: FtpServer) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            platform = changed(plain.platform, port=silent.getsockname()[1], timeout_seconds=1)
            began = time.monotonic()
            with pytest.raises(PlatformUnavailable), platform.connect():
                pass
        assert time.monotonic() - began < 2


class TestTls:
    def test_a_server_without_it(self, plain: FtpServer) -> None:
        assert refusal(changed(plain.platform, tls="explicit")).field == "tls"

    def test_a_server_that_demands_it(self, tls: FtpServer) -> None:
        assert refusal(changed(tls.platform, tls="none")).field == "tls"

    @NEEDS_VSFTPD
    def test_another_server_that_demands_it(self, vsftpd_tls: FtpServer) -> None:
        assert refusal(changed(vsftpd_tls.platform, tls="none")).field == "tls"

    def test_a_certificate_of_a_stranger(self, tls: FtpServer, tmp_path: Path) -> None:
        stranger = tmp_path / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(stranger)
        for ca_file in ("", str(stranger)):
            error = refusal(changed(tls.platform, ca_file=ca_file))
            assert error.field == "ca_file"
            assert "is not accepted" in str(error)

    def test_a_certificate_that_has_expired(self, tmp_path: Path) -> None:
        with run_pyftpdlib(tmp_path, tls=True, expired=True) as server:
            error = refusal(server.platform)
        assert error.field == "ca_file"
        assert "expired" in str(error)

    def test_a_certificate_for_another_name(self, tls: FtpServer) -> None:
        assert refusal(changed(tls.platform, host="localhost")).field == "host"

    def test_authorities_that_cannot_be_read(self, tls: FtpServer, tmp_path: Path) -> None:
        (tmp_path / "text.pem").write_text("no certificate")
        for name in ("gone.pem", "text.pem"):
            assert refusal(changed(tls.platform, ca_file=str(tmp_path / name))).field == "ca_file"


class TestPut:
    @pytest.mark.parametrize("kind", ["reset", "close"])
    def test_a_cut_is_made_good_by_the_rest(
        self, each: FtpServer, big: StagedFile, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        name = f"{kind}.csv"
        with FtpFaultProxy(each.platform.port, each.passive_ports) as proxy:
            platform = through(each, proxy)
            proxy.order(Fault(kind, at=BIG // 2))  # type: ignore[arg-type]
            with pytest.raises(PlatformUnavailable):
                put(platform, big, name)
            assert proxy.fired == 1
            assert not (each.directory / name).exists()
            before = proxy.sent
            receipt = put(platform, big, name)
            assert 0 < receipt.sent < BIG * 0.9
            assert proxy.sent - before < BIG * 0.95
        assert receipt.verified == "sha256"
        assert (each.directory / name).read_bytes() == Path(big.path).read_bytes()
        assert [record.getMessage() for record in caplog.records] == []

    def test_a_bit_that_flips_on_the_way(self, plain: FtpServer, big: StagedFile) -> None:
        with FtpFaultProxy(plain.platform.port, plain.passive_ports) as proxy:
            proxy.order(Fault("corrupt", at=BIG // 2))
            with pytest.raises(PlatformUnavailable, match="other bytes"):
                put(through(plain, proxy), big, "flipped.csv")
            assert proxy.fired == 1
        assert [path.name for path in plain.directory.glob("*flipped*")] == []

    def test_a_server_that_falls_silent(self, each: FtpServer, big: StagedFile) -> None:
        with FtpFaultProxy(each.platform.port, each.passive_ports) as proxy:
            platform = through(each, proxy, timeout_seconds=2)
            with platform.connect() as connection:
                proxy.order(Fault("stall", at=BIG // 4))
                began = time.monotonic()
                with pytest.raises(PlatformUnavailable):
                    connection.put(big, "silent.csv")
                assert time.monotonic() - began < 4
            assert not (each.directory / "silent.csv").exists()
            # The dead session still has the part, which some servers lock.
            put(changed(each.platform, timeout_seconds=2), big, "silent.csv")
        assert (each.directory / "silent.csv").read_bytes() == Path(big.path).read_bytes()

    @pytest.mark.parametrize("size", [BIG, BIG // 2, BIG + 1])
    def test_a_part_with_other_bytes_ends_right(
        self, each: FtpServer, big: StagedFile, size: int
    ) -> None:
        content = bytearray(Path(big.path).read_bytes() + b"?")[:size]
        content[BIG // 4] ^= 1
        part = each.directory / hidden_name("part.csv", big.sha256)
        part.write_bytes(content)
        part.chmod(0o666)
        assert put(each.platform, big, "part.csv").sent == BIG
        assert (each.directory / "part.csv").read_bytes() == Path(big.path).read_bytes()
        assert not part.exists()

    def test_a_part_that_is_compared_by_size_is_not_trusted(
        self, plain: FtpServer, big: StagedFile
    ) -> None:
        part = plain.directory / hidden_name("size.csv", big.sha256)
        part.write_bytes(bytes(BIG))
        receipt = put(changed(plain.platform, verify="size"), big, "size.csv")
        assert receipt == Receipt(BIG, "size")
        assert (plain.directory / "size.csv").read_bytes() == Path(big.path).read_bytes()

    def test_a_part_where_files_begin_at_their_start_only(self, tmp_path: Path) -> None:
        file = staged(tmp_path / "a.csv", random_bytes(3_000_000))
        with run_rclone(tmp_path) as server:
            part = server.directory / hidden_name("a.csv", file.sha256)
            part.write_bytes(Path(file.path).read_bytes()[:2_000_000])
            assert put(server.platform, file, "a.csv") == Receipt(3_000_000, "sha256")
            assert (server.directory / "a.csv").read_bytes() == Path(file.path).read_bytes()
            assert not part.exists()

    def test_parts_are_hidden_and_removed_after_success(
        self, plain: FtpServer, tmp_path: Path
    ) -> None:
        folder = plain.directory / "parts"
        folder.mkdir()
        stale = folder / ".a.csv.0123456789abcdef.part"
        others = [folder / ".a.csv.other", folder / ".b.a.csv.0123456789abcdef.part"]
        for path in (stale, *others):
            path.write_bytes(b"part")
        with plain.platform.connect() as connection:
            assert connection.list("parts") == []
            connection.put(staged(tmp_path / "a.csv", b"abc"), "parts/a.csv")
            assert connection.list("parts") == [RemoteFile("parts/a.csv", 3)]
        assert sorted(folder.iterdir()) == sorted([*others, folder / "a.csv"])

    @pytest.mark.parametrize(("command", "kind"), [("XSHA256", "sha256"), ("HASH", "sha256")])
    def test_a_checksum_of_the_server_saves_both_ways(
        self, tmp_path: Path, command: str, kind: str
    ) -> None:
        file = staged(tmp_path / "a.csv", random_bytes(100_000))
        with run_pyftpdlib(tmp_path, environment={"CHECKSUM": command}) as server:
            assert put(server.platform, file, "two words.csv") == Receipt(100_000, kind)
            assert put(server.platform, file, "two words.csv") == Receipt(0, kind)
            other = staged(tmp_path / "b.csv", random_bytes(100_000, 2))
            assert put(server.platform, other, "two words.csv") == Receipt(100_000, kind)

    def test_a_weak_checksum_of_the_server(self, tmp_path: Path) -> None:
        file = staged(tmp_path / "a.csv", random_bytes(100_000))
        with run_pyftpdlib(tmp_path, environment={"CHECKSUM": "XMD5"}) as server:
            assert put(server.platform, file, "a.csv") == Receipt(100_000, "md5")
            again = changed(server.platform, verify="readback")
            assert put(again, file, "a.csv") == Receipt(100_000, "sha256")

    def test_replaces_where_the_server_cannot(self, tmp_path: Path) -> None:
        with (
            run_pyftpdlib(tmp_path, environment={"REPLACES": "no"}) as server,
            server.platform.connect() as connection,
        ):
            for content in (b"first", b"second", b"third"):
                connection.put(staged(tmp_path / "new.csv", content), "a.csv")
                assert (server.directory / "a.csv").read_bytes() == content
            assert list(server.directory.iterdir()) == [server.directory / "a.csv"]

    def test_a_server_that_is_only_read(self, tmp_path: Path) -> None:
        with run_pyftpdlib(tmp_path, environment={"PERMISSIONS": "elr"}) as server:
            (server.directory / "a.csv").write_bytes(b"old")
            with server.platform.connect() as connection:
                for name in ("a.csv", "x/a.csv"):
                    with pytest.raises(PlatformRefused, match="permission"):
                        connection.put(staged(tmp_path / "new.csv", b"new"), name)
                with pytest.raises(PlatformRefused):
                    connection.delete("a.csv")
            assert (server.directory / "a.csv").read_bytes() == b"old"

    @NEEDS_VSFTPD
    @pytest.mark.parametrize("tls", [False, True])
    def test_a_disk_that_is_full(self, tmp_path: Path, tls: bool) -> None:
        file = staged(tmp_path / "new.csv", random_bytes(3_000_000))
        with run_vsftpd(tmp_path, tls=tls, max_file_bytes=1_000_000) as server:
            (server.directory / "a.csv").write_bytes(b"old")
            with pytest.raises(PlatformRefused, match="full"):
                put(server.platform, file, "a.csv")
            assert list(server.directory.iterdir()) == [server.directory / "a.csv"]
            assert (server.directory / "a.csv").read_bytes() == b"old"

    def test_a_file_where_a_folder_should_be(self, each: FtpServer, tmp_path: Path) -> None:
        file = staged(tmp_path / "new.csv", b"new")
        with each.platform.connect() as connection:
            connection.put(file, "taken")
            with pytest.raises(PlatformRefused, match="has a file that is named taken"):
                connection.put(file, "taken/below/a.csv")


def test_a_server_that_is_silent_is_asked_more_than_once(each: FtpServer) -> None:
    with (
        FtpFaultProxy(each.platform.port, each.passive_ports) as proxy,
        through(each, proxy, timeout_seconds=1).connect() as connection,
    ):
        (each.directory / "silent").mkdir(exist_ok=True)
        proxy.order(Fault("stall", at=1))
        for _ in range(3):
            with pytest.raises(PlatformUnavailable):
                connection.list("silent")
        with pytest.raises(PlatformUnavailable):
            connection.delete("silent/a.csv")


class TestGet:
    def test_a_cut_is_noticed(self, each: FtpServer, big: StagedFile, tmp_path: Path) -> None:
        (each.directory / "get.csv").write_bytes(Path(big.path).read_bytes())
        with (
            FtpFaultProxy(each.platform.port, each.passive_ports) as proxy,
            through(each, proxy).connect() as connection,
        ):
            proxy.order(Fault("mute", at=0))
            with pytest.raises(PlatformUnavailable):
                connection.get("get.csv", tmp_path / "back")
            assert proxy.fired == 1
