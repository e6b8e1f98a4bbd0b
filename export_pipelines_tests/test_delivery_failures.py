"""One run that delivers to platforms which are all wrong, started and read by GraphQL.

Each says what is wrong with it within half a minute, and nothing that can be read afterwards, by
anybody, has a secret in it.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.local import Local
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.servers.drive import serve_drive
from export_pipelines_tests.servers.ftp import run_pyftpdlib
from export_pipelines_tests.servers.s3 import run_seaweed
from export_pipelines_tests.servers.sftp import run_asyncssh
from export_pipelines_tests.webserver import Ask, launch, start_webserver, wait

SECONDS = 30
LOGS = """
query Logs($runId: ID!, $cursor: String) {
  logsForRun(runId: $runId, afterCursor: $cursor) {
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on MessageEvent { message level stepKey }
        ... on ErrorEvent { error { message stack causes { message stack } } }
        ... on DisplayableEvent { description metadataEntries { label description } }
      }
    }
  }
}
"""
WORDS: Mapping[str, tuple[str, ...]] = {
    "local-missing": ("folder: there is no folder",),
    "local-read-only": ("/sys/kernel", "Correct the folder or its permissions"),
    "sftp-password": ("password: 127.0.0.1:", "does not let shop log in"),
    "sftp-host-key": ("host_key: 127.0.0.1:", "is not known to be the right server"),
    "sftp-folder": ("folder: 127.0.0.1 has no folder missing",),
    "sftp-full": ("full", "make room"),
    "ftp-password": ("password:",),
    "ftp-folder": ("folder: 127.0.0.1 has no folder missing",),
    "ftps-expired": ("expired",),
    "minio-secret": ("secret_key",),
    "minio-bucket": ("bucket",),
    "minio-read-only": ("PutObject",),
    "gdrive-key": ("does not accept the key of exports@",),
}
"""What the error of each platform says."""


def changed(platform: Platform, **fields: Any) -> Platform:
    return platform.model_copy(update=fields)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Platform]]:
    """Start servers, and yield a platform for each mistake that people make."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp
        sftp = stack.enter_context(run_asyncssh(folder("sftp"))).platform
        full = stack.enter_context(run_asyncssh(folder("full"), max_file_bytes=10_000)).platform
        ftp = stack.enter_context(run_pyftpdlib(folder("ftp"))).platform
        ftps = stack.enter_context(run_pyftpdlib(folder("ftps"), tls=True, expired=True)).platform
        store = stack.enter_context(run_seaweed(folder("minio")))
        minio = store.minio()
        reader = {"access_key": store.reader.access, "secret_key": store.reader.secret}
        drive = stack.enter_context(serve_drive(folder("drive")))[0].platform
        key = asyncssh.generate_private_key("ssh-rsa").export_private_key("pkcs8-pem").decode()
        account = {**json.loads(drive.credentials), "private_key": key}  # type: ignore[attr-defined]
        other_host = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        yield {
            "local-missing": Local(folder="/nowhere/exports"),
            "local-read-only": Local(folder="/sys/kernel"),
            "sftp-password": changed(sftp, password=secrets.token_hex(8)),
            "sftp-host-key": changed(sftp, host_key=other_host.strip()),
            "sftp-folder": changed(sftp, folder="missing"),
            "sftp-full": full,
            "ftp-password": changed(ftp, password=secrets.token_hex(8)),
            "ftp-folder": changed(ftp, folder="missing"),
            "ftps-expired": ftps,
            "minio-secret": changed(minio, secret_key=secrets.token_hex(16)),
            "minio-bucket": changed(minio, bucket="no-such-bucket"),
            "minio-read-only": changed(minio, **reader),
            "gdrive-key": changed(drive, credentials=json.dumps(account)),
        }


@dataclass(frozen=True)
class Seen:
    """A run that ended, and all that can be read of it."""

    run: Any
    logs: list[Any]
    files: bytes


@pytest.fixture(scope="module")
def seen(
    wrong: dict[str, Platform], sqlite_shop: str, tmp_path_factory: pytest.TempPathFactory
) -> Seen:
    """Run the web server and the daemon, export to all platforms by GraphQL, and read it all."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT_PIPELINES_PLATFORMS", str(home / "platforms.yaml"))
        name_platforms(wrong, patch)
        variables = {
            "DATABASE_URL": sqlite_shop,
            "EXPORT_PIPELINES_PLATFORMS": str(home / "platforms.yaml"),
            "EXPORT_PIPELINES_LOG_LEVEL": "DEBUG",
        }
        with start_webserver(home, **variables) as ask:
            run = wait(ask, launch(ask, "export_csv", platforms=list(wrong))["runId"])
            logs = list(read_logs(ask, run["runId"]))
    files = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    return Seen(run, logs, files)


def read_logs(ask: Ask, run_id: str) -> Iterator[Any]:
    """Yield all events of a run, with errors and their stacks."""
    cursor = None
    while True:
        found = ask(LOGS, runId=run_id, cursor=cursor)["logsForRun"]
        yield from found["events"]
        if not found["hasMore"]:
            return
        cursor = found["cursor"]


def failure(seen: Seen, name: str) -> str:
    """Return what a platform's step failed with."""
    step = f"deliver[{name.replace('-', '_')}]"
    [event] = [
        event
        for event in seen.logs
        if event["__typename"] == "ExecutionStepFailureEvent" and event["stepKey"] == step
    ]
    return str(event["error"]["message"])


def test_the_run_fails_and_its_files_stay(seen: Seen) -> None:
    assert seen.run["status"] == "FAILURE"
    assert seen.run["tags"]["export/error_code"].startswith("platform_")
    folder = Path(seen.run["tags"]["export/location"])
    assert [path.name for path in folder.iterdir()] == ["products.csv"]


@pytest.mark.parametrize("name", list(WORDS))
def test_each_says_what_is_wrong_at_once(seen: Seen, name: str) -> None:
    sentence = failure(seen, name)
    for words in WORDS[name]:
        assert words in sentence
    assert f"{name}: " in sentence
    [step] = [
        step
        for step in seen.run["stepStats"]
        if step["stepKey"] == f"deliver[{name.replace('-', '_')}]"
    ]
    assert step["status"] == "FAILURE"
    assert step["endTime"] - step["startTime"] < SECONDS


def test_nothing_that_can_be_read_has_a_secret(seen: Seen, wrong: dict[str, Platform]) -> None:
    answers = json.dumps([seen.run, seen.logs]).encode()
    assert len(seen.logs) > len(wrong)
    for platform in wrong.values():
        for secret in secrets_of(platform):
            for form in (secret.encode(), json.dumps(secret)[1:-1].encode()):
                assert form not in answers
                assert form not in seen.files


def secrets_of(platform: Platform) -> Iterator[str]:
    """Yield what of a platform must not be seen, and the lines of its keys."""
    for name in ("password", "private_key", "secret_key"):
        if value := getattr(platform, name, ""):
            yield value
    if credentials := getattr(platform, "credentials", ""):
        yield from json.loads(credentials)["private_key"].splitlines()[1:-1]
