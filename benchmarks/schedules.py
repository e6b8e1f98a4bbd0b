"""How late schedules start their runs: 20 are registered while the daemon runs, dies and restarts.

python -m benchmarks.schedules
"""

import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from export_pipelines_tests.live_schedules import run_live


def main() -> None:
    with TemporaryDirectory() as folder:
        os.environ["EXPORT_PIPELINES_HOME"] = str(Path(folder) / "home")
        os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
        outcome = run_live(count=20, minutes=2)
    once = outcome.started == outcome.expected
    late = outcome.late
    print(f"{len(outcome.expected)} due times, each started once: {'yes' if once else 'NO'}")
    print(f"seconds late: median {median(late):.1f}, worst {late[-1]:.1f}")


if __name__ == "__main__":
    main()
