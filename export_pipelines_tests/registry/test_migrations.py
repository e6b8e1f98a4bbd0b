import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Boolean, Column, Integer, MetaData, String, Table, select

from export_pipelines.catalog.database import begin
from export_pipelines.registry import database, migrations
from export_pipelines.registry.database import (
    REVISION,
    VERSION_TABLE,
    reading,
    revision_of,
    schedules_revision,
    state,
    upgrade,
    writing,
)
from export_pipelines.registry.models import Base
from export_pipelines_tests.registry.processes import DONE, count_up, race


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


REVISIONS = [script.revision for script in scripts().walk_revisions()]
AWKWARD = "é'\"\\%s:{}\u2028👩‍👧 \t;--"
DOCUMENT: dict[str, Any] = {
    AWKWARD: [None, True, 1.5, -(2**53), "", {"env": "PASSWORD"}, []],
    "": "\x01\ufeff",
}


def tables(connection: Any) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return [
        table
        for name, table in metadata.tables.items()
        if name.startswith("registry_") and name != VERSION_TABLE
    ]


def value(column: "Column[Any]", row: int) -> Any:
    """Return an awkward value for a column: the longest and strangest that fits it."""
    if column.nullable and row:
        return None
    if isinstance(column.type, JSON):
        return DOCUMENT if row else [AWKWARD, ""]
    if isinstance(column.type, Boolean):
        return bool(row)
    if isinstance(column.type, Integer):
        return 2**31 - 1 - row
    assert isinstance(column.type, String)
    text = f"{row}{AWKWARD}" * 200
    return text[: column.type.length or len(text)]


def fill(connection: Any) -> None:
    for table in tables(connection):
        if table.name == "registry_state":
            values = {
                column.name: value(column, 0) for column in table.columns if column.name != "id"
            }
            connection.execute(table.update().values(values))
            continue
        for row in range(2):
            values = {column.name: value(column, row) for column in table.columns}
            connection.execute(table.insert().values(values))


def contents(connection: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        table.name: [
            dict(row._mapping)
            for row in connection.execute(select(table).order_by(*table.primary_key.columns))
        ]
        for table in tables(connection)
    }


def folder_of(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True)


def differences(url: str) -> list[Any]:
    with begin(url) as connection:
        options = {
            "compare_type": True,
            "version_table": VERSION_TABLE,
        }
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Base.metadata))


def test_there_is_one_newest_revision_at_which_this_version_works() -> None:
    assert scripts().get_heads() == [REVISION]
    assert sorted(REVISIONS, reverse=True) == REVISIONS, "newer ones sort after older ones"


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_is_stored_outlives_an_upgrade(url: str, revision: str) -> None:
    folder_of(url)
    with begin(url) as connection:
        upgrade(connection, revision)
        fill(connection)
        before = contents(connection)
        assert revision_of(connection) == revision
    assert all(len(found) == 2 for name, found in before.items() if name != "registry_state")
    with reading() as session:
        assert state(session).schedules_revision == 2**31 - 1
    with writing():
        pass
    with begin(url) as connection:
        after = contents(connection)
        assert revision_of(connection) == REVISION
    for name, found in before.items():
        for old, new in zip(found, after[name], strict=True):
            assert {column: new[column] for column in old} == old
    assert differences(url) == []


def test_models_are_what_the_migrations_make(url: str) -> None:
    with writing():
        pass
    assert differences(url) == []


def test_differences_would_be_seen(url: str) -> None:
    with writing():
        pass
    with begin(url) as connection:
        connection.exec_driver_sql("ALTER TABLE registry_profiles ADD COLUMN forgotten TEXT")
    assert [found[0] for found in differences(url)] == ["remove_column"]


def test_an_empty_registry_looks_like_one_that_was_made(url: str) -> None:
    with reading() as session:
        empty = state(session)
        nothing = (empty.id, empty.schedules_revision, empty.key_check)
    with writing():
        pass
    with reading() as session:
        made = state(session)
        assert (made.id, made.schedules_revision, made.key_check) == nothing == (1, 0, "")


@pytest.mark.parametrize("revision", ["", *REVISIONS])
def test_processes_that_migrate_at_the_same_moment_do_it_once(url: str, revision: str) -> None:
    if revision:
        folder_of(url)
        with begin(url) as connection:
            upgrade(connection, revision)
    assert race(count_up, [[1]] * 3) == [DONE] * 3
    assert schedules_revision() == 3
    with begin(url) as connection:
        assert revision_of(connection) == REVISION


def test_threads_that_migrate_at_the_same_moment_do_it_once(url: str) -> None:
    ready = threading.Barrier(4)

    def count() -> None:
        ready.wait(20)
        count_up(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert schedules_revision() == 4


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: Any) -> None:
        upgrade(connection)
        raise ZeroDivisionError

    monkeypatch.setattr(database, "upgrade", half)
    with pytest.raises(ZeroDivisionError), writing():
        pytest.fail("it was opened")
    with begin(url) as connection:
        assert tables(connection) == []
        assert revision_of(connection) == ""
    monkeypatch.undo()


def test_a_percent_sign_in_the_folder_is_none_of_alembic_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "100 %(here)s é"))
    with writing() as session:
        state(session).schedules_revision = 7
    assert schedules_revision() == 7
