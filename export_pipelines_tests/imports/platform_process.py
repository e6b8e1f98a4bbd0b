"""Runs one import of a file on a platform in this process, which is killed at some point of it.

Called with a folder of Dagster's records and JSON: the run's id, its request, and the point.
"""

import json
import os
import signal
import sys
from importlib import import_module
from typing import Any

import dagster as dg

from export_pipelines.definitions import defs

POINTS = {
    "noted": "export_pipelines.imports.platform_drop:_copy",
    "copied": "export_pipelines.ops.ingest:read_file",
    "committed": "export_pipelines.imports.platform_drop:settle",
    "put": "export_pipelines.imports.platform_drop:_remove_original",
    "deleted": "export_pipelines.imports.drop_folder:finish",
    "moved": "export_pipelines.imports.claiming:remove_note",
}
"""What the process is killed before, by what it has done until then."""


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, asked: str) -> None:
    given = json.loads(asked)
    module, _, name = POINTS[given["point"]].partition(":")
    setattr(import_module(module), name, _die)
    with dg.DagsterInstance.local_temp(folder) as instance:
        defs.resolve_job_def(given["job"]).execute_in_process(
            run_config=given["config"], run_id=given["run_id"], instance=instance
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
