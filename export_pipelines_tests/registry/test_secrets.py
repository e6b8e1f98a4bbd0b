import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from export_pipelines.catalog.database import begin
from export_pipelines.errors import KeyUnavailable
from export_pipelines.registry import rows, secrets
from export_pipelines.registry.database import reading, state, writing
from export_pipelines.registry.models import PlatformRow
from export_pipelines.registry.platforms import find, put_fields
from export_pipelines.registry.secrets import decrypt, encrypt, rotate
from export_pipelines.settings import secret_key_file
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.registry import processes
from export_pipelines_tests.registry.processes import (
    DONE,
    FRESH,
    POINTS,
    WAIT_SECONDS,
    environment,
    race,
    register_platform,
    rotate_and_die,
    rotate_slowly,
)

SECRET = "pässwörd 'quoted'"
WRONG = (
    "The secrets of the registry cannot be read with the key {place}: it is another than that they "
    "were encrypted with. Put the right one back, or remove the platforms and webhooks and "
    "register them again."
)


def put_platform(name: str, password: str = SECRET) -> None:
    with writing() as session:
        row = PlatformRow(
            organization="default",
            name=name,
            platform_type="ftp",
            is_active=True,
            auto_upload=True,
            secrets="",
            secret_names=[],
        )
        put_fields(session, row, {"host": "h"}, {"password": password} if password else {}, {})
        rows.add(session, row)


def stored(name: str) -> PlatformRow:
    row = find("default", name)
    assert row is not None
    return row


def password(name: str) -> str:
    return decrypt(stored(name))["password"]


def remove_platforms() -> None:
    with writing() as session:
        for row in rows.all_of(session, PlatformRow, "default"):
            session.delete(row)


def keys() -> list[str]:
    return secret_key_file().read_text().split()


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_the_key_is_made_with_the_first_secret_for_its_owner_only(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        put_platform("without", password="")
        assert not secret_key_file().exists()
        put_platform("with")
    finally:
        os.umask(before)
    assert secret_key_file() == tmp_path / "home" / "registry.key"
    assert stat.S_IMODE(secret_key_file().stat().st_mode) == 0o600
    [key] = keys()
    put_platform("another")
    assert keys() == [key]
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"registry.db", "registry.key"}


def test_the_database_never_holds_a_secret(url: str) -> None:
    put_platform("mine")
    with begin(url) as connection:
        [found] = connection.execute(text("SELECT * FROM registry_platforms")).mappings()
        check = connection.scalar(text("SELECT key_check FROM registry_state"))
    assert found["secrets"]
    assert check
    for value in (*map(str, found.values()), str(check)):
        assert "quoted" not in value
        assert keys()[0] not in value
    assert password("mine") == SECRET


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_any_texts_are_read_as_they_were(own_settings: None, values: dict[str, str]) -> None:
    with writing() as session:
        token = encrypt(session, values)
    assert bool(token) == bool(values)
    assert decrypt(PlatformRow(id="none", secrets=token)) == values


def test_a_lost_key_is_named_and_not_replaced(url: str) -> None:
    put_platform("mine")
    secret_key_file().unlink()
    said = (
        f"The key of the registry's secrets is gone: there is no {secret_key_file()}, and "
        "EXPORT_PIPELINES_SECRET_KEY is not set. Put the file or the variable back; without it, "
        "remove the platforms and webhooks and register them again."
    )
    row = stored("mine")
    for act in (lambda: decrypt(row), lambda: put_platform("other"), rotate):
        with pytest.raises(KeyUnavailable) as refused:
            act()
        assert str(refused.value) == said
    assert not secret_key_file().exists()
    assert find("default", "other") is None
    assert stored("mine").secrets == row.secrets


def test_without_the_key_platforms_can_be_disabled_and_removed(url: str) -> None:
    put_platform("mine")
    secret_key_file().unlink()
    with writing() as session:
        rows.switch(rows.require(session, PlatformRow, "default", "mine"), is_active=False)
    assert not stored("mine").is_active
    put_platform("open", password="")
    remove_platforms()
    assert find("default", "mine") is None


@pytest.mark.parametrize("left", ["nothing", "another key"])
def test_once_nothing_is_encrypted_any_more_a_new_key_is_begun(url: str, left: str) -> None:
    put_platform("mine")
    put_platform("other")
    secret_key_file().unlink()
    another = new_key()
    if left == "another key":
        secret_key_file().write_text(another)
    with writing() as session:
        session.delete(rows.require(session, PlatformRow, "default", "mine"))
    with pytest.raises(KeyUnavailable):
        put_platform("mine")
    remove_platforms()
    put_platform("mine", "a new one")
    assert password("mine") == "a new one"
    assert (keys() == [another]) == (left == "another key")
    put_platform("other", "another one")
    assert password("other") == "another one"


def test_another_key_is_refused_for_reading_and_for_writing(url: str) -> None:
    put_platform("mine")
    [right] = keys()
    secret_key_file().write_text(new_key())
    said = WRONG.format(place=f"in {secret_key_file()}")
    row = stored("mine")
    for act in (lambda: decrypt(row), lambda: put_platform("other"), rotate):
        with pytest.raises(KeyUnavailable) as refused:
            act()
        assert str(refused.value) == said
    secret_key_file().write_text(right)
    assert password("mine") == SECRET


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 40, b"x" * 44, b"\0" * 32])
def test_what_is_no_key_is_said_to_be_none(content: bytes) -> None:
    put_platform("mine")
    secret_key_file().write_bytes(content)
    row = stored("mine")
    for act in (lambda: decrypt(row), lambda: put_platform("other"), rotate):
        with pytest.raises(KeyUnavailable) as refused:
            act()
        assert str(refused.value) == (
            f"The key in {secret_key_file()} is none: it must be 32 bytes in URL-safe base64, as "
            "'export-pipelines registry make-key' prints one."
        )
    assert secret_key_file().read_bytes() == content


def test_a_folder_in_the_key_s_place_is_named() -> None:
    secret_key_file().mkdir(parents=True)
    with pytest.raises(KeyUnavailable) as refused:
        put_platform("mine")
    assert str(refused.value) == (
        f"The key of the registry's secrets cannot be read from {secret_key_file()}: Is a "
        "directory. Correct what is there, or its permissions."
    )
    assert find("default", "mine") is None


def test_a_home_folder_that_cannot_be_written_is_named(
    on_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "file"))
    with pytest.raises(KeyUnavailable) as refused:
        put_platform("mine")
    assert str(refused.value).startswith(
        f"The key of the registry's secrets cannot be written to {secret_key_file()}: "
    )
    assert find("default", "mine") is None


def test_a_registry_elsewhere_needs_no_home_folder(on_postgres: str, tmp_path: Path) -> None:
    put_platform("mine")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["registry.key"]
    assert password("mine") == SECRET


def test_a_key_of_the_environment_needs_no_file(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", new_key())
    put_platform("mine")
    assert password("mine") == SECRET
    assert not secret_key_file().exists()
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", new_key())
    with pytest.raises(KeyUnavailable) as refused:
        password("mine")
    assert str(refused.value) == WRONG.format(place="in EXPORT_PIPELINES_SECRET_KEY")
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", "none")
    with pytest.raises(KeyUnavailable, match=r"^The key in EXPORT_PIPELINES_SECRET_KEY is none: "):
        password("mine")


def test_keys_of_the_environment_are_changed_one_after_the_other(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", old)
    put_platform("mine")
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", f" {new}, {old} ,")
    assert password("mine") == SECRET
    put_platform("other")
    assert rotate() == 2
    assert not secret_key_file().exists()
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", new)
    assert password("mine") == password("other") == SECRET
    put_platform("third")
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", old)
    with pytest.raises(KeyUnavailable):
        password("mine")


def test_the_environment_s_key_goes_before_the_file_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_platform("mine")
    [key] = keys()
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", new_key())
    with pytest.raises(KeyUnavailable):
        password("mine")
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", key)
    assert password("mine") == SECRET


def test_rotating_nothing_makes_nothing(url: str) -> None:
    assert rotate() == 0
    assert not secret_key_file().exists()


def test_after_a_rotation_only_the_new_key_is_needed(url: str) -> None:
    put_platform("without", password="")
    for name in ("mine", "other"):
        put_platform(name, f"of {name}")
    [old] = keys()
    assert rotate() == 2
    [new] = keys()
    assert new != old
    assert stat.S_IMODE(secret_key_file().stat().st_mode) == 0o600
    for name in ("mine", "other"):
        assert password(name) == f"of {name}"
    assert stored("without").secrets == ""
    put_platform("third")
    secret_key_file().write_text(old)
    for name in ("mine", "other", "third"):
        with pytest.raises(KeyUnavailable):
            password(name)


def test_one_damaged_secret_stops_a_rotation_and_harms_no_other(url: str) -> None:
    for name in ("mine", "other"):
        put_platform(name)
    with writing() as session:
        rows.require(session, PlatformRow, "default", "other").secrets = "damaged"
    with pytest.raises(KeyUnavailable):
        rotate()
    assert password("mine") == SECRET
    with writing() as session:
        session.delete(rows.require(session, PlatformRow, "default", "other"))
    assert rotate() == 1
    assert len(keys()) == 1
    assert password("mine") == SECRET


def test_what_was_read_before_rotations_is_read_after_them(url: str) -> None:
    put_platform("mine")
    before = stored("mine")
    for _ in range(3):
        rotate()
        assert decrypt(before) == {"password": SECRET}
    remove_platforms()
    with pytest.raises(KeyUnavailable):
        decrypt(before)


def test_rotations_may_end_while_a_secret_is_read_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_platform("mine")
    before = stored("mine")
    rotate()
    left = [1, 2]

    @contextmanager
    def then_rotated() -> Iterator[Session]:
        with reading() as session:
            yield session
        if left:
            left.pop()
            rotate()

    monkeypatch.setattr(secrets, "reading", then_rotated)
    assert decrypt(before) == {"password": SECRET}
    assert not left


@pytest.mark.parametrize("point", POINTS)
def test_a_rotation_that_is_killed_loses_nothing(url: str, point: str) -> None:
    for name in ("mine", "other"):
        put_platform(name, f"of {name}")
    [old] = keys()
    process = processes.start(rotate_and_die, environment(), point)
    process.join(WAIT_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    put_platform("third", "of third")
    names = ("mine", "other", "third")
    assert [password(name) for name in names] == [f"of {name}" for name in names]
    assert rotate() == 3
    [new] = keys()
    assert new != old
    assert [password(name) for name in names] == [f"of {name}" for name in names]


def test_a_writer_that_waits_for_a_rotation_uses_the_new_key(url: str) -> None:
    put_platform("mine")
    rotating, may_end = FRESH.Event(), FRESH.Event()
    rotation = processes.start(rotate_slowly, environment(), rotating, may_end)
    assert rotating.wait(WAIT_SECONDS)
    assert password("mine") == SECRET
    answers, alone = FRESH.Queue(), FRESH.Barrier(1)
    given: tuple[Any, ...] = (alone, answers, environment(), register_platform, ("other", "new"))
    writer = processes.start(processes.take_part, *given)
    writer.join(0.5)
    assert writer.exitcode is None
    may_end.set()
    assert answers.get(timeout=WAIT_SECONDS) == DONE
    for process in (rotation, writer):
        process.join(WAIT_SECONDS)
        assert process.exitcode == 0
    assert len(keys()) == 1
    assert password("mine") == SECRET
    assert password("other") == "new"


def test_two_rotations_at_the_same_moment_leave_the_key_that_is_needed(url: str) -> None:
    put_platform("mine")
    assert race(processes.rotate, [[4], [4]]) == [DONE] * 2
    assert len(keys()) == 1
    assert password("mine") == SECRET
    put_platform("other")


def test_reading_never_fails_while_keys_are_rotated(url: str) -> None:
    put_platform("mine")
    process = processes.start(processes.keep_rotating, environment(), 15)
    count = 0
    while process.is_alive() or not count:
        assert password("mine") == SECRET
        count += 1
    assert process.exitcode == 0
    assert count > 5


def test_a_key_is_there_before_it_is_needed(url: str) -> None:
    with writing() as session:
        encrypt(session, {"password": SECRET})
        assert len(keys()) == 1
        assert state(session).key_check
    with reading() as session:
        check = state(session).key_check
    assert Fernet(keys()[0]).decrypt(check) == secrets._CHECK
    assert SECRET not in check
