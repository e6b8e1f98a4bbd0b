"""What ops ask for by name: the catalogue, the export store, the staging area.

Each is only a description until it is used; nothing connects when a run is set up. Empty fields
are filled from `settings` at that moment.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field

from export_pipelines import settings
from export_pipelines.catalog.database import backend_of
from export_pipelines.catalog.reading import Snapshot, open_snapshots
from export_pipelines.errors import RequestError, shown
from export_pipelines.platforms.base import Connection, Platform
from export_pipelines.platforms.configuration import is_disabled, open_platform
from export_pipelines.platforms.local import open_store
from export_pipelines.store import stored_name

LINK_SECONDS = 300


class Catalog(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The shop's database, SQLite or Postgres."""

    database_url: str = Field(
        default="",
        description="sqlite:///path/shop.db or postgresql://user:password@host/database. Empty: "
        "the variable DATABASE_URL, or shop.db in the home folder. Use EnvVar for a password.",
    )

    @property
    def url(self) -> str:
        """The database; it may hold a password."""
        return self.database_url or settings.database_url()

    @property
    def backend(self) -> str:
        """`sqlite` or `postgresql`."""
        return backend_of(self.url)

    @contextmanager
    def snapshots(self, count: int = 1) -> Iterator[list[Snapshot]]:
        """Open the catalogue for reading, as it is now, over at most `count` connections.

        Raises:
            CatalogUnavailable: there is no database, or it does not answer.
        """
        with open_snapshots(self.url, count) as snapshots:
            yield snapshots


class ExportStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where finished exports are kept, a folder each."""

    folder: str = Field(
        default="", description="A local folder. Empty: exports in the home folder."
    )
    platform: str = Field(
        default="",
        description="The platform that keeps them instead. Empty: that of the "
        "variable EXPORT_PIPELINES_STORE, or the local folder.",
    )

    def location(self, run_id: str) -> str:
        """Return where an export's files are: a local path, or an address without secrets."""
        platform = self._platform()
        return f"{platform.location}/{run_id}" if platform else str(self.path / run_id)

    @property
    def path(self) -> Path:
        """The local folder, if no platform keeps exports."""
        return Path(self.folder).resolve() if self.folder else settings.exports_folder()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the store.

        Raises:
            StorageUnavailable: the local folder cannot be made.
            RequestError: the platform is disabled.
            PlatformError: the platform is unknown, or cannot be opened.
        """
        platform = self._platform()
        with platform.connect() if platform else open_store(self.path) as connection:
            yield connection

    def links(self, run_id: str, names: Sequence[str]) -> dict[str, str]:
        """Return signed addresses that download files of an export for 5 minutes, by name.

        A store that cannot sign any, such as a local folder, has none (C11: storage URLs expire in
        5 minutes; C12: a new one is signed on each read). They are secrets while they work.

        Raises:
            RequestError: the platform is disabled.
            PlatformError: the platform cannot be opened.
        """
        with self.connect() as connection:
            signed = {
                name: connection.link(stored_name(run_id, name), LINK_SECONDS) for name in names
            }
        return {name: link for name, link in signed.items() if link}

    def _platform(self) -> Platform | None:
        name = self.platform or ("" if self.folder else settings.store_platform())
        if name and is_disabled(name, settings.organization()):
            raise RequestError(
                f"The platform {shown(name)} is the export store, and is disabled: enable it, or "
                "name another one in EXPORT_PIPELINES_STORE."
            )
        return open_platform(name) if name else None


class Staging(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where unfinished exports are worked on; every process of a run must see it."""

    folder: str = Field(
        default="",
        description="A folder, best on the export store's disk. Empty: staging in the home folder.",
    )

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of one run."""
        parent = Path(self.folder).resolve() if self.folder else settings.staging_folder()
        return parent / run_id
