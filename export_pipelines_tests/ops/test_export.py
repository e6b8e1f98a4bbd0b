"""What an export leaves behind when it cannot be done: one sentence, and no files."""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from sqlalchemy import delete, text

from export_pipelines.artifacts import ExportPlan, Shard, StagedFile
from export_pipelines.catalog.database import begin, bulk_insert, create_schema
from export_pipelines.definitions import defs
from export_pipelines.formats import FORMATS
from export_pipelines.ops.delivery import finish, upload
from export_pipelines.ops.export import (
    QueryConfig,
    chunk,
    compress,
    filter_records,
    query,
    serialize,
)
from export_pipelines.resources import Catalog, ExportStore, Staging
from export_pipelines_tests.catalog.test_database import SUPPLIERS, arrow, supplier
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.servers.postgres import PostgresServer

INJECTION = "x'; DROP TABLE products; -- \" %s ? $1 :name"


@dataclass(frozen=True)
class Failed:
    """What a failed run says."""

    code: str
    sentence: str
    everything: str


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def fail(exporter: Exporter, url: str, format_name: str = "csv", **config: Any) -> Failed:
    """Export what cannot be exported, and check what must hold for every failure."""
    exported = exporter.run(url, format_name, **config)
    return check_failed(exporter, exported.result.run_id)


def check_failed(exporter: Exporter, run_id: str) -> Failed:
    run = exporter.instance.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.FAILURE
    sentence = run.tags["export/error"]
    assert "Traceback" not in sentence
    assert "\n" not in sentence
    sentence.encode()
    if exporter.store.is_dir():
        assert files_below(exporter.store) == []
    events = [str(entry) for entry in exporter.instance.all_logs(run_id)]
    events += [json.dumps(dict(run.tags)), str(run.run_config)]
    return Failed(run.tags["export/error_code"], sentence, "\n".join(events))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"resource_type": "product"},
            "There is no resource type 'product'. Did you mean products",
        ),
        ({"resource_type": INJECTION}, "There is no resource type "),
        ({"fields": ["colour"]}, "fields: There is no products field 'colour'. "),
        ({"fields": [INJECTION]}, "fields: There is no products field "),
        ({"exclude_fields": ["colour"]}, "exclude_fields: There is no products field 'colour'."),
        ({"fields": ["sku"], "exclude_fields": ["sku"]}, "sku cannot be in both fields and excl"),
        ({"fields": ["sku", "id", "sku"]}, "fields names sku more than once"),
        ({"fields": ["\ud800", "\ud800"]}, "fields: There is no products field '\\ud800'."),
        (
            {"resource_type": "tax_categories", "exclude_fields": ["ALL"]},
            "exclude_fields: There is no tax_categories field 'ALL'.",
        ),
        (
            {"filters": {"colour": "red"}},
            "Filter 'colour': There is no products attribute 'colour'.",
        ),
        ({"filters": {INJECTION: 1}}, "Filter "),
        ({"filters": {"is_active": "yes"}}, "Filter 'is_active': 'yes' is not true or false,"),
        ({"filters": {"price_cents": "1.5"}}, "Filter 'price_cents': '1.5' is not a whole number,"),
        ({"filters": {"weight": "heavy"}}, "Filter 'weight': 'heavy' is not a number,"),
        (
            {"filters": {"created_at": "yesterday"}},
            "Filter 'created_at': 'yesterday' is not an ISO",
        ),
        ({"filters": {"name": ["a"]}}, "Filter 'name': eq compares with one value, not ['a']."),
        ({"filters": {"name": "a\0"}}, "Filter 'name': 'a\\x00' is not a text"),
        ({"filters": {"name": "\ud800"}}, "Filter 'name': '\\ud800' is not a text"),
        (
            {"filters": {"tags": ["a"]}},
            "Filter 'tags': tags is of type list, which has no matcher eq. Choose from ",
        ),
        (
            {"filters": {"status": "new"}},
            "Filter 'status': 'new' is not a value of status, which is one of draft",
        ),
        ({"includes": ["prices"]}, "includes: 'prices' cannot be exported with products."),
        ({"skip_blanks": True}, "skip_blanks is for JSON only: "),
        ({"date_from": "soon"}, "date_from: 'soon' is not a day such as"),
        ({"date_from": "2026-01-02", "date_to": "2026-01-01"}, "date_from 2026-01-02 is later"),
        ({"max_records": 0}, "max_records must be 1 or more, not 0."),
        ({"max_rows_per_file": 0}, "max_rows_per_file must be 1 or more, not 0."),
        ({"max_rows_per_file": -1}, "max_rows_per_file must be 1 or more, not -1."),
        ({"file_name": "a/b"}, "file_name 'a/b' cannot be a file's name: "),
        ({"file_name": "../../etc"}, "file_name '../../etc' cannot be a file's name: "),
        ({"file_name": "a\0"}, "file_name 'a\\x00' cannot be a file's name: "),
        ({"file_name": "x" * 300}, "file_name 'xxxx"),
        ({"file_name": "manifest"}, "file_name 'manifest' cannot be a file's name: "),
    ],
)
def test_requests_that_are_wrong(
    sqlite_shop: str, exporter: Exporter, config: Mapping[str, Any], sentence: str
) -> None:
    failed = fail(exporter, sqlite_shop, **config)
    assert failed.code == "request_invalid"
    assert failed.sentence.startswith(sentence)
    assert not exporter.staging.exists()


def test_sheets_that_do_not_exist(sqlite_shop: str, exporter: Exporter) -> None:
    failed = fail(exporter, sqlite_shop, "excel", include_sheets=["nope"])
    assert (failed.code, failed.sentence[:34]) == (
        "request_invalid",
        "There is no resource type 'nope'. ",
    )


@pytest.mark.parametrize(
    "config", [{"compression": "lz4"}, {"delimiter": "x"}, {"colour": "red"}, {"filters": ["a"]}]
)
def test_what_the_launchpad_refuses_does_not_start_a_run(
    sqlite_shop: str, exporter: Exporter, config: Mapping[str, Any]
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=next(iter(config))):
        exporter.run(sqlite_shop, "csv", **config)
    assert exporter.instance.get_runs() == []


def test_long_lists_of_what_is_allowed_are_whole(sqlite_shop: str, exporter: Exporter) -> None:
    failed = fail(exporter, sqlite_shop, resource_type="orders", fields=["x"])
    assert failed.sentence.endswith(" and updated_at.")
    assert len(failed.sentence) > 2_000


def test_nothing_matches(shop: str, exporter: Exporter) -> None:
    for value in (INJECTION, "no such name"):
        failed = fail(exporter, shop, filters={"name": value})
        assert failed.code == "no_records"
        assert failed.sentence.startswith("No products match {'name': ")
    assert exporter.succeed(shop, "csv", fields=["id"]).manifest["records_count"] == 1_145


def test_an_empty_catalogue(url: str, exporter: Exporter) -> None:
    create_schema(url, indexes=False)
    failed = fail(exporter, url)
    assert failed.code == "no_records"
    assert failed.sentence == (
        "There are no products in the catalogue: nothing was exported. "
        "Only those with is_bundle = false are ever exported. "
        "'export-pipelines sample' makes a sample shop; allow_empty allows a file without records."
    )


def test_rows_may_vanish_between_counting_and_reading(url: str, exporter: Exporter) -> None:
    create_schema(url, indexes=False)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a")])})
    plan = planned(exporter, url, resource_type="suppliers")
    with begin(url) as connection:
        connection.execute(delete(SUPPLIERS))
    with (
        dg.build_op_context(instance=exporter.instance) as context,
        pytest.raises(dg.Failure, match=r"^There are no suppliers in the catalogue: nothing"),
    ):
        list(chunk(context, plan, Catalog(database_url=url), staging_of(exporter)))
    assert files_below(exporter.staging) == []


def databases(tmp_path: Path, postgres: PostgresServer) -> dict[str, tuple[str, str]]:
    """Return databases that cannot be read, each with words of what is said about it."""
    (tmp_path / "notes.db").write_text("no database " * 500)
    (tmp_path / "empty.db").touch()
    password = postgres.url.split(":")[2].split("@")[0]
    return {
        "missing": ("sqlite:////nowhere/shop.db", "no SQLite database at /nowhere/shop.db: create"),
        "folder": (f"sqlite:///{tmp_path}", "There is no SQLite database at"),
        "other file": (f"sqlite:///{tmp_path / 'notes.db'}", "file is not a database"),
        "no tables": (f"sqlite:///{tmp_path / 'empty.db'}", "Create the sample shop with"),
        "memory": ("sqlite://", "name a file, such as sqlite:///shop.db."),
        "no URL": ("shop.db", "it looks like sqlite:///folder/shop.db"),
        "bad port": ("postgresql://shop:s3cr3t@h:port/x", "it looks like sqlite:///folder/shop.db"),
        "other kind": ("mysql://root:s3cr3t@db/shop", "mysql databases are not supported"),
        "closed port": ("postgresql://shop:s3cr3t@127.0.0.1:1/shop", "Connection refused"),
        "password in query": ("postgresql://u@127.0.0.1:1/x?password=s3cr3t", "u@127.0.0.1:1/x: "),
        "no such host": ("postgresql://shop:s3cr3t@no-such-host.invalid/shop", "host name"),
        "wrong password": (postgres.url.replace(password, "s3cr3t"), "authentication failed"),
        "no such database": (f"{postgres.url}-none", 'database "postgres-none" does not exist'),
    }


CASES = (
    "missing", "folder", "other file", "no tables", "memory", "no URL", "bad port", "other kind",
    "closed port", "password in query", "no such host", "wrong password", "no such database",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_databases_that_cannot_be_read(
    tmp_path: Path,
    postgres: PostgresServer,
    exporter: Exporter,
    case: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cases = databases(tmp_path, postgres)
    assert tuple(cases) == CASES
    url, words = cases[case]
    failed = fail(exporter, url)
    assert failed.code == "catalog_unavailable"
    assert words in failed.sentence
    assert "s3cr3t" not in failed.everything + "".join(capfd.readouterr())
    assert postgres.url.split(":")[2].split("@")[0] not in failed.everything
    assert files_below(tmp_path / "exports") == []


def test_a_server_that_accepts_but_does_not_answer(exporter: Exporter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://u:s3cr3t@127.0.0.1:{port}/shop?connect_timeout=2"
        failed = fail(exporter, url)
    assert failed.code == "catalog_unavailable"
    assert "timeout expired" in failed.sentence
    assert "s3cr3t" not in failed.everything


def test_a_successful_run_shows_no_password(postgres_shop: str, exporter: Exporter) -> None:
    password = postgres_shop.split(":")[2].split("@")[0]
    exported = exporter.succeed(postgres_shop, "csv", fields=["id"])
    entries = exporter.instance.all_logs(exported.result.run_id)
    text_of_all = "\n".join([*map(str, entries), str(exported.tags), json.dumps(exported.manifest)])
    assert "export/records_count" in text_of_all
    assert password not in text_of_all


def staging_of(exporter: Exporter) -> Staging:
    return Staging(folder=str(exporter.staging))


def planned(exporter: Exporter, url: str, format_name: str = "csv", **request: Any) -> ExportPlan:
    """Call the first two ops as functions."""
    catalog = Catalog(database_url=url)
    config = QueryConfig(format=format_name, request=request)
    with dg.build_op_context(instance=exporter.instance) as context:
        plan = query(context, config, catalog)
    with dg.build_op_context(instance=exporter.instance) as context:
        counted: ExportPlan = filter_records(context, plan, catalog)
    return counted


FULL = {
    "spool": ("staging", "spool/0-000000000000.arrow"),
    "serialize": ("staging", "files_1/products{extension}"),
    "compress": ("staging", "compressed/products{extension}.gz"),
    "archive": ("staging", "compressed/products.zip"),
    "manifest": ("staging", "manifest.json"),
}
"""What is a full disk in the place of which file: /dev/full answers as a full disk does."""


@pytest.mark.parametrize(
    ("stage", "format_name"),
    [
        ("spool", "csv"),
        ("serialize", "csv"),
        ("serialize", "json"),
        ("serialize", "excel"),
        ("serialize", "parquet"),
        ("compress", "csv"),
        ("compress", "json"),
        ("archive", "zip"),
        ("manifest", "csv"),
    ],
)
def test_a_full_disk_at_every_stage(
    sqlite_shop: str, exporter: Exporter, stage: str, format_name: str
) -> None:
    extension = {"excel": ".xlsx"}.get(format_name, f".{format_name}")
    area, name = FULL[stage]
    run_id = str(uuid4())
    target = exporter.folder / area / run_id / name.format(extension=extension)
    target.parent.mkdir(parents=True)
    target.symlink_to("/dev/full")
    config = {"compression": "gzip"} if stage == "compress" else {}
    run(exporter, sqlite_shop, format_name, run_id, config)
    failed = check_failed(exporter, run_id)
    assert failed.code == "storage_unavailable"
    assert failed.sentence.startswith("The disk is full")
    assert "make room" in failed.sentence
    if stage == "manifest":
        assert (exporter.staging / run_id / "files_1" / f"products{extension}").stat().st_size
    else:
        assert not target.parent.exists()


def run(
    exporter: Exporter, url: str, format_name: str, run_id: str, config: Mapping[str, Any]
) -> None:
    defs.resolve_job_def(f"export_{format_name}").execute_in_process(
        run_config=dict(config),
        instance=exporter.instance,
        resources={
            "catalog": Catalog(database_url=url),
            "store": ExportStore(folder=str(exporter.store)),
            "staging": staging_of(exporter),
        },
        raise_on_error=False,
        run_id=run_id,
    )


LIMITED = """
import resource, sys
from pathlib import Path
import dagster as dg
from export_pipelines_tests.exports import Exporter

with dg.DagsterInstance.ephemeral() as instance:
    exporter = Exporter(Path(sys.argv[2]), instance)
    exporter.succeed(sys.argv[1], "csv", fields=["id"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    exported = exporter.run(sys.argv[1], sys.argv[4])
    print(exported.tags.get("export/error_code"), exported.tags.get("export/error"))
"""


@pytest.mark.parametrize(("limit", "format_name"), [(60_000, "csv"), (700_000, "json")])
def test_files_that_the_system_does_not_let_grow(
    sqlite_shop: str, tmp_path: Path, limit: int, format_name: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, sqlite_shop, str(tmp_path), str(limit), format_name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("storage_unavailable The disk is full"), done.stdout + done.stderr
    assert len(files_below(tmp_path / "store")) == 2


@pytest.mark.parametrize("area", ["store", "staging"])
def test_folders_that_cannot_be_written(sqlite_shop: str, exporter: Exporter, area: str) -> None:
    exporter.folder.mkdir()
    (exporter.folder / area).touch()
    exported = exporter.run(sqlite_shop, "csv")
    assert exported.tags["export/error_code"] == "storage_unavailable"
    assert exported.error.startswith(f"Files cannot be written at {exporter.folder / area}")
    assert exported.error.endswith("correct the folder's place or permissions.")
    assert [name for name in files_below(exporter.folder) if name.startswith(area)] == [area]


def test_a_value_that_does_not_fit_its_column(tmp_path: Path, exporter: Exporter) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    bulk_insert(url, {SUPPLIERS: arrow([supplier("a"), supplier("b")])})
    with begin(url) as connection:
        connection.execute(text("UPDATE suppliers SET lead_time_days = 'soon' WHERE code = 'b'"))
    failed = fail(exporter, url, resource_type="suppliers")
    assert failed.code == "data_invalid"
    assert failed.sentence.startswith("A stored value of lead_time_days is not of its column's")
    assert files_below(exporter.staging) == []
    exporter.succeed(url, "csv", resource_type="suppliers", exclude_fields=["lead_time_days"])


def test_ops_can_be_called_one_after_the_other(shop: str, exporter: Exporter) -> None:
    catalog, staging = Catalog(database_url=shop), staging_of(exporter)
    store = ExportStore(folder=str(exporter.store))
    plan = planned(exporter, shop, "csv", fields=["id"], max_rows_per_file=500, compression="gzip")
    assert plan.records_count == 1_145

    def context() -> Any:
        return dg.build_op_context(instance=exporter.instance)

    outputs = {
        output.output_name: output.value for output in chunk(context(), plan, catalog, staging)
    }
    plan, shard = outputs["plan"], outputs["shards"]
    assert isinstance(shard, Shard)
    assert [part.rows for part in shard.parts] == [500, 500, 145]
    written: list[StagedFile] = serialize(context(), plan, shard, staging)
    assert [file.rows for file in written] == [500, 500, 145]
    assert {file.sha256 for file in written} == {""}
    compressed: list[StagedFile] = compress(context(), plan, written, staging)
    assert [file.name for file in compressed] == [f"{file.name}.gz" for file in written]
    assert all(len(file.sha256) == 64 for file in compressed)
    [stored] = upload(context(), plan, [compressed], staging, store)
    finished = finish(context(), plan, stored.value, [], staging, store)
    assert finished["manifest"]["records_count"] == plan.records_count
    assert files_below(Path(finished["location"])) == sorted(
        ["manifest.json", *(f.name for f in compressed)]
    )
    assert files_below(exporter.staging) == []


def test_ops_say_what_is_wrong_when_called_alone(exporter: Exporter, sqlite_shop: str) -> None:
    plan = planned(exporter, sqlite_shop)
    gone = Shard(1, ())
    with dg.build_op_context(instance=exporter.instance) as context:
        assert serialize(context, plan, gone, staging_of(exporter)) == []
    missing = StagedFile("/nowhere/products.csv", "products.csv", 1, 1)
    for format_name in ("csv", "zip"):
        other = replace(plan, format=format_name, compression=FORMATS[format_name].compressions[-1])
        with (
            dg.build_op_context(instance=exporter.instance) as context,
            pytest.raises(dg.Failure, match=r"^Files cannot be written at /nowhere/products\.csv"),
        ):
            compress(context, other, [missing], staging_of(exporter))
