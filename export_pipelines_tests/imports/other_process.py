"""Takes a file of the drop folder in this process, and keeps it until it is killed.

Called with the drop folder, the file and the run; says `taken` when it has it.
"""

import os
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from export_pipelines.imports import drop_folder


def main(folder: str, file: str, run_id: str) -> None:
    os.environ["EXPORT_PIPELINES_DROP_FOLDER"] = folder
    drop_folder.begin_work(run_id)
    claim = drop_folder.claim_name(run_id, datetime(2026, 1, 31, 9, tzinfo=timezone.utc))
    taken = drop_folder.take(Path(file), claim)
    sys.stdout.write(f"{taken.path if taken else ''}\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
