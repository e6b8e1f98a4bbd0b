import errno
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from export_pipelines import settings
from export_pipelines.catalog.database import begin
from export_pipelines.errors import RegistryUnavailable
from export_pipelines.records import make_records
from export_pipelines.registry import database, rows
from export_pipelines.registry.database import (
    REVISION,
    is_dry_run,
    reading,
    schedules_revision,
    state,
    writing,
)
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.secrets import decrypt
from export_pipelines_tests.registry.processes import (
    DONE,
    FRESH,
    WAIT_SECONDS,
    count_up,
    environment,
    make_registries,
    race,
    register_platform,
    register_profile,
    register_schedule,
    start,
)
from export_pipelines_tests.servers.process import free_port

ROUNDS = 3


def profile(name: str) -> ProfileRow:
    return ProfileRow(organization="default", name=name, is_active=True, format="csv", request={})


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Give up the right to write everywhere, if this is root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def put_profile(name: str) -> None:
    with writing() as session:
        rows.add(session, profile(name))


def value_of(row: PlatformRow | ProfileRow | ScheduleRow) -> Any:
    """Return what one of those gave who wanted to be first."""
    if isinstance(row, PlatformRow):
        return decrypt(row)["password"]
    return row.request["resource_type"] if isinstance(row, ProfileRow) else row.cron_expression


def start_over(url: str) -> None:
    """Have no registry and no key of it."""
    for path in settings.home_folder().glob("registry*"):
        path.unlink()
    if not url.startswith("sqlite"):
        with begin(url) as connection:
            for table in tables(url):
                connection.execute(text(f"DROP TABLE {table}"))


def profile_names() -> list[str]:
    with reading() as session:
        return [row.name for row in rows.all_of(session, ProfileRow, "default")]


def tables(url: str) -> list[str]:
    catalogue = "sqlite_master" if url.startswith("sqlite") else "pg_tables"
    column = "name" if url.startswith("sqlite") else "tablename"
    with begin(url) as connection:
        statement = f"SELECT {column} FROM {catalogue} WHERE {column} LIKE 'registry%'"
        return sorted(connection.scalars(text(statement)))


def test_a_missing_file_is_empty_and_stays_missing(tmp_path: Path) -> None:
    assert schedules_revision() == 0
    assert profile_names() == []
    with reading() as session:
        assert state(session).key_check == ""
    assert not (tmp_path / "home").exists()


def test_reading_makes_no_tables_and_writing_makes_them(url: str) -> None:
    assert profile_names() == []
    if not url.startswith("sqlite"):
        assert tables(url) == []
    put_profile("first")
    assert profile_names() == ["first"]
    assert {"registry_platforms", "registry_state", "registry_version"} <= set(tables(url))


def test_an_empty_file_is_an_empty_registry(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "registry.db").touch()
    assert profile_names() == []
    put_profile("first")
    assert profile_names() == ["first"]


def test_reading_sees_one_moment(url: str) -> None:
    put_profile("first")
    with reading() as session:
        before = [row.name for row in rows.all_of(session, ProfileRow, "default")]
        put_profile("second")
        again = [row.name for row in rows.all_of(session, ProfileRow, "default")]
        assert state(session).schedules_revision == 0
    assert before == again == ["first"]
    assert profile_names() == ["first", "second"]


def test_a_write_that_raises_leaves_nothing(url: str) -> None:
    put_profile("first")

    def fail() -> None:
        with writing() as session:
            rows.changed(session)
            rows.add(session, profile("half"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert profile_names() == ["first"]
    assert schedules_revision() == 0


def test_a_first_write_that_raises_leaves_an_empty_registry(url: str) -> None:
    with pytest.raises(ZeroDivisionError), writing():
        raise ZeroDivisionError
    assert profile_names() == []
    put_profile("first")
    assert profile_names() == ["first"]


def test_a_write_waits_for_the_one_before(url: str) -> None:
    put_profile("first")
    done = threading.Event()

    def write() -> None:
        put_profile("third")
        done.set()

    other = threading.Thread(target=write)
    with writing() as session:
        other.start()
        assert not done.wait(0.3)
        assert rows.find(session, ProfileRow, "default", "third") is None
        rows.add(session, profile("second"))
    other.join(20)
    assert done.is_set()
    assert profile_names() == ["first", "second", "third"]


def test_a_write_does_not_wait_for_readers(url: str) -> None:
    put_profile("first")
    with reading() as session:
        rows.all_of(session, ProfileRow, "default")
        put_profile("second")


def test_no_count_is_lost_between_two_processes(url: str) -> None:
    assert race(count_up, [[10], [10]]) == [DONE, DONE]
    assert schedules_revision() == 20


@pytest.mark.parametrize(
    ("work", "kind", "model", "given"),
    [
        (register_platform, "platform", PlatformRow, ["one", "other"]),
        (register_profile, "profile", ProfileRow, ["products", "categories"]),
        (register_schedule, "schedule", ScheduleRow, ["@daily", "0 9 * * 1"]),
    ],
)
def test_of_two_processes_that_register_a_name_one_wins(
    url: str, work: Any, kind: str, model: Any, given: list[str]
) -> None:
    lost = f"NameTaken: There is already a {kind} 'mine'"
    if work is register_schedule:
        make_records()
    for _ in range(ROUNDS):
        answers = race(work, [["mine", value] for value in given])
        assert len([answer for answer in answers if answer == DONE]) == 1, answers
        assert len([answer for answer in answers if answer.startswith(lost)]) == 1, answers
        with reading() as session:
            [row] = session.scalars(select(model)).all()
        assert row.name == "mine"
        assert value_of(row) in given
        start_over(url)


def test_processes_that_make_a_registry_at_the_same_moment_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [str(tmp_path / f"home {number}") for number in range(12)]
    barrier, answers = FRESH.Barrier(3), FRESH.Queue()
    given = (barrier, answers, environment(), homes)
    started = [start(make_registries, *given) for _ in range(3)]
    found = [answers.get(timeout=WAIT_SECONDS) for _ in range(3 * len(homes))]
    for process in started:
        process.join(WAIT_SECONDS)
    assert found == [DONE] * 3 * len(homes)
    for home in homes:
        monkeypatch.setenv("EXPORT_PIPELINES_HOME", home)
        assert schedules_revision() == 3


def test_two_processes_register_different_names(url: str) -> None:
    for number in range(ROUNDS):
        names = [f"{number}-{letter}" for letter in "abc"]
        assert race(register_platform, [[name, name] for name in names]) == [DONE] * 3
    with reading() as session:
        assert len(rows.all_of(session, PlatformRow, "default")) == 3 * ROUNDS


def test_a_newer_registry_is_left_alone(url: str) -> None:
    put_profile("first")
    with begin(url) as connection:
        connection.execute(text("UPDATE registry_version SET version_num = '9999'"))
    for opened in (reading, writing):
        with pytest.raises(RegistryUnavailable) as refused, opened():
            pytest.fail("it was opened")
        assert str(refused.value) == (
            "The registry's tables are of revision 9999, and this version of export-pipelines "
            f"knows {REVISION}: install the newer version again."
        )


def test_an_unreachable_server_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"postgresql://shop:s3cret%40word@127.0.0.1:{free_port()}/registry"
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", url)
    for opened in (reading, writing):
        with pytest.raises(RegistryUnavailable) as refused, opened():
            pytest.fail("it was opened")
        said = str(refused.value)
        assert said.startswith("The registry's database does not answer: connection to server at ")
        assert said.endswith(". Start it, or correct EXPORT_PIPELINES_REGISTRY_URL.")
        assert "s3cret" not in said


def test_a_wrong_password_is_not_shown(on_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = on_postgres.rpartition("@")[2]
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", f"postgresql://s3cret:s3cret@{host}")
    with pytest.raises(RegistryUnavailable, match="password authentication failed") as refused:
        schedules_revision()
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_registry_in_memory_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", url)
    for opened in (reading, writing):
        with pytest.raises(RegistryUnavailable) as refused, opened():
            pytest.fail("it was opened")
        assert str(refused.value) == (
            "The registry cannot be opened: An in-memory SQLite database ends with its only "
            "connection: name a file."
        )


@pytest.mark.parametrize("url", ["mysql://h/x", "nonsense", "postgresql://h:port/x"])
def test_other_databases_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", url)
    with pytest.raises(RegistryUnavailable, match=r"^The registry cannot be opened: .*sqlite:///"):
        schedules_revision()


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(RegistryUnavailable) as refused:
        put_profile("first")
    path = tmp_path / "file" / "home" / "registry.db"
    assert str(refused.value) == (
        f"The registry cannot be made at {path}: Not a directory. Correct "
        "EXPORT_PIPELINES_HOME or EXPORT_PIPELINES_REGISTRY_URL."
    )


def test_nothing_is_left_beside_a_new_registry(tmp_path: Path) -> None:
    put_profile("first")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["registry.db"]


def test_a_folder_in_the_file_s_place_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "home" / "registry.db").mkdir(parents=True)
    for act in (profile_names, schedules_revision):
        with pytest.raises(RegistryUnavailable, match="unable to open database file"):
            act()


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "registry.db"
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)
    before = path.read_bytes()
    for opened in (reading, writing):
        with pytest.raises(RegistryUnavailable, match="file is not a database"), opened():
            pytest.fail("it was opened")
    assert path.read_bytes() == before


def test_the_catalogue_s_database_may_hold_the_registry_too(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", shop)
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", shop)
    with begin(shop) as connection:
        before = connection.scalar(text("SELECT count(*) FROM products"))
    put_profile("first")
    assert profile_names() == ["first"]
    with begin(shop) as connection:
        assert connection.scalar(text("SELECT count(*) FROM products")) == before
        for table in tables(shop):
            connection.execute(text(f"DROP TABLE {table}"))


def test_a_lock_that_is_not_given_back_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_profile("first")
    monkeypatch.setattr(database, "_LOCK_MS", 200)
    monkeypatch.setattr("export_pipelines.catalog.database._BUSY_TIMEOUT_MS", 200)
    with writing(), pytest.raises(RegistryUnavailable, match=r"lock(ed| timeout)"):
        put_profile("second")
    put_profile("second")


def test_what_others_get_wrong_is_not_blamed_on_the_database() -> None:
    with pytest.raises(FileNotFoundError), writing():
        Path("/nowhere/at/all").read_bytes()


def test_a_registry_in_sqlite_is_written_ahead(tmp_path: Path) -> None:
    put_profile("first")
    with closing(sqlite3.connect(tmp_path / "home" / "registry.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_default_is_a_file_in_the_home_folder(tmp_path: Path) -> None:
    assert settings.registry_url() == f"sqlite:///{tmp_path}/home/registry.db"
    put_profile("first")
    assert Profile("first", "csv").run_config == {"platforms": None}


@pytest.mark.parametrize("failing", ["upgrade", "link"])
def test_a_registry_that_could_not_be_made_leaves_nothing(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner = database if failing == "upgrade" else os
    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises(RegistryUnavailable, match="No space left on device"):
        put_profile("first")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:///file:/path?uri=true", "sqlite:///file:shop.db"])
def test_a_file_uri_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", url)
    for opened in (reading, writing):
        with pytest.raises(RegistryUnavailable) as refused, opened():
            pytest.fail("it was opened")
        assert str(refused.value) == (
            "The registry cannot be opened: A registry cannot be named as a file: URI. Write its "
            "path, as in sqlite:///folder/registry.db."
        )
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_makes_nothing(url: str, tmp_path: Path) -> None:
    with writing(dry_run=True) as session:
        assert is_dry_run(session)
        assert rows.all_of(session, ProfileRow, "default") == []
        rows.add(session, profile("first"))
        session.flush()
        session.rollback()
    assert not (tmp_path / "home").exists()
    if not url.startswith("sqlite"):
        assert tables(url) == []
    with writing() as session:
        assert not is_dry_run(session)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"organization": "x" * 150}, "value too long for type character varying(100)"),
        ({"request": {"filters": {"price": float("nan")}}}, "invalid input syntax for type json"),
    ],
)
def test_a_value_that_postgres_does_not_take_is_not_its_absence(
    on_postgres: str, fields: dict[str, Any], reason: str
) -> None:
    row = profile("first")
    for name, value in fields.items():
        setattr(row, name, value)
    with pytest.raises(RegistryUnavailable) as refused, writing() as session:
        rows.add(session, row)
    assert str(refused.value) == (
        f"The registry's database does not take a value: {reason}. Correct it."
    )


def test_any_text_of_a_request_comes_back(url: str) -> None:
    text = "\0\x1f\u2028 𝄞 \\u0000 'quoted' \"twice\""
    with writing() as session:
        row = profile("first")
        row.request = {"rename": {text: text}}
        rows.add(session, row)
    with reading() as session:
        found = rows.require(session, ProfileRow, "default", "first")
    assert found.request == {"rename": {text: text}}


def test_a_folder_that_may_not_be_written_to_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(home))
    put_profile("first")
    try:
        (home / "registry.db").chmod(0o444)
        home.chmod(0o555)
        for opened in (reading, writing):
            with ordinary_user(), pytest.raises(RegistryUnavailable) as refused, opened():
                pytest.fail("it was opened")
            said = str(refused.value)
            assert said.startswith(f"The registry at {home}/registry.db cannot be opened (")
            assert "Give this user the right to write to the file and its folder" in said
    finally:
        home.chmod(0o755)
        shutil.rmtree(home)
