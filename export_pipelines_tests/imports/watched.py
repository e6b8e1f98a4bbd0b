"""A folder on a platform that is watched, as tests drop files in it and look at what became."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from sqlalchemy import func, select

from export_pipelines import settings
from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.catalog.models import Base
from export_pipelines.definitions import defs
from export_pipelines.imports import drop_folder
from export_pipelines.platform_sensor import import_platforms
from export_pipelines.platforms.base import Connection, Platform
from export_pipelines_tests.contracts.platforms import content_of, staged
from export_pipelines_tests.deliveries import name_platforms

RESOURCE_TYPE = "products"
NAME = "partner"
HEADER = b"sku,name,status,commodity_type\n"


@dataclass
class Watched:
    """A folder that is watched, a shop without products, and Dagster's records.

    Attributes:
        platform: where the folder is, under the name `partner`.
        parent: the folder above it.
        instance: Dagster's records.
        scratch: for files that are dropped.
        monkeypatch: sets the variables of secrets.
        cursor: what the sensor remembers.
        requests: all runs that it has asked for.
    """

    platform: Platform
    parent: str
    instance: dg.DagsterInstance
    scratch: Path
    monkeypatch: pytest.MonkeyPatch
    cursor: str | None = None
    requests: list[dg.RunRequest] = field(default_factory=list)

    @property
    def folder(self) -> str:
        return f"{self.parent}/incoming"

    def name(self, platform: Platform | None = None) -> None:
        """Write `platforms.yaml`, perhaps with another way to the platform."""
        name_platforms({NAME: platform or self.platform}, self.monkeypatch)

    def rule(self, **options: Any) -> None:
        """Write `imports.yaml`."""
        rule = {"platform": NAME, "folder": self.folder, "resource_type": RESOURCE_TYPE, **options}
        settings.imports_file().write_text(yaml.safe_dump({"platforms": [rule]}))

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self.platform.connect() as connection:
            yield connection

    def drop(self, name: str, content: bytes) -> None:
        """Put a file into the folder, in place of another of its name."""
        with self.connect() as connection:
            file = staged(self.scratch / uuid4().hex / name, content)
            connection.put(file, f"{self.folder}/{name}")

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder below the parent."""
        place = f"{self.parent}/{folder}"
        with self.connect() as connection:
            return [file.name.removeprefix(f"{place}/") for file in connection.list(place)]

    def content(self, place: str) -> bytes:
        """Return a file's content."""
        with self.connect() as connection:
            return content_of(connection, f"{self.parent}/{place}", self.scratch)

    def look(self) -> dg.SensorResult:
        """Have the sensor look once; runs that it asks for are not begun."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = import_platforms(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.requests += result.run_requests or []
        return result

    def said(self) -> str:
        """Return what the sensor says if it looks once and asks for no run."""
        result = self.look()
        assert not result.run_requests
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def wanted(self) -> list[dg.RunRequest]:
        """Return the runs that the sensor asks for in one look."""
        return list(self.look().run_requests or [])

    def ready(self) -> list[dg.RunRequest]:
        """Return the runs that it asks for at its second look."""
        assert self.wanted() == []
        return self.wanted()

    def run(self, request: dg.RunRequest) -> dg.DagsterRun:
        """Run what was asked for, to its end or failure, as in a process of its own."""
        result = defs.resolve_job_def(str(request.job_name)).execute_in_process(
            run_config=request.run_config,
            instance=self.instance,
            tags=tags_of(request),
            raise_on_error=False,
        )
        end_process(result.run_id)
        run = self.instance.get_run_by_id(result.run_id)
        assert run
        return run

    def import_all(self, looks: int = 3) -> list[dg.DagsterRun]:
        """Look some times, and run what is asked for each time."""
        return [self.run(request) for _ in range(looks) for request in self.wanted()]


def tags_of(request: dg.RunRequest) -> dict[str, str]:
    """Return the tags of a run, as the daemon makes them."""
    return {**request.tags, "dagster/run_key": str(request.run_key)}


def end_process(run_id: str) -> None:
    """Drop the locks that end with a run's process."""
    drop_folder.end_work(run_id)
    for claim in drop_folder.claims():
        drop_folder.release(drop_folder.root() / drop_folder.PROCESSING / claim)


def make_shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a database without rows, and name an `imports.yaml` of one's own."""
    url = f"sqlite:///{folder / 'shop.db'}"
    create_schema(url)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("EXPORT_PIPELINES_IMPORTS", str(folder / "imports.yaml"))
    monkeypatch.setenv("EXPORT_PIPELINES_DROP_FOLDER", str(folder / "drop"))


def rows(table: str) -> list[Mapping[str, Any]]:
    """Return the rows of a table of the shop."""
    with begin(settings.database_url()) as connection:
        found = connection.execute(select(Base.metadata.tables[table]))
        return [dict(row) for row in found.mappings()]


def applied() -> int:
    """Return how many files were applied to the shop."""
    table = Base.metadata.tables["import_receipts"]
    with begin(settings.database_url()) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def local_files(end: str) -> list[str]:
    """Return the names of the files in one of the local drop folder's ends, reports not counted."""
    folder = drop_folder.root() / end / RESOURCE_TYPE
    names = sorted(path.name for path in folder.glob("*"))
    return [name for name in names if ".csv." not in name]
