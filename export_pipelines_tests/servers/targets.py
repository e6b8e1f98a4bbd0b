"""Platforms on running servers, each started once for all tests that ask for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.local import Local
from export_pipelines_tests.servers import ftp, s3, sftp
from export_pipelines_tests.servers.drive import start_drive


@dataclass(frozen=True)
class Target:
    """A platform on a running server, and other ways to reach the same folder.

    Attributes:
        platform: a working configuration; its folder is there and empty.
        remote: the same folder as rclone's connection string, such as `:sftp,host=…:folder`.
        environment: variables that rclone needs for it.
        port: where the server listens on 127.0.0.1; 0 if there is none.
        through: the same platform by way of a proxy that listens on this port of 127.0.0.1.
        secrets: what must never be seen anywhere.
        passive_ports: of an FTP server, those of data connections. It is reached on 127.0.0.2 as
            well, by way of a proxy that has the same ports there: certificates name both.
    """

    platform: Platform
    remote: str
    port: int = 0
    through: "Callable[[int], AbstractContextManager[Platform]] | None" = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    passive_ports: tuple[int, ...] = ()


@contextmanager
def start_local(folder: Path) -> Iterator[Target]:
    """Use a folder; it needs no server."""
    yield Target(Local(folder=str(folder)), remote=str(folder))


TARGETS: "dict[str, Callable[[Path], AbstractContextManager[Target]]]" = {
    "local": start_local,
    "gdrive-emulator": start_drive,
    "minio-seaweed": s3.start_seaweed,
    "s3-seaweed": s3.start_seaweed_s3,
    "s3-rclone": s3.start_rclone_s3,
    "ftp-pyftpdlib": ftp.start_pyftpdlib,
    "ftp-rclone": ftp.start_rclone_ftp,
    "ftp-vsftpd": ftp.start_vsftpd,
    "ftps-pyftpdlib": ftp.start_pyftpdlib_tls,
    "ftps-vsftpd": ftp.start_vsftpd_tls,
    "sftp-asyncssh": sftp.start_asyncssh,
    "sftp-openssh": sftp.start_openssh,
    "sftp-rclone": sftp.start_rclone_sftp,
}


class Targets:
    """Starts what is asked for, and stops all of it at the end."""

    def __init__(self, stack: ExitStack, make_folder: Callable[[str], Path]) -> None:
        self._stack = stack
        self._make_folder = make_folder
        self._started: dict[str, Target] = {}

    def __getitem__(self, name: str) -> Target:
        if name not in self._started:
            started = TARGETS[name](self._make_folder(name))
            self._started[name] = self._stack.enter_context(started)
        return self._started[name]
