"""The emulator of Google Drive against rclone, which was written for the real one."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from export_pipelines.platforms.gdrive import Gdrive
from export_pipelines_tests.contracts.platforms import random_bytes, staged
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.drive import serve_drive
from export_pipelines_tests.servers.drive_service import Drive
from export_pipelines_tests.servers.targets import Target

LARGE = 9 << 20
"""More than rclone sends in one request."""


@pytest.fixture(name="served", scope="module")
def fixture_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Drive]]:
    with serve_drive(tmp_path_factory.mktemp("drive")) as served:
        yield served


@pytest.fixture
def target(served: tuple[Target, Drive]) -> Target:
    return served[0]


@pytest.fixture
def drive(served: tuple[Target, Drive]) -> Drive:
    return served[1]


def run(target: Target, *arguments: str) -> str:
    """Run rclone and return what it prints, errors too."""
    environment = {"PATH": os.defpath, "RCLONE_CONFIG": os.devnull, **target.environment}
    command = [rclone.program(), "--retries", "1", "--low-level-retries", "1", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    return done.stdout + done.stderr


def tree(path: Path) -> Path:
    for name, size in {"a.csv": 1_000, "b/c d's.csv": LARGE, "b/empty.csv": 0}.items():
        staged(path / name, random_bytes(size))
    return path


def test_rclone_copies_checks_replaces_and_deletes(
    target: Target, drive: Drive, tmp_path: Path
) -> None:
    source, there = str(tree(tmp_path / "source")), f"{target.remote}copied"
    run(target, "copy", source, there)
    for options in ((), ("--download",)):
        assert "0 differences found" in run(target, "check", *options, source, there)
    (tmp_path / "source" / "a.csv").write_bytes(b"another")
    assert "1 differences found" in run(target, "check", source, there)
    run(target, "copy", source, there)
    assert "0 differences found" in run(target, "check", "--download", source, there)
    run(target, "deletefile", f"{there}/a.csv")
    assert [name for name, _ in rclone.files(target, "copied")] == ["b/c d's.csv", "b/empty.csv"]
    run(target, "purge", there)
    assert rclone.files(target, "copied") == []
    assert {request.split()[0] for request in drive.requests} == {"GET", "POST", "PATCH"}


def test_rclone_reads_what_we_wrote(target: Target, tmp_path: Path) -> None:
    for size in (3, LARGE):
        file = staged(tmp_path / "source" / "products.csv", random_bytes(size))
        with target.platform.connect() as connection:
            connection.put(file, "ours/products.csv")
        digest = hashlib.md5(random_bytes(size)).hexdigest()
        there = f"{target.remote}ours"
        assert run(target, "md5sum", there) == f"{digest}  products.csv\n"
        assert run(target, "dedupe", "list", there) == ""
        assert "0 differences found" in run(target, "check", str(tmp_path / "source"), there)


def test_we_read_what_rclone_wrote(target: Target, tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    run(target, "copy", str(source), f"{target.remote}theirs")
    with target.platform.connect() as connection:
        file = staged(source / "b" / "c d's.csv", random_bytes(LARGE))
        assert connection.put(file, "theirs/b/c d's.csv").sent == 0
        connection.get("theirs/b/c d's.csv", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == random_bytes(LARGE)


def test_another_key_is_refused(target: Target, drive: Drive) -> None:
    key = drive.key
    drive.key = rsa.generate_private_key(65537, 2048).public_key()
    try:
        assert "invalid_grant" in run(target, "lsf", target.remote)
    finally:
        drive.key = key
    assert "invalid_grant" not in run(target, "lsf", target.remote)


@pytest.mark.parametrize(
    "parameters",
    [
        {"q": "'a' in parents", "supportsAllDrive": "true"},
        {"fields": "files(id,checksum)"},
        {"fields": "files(id),nextpage"},
        {"supportsAllDrives": "yes"},
        {"pageSize": "many"},
        {"q": "name like 'a'"},
        {"q": "name = 'it's'"},
        {"q": "(name = 'a'"},
        {"q": "name = 'a' trashed = false"},
        {"corpora": "drive", "supportsAllDrives": "true"},
    ],
    ids=str,
)
def test_what_google_would_refuse_fails_the_tests(
    tmp_path: Path, parameters: dict[str, str]
) -> None:
    answers: list[Any] = []

    def serve() -> None:
        with serve_drive(tmp_path) as (target, _):
            answers.append(ask(target, parameters))

    with pytest.raises(AssertionError) as raised:
        serve()
    [(status, answer)] = answers
    assert (status, answer["error"]["message"]) == (400, str(raised.value))


def ask(target: Target, parameters: dict[str, str]) -> tuple[int, Any]:
    """Ask for a list of files as a careless client would."""
    from urllib.parse import urlencode

    from google.oauth2 import service_account
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.http import build_http

    assert isinstance(target.platform, Gdrive)
    read: Any = service_account.Credentials.from_service_account_info
    info = json.loads(target.platform.credentials)
    http = AuthorizedHttp(
        read(info, scopes=["https://www.googleapis.com/auth/drive"]), http=build_http()
    )
    url = f"https://www.googleapis.com/drive/v3/files?{urlencode(parameters)}"
    answer, content = http.request(url)
    http.close()
    return answer.status, json.loads(content)
