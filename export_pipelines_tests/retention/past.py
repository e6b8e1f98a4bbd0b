"""A shop with a past in tests: runs, exports and files that are made old on purpose."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from export_pipelines.artifacts import StagedFile
from export_pipelines.resources import ExportStore, Staging
from export_pipelines.retention.candidates import Candidate, Pruned, remove_all
from export_pipelines.retention.pruning import Policy, prune
from export_pipelines.store import MANIFEST_NAME, store_files
from export_pipelines_tests.exports import Exporter

DAY = 86_400
EXPORT = {"export/format": "csv"}
IMPORT = {"import/resource_type": "products"}
FILES = ("part-1.csv", "part-2.csv", "part-3.csv", MANIFEST_NAME)
POLICY = Policy(exports=30, staging=7, imports=90, runs=90, ticks=30)
"""The defaults."""

_REPOSITORY = RemoteRepositoryOrigin(
    RegisteredCodeLocationOrigin("export_pipelines"), "__repository__"
)

Status = dg.DagsterRunStatus


@dataclass(frozen=True)
class Export:
    """A run that exported, and where its files are if the store is on this machine."""

    run_id: str
    folder: Path


@dataclass(frozen=True)
class Past:
    """A shop whose runs can be made old, one by one."""

    instance: dg.DagsterInstance
    exporter: Exporter
    url: str

    @property
    def ended(self) -> tuple[Status, ...]:
        return (Status.SUCCESS, Status.FAILURE, Status.CANCELED)

    @property
    def store(self) -> Path:
        return self.exporter.store

    @property
    def staging(self) -> Path:
        return self.exporter.staging

    def export(self, days: float) -> Export:
        """Export some suppliers, so many days ago."""
        done = self.exporter.succeed(self.url, "csv", resource_type="suppliers", fields=["id"])
        self.age(done.result.run_id, days)
        age_files(done.folder, days)
        return Export(done.result.run_id, done.folder)

    def stored(self, days: float, store: ExportStore | None = None) -> Export:
        """Record an export of so many days ago, and put three files and a manifest for it."""
        store = store or ExportStore(folder=str(self.store))
        run_id = self.record(days, job="export_csv", tags=EXPORT)
        self.instance.add_run_tags(run_id, {"export/location": store.location(run_id)})
        self.age(run_id, days)
        folder = self.exporter.folder / "made" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        with store.connect() as connection:
            store_files(connection, run_id, [_staged(folder / name) for name in FILES])
        stored = store.path / run_id
        if stored.is_dir():
            age_files(stored, days)
        return Export(run_id, stored)

    def record(
        self,
        days: float,
        status: Status = Status.SUCCESS,
        *,
        job: str = "check_platform",
        config: dict[str, Any] | None = None,
        again: str = "",
        root: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Record a run of so many days ago, which perhaps executes another one again."""
        named = dict(tags or {})
        if again:
            named |= {"dagster/parent_run_id": again, "dagster/root_run_id": root or again}
        run = dg.DagsterRun(
            job_name=job,
            run_id=str(uuid4()),
            status=status,
            run_config=config,
            tags=named,
            parent_run_id=again or None,
            root_run_id=(root or again) or None,
            remote_job_origin=RemoteJobOrigin(_REPOSITORY, job),
        )
        self.instance.add_run(run)
        self.age(run.run_id, days)
        return run.run_id

    def age(self, run_id: str, days: float) -> None:
        """Have a run begin, end and be recorded so many days ago."""
        moment = datetime.now(timezone.utc) - timedelta(days=days)
        self._set(
            run_id,
            create_timestamp=moment.replace(tzinfo=None),
            update_timestamp=moment.replace(tzinfo=None),
            start_time=moment.timestamp() - 1,
            end_time=None if self.is_active(run_id) else moment.timestamp(),
        )

    def end(self, run_id: str, end_time: float) -> None:
        """Have a run end at a time, in seconds since 1970."""
        self._set(run_id, end_time=end_time)

    def _set(self, run_id: str, **values: Any) -> None:
        storage = self.instance.run_storage
        assert isinstance(storage, SqlRunStorage)
        with storage.connect() as connection:
            connection.execute(
                RunsTable.update().where(RunsTable.c.run_id == run_id).values(**values)
            )

    def is_active(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run.status not in self.ended

    def stage(self, name: str, days: float) -> Path:
        """Leave a file in a folder of the staging area, so many days ago."""
        folder = self.staging / name / "files_1"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_bytes(b"x" * 100)
        age_files(folder.parent, days)
        return folder.parent

    def tags(self, run_id: str) -> dict[str, str]:
        run = self.instance.get_run_by_id(run_id)
        assert run
        return dict(run.tags)

    def run_ids(self) -> set[str]:
        return {run.run_id for run in self.instance.get_runs()}

    def prune(
        self,
        *,
        dry_run: bool = False,
        policy: Policy = POLICY,
        store: ExportStore | None = None,
    ) -> dict[str, Pruned]:
        """Prune, and return what became of each kind."""
        store = store or ExportStore(folder=str(self.store))
        staging = Staging(folder=str(self.staging)).run_folder("-").parent
        done = prune(self.instance, store, staging, policy, dry_run=dry_run)
        return {pruned.kind: pruned for pruned in done}

    def removed(self, kind: str, **options: Any) -> list[str]:
        """Prune, and return the names of what was removed of a kind."""
        pruned = self.prune(**options)[kind]
        assert not pruned.failed, pruned.reason
        assert pruned.count == len(pruned.listed)
        return sorted(name for name, _ in pruned.listed)


def removed_after(found: Iterable[Candidate], happen: Callable[[], object]) -> list[str]:
    """Return the names of what is removed if something happens after all was found."""
    candidates = list(found)
    happen()
    pruned = remove_all("found", candidates, dry_run=False)
    assert not pruned.failed, pruned.reason
    return sorted(name for name, _ in pruned.listed)


def _staged(path: Path) -> StagedFile:
    path.write_bytes(path.name.encode() * 100)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return StagedFile(str(path), path.name, 1, path.stat().st_size, digest)


def age_files(folder: Path, days: float) -> None:
    """Have a folder, and all that is in it, be so many days old."""
    moment = time.time() - days * DAY
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (moment, moment))


@contextmanager
def open_past(folder: Path, url: str) -> Iterator[Past]:
    """Open a shop without a past."""
    folder.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        yield Past(instance, Exporter(folder / "exports", instance), url)
