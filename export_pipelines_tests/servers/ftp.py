"""FTP servers: pyftpdlib's, rclone's and vsftpd, each on a free port of 127.0.0.1.

Those that encrypt have a certificate for 127.0.0.1 and 127.0.0.2, of an authority of their own.
"""

import ftplib
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from export_pipelines.platforms.ftp import Ftp
from export_pipelines_tests.servers.process import free_port, running
from export_pipelines_tests.servers.sftp import obscured, program, reachable_folder

if TYPE_CHECKING:
    from export_pipelines_tests.servers.targets import Target

_NOBODY = 65534
_USERNAME = "shop"
_SBIN_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
_PASSIVE_PORTS = 16
_HOSTS = ("127.0.0.1", "127.0.0.2")
_WITH_HIDDEN = {"RCLONE_FTP_FORCE_LIST_HIDDEN": "true"}
"""Has vsftpd list names that begin with a dot; other servers do so anyway, or do not understand."""


@dataclass(frozen=True)
class FtpServer:
    """A running server.

    Attributes:
        platform: a working configuration.
        directory: what its folder is on this machine.
        passive_ports: those of data connections.
    """

    platform: Ftp
    directory: Path
    passive_ports: tuple[int, ...]

    def target(self, **variables: str) -> "Target":
        """Return it as tests of all platforms use it, with more variables for rclone."""
        from export_pipelines_tests.servers.targets import Target

        @contextmanager
        def through(port: int) -> Iterator[Ftp]:
            yield self.platform.model_copy(update={"port": port})

        user, port = self.platform.username, self.platform.port
        tls = self.platform.tls == "explicit"
        environment = {"RCLONE_FTP_PASS": obscured(self.platform.password), **variables}
        if tls:
            environment |= {"RCLONE_FTP_EXPLICIT_TLS": "true"}
            environment |= {"RCLONE_CA_CERT": self.platform.ca_file}
        return Target(
            self.platform,
            f":ftp,host=127.0.0.1,port={port},user={user}:",
            port=port,
            through=through,
            environment=environment,
            secrets=(self.platform.password,),
            passive_ports=self.passive_ports,
        )


@contextmanager
def start_pyftpdlib(folder: Path) -> "Iterator[Target]":
    """Run pyftpdlib's server without encryption."""
    with run_pyftpdlib(folder) as server:
        yield server.target()


@contextmanager
def start_pyftpdlib_tls(folder: Path) -> "Iterator[Target]":
    """Run pyftpdlib's server with TLS."""
    with run_pyftpdlib(folder, tls=True) as server:
        yield server.target()


@contextmanager
def start_rclone_ftp(folder: Path) -> "Iterator[Target]":
    """Run rclone's server, which cannot resume."""
    with run_rclone(folder) as server:
        yield server.target()


@contextmanager
def start_vsftpd(folder: Path) -> "Iterator[Target]":
    """Run vsftpd without encryption."""
    with run_vsftpd(folder) as server:
        yield server.target(**_WITH_HIDDEN)


@contextmanager
def start_vsftpd_tls(folder: Path) -> "Iterator[Target]":
    """Run vsftpd with TLS, which demands one session for all connections."""
    with run_vsftpd(folder, tls=True) as server:
        yield server.target(**_WITH_HIDDEN)


def has_vsftpd() -> bool:
    """Return whether vsftpd is installed."""
    return shutil.which("vsftpd", path=_SBIN_PATH) is not None


@contextmanager
def run_pyftpdlib(
    folder: Path,
    *,
    tls: bool = False,
    expired: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[FtpServer]:
    """Run pyftpdlib's server.

    Args:
        folder: for its files.
        tls: whether it demands encryption.
        expired: whether its certificate has expired.
        environment: what `pyftpdlib_server.py` can be told.
    """
    server = _prepared(folder, tls=tls)
    settings = {"PATH": os.defpath, "USERNAME": _USERNAME, "PASSWORD": server.platform.password}
    if tls:
        settings["CERTIFICATE"] = str(_make_certificate(folder, expired=expired))
    script = Path(__file__).with_name("pyftpdlib_server.py")
    ports = server.passive_ports
    command: list[str | Path] = [sys.executable, "-I", script, str(server.platform.port)]
    command += [server.directory, str(ports[0]), str(ports[-1])]
    with _running(command, folder, server, environment=settings | dict(environment or {})):
        yield server


@contextmanager
def run_rclone(folder: Path) -> Iterator[FtpServer]:
    """Run rclone's server, which cannot resume."""
    server = _prepared(folder)
    ports = server.passive_ports
    command: list[str | Path] = [program(), "serve", "ftp", server.directory]
    command += ["--addr", f"127.0.0.1:{server.platform.port}", "--user", _USERNAME]
    command += ["--passive-port", f"{ports[0]}-{ports[-1]}", "--dir-cache-time", "1s"]
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_PASS": server.platform.password,
    }
    with _running(command, folder, server, environment=environment):
        yield server


@contextmanager
def run_vsftpd(
    folder: Path, *, tls: bool = False, max_file_bytes: int | None = None
) -> Iterator[FtpServer]:
    """Run vsftpd without root's rights; its one account is `anonymous`, here with a password.

    Args:
        folder: for its files.
        tls: whether it demands encryption, with one session for all connections.
        max_file_bytes: a size beyond which it cannot write, as if its disk were full.
    """
    with reachable_folder(folder) as home:
        server = _prepared(home, username="anonymous", tls=tls)
        ports = server.passive_ports
        text = _VSFTPD.format(home=home, server=server, first=ports[0], last=ports[-1])
        (home / "passwords").write_text(f"{server.platform.password}\n")
        if tls:
            certificate = _make_certificate(home)
            text += _VSFTPD_TLS.format(certificate=certificate)
        (home / "vsftpd.conf").write_text(text)
        options: dict[str, Any] = {"cwd": home}
        if os.geteuid() == 0:
            options |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            for path in (home, *home.iterdir()):
                os.chown(path, _NOBODY, _NOBODY)
        command: list[str | Path] = [str(shutil.which("vsftpd", path=_SBIN_PATH))]
        command.append(home / "vsftpd.conf")
        if max_file_bytes is not None:
            blocks = str(max_file_bytes // _LIMIT_BLOCK)
            command = ["/bin/sh", "-c", _LIMITED, blocks, *command]
        with _running(command, home, server, **options):
            yield server


_LIMITED = """trap '' XFSZ; ulimit -f "$0"; exec "$@" """
"""Writing just fails beyond the limit, as on a full disk, if nothing is done at its signal."""

_LIMIT_BLOCK = 512

_VSFTPD = """
background=NO
listen=YES
listen_address=127.0.0.1
listen_port={server.platform.port}
run_as_launching_user=YES
anonymous_enable=YES
anon_root={server.directory}
allow_writeable_chroot=YES
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
secure_email_list_enable=YES
email_password_file={home}/passwords
pasv_min_port={first}
pasv_max_port={last}
xferlog_enable=NO
seccomp_sandbox=NO
delay_failed_login=0
"""

_VSFTPD_TLS = """
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=YES
rsa_cert_file={certificate}
"""


def _prepared(folder: Path, *, username: str = _USERNAME, tls: bool = False) -> FtpServer:
    directory = folder / "files"
    directory.mkdir()
    platform = Ftp(
        host="127.0.0.1",
        port=free_port(),
        username=username,
        password=secrets.token_urlsafe(12),
        tls="explicit" if tls else "none",
        ca_file=str(folder / "ca.pem") if tls else "",
        timeout_seconds=10,
    )
    return FtpServer(platform, directory, free_ports(_PASSIVE_PORTS))


@contextmanager
def _running(
    command: list[str | Path], folder: Path, server: FtpServer, **options: Any
) -> Iterator[None]:
    port = server.platform.port
    with running(command, folder / "log", lambda: _greets(port), **options):
        yield


def _greets(port: int) -> bool:
    try:
        with ftplib.FTP() as client:
            client.connect("127.0.0.1", port, timeout=1)
    except (OSError, EOFError):
        return False
    return True


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports in a row that nothing listens on, neither on 127.0.0.1 nor on 127.0.0.2."""
    while True:
        first = free_port()
        ports = tuple(range(first, first + count))
        if ports[-1] < 1 << 16 and all(_is_free(host, port) for host in _HOSTS for port in ports):
            return ports


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _make_certificate(folder: Path, *, expired: bool = False) -> Path:
    """Write `ca.pem`, and a certificate with its key that it vouches for."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    certificate = authority.issue_cert(*_HOSTS, not_after=yesterday if expired else None)
    path = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(path)
    return path
