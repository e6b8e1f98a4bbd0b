"""Runs imports in tests as users do: a Dagster job, with a database and a staging area."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from export_pipelines import settings
from export_pipelines.definitions import defs
from export_pipelines.imports import drop_folder
from export_pipelines.resources import Catalog, Staging


@dataclass(frozen=True)
class Imported:
    """A run that ended, and what it left behind."""

    result: dg.ExecuteInProcessResult
    tags: Mapping[str, str]

    @property
    def error(self) -> str:
        return self.tags.get("import/error", "")

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Rows that were created, updated, unchanged and failed."""
        created, updated, unchanged, failed = (
            int(self.tags.get(f"import/{name}", 0))
            for name in ("created", "updated", "unchanged", "failed")
        )
        return created, updated, unchanged, failed

    @property
    def reports(self) -> list[dict[str, Any]]:
        folder = settings.imports_folder() / "reports" / self.result.run_id
        return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.report.json"))]

    @property
    def errors(self) -> list[tuple[int, str, str]]:
        """Row, column and code of all errors."""
        return [
            (error["row"], error["column"], error["code"])
            for report in self.reports
            for error in report["errors"]
        ]

    def failed_rows(self) -> Path:
        [found] = (settings.imports_folder() / "reports" / self.result.run_id).glob(
            "*.failed_rows.*"
        )
        return found


@dataclass(frozen=True)
class Importer:
    """Imports with a staging area of its own."""

    folder: Path
    instance: dg.DagsterInstance

    def run(self, url: str, resource_type: str, *files: Path, **config: Any) -> Imported:
        """Import into a database; the run may fail."""
        result = defs.resolve_job_def(f"import_{resource_type}").execute_in_process(
            run_config={"files": [str(file) for file in files], **config},
            instance=self.instance,
            resources={
                "catalog": Catalog(database_url=url),
                "staging": Staging(folder=str(self.folder / "staging")),
            },
            raise_on_error=False,
        )
        drop_folder.end_work(result.run_id)
        run = self.instance.get_run_by_id(result.run_id)
        assert run
        return Imported(result, run.tags)

    def succeed(self, url: str, resource_type: str, *files: Path, **config: Any) -> Imported:
        """Import into a database; the run must succeed."""
        imported = self.run(url, resource_type, *files, **config)
        assert imported.result.success, (imported.error, imported.errors)
        return imported


def write_csv(path: Path, header: Sequence[str], *rows: Sequence[Any]) -> Path:
    """Write a CSV file of plain cells, and return its path."""
    lines = [",".join(map(str, cells)) for cells in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
