import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from threading import Barrier

import pytest
from sqlalchemy import select, text

from export_pipelines import settings
from export_pipelines.clock import written
from export_pipelines.errors import KeyUnavailable
from export_pipelines.registry import secrets, signing
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import SigningKeyRow
from export_pipelines.registry.signing import (
    LONGEST_SECONDS,
    known_signing_keys,
    rotate_signing_key,
    signing_keys,
)
from export_pipelines_tests.registry.processes import register_platform


def stored() -> list[SigningKeyRow]:
    with reading() as session:
        return list(session.scalars(select(SigningKeyRow)))


def age_retired(seconds: int) -> None:
    """Have all keys that were retired be so for that long."""
    retired = written(datetime.now(timezone.utc) - timedelta(seconds=seconds))
    with writing() as session:
        for row in session.scalars(select(SigningKeyRow)):
            row.retired_at = row.retired_at and retired


def test_the_first_key_is_made_once_and_stays(url: str) -> None:
    assert stored() == []
    (key,) = signing_keys()

    assert len(key) == 32
    assert signing_keys() == [key]
    (row,) = stored()
    assert key.hex() not in row.secrets
    assert row.retired_at is None


def test_threads_that_begin_at_once_make_one_key() -> None:
    barrier = Barrier(4)

    def begin() -> list[bytes]:
        barrier.wait()
        return signing_keys()

    with ThreadPoolExecutor(4) as pool:
        found = [each.result() for each in [pool.submit(begin) for _ in range(4)]]

    assert found == [signing_keys()] * 4
    assert len(stored()) == 1


def test_the_newest_key_signs_and_those_before_it_are_good(url: str) -> None:
    first = signing_keys()
    rotate_signing_key()
    second = signing_keys()
    time.sleep(0.002)
    rotate_signing_key()
    third = signing_keys()

    assert second[1:] == first
    assert third[1:] == second
    assert len(set(third)) == 3
    assert sum(row.retired_at is None for row in stored()) == 1


def test_a_key_is_good_as_long_as_what_it_has_signed() -> None:
    old = signing_keys()
    rotate_signing_key()

    age_retired(LONGEST_SECONDS - 60)
    assert signing_keys()[1:] == old
    age_retired(LONGEST_SECONDS + 1)
    assert len(signing_keys()) == 1
    assert len(stored()) == 2


def test_a_rotation_deletes_keys_of_which_nothing_is_good() -> None:
    signing_keys()
    rotate_signing_key()
    age_retired(LONGEST_SECONDS + 1)
    current = signing_keys()
    rotate_signing_key()

    assert signing_keys()[1:] == current
    assert len(stored()) == 2


def test_the_key_of_secrets_may_be_another_one_later() -> None:
    keys = signing_keys()
    secrets.rotate()

    assert signing_keys() == keys


def test_where_nothing_else_is_encrypted_a_lost_key_is_made_anew() -> None:
    first = signing_keys()
    settings.secret_key_file().unlink()

    again = signing_keys()
    assert len(again) == 1
    assert again != first
    assert signing_keys() == again


def test_keys_that_cannot_be_read_are_an_error_where_others_are_encrypted_too() -> None:
    signing_keys()
    register_platform("partner", "a password")
    settings.secret_key_file().unlink()

    with pytest.raises(KeyUnavailable, match="The key of the registry's secrets is gone"):
        signing_keys()
    with pytest.raises(KeyUnavailable):
        rotate_signing_key()
    assert len(stored()) == 1


def test_known_keys_are_read_again_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    first = known_signing_keys()
    began = time.monotonic()
    rotate_signing_key()

    assert known_signing_keys() == first
    monkeypatch.setattr(time, "monotonic", lambda: began + 6)
    assert known_signing_keys() == signing_keys() != first


def test_known_keys_are_those_of_the_registry_that_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = known_signing_keys()
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path_factory.mktemp("another")))

    assert known_signing_keys() != first


def test_known_keys_need_no_registry() -> None:
    first = known_signing_keys()
    with writing() as session:
        session.execute(text("DROP TABLE registry_signing_keys"))

    assert known_signing_keys() == first


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests from the keys of each other's registries."""
    monkeypatch.setattr(signing, "_known", {})
