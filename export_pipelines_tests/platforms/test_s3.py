import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from export_pipelines.errors import PlatformError, PlatformMisconfigured
from export_pipelines.platforms.s3 import S3
from export_pipelines_tests.contracts.platforms import content_of, staged, trace_of
from export_pipelines_tests.servers.s3 import BUCKET, FOLDER, ObjectStore, run_seaweed

ROLE = "arn:aws:iam::000000000000:role/shop"
NOT_KNOWN = {"aws_access_key_id": "", "aws_secret_access_key": ""}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Run a store that gives out a role as well."""
    with run_seaweed(tmp_path_factory.mktemp("store"), role_arn=ROLE) as running:
        yield running


@pytest.fixture(autouse=True)
def no_settings_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: ObjectStore) -> None:
    """Keep tests from the AWS settings and the cloud of whoever runs them."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{store.port}")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    # The way to the emulator of Google Drive, where that runs, leads nowhere else.
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def changed(store: ObjectStore, **fields: Any) -> S3:
    return store.s3().model_copy(update=fields)


def raised_by(platform: S3) -> PlatformError:
    with pytest.raises(PlatformError) as raised, platform.connect():
        pass
    return raised.value


@pytest.mark.parametrize(
    ("field", "fields", "message"),
    [
        ("aws_secret_access_key", {}, "refuses the secret key"),
        ("aws_access_key_id", {"aws_access_key_id": "nobody"}, "does not know the access key"),
        ("aws_access_key_id", {"aws_secret_access_key": ""}, "no usable credentials"),
        ("aws_access_key_id", {"aws_access_key_id": ""}, "no usable credentials"),
        ("aws_access_key_id", NOT_KNOWN, "no usable credentials"),
        ("profile_name", {"profile_name": "missing"}, "correct profile_name"),
        ("region_name", {"endpoint_url": "", "region_name": "eu-nowhere-9"}, "eu-nowhere-9 is not"),
        ("role_arn", {"role_arn": "shop"}, "too short"),
    ],
)
def test_the_wrong_field_is_named(
    store: ObjectStore, field: str, fields: dict[str, str], message: str
) -> None:
    error = raised_by(changed(store, **{"aws_secret_access_key": "another", **fields}))
    assert isinstance(error, PlatformMisconfigured)
    assert error.field == field
    assert message in str(error)


def test_keys_of_a_profile(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        f"[shop]\naws_access_key_id = {store.keys.access}\n"
        f"aws_secret_access_key = {store.keys.secret}\n",
        encoding="utf-8",
    )
    with changed(store, profile_name="shop", **NOT_KNOWN).connect() as connection:
        assert connection.list("missing") == []


def test_keys_of_the_environment(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store.keys.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.keys.secret)
    with changed(store, **NOT_KNOWN).connect() as connection:
        assert connection.list("missing") == []


def test_a_role_is_taken(store: ObjectStore, tmp_path: Path) -> None:
    platform = changed(store, role_arn=ROLE, external_id="shop-1")
    with platform.connect() as connection:
        connection.put(staged(tmp_path / "a", b"abc"), "role.csv")
        assert content_of(connection, "role.csv", tmp_path) == b"abc"


def test_a_role_that_may_not_be_taken(store: ObjectStore) -> None:
    error = raised_by(changed(store, role_arn=f"{ROLE}-of-others"))
    assert isinstance(error, PlatformMisconfigured)
    assert error.field == "role_arn"


def test_storage_class_and_encryption_are_asked_for(store: ObjectStore, tmp_path: Path) -> None:
    platform = changed(store, storage_class="STANDARD_IA", server_side_encryption="AES256")
    with platform.connect() as connection:
        connection.put(staged(tmp_path / "a", b"abc"), "options.csv")
        head = connection._client.head_object(  # type: ignore[attr-defined]
            Bucket=BUCKET, Key=f"{FOLDER}/options.csv"
        )
    assert head["ServerSideEncryption"] == "AES256"
    assert head["StorageClass"] == "STANDARD_IA"


def test_a_token_is_shown_nowhere(
    store: ObjectStore, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    platform = changed(store, aws_session_token="temporary-token")
    error = raised_by(platform)
    assert isinstance(error, PlatformMisconfigured)
    shown = [trace_of(error), caplog.text, *capfd.readouterr(), repr(platform), str(platform)]
    assert "temporary-token" not in "".join(shown)
    assert store.keys.secret not in "".join(shown)


def test_settings_of_dagsters_own_resource_carry_over() -> None:
    from dagster_aws.s3 import S3Resource

    same = {"region_name", "endpoint_url", "profile_name"}
    same |= {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"}
    assert same <= set(S3Resource.model_fields)
    assert same <= set(S3.model_fields)


def test_the_location_names_amazon_or_the_server() -> None:
    assert S3(bucket="b", folder="in/").location == "s3://b/in"
    assert S3(bucket="b").location == "s3://b"
    assert S3(bucket="b", endpoint_url="https://s3.shop.org/").location == "https://s3.shop.org/b"
