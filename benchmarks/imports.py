"""49,999 products from CSV into the catalogue, beside what pandas does for the bare insert.

    .venv/bin/python -m benchmarks.imports
    .venv/bin/python -m benchmarks.imports --memory 5000 50000 1000000

Ours is what the ops of a run take by themselves: reading, checking every row, comparing it with the
catalogue, upserting into the real table with its indexes, the report. pandas is `read_csv` and
`to_sql` with its defaults, nothing checked, twice: into a table without any index, and appended to
the real one. The fourth line imports the same file again: all rows unchanged. Compare ratios, not
seconds: all are of one run on one machine, in turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.csv_export import measure
from export_pipelines.catalog.database import begin, create_schema
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.sample import generate
from export_pipelines_tests.servers.postgres import start_postgres

_OURS = """
import json, sys, time
import dagster as dg
from export_pipelines.definitions import defs
from export_pipelines.resources import Catalog
url, file = sys.argv[1:3]
with dg.DagsterInstance.ephemeral() as instance:
    result = defs.resolve_job_def("import_products").execute_in_process(
        run_config={"files": [file]},
        instance=instance,
        resources={"catalog": Catalog(database_url=url)},
    )
    tags = instance.get_run_by_id(result.run_id).tags
    steps = instance.get_run_step_stats(result.run_id)
seconds = {step.step_key.partition("[")[0]: step.end_time - step.start_time for step in steps}
counts = {name: int(tags[f"import/{name}"]) for name in ("rows", "created", "updated", "unchanged")}
print(json.dumps({"seconds": seconds, "counts": counts}))
"""

_PANDAS = """
import json, sys, time
import pandas, sqlalchemy
url, file, table, exists = sys.argv[1:5]
url = url.replace("postgresql://", "postgresql+psycopg2://")
texts = ("ean", "barcode", "sku", "mpn", "external_ref")
engine = sqlalchemy.create_engine(url)
began = time.monotonic()
frame = pandas.read_csv(file, dtype={name: str for name in texts})
if exists == "append":
    # What the real table needs to take them at all is not timed.
    before = time.monotonic()
    known = [column["name"] for column in sqlalchemy.inspect(engine).get_columns(table)]
    frame = frame[[name for name in frame.columns if name in known]]
    for name in ("created_at", "updated_at"):
        frame[name] = pandas.to_datetime(frame[name], format="ISO8601")
        if url.startswith("sqlite"):
            frame[name] = frame[name].astype("datetime64[ms, UTC]").astype("int64")
    for name in ("name", "slug", "status", "commodity_type", "currency_code"):
        frame[name] = frame[name].fillna("")
    began += time.monotonic() - before
frame.to_sql(table, engine, if_exists=exists, index=False)
print(json.dumps({"rows": len(frame), "seconds": time.monotonic() - began}))
"""

_COPIED = ("suppliers", "files", "extension_templates", "extension_fields")


def make_file(folder: Path, rows: int) -> tuple[Path, str]:
    """Return a CSV export of products, cut to a number of rows, and the shop it comes from."""
    shop = f"sqlite:///{folder / 'shop.db'}"
    generate(shop, products=rows + rows // 20 + 100, orders=0)
    command = [sys.executable, "-m", "export_pipelines", "export", "csv", "products", "--json"]
    command += ["--exclude-field", "template:*", "--no-utf8-bom"]
    environment = {**os.environ, "EXPORT_PIPELINES_HOME": str(folder), "DATABASE_URL": shop}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    manifest = json.loads(done.stdout)
    source = Path(manifest["location"]) / manifest["files"][0]["name"]
    target = folder / f"products-{rows}.csv"
    pl.scan_csv(source, infer_schema=False).head(rows).sink_csv(target)
    return target, shop


def empty_catalogue(url: str, shop: str) -> str:
    """Make the tables, with what products refer to, and return the address."""
    create_schema(url)
    with begin(shop) as source, begin(url) as target:
        for table in (Base.metadata.tables[name] for name in _COPIED):
            rows = [dict(row._mapping) for row in source.execute(table.select())]
            if rows:
                target.execute(table.insert(), rows)
    return url


def python(program: str, *arguments: str, home: Path) -> dict[str, Any]:
    """Run a program in a process of its own, and return what it says."""
    environment = {
        "EXPORT_PIPELINES_HOME": str(home),
        "EXPORT_PIPELINES_LOG_LEVEL": "CRITICAL",
        "EXPORT_PIPELINES_MAX_IMPORT_ROWS": "none",
        "EXPORT_PIPELINES_MAX_IMPORT_BYTES": "none",
    }
    _, memory, output = measure([sys.executable, "-c", program, *arguments], environment)
    return {**json.loads(output.splitlines()[-1]), "memory": memory}


def ours(url: str, file: Path, home: Path, **expected: int) -> float:
    """Import, check what became of the rows, and return the seconds of the ops."""
    said = python(_OURS, url, str(file), home=home)
    if {name: said["counts"][name] for name in expected} != expected:
        raise SystemExit(f"expected {expected}, got {said['counts']}")
    return float(sum(said["seconds"].values()))


def compare(
    name: str, new_url: Callable[[], str], shop: str, file: Path, rows: int, repeat: int
) -> None:
    """Time all ways in turns, and print them with their ratios."""
    home = file.parent / "home"
    taken: dict[str, list[float]] = {}
    for _ in range(repeat):
        bare = python(_PANDAS, new_url(), str(file), "bare", "replace", home=home)
        taken.setdefault("pandas, a table without indexes", []).append(bare["seconds"])
        real = empty_catalogue(new_url(), shop)
        appended = python(_PANDAS, real, str(file), "products", "append", home=home)
        taken.setdefault("pandas, appended to the real table", []).append(appended["seconds"])
        url = empty_catalogue(new_url(), shop)
        taken.setdefault("ours", []).append(ours(url, file, home, created=rows))
        taken.setdefault("ours, all unchanged", []).append(ours(url, file, home, unchanged=rows))
    own = statistics.median(taken["ours"])
    print(f"\n{rows:,} products into {name}, medians of {repeat}")
    for way, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"  {way:<36} {median:6.2f} s  {median / own:5.2f}")


def memory(folder: Path, sizes: list[int]) -> None:
    """Print the largest memory of the process that imports files of some sizes into SQLite."""
    for rows in sizes:
        file, shop = make_file(folder / str(rows), rows)
        url = empty_catalogue(f"sqlite:///{folder}/{rows}/catalogue.db", shop)
        first = python(_OURS, url, str(file), home=folder / "home")
        again = python(_OURS, url, str(file), home=folder / "home")
        size = file.stat().st_size / 1e6
        print(
            f"{rows:>9,} rows ({size:,.0f} MB): {first['memory']:,.0f} MB, "
            f"all unchanged {again['memory']:,.0f} MB, {sum(first['seconds'].values()):.1f} s"
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=49_999)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        if chosen.memory:
            memory(folder, chosen.memory)
            return
        file, shop = make_file(folder, chosen.rows)
        numbers = iter(range(1_000))
        compare(
            "SQLite",
            lambda: f"sqlite:///{folder}/catalogue{next(numbers)}.db",
            shop,
            file,
            chosen.rows,
            chosen.repeat,
        )
        with start_postgres(folder / "postgres") as server:
            compare(
                "Postgres",
                lambda: server.create_database(f"catalogue{next(numbers)}"),
                shop,
                file,
                chosen.rows,
                chosen.repeat,
            )


if __name__ == "__main__":
    main()
