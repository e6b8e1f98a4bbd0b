import subprocess
import sys
from typing import Any

import dagster as dg
import pytest

from export_pipelines.catalog.entities import ENTITIES, TABLES
from export_pipelines.definitions import defs
from export_pipelines.formats import FORMATS

SHARED: dict[str, Any] = {
    "resource_type": "products",
    "fields": [],
    "exclude_fields": [],
    "includes": [],
    "filters": {},
    "date_from": "",
    "date_to": "",
    "skip_ids": False,
    "skip_rel_ids": False,
    "skip_timestamps": False,
    "skip_blanks": False,
    "skip_amount_formats": False,
    "dry_data": False,
    "max_records": None,
    "allow_empty": False,
    "file_name": "",
    "platforms": None,
    "rename": {},
    "fixed_columns": {},
    "max_rows_per_file": None,
    "compression": "none",
}
CSV = {"utf8_bom": True, "delimiter": ",", "sanitize_formulas": False}
JOBS: dict[str, dict[str, Any]] = {
    "export_csv": SHARED | CSV,
    "export_json": SHARED | {"pretty": True, "json_lines": False},
    "export_excel": SHARED | {"include_sheets": [], "formatting": True},
    "export_zip": SHARED | CSV | {"compression": "zip", "max_rows_per_file": 30_000},
    "export_parquet": SHARED | {"compression": "zstd"},
}
"""The public contract: every job, its config fields and their defaults."""

IMPORTS = {f"import_{name}" for name in TABLES}
IMPORT: dict[str, Any] = {
    "format": "auto",
    "encoding": "auto",
    "delimiter": "auto",
    "sheet": "",
    "sanitized": False,
    "mapping": "",
    "locale": "",
    "on_error": "abort",
    "max_error_ratio": 0.1,
    "dry_run": False,
}
"""What every import has besides the files; these have no default."""

OPS = [
    "chunk",
    "compress",
    "deliver",
    "filter",
    "finish",
    "query",
    "serialize",
    "upload",
]


def test_definitions_are_loadable() -> None:
    dg.Definitions.validate_loadable(defs)


def test_there_is_a_job_for_each_format_and_one_that_tests_platforms() -> None:
    names = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert set(JOBS) == {f"export_{name}" for name in FORMATS}
    assert names == {*JOBS, *IMPORTS, "check_platform", "prune"}
    assert {"import_products", "import_stock_items", "import_orders"} <= IMPORTS


@pytest.mark.parametrize("name", list(JOBS))
def test_jobs_are_what_others_rely_on(name: str) -> None:
    job = defs.resolve_job_def(name)
    assert sorted(node.name for node in job.graph.nodes) == OPS
    assert job.description
    assert all(node.definition.description for node in job.graph.nodes)
    mapping = job.config_mapping
    assert mapping
    fields = mapping.config_schema.config_type.fields  # type: ignore[union-attr]
    assert {field: one.default_value for field, one in fields.items()} == JOBS[name]
    assert all(one.description for one in fields.values())
    assert job.executor_def.name == "in_process"


@pytest.mark.parametrize("name", ["import_products", "import_price_tiers"])
def test_imports_are_what_others_rely_on(name: str) -> None:
    job = defs.resolve_job_def(name)
    ops = ["claim", "load", "read", "report", "validate"]
    assert sorted(node.name for node in job.graph.nodes) == ops
    assert job.description
    assert all(node.definition.description for node in job.graph.nodes)
    assert job.config_mapping
    fields = dict(job.config_mapping.config_schema.config_type.fields)  # type: ignore[union-attr]
    assert fields.pop("files").is_required
    assert {field: one.default_value for field, one in fields.items()} == IMPORT
    assert all(one.description for one in fields.values())
    assert job.executor_def.name == "in_process"
    assert job.tags["import/resource_type"] == name.removeprefix("import_")
    assert (job.tags["import/queue"], job.tags["dagster/priority"]) == ("imports", "-10")


def test_sensors_watch_from_the_start() -> None:
    sensors = {sensor.name: sensor for sensor in defs.sensors or []}
    assert set(sensors) == {
        "import_drop_folder",
        "import_platforms",
        "stale_schedules",
        "webhook_retries",
        "webhooks",
    }
    for sensor in sensors.values():
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert sensor.description


def test_resources_are_those_that_ops_ask_for() -> None:
    assert defs.resources is not None
    assert set(defs.resources) == {"catalog", "store", "staging"}


def test_every_export_has_an_asset() -> None:
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {f"exports/{name}/{form}" for name in ENTITIES for form in FORMATS}


def test_a_fresh_interpreter_loads_without_warnings_and_without_what_is_slow() -> None:
    program = (
        "import sys; import export_pipelines.definitions; "
        "slow = {'pandas', 'openpyxl', 'dagster_aws', 'boto3', 'botocore', 'rich', "
        "'asyncssh', 'googleapiclient', 'google.auth', 'httplib2', "
        "'adbc_driver_manager', 'adbc_driver_sqlite', 'adbc_driver_postgresql'}; "
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_help_does_not_wait_for_dagster() -> None:
    program = "import sys; import export_pipelines.cli; print('dagster' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
