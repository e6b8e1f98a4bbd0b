"""A million products to gzipped CSV, beside the tools that people would use instead.

    make bench                              all of it, about a quarter of an hour
    .venv/bin/python -m benchmarks.csv_export --sizes 10000 100000 --rows 100000 --repeat 1

Every command is timed whole, with the start of its processes; ours with Python, Dagster and the
recording of the run. Ours writes files of 10,000 rows with every field of the table and the derived
prices; the others write the table's columns, and all but pandas one file. Compare ratios, not
seconds: all are of one run on one machine.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from export_pipelines.catalog.sample import generate
from export_pipelines_tests.servers.postgres import start_postgres

_SQL = "SELECT * FROM products WHERE NOT is_bundle ORDER BY id"
_ROWS_PER_FILE = 10_000
_TABLE_ONLY = ("--exclude-field", "template:*")
"""Custom fields are in tables that the others do not read."""

_SLOW = ("pandas", "SQLAlchemy + json")
"""Ways that are timed only once."""

_PANDAS = """
import sys, pandas, sqlalchemy
url, folder, rows, sql = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
with engine.connect().execution_options(stream_results=True) as connection:
    frames = pandas.read_sql(sqlalchemy.text(sql), connection, chunksize=rows)
    for number, frame in enumerate(frames, start=1):
        frame.to_csv(
            f"{folder}/{number:05d}.csv.gz",
            index=False,
            compression={"method": "gzip", "compresslevel": 6},
        )
"""

# A child's peak memory begins with that of the process that forked it, so a small one does.
_MEASURE = """
import os, sys
child = os.fork()
if not child:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as report:
    report.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass
class Timing:
    """What one way to export took, over its repeats."""

    seconds: list[float] = field(default_factory=list)
    memory_mb: float = 0
    run_seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(command: list[str], environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Run a command and return its seconds, its largest process in MB, and what it printed."""
    with tempfile.NamedTemporaryFile("r") as report:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _MEASURE, report.name, *command],
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"{' '.join(command)[:200]} failed")
        return seconds, int(report.read()) / 1024, done.stdout


def export(url: str, home: Path, timing: Timing, rows: int, *options: str) -> None:
    """Export with this project's command line, and check that every row is there.

    One product in 25 is a bundle, and is not exported.
    """
    command = [sys.executable, "-m", "export_pipelines", "export", "csv", "products", "--json"]
    command += ["--compression", "gzip", "--max-rows-per-file", str(_ROWS_PER_FILE), *options]
    environment = {"EXPORT_PIPELINES_HOME": str(home), "DATABASE_URL": url}
    seconds, memory, output = measure(command, environment)
    manifest = json.loads(output)
    written = sum(file["rows"] for file in manifest["files"])
    if written != manifest["records_count"] or not rows * 0.95 < written < rows * 0.97:
        raise SystemExit("rows are missing")
    timing.seconds.append(seconds)
    timing.memory_mb = max(timing.memory_mb, memory)
    timing.run_seconds.append(run_seconds(home, manifest["run_id"]))
    shutil.rmtree(home / "exports")


def run_seconds(home: Path, run_id: str) -> float:
    """Return the seconds from the record of a run to its end."""
    from dagster import DagsterInstance

    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        record = instance.get_run_record_by_id(run_id)
    assert record
    assert record.end_time
    return record.end_time - record.create_timestamp.timestamp()


def peer(command: str, timing: Timing) -> None:
    """Run a shell pipeline."""
    seconds, memory, _ = measure(["bash", "-o", "pipefail", "-c", command], {})
    timing.seconds.append(seconds)
    timing.memory_mb = max(timing.memory_mb, memory)


def pandas(url: str, folder: Path, timing: Timing) -> None:
    """Export with pandas, in chunks of the same number of rows."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _PANDAS, url, str(folder), str(_ROWS_PER_FILE), _SQL]
    seconds, memory, _ = measure(command, {})
    timing.seconds.append(seconds)
    timing.memory_mb = max(timing.memory_mb, memory)


def compare(name: str, ways: Mapping[str, Callable[[Timing], None]], repeat: int) -> None:
    """Time all ways in turn, so that a slow moment of the machine meets each, and print them."""
    timings = {way: Timing() for way in ways}
    for _ in range(repeat):
        for way, run in ways.items():
            if way not in _SLOW or not timings[way].seconds:
                run(timings[way])
    ours = timings["export-pipelines"]
    print(f"\n{name}\n{'':28}{'seconds':>9}{'ratio':>8}{'MB':>7}   each")
    for way, timing in timings.items():
        each = " ".join(f"{seconds:.1f}" for seconds in timing.seconds)
        ratio = timing.median / ours.median
        print(f"{way:28}{timing.median:9.2f}{ratio:8.2f}{timing.memory_mb:7.0f}   {each}")
    run = statistics.median(ours.run_seconds)
    best = {
        way: timing.median / run for way, timing in timings.items() if way != "export-pipelines"
    }
    ratios = ", ".join(f"{way} {ratio:.2f}" for way, ratio in best.items())
    print(
        f"the Dagster run alone, without the start of Python: {run:.2f} s; ratios {ratios}",
        flush=True,
    )


def grow(sizes: list[int], folder: Path) -> None:
    """Export shops of several sizes, and print time and memory."""
    print(f"\nSQLite, by size\n{'rows':>12}{'seconds':>9}{'us/row':>8}{'MB':>7}")
    for rows in sizes:
        with shop(folder, rows) as url:
            timing = Timing()
            export(url, folder / "home", timing, rows, *_TABLE_ONLY)
            each = timing.seconds[0] / rows * 1e6
            print(
                f"{rows:12,}{timing.seconds[0]:9.2f}{each:8.2f}{timing.memory_mb:7.0f}", flush=True
            )


@contextmanager
def shop(folder: Path, rows: int) -> Iterator[str]:
    """Make a SQLite shop and remove it afterwards."""
    path = folder / f"shop-{rows}.db"
    generate(f"sqlite:///{path}", products=rows, orders=0)
    try:
        yield f"sqlite:///{path}"
    finally:
        for file in folder.glob(f"{path.name}*"):
            file.unlink()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CSV export beside other tools")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000, 5_000_000]
    )
    chosen = parser.parse_args()
    psql = shutil.which("psql")
    sqlite = shutil.which("sqlite3")
    for name, found in (("psql", psql), ("sqlite3", sqlite)):
        if not found:
            print(f"{name} is not installed: it is left out.")
    with tempfile.TemporaryDirectory(prefix="export-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        gz = folder / "peer.csv.gz"
        with shop(folder, chosen.rows) as url:
            path = url.removeprefix("sqlite:///")
            ways: dict[str, Callable[[Timing], None]] = {
                "export-pipelines": lambda t: export(
                    url, folder / "home", t, chosen.rows, *_TABLE_ONLY
                ),
                "pandas": lambda t: pandas(url, folder / "pandas", t),
            }
            if sqlite:
                line = f"sqlite3 -readonly -csv -header {path} '{_SQL}' | gzip -6 > {gz}"
                ways["sqlite3 -csv | gzip -6"] = lambda t: peer(line, t)
            compare(f"SQLite, {chosen.rows:,} products", ways, chosen.repeat)
        with start_postgres(folder / "postgres") as server:
            database = server.create_database("bench")
            generate(database, products=chosen.rows, orders=0)
            ways = {
                "export-pipelines": lambda t: export(
                    database, folder / "home", t, chosen.rows, *_TABLE_ONLY
                ),
                "pandas": lambda t: pandas(database, folder / "pandas", t),
            }
            if psql:
                copy = (
                    f"psql -q {database} -c '\\copy ({_SQL}) to stdout csv header' | gzip -6 > {gz}"
                )
                ways["psql \\copy | gzip -6"] = lambda t: peer(copy, t)
            compare(f"Postgres, {chosen.rows:,} products", ways, chosen.repeat)
        grow(chosen.sizes, folder)


if __name__ == "__main__":
    main()
