"""Requests that are checked before there is a run: what is wrong leaves nothing but a sentence."""

import json
import random
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.catalog.matchers import MATCHERS
from export_pipelines.cli import main
from export_pipelines.errors import ExportPipelinesError, NoRecords, TooManyExports, TooManyRecords
from export_pipelines.execution import check_export
from export_pipelines.formats import FORMATS
from export_pipelines.records import open_instance
from export_pipelines_tests.recorded_runs import record_run

REQUESTS = 2_000
INJECTIONS = (
    "x'; DROP TABLE products; --",
    'x"); DELETE FROM orders; --',
    "%s %(a)s :name ?1 $1",
    "{'a': 1}",
    "../../etc/passwd",
    "template:a:b'; --",
    "\\",
    "\0",
    "\ud800",
    "🙂" * 50,
    "x" * 20_000,
    "*",
    "^.*$",
    ".",
    "a.b.c.d",
    "line_items.",
    "",
    " ",
)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"a": {"b": [1]}},
    ["a", None],
    "null",
    "[1,2",
    "2026-13-45",
    b"bytes",
    object(),
)


def _names(source: random.Random, resource_type: str) -> list[str]:
    known = ENTITIES.get(resource_type, ENTITIES["orders"])
    paths = [f"{path}.{name}" for path in known.includes for name in ("id", "*", "nope", "code")]
    return [*known.fields, *known.includes, *paths, "*", "template:*", *INJECTIONS]


def _filter(source: random.Random, resource_type: str) -> tuple[Any, Any]:
    known = ENTITIES.get(resource_type, ENTITIES["orders"])
    attributes = [*known.fields, *(f"{name}_id" for name in known.relations), *INJECTIONS]
    name = "_or_".join(source.choices(attributes, k=source.choice((1, 1, 1, 2, 3))))
    key = f"{name}_{source.choice([*MATCHERS, 'contains', ''])}"
    values = [*ODD, *INJECTIONS, "a,b", ["a", "b"], "true", "12", "2026-01-31"]
    return source.choice((key, name, *ODD[:3])), source.choice(values)


def _request(source: random.Random) -> tuple[str, dict[str, Any]]:
    resource_type = source.choice([*ENTITIES, *ENTITIES, *INJECTIONS])
    some: Callable[[], list[str]] = lambda: source.choices(  # noqa: E731
        _names(source, resource_type), k=source.randint(0, 3)
    )
    makers: dict[str, Callable[[], Any]] = {
        "fields": some,
        "exclude_fields": some,
        "includes": some,
        "filters": lambda: dict(
            _filter(source, resource_type) for _ in range(source.randint(1, 3))
        ),
        "date_from": lambda: source.choice(("2026-01-31", "2020-01-01T00:00Z", *INJECTIONS)),
        "date_to": lambda: source.choice(("2026-01-31", "1999-12-31", *INJECTIONS)),
        "max_records": lambda: source.choice((1, 10**6, 0, -5)),
        "max_rows_per_file": lambda: source.choice((1, 10**6, 0, -5)),
        "compression": lambda: source.choice(("gzip", "zip", *INJECTIONS)),
        "file_name": lambda: source.choice(INJECTIONS),
        **{
            name: (lambda: source.choice((True, False)))
            for name in ("skip_ids", "skip_blanks", "dry_data", "allow_empty")
        },
        "no_such_option": lambda: 1,
    }
    chosen = source.sample(list(makers), k=source.randint(1, 4))
    config = {name: makers[name]() for name in chosen}
    if source.random() < 0.15:
        config[source.choice(chosen)] = source.choice(ODD)
    format_name = source.choice([*FORMATS, *FORMATS, "xml"])
    return format_name, {"resource_type": resource_type, **config}


@pytest.fixture
def home(sqlite_shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)


@pytest.mark.usefixtures("home")
def test_any_request_is_right_or_gets_one_sentence() -> None:
    source = random.Random(2026)
    errors: list[ExportPipelinesError] = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(REQUESTS):
            try:
                check_export(instance, *_request(source))
            except ExportPipelinesError as error:
                errors.append(error)
        assert instance.get_runs_count() == 0
    sentences = [str(error) for error in errors]
    assert [each for each in sentences if "\n" in each or not each.endswith(".")] == []
    assert {error.code for error in errors} == {
        "request_invalid",
        "no_records",
        "too_many_records",
    }
    assert "".join(sentences).encode()
    assert REQUESTS / 4 < len(errors) < REQUESTS
    assert len({sentence[:25] for sentence in sentences}) > 60


@pytest.mark.usefixtures("home")
def test_the_command_line_leaves_no_run_of_a_wrong_request() -> None:
    source = random.Random(7)
    for _ in range(60):
        format_name, config = _request(source)
        arguments = ["export", format_name, str(config["resource_type"])]
        for name in ("fields", "includes"):
            for value in config.get(name) or ():
                arguments += [f"--{name[:-1]}", str(value)]
        filters = config.get("filters")
        for key, value in (filters if isinstance(filters, dict) else {"x": "y"}).items():
            arguments += ["--filter", f"{key}={value if isinstance(value, str) else 1}"]
        arguments += ["--filter", "id=none"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code in (2, 3), result.output
        assert "Traceback" not in result.output
    with open_instance() as instance:
        assert instance.get_runs_count() == 0


@pytest.mark.usefixtures("home")
def test_limits_are_checked_before_there_is_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "1")
    with dg.DagsterInstance.ephemeral() as instance:
        check_export(instance, "csv", {})
        with pytest.raises(TooManyRecords, match=r"^1,145 products match, and max_records allows "):
            check_export(instance, "csv", {"max_records": 1_144})
        monkeypatch.setenv("EXPORT_PIPELINES_MAX_RECORDS", "100")
        with pytest.raises(TooManyRecords, match=r"max_records allows 100: nothing was exported"):
            check_export(instance, "csv", {"max_records": 1_144})
        with pytest.raises(NoRecords, match=r"No products match \{'name': 'none'\}"):
            check_export(instance, "csv", {"filters": {"name": "none"}})
        check_export(instance, "csv", {"filters": {"name": "none"}, "allow_empty": True})
        record_run(instance)
        with pytest.raises(TooManyExports):
            check_export(instance, "csv", {"filters": {"name": "none"}})
        assert instance.get_runs_count() == 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("format_name", list(FORMATS))
def test_files_without_records_can_be_asked_for(format_name: str) -> None:
    arguments = ["export", format_name, "orders", "--filter", "number=none", "--json"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 3
    assert "or set allow_empty for a file without records" in refused.output
    allowed = CliRunner().invoke(main, [*arguments, "--allow-empty"])
    assert allowed.exit_code == 0, allowed.output
    manifest = json.loads(allowed.output)
    assert manifest["records_count"] == 0
    assert [file["rows"] for file in manifest["files"]] == [0]
