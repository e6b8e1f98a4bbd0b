import sqlite3
from contextlib import closing

from export_pipelines import settings
from export_pipelines.records import make_records


def test_all_tables_are_made_before_servers_start() -> None:
    make_records()
    folder = settings.dagster_folder()
    for name in ("history/runs.db", "history/runs/index.db", "schedules/schedules.db"):
        with closing(sqlite3.connect(folder / name)) as database:
            [version] = database.execute("SELECT version_num FROM alembic_version").fetchall()
            assert version
