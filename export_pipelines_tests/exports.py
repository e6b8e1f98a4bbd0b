"""Runs exports in tests as users do: a Dagster job, with a database, a store and a staging area."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from export_pipelines.definitions import defs
from export_pipelines.resources import Catalog, ExportStore, Staging
from export_pipelines.runs.views import ExportJob, view
from export_pipelines.store import MANIFEST_NAME, read_manifest


@dataclass(frozen=True)
class Exported:
    """A run that ended, and what it left behind."""

    result: dg.ExecuteInProcessResult
    tags: Mapping[str, str]
    folder: Path

    @property
    def manifest(self) -> dict[str, Any]:
        return read_manifest(self.folder / MANIFEST_NAME)

    @property
    def files(self) -> list[Path]:
        return [self.folder / file["name"] for file in self.manifest["files"]]

    @property
    def error(self) -> str:
        return self.tags.get("export/error", "")


@dataclass(frozen=True)
class Exporter:
    """Exports to a store of its own."""

    folder: Path
    instance: dg.DagsterInstance

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def staging(self) -> Path:
        return self.folder / "staging"

    def run(self, url: str, format_name: str, **config: Any) -> Exported:
        """Export from a database; the run may fail."""
        job = defs.resolve_job_def(f"export_{format_name}")
        result = job.execute_in_process(
            run_config=config,
            instance=self.instance,
            resources={
                "catalog": Catalog(database_url=url),
                "store": ExportStore(folder=str(self.store)),
                "staging": Staging(folder=str(self.staging)),
            },
            raise_on_error=False,
        )
        run = self.instance.get_run_by_id(result.run_id)
        assert run
        return Exported(result, run.tags, self.store / result.run_id)

    def succeed(self, url: str, format_name: str, **config: Any) -> Exported:
        """Export from a database; the run must succeed."""
        exported = self.run(url, format_name, **config)
        assert exported.result.success, exported.error
        return exported

    def job(self, url: str, format_name: str, **config: Any) -> ExportJob:
        """Export a database, and return the job as the API shows it."""
        done = self.succeed(url, format_name, **config)
        record = self.instance.get_run_record_by_id(done.result.run_id)
        assert record
        job = view(self.instance, record)
        assert isinstance(job, ExportJob)
        return job
