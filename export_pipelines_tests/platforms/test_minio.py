from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from time import monotonic
from typing import Any

import pytest
import trustme

from export_pipelines.errors import (
    PlatformError,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
)
from export_pipelines.platforms.minio import Minio
from export_pipelines_tests.contracts.platforms import content_of, staged
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.servers.s3 import ObjectStore, run_seaweed


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def store(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Run a store with TLS as well."""
    folder = tmp_path_factory.mktemp("store")
    pem, key = certificate(authority, folder)
    with run_seaweed(folder, certificate=pem, key=key) as running:
        yield running


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def certificate(
    authority: trustme.CA, folder: Path, host: str = "127.0.0.1", days: int = 1
) -> tuple[Path, Path]:
    """Write a certificate that is valid for some days, or was until some days ago, and its key."""
    now = datetime.now(timezone.utc)
    issued = authority.issue_cert(
        host, not_before=now - timedelta(days=9), not_after=now + timedelta(days=days)
    )
    pem, key = folder / "server.pem", folder / "server.key"
    issued.cert_chain_pems[0].write_to_path(pem)
    issued.private_key_pem.write_to_path(key)
    return pem, key


def changed(store: ObjectStore, **fields: Any) -> Minio:
    return store.minio().model_copy(update=fields)


def over_tls(store: ObjectStore, **fields: Any) -> Minio:
    return changed(store, endpoint_url=f"https://127.0.0.1:{store.https_port}", **fields)


def raised_by(platform: Minio) -> PlatformError:
    with pytest.raises(PlatformError) as raised, platform.connect():
        pass
    return raised.value


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("secret_key", "another", "refuses the secret key"),
        ("access_key", "nobody", "does not know the access key"),
        ("access_key", "", "There are no usable credentials"),
        ("bucket", "missing", "There is no bucket missing at http://127.0.0.1:"),
        ("bucket", "no/bucket", "no/bucket cannot be a bucket's name"),
        ("endpoint_url", "minio:9000", "minio:9000 is no address of a server"),
        ("endpoint_url", "http://127.0.0.1:99999", "There is no address of http://127.0.0.1:9"),
        ("endpoint_url", "http://nowhere.invalid", "http://nowhere.invalid is not known"),
        ("ca_file", "/nowhere.pem", "/nowhere.pem is no file of certificates"),
    ],
)
def test_the_wrong_field_is_named(store: ObjectStore, field: str, value: str, message: str) -> None:
    error = raised_by(changed(store, **{field: value}))
    assert isinstance(error, PlatformMisconfigured)
    assert error.field == field
    assert message in str(error)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wrong_clock_is_to_be_set(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    from botocore import auth

    now = auth.get_current_datetime

    def wrong(*arguments: Any, **options: Any) -> datetime:
        found: datetime = now(*arguments, **options)
        return found + timedelta(hours=hours)

    monkeypatch.setattr(auth, "get_current_datetime", wrong)
    error = raised_by(store.minio())
    assert isinstance(error, PlatformMisconfigured)
    assert "set this machine's clock" in str(error)


def test_an_account_that_may_only_read(store: ObjectStore, tmp_path: Path) -> None:
    with store.minio().connect() as connection:
        connection.put(staged(tmp_path / "a", b"abc"), "read.csv")
    reader = changed(store, access_key=store.reader.access, secret_key=store.reader.secret)
    with reader.connect() as connection:
        assert content_of(connection, "read.csv", tmp_path) == b"abc"
        with pytest.raises(PlatformRefused, match="may not do s3:PutObject in the bucket exports"):
            connection.put(staged(tmp_path / "a", b"abd"), "read.csv")
        with pytest.raises(PlatformRefused, match="may not do s3:DeleteObject"):
            connection.delete("read.csv")


def test_a_certificate_of_an_own_authority(
    store: ObjectStore, ca_file: str, tmp_path: Path
) -> None:
    with over_tls(store, ca_file=ca_file).connect() as connection:
        connection.put(staged(tmp_path / "a", b"abc"), "tls.csv")
        assert content_of(connection, "tls.csv", tmp_path) == b"abc"


def test_a_certificate_of_an_unknown_authority(store: ObjectStore, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    for ca_file in ("", str(tmp_path / "other.pem")):
        error = raised_by(over_tls(store, ca_file=ca_file))
        assert isinstance(error, PlatformMisconfigured)
        assert error.field == "ca_file"


@pytest.mark.parametrize(
    ("host", "days", "message"),
    [
        ("127.0.0.1", -1, "has expired: renew it there."),
        ("minio.example.com", 1, "is for another host name: correct endpoint_url."),
    ],
)
def test_a_certificate_that_is_wrong(
    authority: trustme.CA, ca_file: str, tmp_path: Path, host: str, days: int, message: str
) -> None:
    pem, key = certificate(authority, tmp_path, host, days)
    with run_seaweed(tmp_path, certificate=pem, key=key) as store:
        error = raised_by(over_tls(store, ca_file=ca_file))
    assert isinstance(error, PlatformMisconfigured)
    assert error.field == "endpoint_url"
    assert str(error).endswith(message)


def test_a_server_without_tls(store: ObjectStore) -> None:
    error = raised_by(changed(store, endpoint_url=f"https://127.0.0.1:{store.port}"))
    assert isinstance(error, PlatformMisconfigured)
    assert error.field == "endpoint_url"


@pytest.mark.parametrize("bucket", ["here", "missing"])
def test_a_web_page_is_no_store(store: ObjectStore, tmp_path: Path, bucket: str) -> None:
    # Python's web server sends those who ask for a folder to its name with a slash.
    (tmp_path / "here").mkdir()

    class Pages(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        error = raised_by(changed(store, endpoint_url=address, bucket=bucket))
        server.shutdown()
        thread.join()
    assert isinstance(error, PlatformMisconfigured)
    assert error.field == "endpoint_url"
    assert "does not speak the S3 protocol" in str(error)


def test_a_server_that_does_not_run(store: ObjectStore) -> None:
    error = raised_by(changed(store, endpoint_url=f"http://127.0.0.1:{free_port()}"))
    assert isinstance(error, PlatformUnavailable)
    assert str(error).startswith("Nothing listens at http://127.0.0.1:")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_answers_is_given_up_in_time(store: ObjectStore, scheme: str) -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        began = monotonic()
        error = raised_by(changed(store, endpoint_url=address, timeout_seconds=2))
        assert monotonic() - began < 4
    assert isinstance(error, PlatformUnavailable)


def test_a_profile_of_this_machine_is_not_used(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://nowhere.invalid")
    with store.minio().connect() as connection:
        assert connection.list("missing") == []


def test_the_location_has_no_secret() -> None:
    platform = Minio(endpoint_url="https://me:hidden@minio:9000/", bucket="b", folder="/in/")
    assert platform.location == "https://minio:9000/b/in"
