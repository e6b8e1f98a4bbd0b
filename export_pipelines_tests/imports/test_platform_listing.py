import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_pipelines.imports import platform_listing
from export_pipelines.imports.platform_listing import list_folders
from export_pipelines.platforms.base import RemoteFile
from export_pipelines_tests.contracts.platforms import assert_hides_secrets, staged
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.servers.targets import Target, Targets


@pytest.fixture
def local(targets: Targets) -> Target:
    return targets["local"]


@pytest.fixture
def sftp(targets: Targets) -> Target:
    return targets["sftp-asyncssh"]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Listen without a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_folders_of_several_platforms(
    local: Target, sftp: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name_platforms({"near": local.platform, "far": sftp.platform}, monkeypatch)
    with local.platform.connect() as connection:
        connection.put(staged(tmp_path / "a.csv", b"abc"), "listing/a.csv")
    found = list_folders({"near": {"listing", "never"}, "far": {"never"}})
    assert found["near"].files == {"listing": [RemoteFile("listing/a.csv", 3)], "never": []}
    assert found["far"].files == {"never": []}
    assert all(listing.reached and not listing.errors for listing in found.values())


def test_no_platform() -> None:
    assert list_folders({}) == {}


def test_one_that_is_away_is_named_and_the_others_listed(
    local: Target, sftp: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sftp.through
    with sftp.through(free_port()) as away:
        name_platforms({"near": local.platform, "far": away}, monkeypatch)
        found = list_folders({"far": {""}, "near": {"never"}, "other": {""}})
    assert found["near"].files == {"never": []}
    assert [listing.reached for listing in found.values()] == [False, True, False]
    [sentence] = found["far"].errors
    assert sentence.startswith("far: ")
    assert sentence.endswith(".")
    assert_hides_secrets(sftp, sentence)
    assert found["other"].errors[0].startswith("other: There is no platform 'other'.")


def test_a_folder_that_cannot_be_listed_leaves_the_others(
    local: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_platforms({"near": local.platform}, monkeypatch)
    # The system refuses the name.
    found = list_folders({"near": {"x" * 300, "never"}})["near"]
    assert found.reached
    assert found.files == {"never": []}
    assert [error.partition("/")[0] for error in found.errors] == ["near"]


def test_a_platform_is_not_waited_for_as_long_as_it_says(
    sftp: Target, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = sftp.platform.model_copy(update={"port": silent_port, "timeout_seconds": 600})
    name_platforms({"far": patient}, monkeypatch)
    monkeypatch.setattr(platform_listing, "SILENT_SECONDS", 1)
    began = time.monotonic()
    found = list_folders({"far": {""}})["far"]
    assert time.monotonic() - began < 20
    assert not found.reached
    assert found.errors[0].startswith("far: ")


def test_all_of_them_have_a_bounded_time(
    sftp: Target, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = sftp.platform.model_copy(update={"port": silent_port, "timeout_seconds": 1})
    name_platforms({"far": silent}, monkeypatch)
    monkeypatch.setattr(platform_listing, "LOOK_SECONDS", 0.1)
    found = list_folders({"far": {""}})["far"]
    assert found.errors == ("far: its folders could not be listed in 0.1 seconds.",)
    assert not found.reached
