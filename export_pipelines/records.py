"""Dagster's records of runs in the home folder, and the settings that it opens them with."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

import dagster as dg

from export_pipelines import settings
from export_pipelines.errors import StorageUnavailable
from export_pipelines.schedule_states import adopt_states

_WITHOUT_PROJECT = b"telemetry:\n  enabled: false\n"


def prepare_dagster_home() -> Path:
    """Return Dagster's folder, made if need be, with a copy of this folder's `dagster.yaml`.

    Raises:
        StorageUnavailable: the home folder cannot be written to.
    """
    folder = settings.dagster_folder()
    own = Path("dagster.yaml")
    copy = folder / "dagster.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        wanted = own.read_bytes() if own.is_file() else _WITHOUT_PROJECT
        if not copy.exists() or (own.is_file() and copy.read_bytes() != wanted):
            copy.write_bytes(wanted)
    except OSError as error:
        raise StorageUnavailable(
            f"The home folder {settings.home_folder()} cannot be written to: {error.strerror}. "
            "EXPORT_PIPELINES_HOME names another."
        ) from None
    return folder


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """Open Dagster's records in the home folder; their tables are made if need be."""
    folder = prepare_dagster_home()
    made = folder / ".tables-made"
    if not made.exists():
        # Two processes that make them at the same moment fail each other.
        with (folder / ".tables-lock").open("w") as lock:
            flock(lock, LOCK_EX)
            with dg.DagsterInstance.from_config(str(folder)) as instance:
                instance.get_runs(limit=1)
                instance.all_instigator_state()
                instance.get_asset_keys(limit=1)
            made.touch()
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


def make_records() -> None:
    """Make Dagster's tables before servers do, which fail each other."""
    with open_instance() as instance:
        adopt_states(instance)
