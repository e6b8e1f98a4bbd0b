"""The command line: the same jobs from a terminal."""

import os

import click

from export_pipelines import settings
from export_pipelines.catalog.entities import ENTITIES, entity
from export_pipelines.cli.description import describe
from export_pipelines.cli.export import export, export_and_report
from export_pipelines.cli.imports import import_
from export_pipelines.cli.jobs import jobs
from export_pipelines.cli.keys import keys
from export_pipelines.cli.platforms import platforms
from export_pipelines.cli.profiles import profiles
from export_pipelines.cli.prune import prune
from export_pipelines.cli.registry import registry
from export_pipelines.cli.schedules import schedules
from export_pipelines.cli.terminal import exit_codes, make_sample
from export_pipelines.cli.webhooks import webhooks

_HELP = """
Exports a shop's catalogue and orders to files, and imports files into it.

\b
export-pipelines sample                     make a sample shop
export-pipelines resource-types             what can be exported
export-pipelines resource-types products    its fields, relations and matchers
export-pipelines export csv products        export it
export-pipelines export excel products --filter name_cont=FW --field sku
export-pipelines export json orders --include line_items --date-from 2026-01-01
export-pipelines export csv products --platform partner    and deliver it
export-pipelines platforms check partner    does that platform work?
export-pipelines import products.csv --entity products     create and update products
export-pipelines import stock.xlsx --entity stock_items --dry-run
export-pipelines jobs list                  what runs, and what became of it
export-pipelines prune --dry-run            what is old, and would be removed
export-pipelines dev                        web UI, schedules, API and GraphQL
export-pipelines keys add shop --scope exports:write       a key of the API
export-pipelines serve --host 0.0.0.0       the same for those who have a key
"""

_EPILOG = """
\b
Everything is written below one folder, ./data, or that of the variable
EXPORT_PIPELINES_HOME. The catalogue is ./data/shop.db, or the database of
DATABASE_URL: sqlite:///path/shop.db or postgresql://user:password@host/name.

\b
Exit codes: 0 done; 2 the request is wrong; 3 nothing to export;
4 the database cannot be read; 5 files cannot be written;
6 a value does not fit the format; 7 too many exports at once;
8 a platform does not answer; 9 its configuration is wrong;
10 it takes no file; 11 a file cannot be imported;
12 the process of the run is gone; 13 the registry does not answer;
14 its key is not there; 15 the server of --server does not answer;
130 interrupted; 1 anything else.
"""


@click.group(help=_HELP, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="export-pipelines")
def main() -> None:
    """Run the command line."""


main.add_command(export)
main.add_command(import_)
main.add_command(platforms)
main.add_command(profiles)
main.add_command(schedules)
main.add_command(registry)
main.add_command(jobs)
main.add_command(keys)
main.add_command(webhooks)
main.add_command(prune)


@main.command()
@click.option("--products", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--orders", type=click.IntRange(min=0), help="Default: a quarter of the products.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another shop of that size.")
def sample(products: int, orders: int | None, seed: int) -> None:
    """Makes a sample shop in the catalogue's database, which must be empty."""
    with exit_codes():
        make_sample(products, orders, seed)


@main.command()
@click.option("--products", type=click.IntRange(min=1), default=10_000, show_default=True)
def run(products: int) -> None:
    """Makes a sample shop if there is no catalogue, and exports its products to CSV."""
    with exit_codes():
        if not os.environ.get("DATABASE_URL") and not (settings.home_folder() / "shop.db").exists():
            make_sample(products)
        export_and_report("csv", {"resource_type": "products"})
    click.echo(
        "\nNext:\n"
        "  make dev                                          the web UI, with this run in it\n"
        "  .venv/bin/export-pipelines export excel products  an Excel workbook\n"
        "  .venv/bin/export-pipelines --help                 all that can be done"
    )


@main.command("resource-types")
@click.argument("name", required=False)
def resource_types(name: str | None) -> None:
    """Lists what can be exported; of one resource type fields, includes, relations, matchers."""
    with exit_codes():
        if name is None:
            for known in ENTITIES.values():
                click.echo(f"{known.name:<26} {known.description}")
            return
        describe(entity(name))


_port = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="0: any free port.",
)


@main.command()
@_port
def dev(port: int) -> None:
    """Starts the web UI, the API and the daemon for whoever is at this machine, until Ctrl-C."""
    from export_pipelines.listening import LOOPBACK
    from export_pipelines.serving import serve as start

    with exit_codes():
        start(LOOPBACK, port, authenticates=False)


@main.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; 0.0.0.0: all of this machine's.",
)
@_port
@click.option("--no-auth", is_flag=True, help="Ask for no key; only on this machine's own address.")
def serve(host: str, port: int, *, no_auth: bool) -> None:
    """Starts the web UI, the API and the daemon for those who have a key, until a signal.

    Make a key for yourself first: export-pipelines keys add NAME --scope admin
    """
    from export_pipelines.serving import serve as start

    with exit_codes():
        start(host, port, authenticates=not no_auth)
