"""Platforms on running servers, each started once for all tests that ask for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.local import Local


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
    """

    platform: Platform
    remote: str
    port: int = 0
    through: "Callable[[int], AbstractContextManager[Platform]] | None" = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@contextmanager
def start_local(folder: Path) -> Iterator[Target]:
    """Use a folder; it needs no server."""
    yield Target(Local(folder=str(folder)), remote=str(folder))


TARGETS: "dict[str, Callable[[Path], AbstractContextManager[Target]]]" = {
    "local": start_local,
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
