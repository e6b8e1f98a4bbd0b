"""SFTP servers: rclone's, asyncssh's and OpenSSH's, each on a free port of 127.0.0.1."""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

from export_pipelines.platforms.sftp import Sftp
from export_pipelines_tests.servers.process import answers, free_port, running

if TYPE_CHECKING:
    from export_pipelines_tests.servers.targets import Target

_WWW_DATA = 33
_USERNAME = "shop"
_SBIN_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


def program() -> str:
    """Return the rclone that is installed beside this Python."""
    return str(Path(sys.executable).with_name("rclone"))


@dataclass(frozen=True)
class SftpServer:
    """A running server.

    Attributes:
        platform: a working configuration.
        directory: what its folder is on this machine.
        key_file: a private key that the server lets in.
        host_key: the server's public key.
        password: of the account; one that it does not take where it takes keys only.
    """

    platform: Sftp
    directory: Path
    key_file: Path
    host_key: str
    password: str

    def target(self) -> "Target":
        """Return it as tests of all platforms use it."""
        from export_pipelines_tests.servers.targets import Target

        @contextmanager
        def through(port: int) -> Iterator[Sftp]:
            yield self.platform.model_copy(update={"port": port})

        user, port, folder = self.platform.username, self.platform.port, self.platform.folder
        environment = {"RCLONE_SFTP_KEY_FILE": str(self.key_file)}
        if self.platform.password:
            environment = {"RCLONE_SFTP_PASS": obscured(self.password)}
        return Target(
            self.platform,
            f":sftp,host=127.0.0.1,port={port},user={user},shell_type=none:{folder}",
            port=port,
            through=through,
            environment=environment,
            secrets=(self.password, *self.key_file.read_text().splitlines()[1:-1]),
        )


@contextmanager
def start_rclone_sftp(folder: Path) -> "Iterator[Target]":
    """Run rclone's server."""
    with run_rclone(folder) as server:
        yield server.target()


@contextmanager
def start_asyncssh(folder: Path) -> "Iterator[Target]":
    """Run asyncssh's server."""
    with run_asyncssh(folder) as server:
        yield server.target()


@contextmanager
def start_openssh(folder: Path) -> "Iterator[Target]":
    """Run OpenSSH's server."""
    with run_openssh(folder) as server:
        yield server.target()


def has_openssh() -> bool:
    """Return whether OpenSSH's server is installed."""
    return shutil.which("sshd", path=_SBIN_PATH) is not None


@dataclass(frozen=True)
class _Keys:
    """What a server and its user know each other by."""

    user_key: Path
    authorized: Path
    server_key: Path
    host_key: str
    password: str


@contextmanager
def run_rclone(folder: Path) -> Iterator[SftpServer]:
    """Run rclone's server, which takes passwords and keys, and files from their start only."""
    keys = _make_keys(folder)
    directory = folder / "files"
    directory.mkdir()
    port = free_port()
    command: list[str | Path] = [
        program(),
        "serve",
        "sftp",
        directory,
        "--addr",
        f"127.0.0.1:{port}",
    ]
    command += ["--user", _USERNAME, "--authorized-keys", keys.authorized]
    command += ["--key", keys.server_key, "--dir-cache-time", "1s"]
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_PASS": keys.password,
    }
    with running(command, folder / "log", lambda: answers(port), environment=environment):
        yield _server(keys, port, directory, username=_USERNAME, password=keys.password)


@contextmanager
def run_asyncssh(folder: Path, *, max_file_bytes: int | None = None) -> Iterator[SftpServer]:
    """Run asyncssh's server, which takes passwords and keys.

    Args:
        folder: for its files.
        max_file_bytes: a size beyond which it cannot write, as if its disk were full.
    """
    keys = _make_keys(folder)
    directory = folder / "files"
    directory.mkdir()
    port = free_port()
    script = Path(__file__).with_name("asyncssh_server.py")
    command: list[str | Path] = [sys.executable, "-I", script, str(port), directory]
    command += [keys.server_key, keys.authorized]
    environment = {"PATH": os.defpath, "USERNAME": _USERNAME, "PASSWORD": keys.password}
    if max_file_bytes is not None:
        environment["MAX_FILE_BYTES"] = str(max_file_bytes)
    with running(command, folder / "log", lambda: answers(port), environment=environment):
        yield _server(keys, port, directory, username=_USERNAME, password=keys.password)


@contextmanager
def run_openssh(folder: Path, *, sftp_options: str = "") -> Iterator[SftpServer]:
    """Run OpenSSH's server, which takes keys only, as it does not run as root.

    Args:
        folder: for its files.
        sftp_options: of its SFTP server: `-R` to read only, `-P posix-rename` to lack that.
    """
    account = _WWW_DATA if os.geteuid() == 0 else os.geteuid()
    with reachable_folder(folder) as home:
        keys = _make_keys(home)
        directory = home / "files"
        directory.mkdir()
        port = free_port()
        configuration = home / "sshd_config"
        configuration.write_text(_SSHD.format(port=port, keys=keys, options=sftp_options))
        options: dict[str, Any] = {"cwd": home}
        if os.geteuid() == 0:
            options |= {"user": account, "group": account, "extra_groups": []}
            for path in (home, *home.iterdir()):
                os.chown(path, account, account)
        command: list[str | Path] = [
            str(shutil.which("sshd", path=_SBIN_PATH)),
            "-D",
            "-e",
            "-f",
            configuration,
        ]
        with running(command, home / "log", lambda: answers(port), **options):
            yield _server(
                keys,
                port,
                directory,
                username=pwd.getpwuid(account).pw_name,
                private_key_file=str(keys.user_key),
                folder=str(directory),
            )


_SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {keys.server_key}
AuthorizedKeysFile {keys.authorized}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp {options}
"""


@contextmanager
def reachable_folder(folder: Path) -> Iterator[Path]:
    """Make a folder that any account reaches, which for root's temporary files is another."""
    if os.geteuid():
        yield folder
        return
    home = Path(tempfile.mkdtemp(prefix="server-", dir="/tmp"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _make_keys(folder: Path) -> _Keys:
    user_key, server_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    paths = {"user_key": user_key, "server_key": server_key}
    for name, key in paths.items():
        (folder / name).write_bytes(key.export_private_key())
        (folder / name).chmod(0o600)
    (folder / "authorized_keys").write_bytes(user_key.export_public_key())
    return _Keys(
        folder / "user_key",
        folder / "authorized_keys",
        folder / "server_key",
        server_key.export_public_key().decode().strip(),
        secrets.token_urlsafe(12),
    )


def _server(keys: _Keys, port: int, directory: Path, **fields: Any) -> SftpServer:
    platform = Sftp(
        host="127.0.0.1", port=port, host_key=keys.host_key, timeout_seconds=10, **fields
    )
    return SftpServer(platform, directory, keys.user_key, keys.host_key, keys.password)


def obscured(password: str) -> str:
    """Return a password as rclone wants it in its configuration."""
    command = [program(), "obscure", "-"]
    done = subprocess.run(command, input=password.encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()
