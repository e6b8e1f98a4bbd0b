"""Orders with their lines and options to nested JSON, beside what people would write instead.

    .venv/bin/python -m benchmarks.nested_json              about five minutes
    .venv/bin/python -m benchmarks.nested_json --orders 10000 --sizes 10000

Each order has three lines and one option; `--options 3` gives each line one. All write the same
members of each: ours with a Dagster run; SQLite's own JSON functions; SQLAlchemy, which reads each
relation with one statement for 500 orders, and Python's json. Every command is timed whole. Compare
ratios, not seconds.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import polars as pl

from benchmarks.csv_export import Timing, compare, measure, peer, run_seconds
from export_pipelines.catalog.database import bulk_writer, create_schema
from export_pipelines.catalog.models import Base

LINES = 3
_FIELDS = {
    "": ("number", "status", "customer_email", "currency_code", "total_amount_cents", "placed_at"),
    "line_items.": ("sku_code", "name", "quantity", "unit_amount_cents", "total_amount_cents"),
    "line_items.line_item_options.": ("name", "quantity", "unit_amount_cents"),
}
_MOMENT = "strftime('%Y-%m-%dT%H:%M:%fZ', placed_at / 1000.0, 'unixepoch')"
_OPTIONS = (
    "(SELECT json_group_array(json_object('name', p.name, 'quantity', p.quantity,"
    " 'unit_amount_cents', p.unit_amount_cents)) FROM line_item_options p"
    " WHERE p.line_item_id = l.id)"
)
_LINES = (
    "(SELECT json_group_array(json_object('sku_code', l.sku_code, 'name', l.name,"
    " 'quantity', l.quantity, 'unit_amount_cents', l.unit_amount_cents,"
    f" 'total_amount_cents', l.total_amount_cents, 'line_item_options', json({_OPTIONS})))"
    " FROM line_items l WHERE l.order_id = o.id)"
)
_SQL = (
    "SELECT json_object('number', number, 'status', status, 'customer_email', customer_email,"
    " 'currency_code', currency_code, 'total_amount_cents', total_amount_cents,"
    f" 'placed_at', {_MOMENT}, 'line_items', json({_LINES})) FROM orders o ORDER BY id"
)
_SQLALCHEMY = """
import json, sys
from sqlalchemy import select
from sqlalchemy.orm import Session, load_only, selectinload
from export_pipelines.catalog.database import engine
from export_pipelines.catalog.models.orders import LineItem, LineItemOption, Order

url, path = sys.argv[1:3]
orders, lines, options = (names.split(",") for names in sys.argv[3:])

def values(row, names):
    return {name: getattr(row, name) for name in names}

def only(model, names):
    return load_only(*(getattr(model, name) for name in names))

with Session(engine(url)) as session, open(path, "w", encoding="utf-8") as file:
    deep = selectinload(Order.line_items).options(
        only(LineItem, lines),
        selectinload(LineItem.line_item_options).options(only(LineItemOption, options)),
    )
    statement = select(Order).options(only(Order, orders), deep).order_by(Order.id)
    for order in session.scalars(statement.execution_options(yield_per=500)):
        record = values(order, orders)
        record["placed_at"] = record["placed_at"].isoformat()
        record["line_items"] = [
            {
                **values(line, lines),
                "line_item_options": [values(option, options) for option in line.line_item_options],
            }
            for line in order.line_items
        ]
        file.write(json.dumps(record, ensure_ascii=False) + "\\n")
"""


def make_shop(url: str, orders: int, options: int) -> None:
    """Fill a SQLite shop with orders of three lines, of which so many have an option."""
    create_schema(url, indexes=False)
    tables = Base.metadata.tables
    with bulk_writer(url) as writer:
        for start in range(0, orders, 50_000):
            frames = _frames(start, min(50_000, orders - start), options)
            for name, frame in frames.items():
                writer.write(tables[name], frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    create_schema(url)


def _frames(start: int, count: int, options: int) -> dict[str, pl.DataFrame]:
    now = pl.lit(datetime(2026, 1, 31, tzinfo=timezone.utc), pl.Datetime("ms", "UTC"))
    order, line = pl.col("order"), pl.col("line")
    orders = pl.select(order=pl.int_range(start, start + count))
    lines = orders.join(pl.select(line=pl.int_range(LINES)), how="cross")
    shared = {"created_at": now, "updated_at": now, "currency_code": pl.lit("EUR")}
    switches = {name: pl.lit(value=False) for name in ("is_upsell", "is_gift_card")}
    return {
        "orders": orders.select(
            id=_key("0", order),
            number=pl.format("#{}", order),
            status=pl.lit("placed"),
            payment_status=pl.lit("paid"),
            fulfillment_status=pl.lit("fulfilled"),
            is_test=pl.lit(value=False),
            customer_email=pl.format("customer.{}@example.com", order % 9_973),
            total_amount_cents=order % 90_000 + 100,
            placed_at=now + pl.duration(milliseconds=order * 977),
            **shared,
        ),
        "line_items": lines.select(
            id=_key("1", order * LINES + line),
            order_id=_key("0", order),
            sku_code=pl.format("SKU-{}", (order * 7 + line) % 5_000),
            name=pl.format("Folding chair, {} cm", order % 200),
            quantity=line + 1,
            unit_amount_cents=order % 30_000 + 33,
            total_amount_cents=(order % 30_000 + 33) * (line + 1),
            requires_shipping=pl.lit(value=True),
            **switches,
            **shared,
        ),
        "line_item_options": lines.filter(line < options).select(
            id=_key("2", order * LINES + line),
            line_item_id=_key("1", order * LINES + line),
            name=pl.lit("Gift wrap"),
            quantity=pl.lit(1),
            unit_amount_cents=pl.lit(250),
            options=pl.lit('{"colour":"red"}'),
            **shared,
        ),
    }


def _key(kind: str, number: pl.Expr) -> pl.Expr:
    digits = number.cast(pl.String).str.zfill(12)
    return pl.concat_str(pl.lit(f"018d5c00-0000-7000-800{kind}-"), digits)


def export(url: str, home: Path, timing: Timing, orders: int, *options: str) -> None:
    """Export with this project's command line, and check that every order is there."""
    command = [sys.executable, "-m", "export_pipelines", "export", "json", "orders", "--json"]
    command += ["--no-pretty", "--json-lines", *options]
    if "--include" not in options:
        for prefix, names in _FIELDS.items():
            command += [part for name in names for part in ("--field", prefix + name)]
    environment = {"EXPORT_PIPELINES_HOME": str(home), "DATABASE_URL": url}
    seconds, memory, output = measure(command, environment)
    manifest = json.loads(output)
    if manifest["records_count"] != orders:
        raise SystemExit("orders are missing")
    timing.seconds.append(seconds)
    timing.memory_mb = max(timing.memory_mb, memory)
    timing.run_seconds.append(run_seconds(home, manifest["run_id"]))
    shutil.rmtree(home / "exports")


def sqlalchemy(url: str, path: Path, timing: Timing) -> None:
    """Export with SQLAlchemy and Python's json."""
    fields = (",".join(names) for names in _FIELDS.values())
    command = [sys.executable, "-c", _SQLALCHEMY, url, str(path), *fields]
    seconds, memory, _ = measure(command, {})
    timing.seconds.append(seconds)
    timing.memory_mb = max(timing.memory_mb, memory)


def grow(sizes: list[int], options: int, folder: Path) -> None:
    """Export several numbers of orders, in four ways, and print rates and memory."""
    everything = ("--include", "line_items.line_item_options")
    ways = {
        "the members above": (),
        "--skip-blanks": ("--skip-blanks",),
        "every member": everything,
        "every member, --dry-data": (*everything, "--dry-data"),
    }
    print(f"\nSQLite, by size\n{'orders':>10}  {'':26}{'run s':>8}{'orders/s':>10}{'MB':>7}")
    for orders in sizes:
        url = f"sqlite:///{folder / f'orders-{orders}.db'}"
        make_shop(url, orders, options)
        for name, given in ways.items():
            timing = Timing()
            export(url, folder / "home", timing, orders, *given)
            seconds = timing.run_seconds[0]
            rate = orders / seconds
            print(
                f"{orders:10,}  {name:26}{seconds:8.2f}{rate:10,.0f}{timing.memory_mb:7.0f}",
                flush=True,
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="nested JSON export beside other ways")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--options", type=int, default=1, choices=range(LINES + 1))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 400_000])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="export-benchmark-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'shop.db'}"
        make_shop(url, chosen.orders, chosen.options)
        ways: dict[str, Callable[[Timing], None]] = {
            "export-pipelines": lambda t: export(url, folder / "home", t, chosen.orders),
            "SQLAlchemy + json": lambda t: sqlalchemy(url, folder / "peer.jsonl", t),
        }
        if shutil.which("sqlite3"):
            path = url.removeprefix("sqlite:///")
            line = f'sqlite3 -readonly {path} "{_SQL}" > {folder / "peer.jsonl"}'
            ways["sqlite3 json_group_array"] = lambda t: peer(line, t)
        compare(f"SQLite, {chosen.orders:,} orders", ways, chosen.repeat)
        grow(chosen.sizes, chosen.options, folder)


if __name__ == "__main__":
    main()
