"""Where things are, by environment variables; read when they are needed, never at import.

`EXPORT_PIPELINES_HOME`: the one folder for everything that is written, `data` here by default.
`DATABASE_URL`: the catalogue, `shop.db` in that folder by default.
`EXPORT_PIPELINES_LOG_LEVEL`: from which level a run's log goes to the console, INFO by default.
"""

import os
from pathlib import Path

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def home_folder() -> Path:
    """Return the folder of the catalogue, the exports, the staging area and Dagster's records."""
    return Path(os.environ.get("EXPORT_PIPELINES_HOME") or "data").resolve()


def database_url() -> str:
    """Return the catalogue's database; it may hold a password."""
    return os.environ.get("DATABASE_URL") or f"sqlite:///{home_folder() / 'shop.db'}"


def exports_folder() -> Path:
    """Return the export store: a folder for each finished export."""
    return home_folder() / "exports"


def staging_folder() -> Path:
    """Return where unfinished exports are worked on; best on the same disk as the export store."""
    return home_folder() / "staging"


def dagster_folder() -> Path:
    """Return where Dagster keeps runs, events and schedules."""
    return home_folder() / "dagster"


def log_level() -> str:
    """Return the level from which a run's log goes to the console; INFO for an unknown one."""
    level = os.environ.get("EXPORT_PIPELINES_LOG_LEVEL", "").upper()
    return level if level in _LOG_LEVELS else "INFO"
