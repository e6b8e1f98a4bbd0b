"""What every run needs, in the process that runs are forks of; `code_server` has it loaded."""

import gc
from contextlib import suppress
from importlib import import_module

_MODULES = (
    "export_pipelines.definitions",
    "alembic.command",
    "dagster._cli.api",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.legacy_storage",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.storage.sqlite_storage",
    "dagster._grpc.impl",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "sqlalchemy.dialects.sqlite",
)

for _module in _MODULES:
    # What cannot be loaded now is loaded by the run, which says why if that fails again.
    with suppress(Exception):
        import_module(_module)

# Otherwise the first collection of garbage copies all of it into each run.
gc.freeze()
