"""Imports files in this process, one after the other, and says how each ended, as JSON.

Called with a database, a folder and the names of files in it. The process is one of its own, so
that the most memory it ever had is that of these imports.
"""

import json
import os
import sys
from pathlib import Path

import dagster as dg

from export_pipelines_tests.importer import Importer

_SMALLER = {"bomb.xlsx": "1000000"}
"""Limits of single files: a workbook may unpack to 20 times as much, which takes its time."""


def main(url: str, folder: str, *names: str) -> None:
    place = Path(folder)
    files = {}
    with dg.DagsterInstance.ephemeral() as instance:
        importer = Importer(place, instance)
        for name in names:
            os.environ["EXPORT_PIPELINES_MAX_IMPORT_BYTES"] = _SMALLER.get(name, "")
            imported = importer.run(url, "products", place / name)
            log = "\n".join(str(entry) for entry in instance.all_logs(imported.result.run_id))
            code = imported.tags["import/error_code"]
            files[name] = {"error": imported.error, "code": code, "log": log}
    # What getrusage says begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    sys.stdout.write(json.dumps({"files": files, "peak_bytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
