"""What every platform can do: the contract between deliveries and servers.

A platform is a description, `connect()` opens it. Names of files are relative to the platform's
folder and may lead through subfolders with `/`, which are made when needed.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import dagster as dg
from pydantic import Field

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformError, PlatformUnavailable

PIECE_BYTES = 1 << 20
_PROBE_BYTES = 1_000


@dataclass(frozen=True)
class RemoteFile:
    """A whole file on a platform.

    Attributes:
        name: relative to the platform's folder.
        bytes: its size.
    """

    name: str
    bytes: int


@dataclass(frozen=True)
class Receipt:
    """What is known of a file that was put.

    Attributes:
        sent: bytes that went over the line; 0 if the file was there already.
        verified: what of it was compared with what the server holds: `sha256`, `md5`, `size`...
    """

    sent: int
    verified: str


@dataclass(frozen=True)
class CheckedStep:
    """One step of a connection test.

    Attributes:
        name: `connect`, `write`, `list`, `read` or `delete`.
        seconds: how long it took.
        error: what went wrong, None if nothing did.
    """

    name: str
    seconds: float
    error: PlatformError | None = None


class Connection(ABC):
    """An open platform; not to be used by two threads at once.

    All methods raise PlatformUnavailable, PlatformMisconfigured or PlatformRefused.
    """

    @abstractmethod
    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        """Put a file, whole or not at all: until it is verified, `name` is what it was before.

        What is there under the name is replaced, unless it is known to be the same. What an
        earlier try has sent is used where the platform allows it.

        Args:
            file: a whole file on this machine, with its size and SHA-256.
            name: its name on the platform.
            on_bytes: told how many bytes of the file are there by now.
        """

    @abstractmethod
    def get(self, name: str, target: Path) -> None:
        """Write a file's content to `target`.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @abstractmethod
    def list(self, folder: str = "") -> list[RemoteFile]:
        """Return the whole files of one folder, by name; none for a folder that is not there."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    def link(self, name: str, seconds: int) -> str | None:
        """Return a signed address that serves the file for some seconds; None without such links.

        It is a secret for as long as it works.
        """
        return None


class Platform(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Where finished exports are delivered."""

    subfolder: str = Field(
        default="",
        description="A folder below it for each delivery, made when needed. May hold "
        "{resource_type}, {format}, {run_id} and {date:%Y-%m-%d}.",
    )
    timeout_seconds: int = Field(
        default=30,
        gt=0,
        le=600,
        description="How long the server may be silent before the connection is given up.",
    )

    @property
    @abstractmethod
    def location(self) -> str:
        """Where files go, as an address without secrets: sftp://shop@host:22/in."""

    def location_of(self, folder: str) -> str:
        """Return where the files of a folder below it go, as an address for people."""
        return f"{self.location.rstrip('/')}/{folder}" if folder else self.location

    @abstractmethod
    def connect(self) -> AbstractContextManager[Connection]:
        """Open a connection, which is closed when the context ends.

        Raises:
            PlatformUnavailable: the server does not answer.
            PlatformMisconfigured: it refuses the credentials, is not the one that is expected, or
                has no such bucket or folder.
        """

    def check(self) -> list[CheckedStep]:
        """Write, list, read and delete a small file, and return how each step went.

        After a failure only the deletion is tried, so that nothing of it stays. No file of another
        name is touched.
        """
        with TemporaryDirectory(prefix="export-pipelines-") as folder:
            return list(_check(self, Path(folder)))


def _check(platform: Platform, folder: Path) -> Iterator[CheckedStep]:
    name = f"export-pipelines-check-{uuid4()}.txt"
    probe = _probe(folder / name)
    steps = _Steps()
    with suppress(_FailedError):
        with steps.timed("connect"):
            opened = platform.connect()
            connection = opened.__enter__()
        try:
            try:
                with steps.timed("write"):
                    connection.put(probe, name)
                with steps.timed("list"):
                    _require(name in {file.name for file in connection.list()}, "lists it not")
                with steps.timed("read"):
                    connection.get(name, folder / "back")
                    same = sha256((folder / "back").read_bytes()).hexdigest() == probe.sha256
                    _require(same, "gives other bytes than were written")
            finally:
                with steps.timed("delete"):
                    connection.delete(name)
                    _require(name not in {file.name for file in connection.list()}, "keeps it")
        finally:
            opened.__exit__(None, None, None)
    yield from steps.done


class _FailedError(Exception):
    """A step failed and is recorded."""


class _Steps:
    def __init__(self) -> None:
        self.done: list[CheckedStep] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except PlatformError as error:
            self.done.append(CheckedStep(name, time.monotonic() - began, error))
            raise _FailedError from None
        self.done.append(CheckedStep(name, time.monotonic() - began))


def _require(held: bool, what: str) -> None:
    if not held:
        raise PlatformUnavailable(f"The server took the probe file, but then {what}.")


def _probe(path: Path) -> StagedFile:
    content = uuid4().bytes * (_PROBE_BYTES // 16)
    path.write_bytes(content)
    return StagedFile(str(path), path.name, 0, len(content), sha256(content).hexdigest())


def hidden_name(name: str, digest: str) -> str:
    """Return the name under which a file grows beside the one that it will have.

    It tells the content too, so that only a try at the same file goes on with what is there.

    Args:
        name: the final name, perhaps with folders.
        digest: the file's SHA-256.
    """
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}.{last}.{digest[:16]}.part"


def is_hidden(name: str) -> bool:
    """Return whether a name is one of `hidden_name`, or of another program's unfinished file."""
    return name.rpartition("/")[2].startswith(".")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    return _digits(path, sha256())


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, as hexadecimal digits, to compare it with what servers tell."""
    return _digits(path, md5(usedforsecurity=False))


def _digits(path: Path, digest: Any) -> str:
    with path.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
    return str(digest.hexdigest())


def secret(description: str, **marks: bool) -> Any:
    """Return a text field whose value comes from an environment variable and is never shown.

    Args:
        description: UI text.
        marks: more that `config_types` can tell of it.
    """
    extra: dict[str, Any] = {"secret": True, **marks}
    return Field(default="", repr=False, description=description, json_schema_extra=extra)
