import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from sqlalchemy import text

from export_pipelines.artifacts import Column, FieldType, Statement
from export_pipelines.catalog import reading
from export_pipelines.catalog.columns import spool_schema
from export_pipelines.catalog.database import (
    backend_of,
    begin,
    bulk_insert,
    create_schema,
    engine,
)
from export_pipelines.catalog.entities import entity
from export_pipelines.catalog.filters import parse_filters
from export_pipelines.catalog.keys import new_key
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.predicates import All
from export_pipelines.catalog.reading import Snapshot, open_snapshots
from export_pipelines.catalog.select import build_select, compile_select
from export_pipelines.errors import CatalogUnavailable, DataError
from export_pipelines_tests.catalog.test_database import SUPPLIERS, arrow, supplier
from export_pipelines_tests.servers.postgres import PostgresServer

FIELDS = entity("suppliers").fields


def read(
    snapshot: Snapshot, url: str, *fields: str, filters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    known = entity("suppliers")
    columns = [Column(name, known.fields[name].type) for name in fields]
    select = build_select(known, fields, parse_filters(filters or {}, known))
    statement = compile_select(select, backend_of(url))
    batches = snapshot.stream(statement, columns)
    return [row for batch in batches for row in batch.to_pylist()]


def write(url: str, *statements: str) -> None:
    """Write as another process does.

    In this process Python's SQLite would drop the locks of the driver's, which is another library.
    """
    if backend_of(url) == "sqlite":
        program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)"
        program += "; [c.execute(statement) for statement in sys.argv[2:]]"
        path = url.removeprefix("sqlite:///")
        subprocess.run([sys.executable, "-c", program, path, *statements], check=True)
        return
    with begin(url) as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_all_connections_see_the_moment_they_were_opened(url: str, connections: int) -> None:
    create_schema(url)
    rows = [supplier(f"s{number}", notes="old") for number in range(6)]
    bulk_insert(url, {SUPPLIERS: arrow(rows)})
    expected = [{"code": f"s{number}", "notes": "old"} for number in range(6)]
    with open_snapshots(url, connections) as snapshots:
        assert len(snapshots) == connections
        for round_ in range(2):
            write(
                url,
                f"UPDATE suppliers SET notes = 'new {round_}'",
                f"DELETE FROM suppliers WHERE code = 's{round_}'",
                "INSERT INTO suppliers (id, code, name, is_active, created_at, updated_at) "
                f"SELECT '{new_key()}', 'n{round_}', name, is_active, created_at, updated_at "
                "FROM suppliers WHERE code = 's5'",
            )
            for snapshot in snapshots:
                assert read(snapshot, url, "code", "notes") == expected
                assert snapshot.count(Statement("SELECT id FROM suppliers")) == 6
    with open_snapshots(url, connections) as snapshots:
        for snapshot in snapshots:
            assert [row["code"] for row in read(snapshot, url, "code")] == [
                "s2", "s3", "s4", "s5", "n0", "n1",
            ]  # fmt: skip


def test_opening_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    before = (tmp_path / "shop.db").read_bytes()
    with open_snapshots(url, 4) as snapshots:
        assert len(snapshots) == 4
        assert {snapshot.value(Statement("PRAGMA user_version")) for snapshot in snapshots} == {0}
    assert (tmp_path / "shop.db").read_bytes() == before


@contextmanager
def long_writer(path: Path) -> Iterator[None]:
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); print('writing', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == b"writing\n"
        yield
        process.stdin.close()


def test_a_long_writer_leaves_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a")])})
    monkeypatch.setattr(reading, "_GUARD_SECONDS", 0.05)
    with long_writer(tmp_path / "shop.db"), open_snapshots(url, 4) as snapshots:
        assert len(snapshots) == 1
        assert len(read(snapshots[0], url, "id")) == 1
    with open_snapshots(url, 4) as snapshots:
        assert len(snapshots) == 4


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write to read-only files, so it becomes somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_is_read_over_one_connection() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        path = folder / "shop.db"
        url = f"sqlite:///{path}"
        create_schema(url)
        bulk_insert(url, {SUPPLIERS: arrow([supplier("a"), supplier("b")])})
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        with open_snapshots(url, 3) as snapshots:
            assert len(snapshots) == 3
        path.chmod(0o444)
        folder.chmod(0o555)
        with ordinary_user(), open_snapshots(url, 3) as snapshots:
            assert len(snapshots) == 1
            assert [row["code"] for row in read(snapshots[0], url, "code")] == ["a", "b"]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_rows_are_in_the_order_of_their_keys_and_of_the_canonical_types(shop: str) -> None:
    known = entity("orders")
    stored = [found for found in known.fields.values() if found.derivation is None]
    columns = [Column(found.name, found.type) for found in stored]
    names = [column.name for column in columns]
    statement = compile_select(build_select(known, names, All()), backend_of(shop))
    with open_snapshots(shop) as (snapshot,):
        batches = list(snapshot.stream(statement, columns))
    assert {batch.schema for batch in batches} == {spool_schema(columns)}
    keys = [key for batch in batches for key in batch.column(0).to_pylist()]
    assert keys == sorted(keys)
    assert len(set(keys)) == 160


def test_a_column_may_be_empty_for_long_and_then_hold_text(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url, indexes=False)
    count = reading._BATCH_ROWS + 3_616
    rows = [
        supplier(str(number), notes=None, lead_time_days=None, line_1=None)
        for number in range(count)
    ]
    rows.append(supplier("last", notes="text at last", lead_time_days=7, line_1="7"))
    assert count >= 20_000
    bulk_insert(url, {SUPPLIERS: arrow(rows)})
    with open_snapshots(url) as (snapshot,):
        found = read(snapshot, url, "notes", "lead_time_days", "line_1", "contact_name")
    assert len(found) == count + 1
    assert {tuple(row.values()) for row in found[:-1]} == {(None, None, None, None)}
    assert tuple(found[-1].values()) == ("text at last", 7, "7", None)


@pytest.mark.parametrize("row", [0, 17_000])
@pytest.mark.parametrize(
    ("column", "stored", "reason"),
    [
        ("lead_time_days", "soon", r"'soon' as a scalar of type int64|INT64 but got STRING"),
        ("lead_time_days", 1.5, r"1\.5|INT64 but got DOUBLE"),
        ("created_at", "2024-01-01", r"'2024-01-01' as a scalar of type int64|INT64 but got"),
        ("created_at", 1.5, r"1\.5|INT64 but got DOUBLE"),
        ("created_at", 10**17, r"a time outside the years 1 to 9999"),
        ("created_at", -(10**17), r"a time outside the years 1 to 9999"),
        ("is_active", "maybe", r"maybe|INT64 but got STRING"),
        ("name", b"\xff\xfe", r"(?i)invalid utf8"),
    ],
)
def test_values_of_another_type_are_named_by_their_column(
    loose_shop: Path, row: int, column: str, stored: Any, reason: str
) -> None:
    url = f"sqlite:///{loose_shop}"
    with closing(sqlite3.connect(loose_shop)) as connection, connection:
        connection.execute(f"UPDATE suppliers SET {column} = ? WHERE code = ?", (stored, str(row)))
    with open_snapshots(url) as (snapshot,), pytest.raises(DataError) as caught:
        read(snapshot, url, "code", column)
    sentence = str(caught.value)
    assert sentence.startswith(f"A stored value of {column} is not of its column's type (")
    assert sentence.endswith(
        "correct it in the database, or leave the field out with exclude_fields."
    )
    with open_snapshots(url) as (snapshot,):
        assert len(read(snapshot, url, "code")) == 17_001


def test_text_that_is_not_utf8_is_refused(loose_shop: Path) -> None:
    with closing(sqlite3.connect(loose_shop)) as connection, connection:
        connection.execute("UPDATE suppliers SET name = CAST(x'41FF' AS TEXT) WHERE code = '5'")
    url = f"sqlite:///{loose_shop}"
    with (
        open_snapshots(url) as (snapshot,),
        pytest.raises(DataError, match=r"value of name .*UTF8"),
    ):
        read(snapshot, url, "name")


@pytest.fixture(scope="module")
def many_suppliers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loose") / "shop.db"
    create_schema(f"sqlite:///{path}", indexes=False)
    rows = [supplier(str(number)) for number in range(17_001)]
    bulk_insert(f"sqlite:///{path}", {SUPPLIERS: arrow(rows)})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path


@pytest.fixture
def loose_shop(many_suppliers: Path, tmp_path: Path) -> Path:
    """Return a SQLite file that a test may spoil; its batches end within the rows."""
    return Path(shutil.copy(many_suppliers, tmp_path / "shop.db"))


def test_times_outside_the_calendar_are_refused_on_postgres(postgres_database: str) -> None:
    columns = [Column("moment", FieldType.DATETIME)]
    for moment in ("infinity", "-infinity", "10000-01-01 00:00Z", "0001-01-01 00:00Z BC"):
        statement = Statement(f"SELECT CAST('{moment}' AS timestamptz(3)) AS moment")
        with (
            open_snapshots(postgres_database) as (snapshot,),
            pytest.raises(DataError, match="A stored value of moment"),
        ):
            list(snapshot.stream(statement, columns))
    edges = Statement(
        "SELECT CAST(m AS timestamptz(3)) AS moment FROM (VALUES ('0001-01-01 00:00Z'),"
        " ('9999-12-31 23:59:59.999Z'), (NULL)) AS v(m)"
    )
    with open_snapshots(postgres_database) as (snapshot,):
        (batch,) = snapshot.stream(edges, columns)
    assert batch.column(0).cast(pa.int64()).to_pylist() == [
        -62_135_596_800_000,
        253_402_300_799_999,
        None,
    ]


def test_a_long_value_does_not_match_what_it_begins_with(url: str) -> None:
    create_schema(url, indexes=False)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a", name="x" * 255, country_code="DE")])})
    with open_snapshots(url) as (snapshot,):
        assert len(read(snapshot, url, "id", filters={"name": "x" * 255})) == 1
        assert read(snapshot, url, "id", filters={"name": "x" * 256}) == []
        assert read(snapshot, url, "id", filters={"name": "x" * 254}) == []
        assert len(read(snapshot, url, "id", filters={"country_code": "DE"})) == 1
        assert read(snapshot, url, "id", filters={"country_code": "DEU"}) == []
        assert read(snapshot, url, "id", filters={"country_code": "DE "}) == []


def test_parameters_of_all_types_stream(url: str) -> None:
    create_schema(url, indexes=False)
    row = supplier("it's", lead_time_days=-3, minimum_order_cents=2**60, currency_code="JPY")
    bulk_insert(url, {SUPPLIERS: arrow([row, supplier("other")])})
    filters = {
        "code": "it's",
        "lead_time_days": "-3",
        "minimum_order_cents": 2**60,
        "minimum_order_float": float(2**60),
        "is_active": "true",
        "created_at": row["created_at"].isoformat(),
        "email": None,
        "id": row["id"],
    }
    with open_snapshots(url) as (snapshot,):
        assert [found["code"] for found in read(snapshot, url, "code", filters=filters)] == ["it's"]
        assert read(snapshot, url, "code", filters={**filters, "lead_time_days": 3}) == []


def test_missing_tables_say_how_to_make_them(tmp_path: Path, postgres: PostgresServer) -> None:
    (tmp_path / "empty.db").touch()
    urls = [f"sqlite:///{tmp_path / 'empty.db'}", postgres.create_database("without_tables")]
    for url in urls:
        with (
            open_snapshots(url) as (snapshot,),
            pytest.raises(CatalogUnavailable) as caught,
        ):
            snapshot.count(Statement("SELECT id FROM suppliers"))
        sentence = str(caught.value)
        assert sentence.startswith("The database has no such table. Create the sample shop with")
        assert "SELECT" not in sentence
        assert "suppliers" in sentence


@pytest.mark.parametrize("connections", [1, 3])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, connections: int) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes and no database. " * 100)
    with (
        pytest.raises(CatalogUnavailable, match=r"file is not a database$"),
        open_snapshots(f"sqlite:///{path}", connections),
    ):
        pass


def test_a_server_that_goes_away_is_explained(postgres_shop: str) -> None:
    with open_snapshots(postgres_shop) as (snapshot,):
        process = snapshot.value(Statement("SELECT pg_backend_pid()"))
        with closing(psycopg2.connect(postgres_shop)) as other, other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", (process,))
        with pytest.raises(CatalogUnavailable, match=r"^Reading from the database failed: "):
            snapshot.value(Statement("SELECT pg_sleep(5)"))


def test_a_server_is_not_waited_for_without_end() -> None:
    assert engine("postgresql://h/shop").url.query["connect_timeout"] == "15"
    assert engine("postgresql://h/shop?connect_timeout=3").url.query["connect_timeout"] == "3"


def test_a_value_of_no_row_is_none(url: str) -> None:
    create_schema(url, indexes=False)
    with open_snapshots(url) as (snapshot,):
        assert snapshot.value(Statement("SELECT id FROM suppliers")) is None
        assert read(snapshot, url, "id") == []


def test_models_are_the_tables_that_are_read(shop: str) -> None:
    with begin(shop) as connection, open_snapshots(shop) as (snapshot,):
        for name in Base.metadata.tables:
            expected = connection.scalar(text(f"SELECT count(*) FROM {name}"))
            assert snapshot.count(Statement(f"SELECT * FROM {name}")) == expected
