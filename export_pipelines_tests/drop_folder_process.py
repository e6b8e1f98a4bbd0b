"""What daemon and run process do with a drop folder, in one process, which may be killed anywhere.

It looks at the folder, and runs what the sensor asks for, until nothing is left to be done. At a
point it kills itself with SIGKILL, as a machine that loses its power does.
"""

import importlib
import os
import signal
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import dagster as dg

from export_pipelines import sensors, settings
from export_pipelines.definitions import defs
from export_pipelines.imports import drop_folder
from export_pipelines.records import open_instance
from export_pipelines.sensors import import_drop_folder

_IMPORTS = "export_pipelines.imports"
POINTS = {
    "tick, before its requests are known": (f"{_IMPORTS}.watching.Memory.to_text", "before", 1),
    "run, before its claim": (f"{_IMPORTS}.drop_folder.begin_work", "before", 1),
    "claim, locked": (f"{_IMPORTS}.drop_folder._lock", "after", 2),
    "claim, moved": (f"{_IMPORTS}.drop_folder.take", "after", 1),
    "read, after some rows": (f"{_IMPORTS}.spooling.SpoolWriter.write", "after", 2),
    "read, done": ("export_pipelines.ops.ingest.read_file", "after", 1),
    "validate, after some rows": ("export_pipelines.imports.checking.check_rows", "after", 1),
    "load, rows are staged": (f"{_IMPORTS}.loading.Load.stage", "after", 1),
    "load, compared": (f"{_IMPORTS}.loading.Load.compare", "after", 1),
    "load, written but not committed": (f"{_IMPORTS}.loading.Load.write", "after", 1),
    "load, committed": (f"{_IMPORTS}.loading.Load.commit", "after", 1),
    "report, before anything": ("export_pipelines.ops.ingest.report_file", "before", 1),
    "report, written": (f"{_IMPORTS}.drop_folder.write_whole", "after", 1),
    "report, file moved": (f"{_IMPORTS}.drop_folder.finish", "after", 1),
}
"""Where it may be killed: a function, before or after it, and at which of its calls."""

_MOST_TICKS = 12


def look_in(home: str, url: str, point: str) -> None:
    """Look and run until the folder is empty, or be killed at a point; the log is in `home`."""
    os.environ |= {"EXPORT_PIPELINES_HOME": home, "DATABASE_URL": url}
    # This process is a copy of one that is older than the runs that were killed.
    sensors._BEGAN = time.time()
    log = os.open(f"{home}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if point:
        _kill_at(*POINTS[point])
    memory = settings.home_folder() / "cursor"
    with open_instance() as instance:
        for _ in range(_MOST_TICKS):
            cursor = memory.read_text() if memory.exists() else None
            context = dg.build_sensor_context(instance=instance, cursor=cursor)
            found = import_drop_folder(context)
            assert isinstance(found, dg.SensorResult)
            for request in found.run_requests or []:
                _run(instance, request)
            memory.write_text(found.cursor or "")
            if not found.run_requests and cursor == found.cursor and not drop_folder.claims():
                return
        raise SystemExit(f"not done after {_MOST_TICKS} looks: {found}")


def _run(instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    if instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": request.run_key or ""})):
        # The daemon asks for no run again that it knows by its key.
        return
    result = defs.resolve_job_def(str(request.job_name)).execute_in_process(
        run_config=dict(request.run_config),
        instance=instance,
        tags={**request.tags, "dagster/run_key": request.run_key or ""},
        raise_on_error=False,
    )
    drop_folder.end_work(result.run_id)


def _kill_at(name: str, when: str, call: int) -> None:
    path, _, attribute = name.rpartition(".")
    try:
        owner: Any = importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, class_name = path.rpartition(".")
        owner = getattr(importlib.import_module(module), class_name)
    original = getattr(owner, attribute)
    setattr(owner, attribute, _killing(original, when, call))


def _killing(original: Callable[..., Any], when: str, call: int) -> Callable[..., Any]:
    calls = 0

    @wraps(original)
    def killing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = original(*arguments, **named)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return killing
