from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from pydantic import PrivateAttr, ValidationError

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformRefused, PlatformUnavailable
from export_pipelines.platforms.base import (
    PIECE_BYTES,
    Connection,
    Platform,
    Receipt,
    RemoteFile,
    file_sha256,
    hidden_name,
    is_hidden,
    secret,
)


class Faulty(Platform):
    """A platform in memory on which one thing fails."""

    platform_type: Literal["faulty"] = "faulty"
    failing: str = ""
    password: str = secret("Never shown.")
    _files: dict[str, bytes] = PrivateAttr(default_factory=dict)
    _closed: list[bool] = PrivateAttr(default_factory=list)

    @property
    def location(self) -> str:
        return "memory"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        if self.failing == "connect":
            raise PlatformMisconfigured("password: it is wrong.", field="password")
        try:
            yield FaultyConnection(self.failing, self._files)
        finally:
            self._closed.append(True)


class FaultyConnection(Connection):
    def __init__(self, failing: str, files: dict[str, bytes]) -> None:
        self._failing = failing
        self._files = files

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        if self._failing == "write":
            raise PlatformRefused("The disk is full.")
        self._files[name] = Path(file.path).read_bytes()
        return Receipt(file.bytes, "sha256")

    def get(self, name: str, target: Path) -> None:
        if self._failing == "read":
            raise PlatformUnavailable("It broke off.")
        content = self._files[name]
        target.write_bytes(content[::-1] if self._failing == "bytes" else content)

    def list(self, folder: str = "") -> list[RemoteFile]:
        if self._failing == "list":
            return []
        return [RemoteFile(name, len(content)) for name, content in self._files.items()]

    def delete(self, name: str) -> None:
        if self._failing == "delete":
            raise PlatformRefused("It may not delete.")
        if self._failing != "keep":
            self._files.pop(name, None)


def checked(failing: str) -> tuple[Faulty, dict[str, str]]:
    """Test a connection; return the platform and what went wrong in each step."""
    platform = Faulty(failing=failing)
    steps = platform.check()
    assert all(step.seconds >= 0 for step in steps)
    return platform, {step.name: str(step.error or "") for step in steps}


def test_check_takes_each_step_and_leaves_nothing() -> None:
    platform, steps = checked("")
    assert steps == dict.fromkeys(("connect", "write", "list", "read", "delete"), "")
    assert platform._files == {}
    assert platform._closed == [True]


@pytest.mark.parametrize(
    ("failing", "steps", "message"),
    [
        ("connect", ["connect"], "password: it is wrong."),
        ("write", ["connect", "write", "delete"], "The disk is full."),
        ("list", ["connect", "write", "list", "delete"], "but then lists it not."),
        ("read", ["connect", "write", "list", "read", "delete"], "It broke off."),
        ("bytes", ["connect", "write", "list", "read", "delete"], "gives other bytes"),
        ("delete", ["connect", "write", "list", "read", "delete"], "It may not delete."),
        ("keep", ["connect", "write", "list", "read", "delete"], "but then keeps it."),
    ],
)
def test_check_ends_with_the_step_that_fails(failing: str, steps: list[str], message: str) -> None:
    platform, found = checked(failing)
    assert list(found) == steps
    [error] = [error for error in found.values() if error]
    assert message in error
    assert platform._closed == [True] * (failing != "connect")
    assert bool(platform._files) == (failing in ("delete", "keep"))


def test_check_touches_no_other_file() -> None:
    platform = Faulty()
    with platform.connect() as connection:
        connection.put(StagedFile(__file__, "other", 0, 1), "other")
    before = dict(platform._files)
    assert all(step.error is None for step in platform.check())
    assert platform._files == before


def test_a_platform_without_links_has_none() -> None:
    assert FaultyConnection("", {}).link("a.csv", 60) is None


def test_secrets_are_not_in_the_description() -> None:
    platform = Faulty(password="open sesame")
    assert platform.password == "open sesame"
    assert "sesame" not in repr(platform) + str(platform)
    extra = Faulty.model_fields["password"].json_schema_extra
    assert extra == {"secret": True}


@pytest.mark.parametrize("seconds", [0, -1, 601])
def test_timeouts_have_limits(seconds: int) -> None:
    with pytest.raises(ValidationError):
        Faulty(timeout_seconds=seconds)


def test_hidden_names_tell_name_and_content() -> None:
    digest = sha256(b"a").hexdigest()
    assert hidden_name("a.csv", digest) == f".a.csv.{digest[:16]}.part"
    assert hidden_name("2026/11/a.csv", digest) == f"2026/11/.a.csv.{digest[:16]}.part"
    assert hidden_name("a.csv", digest) != hidden_name("a.csv", sha256(b"b").hexdigest())


@pytest.mark.parametrize("name", ["a.csv", "2026/a.csv", ".hidden/a.csv", "a..csv"])
def test_hidden_names_are_told_from_others(name: str) -> None:
    assert not is_hidden(name)
    assert is_hidden(hidden_name(name, "0" * 64))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_digests_are_of_whole_files(tmp_path: Path, size: int) -> None:
    content = b"x" * size
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == sha256(content).hexdigest()
