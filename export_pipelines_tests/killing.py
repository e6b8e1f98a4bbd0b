"""Finds and kills the processes that work on a home folder."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processes_of(home: Path) -> Iterator[int]:
    """Yield the processes whose environment names a home folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"EXPORT_PIPELINES_HOME={home}\0".encode() in environment:
            yield int(process.name)


def kill_all(home: Path) -> None:
    """Kill every process that works on a home folder, as a machine that loses its power does.

    One that had just begun while others were killed is not left over.
    """
    while pids := list(processes_of(home)):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
