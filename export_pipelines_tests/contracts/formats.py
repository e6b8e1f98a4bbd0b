"""What every format must do, whatever its files look like."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from export_pipelines import spool
from export_pipelines.formats import FORMATS
from export_pipelines.planning import plan_sources
from export_pipelines.spool import Source
from export_pipelines_tests.contracts import pipeline
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.contracts.reference import Row, expected_export
from export_pipelines_tests.exports import Exporter

PRODUCTS = 1_145
"""Those of the sample shop that are no bundles."""

CUT = 500
LIMITS: tuple[dict[str, int], ...] = ({}, {"max_rows_per_file": CUT})


class FormatContract(ABC):
    """Exports of the sample shop, read back by a reader that is not ours."""

    name: ClassVar[str]
    """The format's name."""

    cut_names: ClassVar[tuple[str, ...]]
    """The files of its products, 500 a file."""

    @abstractmethod
    def tables(self, file: Path, kinds: dict[str, str]) -> list[tuple[list[str], list[Row]]]:
        """Return header and rows of each table in a file of one resource type."""

    @abstractmethod
    def as_read(self, value: Any, kind: str) -> Any:
        """Return what the reader makes of a value of the catalogue."""

    def read(self, files: Sequence[Path], kinds: dict[str, str]) -> list[Row]:
        """Return all rows, having checked each header."""
        rows: list[Row] = []
        for file in files:
            for header, found in self.tables(file, kinds):
                assert header == list(kinds)
                rows += found
        return rows

    def assert_equal_table(self, files: Sequence[Path], url: str, resource_type: str) -> None:
        """Compare every value of files with the database's."""
        expected = expected_export(url, resource_type)
        kinds = dict(expected.kinds)
        rows = self.read(files, kinds)
        assert len(rows) == len(expected.rows)
        for row, stored in zip(rows, expected.rows, strict=True):
            wanted = {name: self.as_read(stored[name], kind) for name, kind in kinds.items()}
            if row != wanted:
                differing = [name for name in kinds if row[name] != wanted[name]]
                assert [(name, row[name]) for name in differing] == [
                    (name, wanted[name]) for name in differing
                ]

    @pytest.mark.parametrize("resource_type", ["products", "suppliers", "orders", "customers"])
    def test_files_equal_the_table(self, exporter: Exporter, shop: str, resource_type: str) -> None:
        exported = exporter.succeed(shop, self.name, resource_type=resource_type)
        assert len(exported.files) == 1
        self.assert_equal_table(exported.files, shop, resource_type)

    def test_fields_come_in_the_order_asked_for(self, exporter: Exporter, shop: str) -> None:
        fields = ["price", "name", "tags", "is_active", "id", "updated_at"]
        exported = exporter.succeed(shop, self.name, fields=fields)
        expected = expected_export(shop, "products")
        rows = self.read(exported.files, {name: expected.kinds[name] for name in fields})
        assert rows == [
            {name: self.as_read(row[name], expected.kinds[name]) for name in fields}
            for row in expected.rows
        ]

    def test_both_databases_and_every_run_give_the_same_bytes(
        self, tmp_path: Path, sqlite_shop: str, postgres_shop: str
    ) -> None:
        urls = {"first": sqlite_shop, "again": sqlite_shop, "postgres": postgres_shop}
        for compression in FORMATS[self.name].compressions:
            for limit in LIMITS:
                made = {
                    run: made_files(
                        url,
                        self.name,
                        tmp_path / f"{compression}{len(limit)}{run}",
                        compression=compression,
                        **limit,
                    )
                    for run, url in urls.items()
                }
                paths = {run: [Path(file.path) for file in files] for run, files in made.items()}
                expected = digests(paths["first"])
                assert digests(paths["again"]) == digests(paths["postgres"]) == expected
                assert [(file.name, file.sha256) for file in made["first"]] == expected
                sizes = [file.bytes for file in made["first"]]
                assert sizes == [path.stat().st_size for path in paths["first"]]
                self.assert_equal_table(paths["first"], sqlite_shop, "products")

    def test_parts_are_numbered_and_full(self, exporter: Exporter, shop: str) -> None:
        exported = exporter.succeed(shop, self.name, max_rows_per_file=CUT)
        assert tuple(file.name for file in exported.files) == self.cut_names
        kinds = dict(expected_export(shop, "products").kinds)
        tables = [table for file in exported.files for table in self.tables(file, kinds)]
        assert [len(rows) for _, rows in tables] == [CUT, CUT, PRODUCTS - 2 * CUT]
        files = exported.manifest["files"]
        assert sum(file["rows"] for file in files) == PRODUCTS
        assert {file["name"]: file["sha256"] for file in files} == dict(digests(exported.files))

    @pytest.mark.parametrize("limit", [{}, {"max_rows_per_file": 150}])
    def test_files_do_not_depend_on_how_rows_are_read(
        self, tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
    ) -> None:
        monkeypatch.setattr(spool, "SEGMENT_ROWS", 64)
        lanes: list[int] = []

        def noted(*given: Any) -> list[list[Source]]:
            found = plan_sources(*given)
            lanes.append(len(found))
            return found

        monkeypatch.setattr(pipeline, "plan_sources", noted)
        files = made_files(shop, self.name, tmp_path, readers=3, **limit)
        one_part = not limit and FORMATS[self.name].default_max_rows_per_file
        assert lanes == [1 if one_part else 3]
        self.assert_equal_table([Path(file.path) for file in files], shop, "products")

    def test_every_option_is_described(self) -> None:
        options = FORMATS[self.name].options
        assert all(field.description for field in options.model_fields.values())


def digests(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each file."""
    return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
