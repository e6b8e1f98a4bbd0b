"""Export, import and export again: the same bytes, and nothing to change where it came from."""

import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.catalog.entities import TABLES
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.sample import generate
from export_pipelines_tests.contracts.catalogues import ORDER, Catalogue, catalogues, insert
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.importer import Importer

FORMATS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "csv": ("csv", {}),
    "json": ("json", {}),
    "json lines": ("json", {"json_lines": True, "compression": "gzip"}),
    "excel": ("excel", {}),
    "zip": ("zip", {"max_rows_per_file": 3}),
    "parquet": ("parquet", {}),
}
DEFINITIONS = ("extension_templates", "extension_fields")
ALL = [table.name for table in Base.metadata.sorted_tables if table.name in TABLES]
"""All that can be imported, those first that others refer to."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round-trip")


@pytest.fixture(scope="module")
def round_trip(folder: Path) -> Iterator["RoundTrip"]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield RoundTrip(Exporter(folder, instance), Importer(folder, instance))


class RoundTrip:
    def __init__(self, exporter: Exporter, importer: Importer) -> None:
        self.exporter = exporter
        self.importer = importer
        self.numbers = count()

    def check(self, source: str, target: str, resource_type: str, form: str) -> None:
        """Bring one resource type from one database to another, and look at both again."""
        name, options = FORMATS[form]
        config = {"resource_type": resource_type, "allow_empty": True, **options}
        first = self.exporter.succeed(source, name, **config)
        rows = first.manifest["records_count"]
        if not rows and form == "json lines":
            # Nothing tells an empty file from one that was not written to its end.
            return
        there = self.importer.succeed(target, resource_type, *first.files)
        assert there.counts == (rows, 0, 0, 0), resource_type
        second = self.exporter.succeed(target, name, **config)
        assert [file.read_bytes() for file in second.files] == [
            file.read_bytes() for file in first.files
        ], resource_type
        back = self.importer.succeed(source, resource_type, *second.files)
        assert back.counts == (0, 0, rows, 0), resource_type

    def databases(self, folder: Path) -> tuple[str, str]:
        number = next(self.numbers)
        found = [f"sqlite:///{folder}/{name}-{number}.db" for name in ("source", "target")]
        for url in found:
            create_schema(url)
        return found[0], found[1]


@pytest.mark.parametrize("form", list(FORMATS))
def test_any_catalogue_comes_back(
    form: str, folder: Path, round_trip: RoundTrip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(folder))

    # An example is twenty runs: to look for the smallest that fails would take minutes.
    @settings(
        max_examples=2 if os.environ.get("CI") else 4,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(catalogues())
    def comes_back(made: Catalogue) -> None:
        source, target = round_trip.databases(folder)
        with begin(source) as connection:
            insert(connection, made)
        with begin(target) as connection:
            insert(connection, {name: made[name] for name in DEFINITIONS})
        for resource_type in (name for name in ORDER if name not in DEFINITIONS):
            round_trip.check(source, target, resource_type, form)

    comes_back()


@pytest.mark.parametrize(
    ("url", "form"), [("postgres", "csv"), ("sqlite", "json")], indirect=["url"]
)
def test_every_table_of_the_sample_shop_comes_back(
    url: str, form: str, round_trip: RoundTrip, tmp_path: Path
) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    generate(source, products=40, orders=12)
    create_schema(url)
    suppliers_and_files = ("suppliers", "files")
    products = Base.metadata.tables["products"]
    with begin(source) as old, begin(url) as new:
        for name in suppliers_and_files:
            table = Base.metadata.tables[name]
            new.execute(table.insert(), [dict(row._mapping) for row in old.execute(table.select())])
        # Bundles are not exported, but something may refer to them.
        bundles = old.execute(products.select().where(products.c.is_bundle))
        new.execute(products.insert(), [dict(row._mapping) for row in bundles])
    for resource_type in ALL:
        if resource_type not in suppliers_and_files:
            round_trip.check(source, url, resource_type, form)
