"""The command line: the same jobs from a terminal."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from export_pipelines import settings
from export_pipelines.catalog.entities import ENTITIES, entity
from export_pipelines.errors import ExportPipelinesError, RequestError, one_of
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format

_EPILOG = """
\b
Everything is written below one folder, ./data, or that of the variable EXPORT_PIPELINES_HOME.
The catalogue is ./data/shop.db, or the database of DATABASE_URL (sqlite:///... or postgresql://...).

\b
Exit codes: 0 done; 2 the request is wrong; 3 nothing to export; 4 the database cannot be read;
5 files cannot be written; 6 a value does not fit the format; 130 interrupted; 1 anything else.
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="export-pipelines")
def main() -> None:
    """Exports a shop's catalogue and orders to files.

    \b
    export-pipelines sample                           make a sample shop
    export-pipelines resource-types                   what can be exported
    export-pipelines resource-types products          its fields
    export-pipelines export csv products              export it
    export-pipelines export excel products --filter is_active=true --field sku --field name
    export-pipelines dev                              web UI, schedules and GraphQL
    """


@main.group()
def export() -> None:
    """Exports a resource type in a format."""


def _export_command(output_format: Format[Any]) -> click.Command:
    def command(resource_type: str, **values: Any) -> None:
        as_json = values.pop("as_json")
        config = _run_config(resource_type, values, list(output_format.options.model_fields))
        with _exit_codes():
            _export(output_format.name, config, as_json=as_json)

    options = [
        _option(name, found) for name, found in output_format.options.model_fields.items()
    ]
    return click.Command(
        output_format.name,
        callback=command,
        params=[click.Argument(["resource_type"], default="products"), *_shared_options(output_format), *options],
        help=f"Exports a resource type as {output_format.title}; products if none is named.",
    )


def _shared_options(output_format: Format[Any]) -> list[click.Option]:
    usual_rows = output_format.default_max_rows_per_file
    return [
        click.Option(["--field", "fields"], multiple=True, help="A field to export; again for more, in this order. Default: all."),
        click.Option(["--exclude-field", "exclude_fields"], multiple=True, help="A field to leave out; again for more."),
        click.Option(["--filter", "filters"], multiple=True, metavar="FIELD=VALUE", help="Only records with this value; again for more. FIELD= stands for an empty text, FIELD=null for an empty field."),
        click.Option(["--max-rows-per-file"], type=click.IntRange(min=1), help=f"Most records of one file. Default: {usual_rows or 'one file'}."),
        click.Option(["--compression"], type=click.Choice(output_format.compressions), help=f"Default: {output_format.compressions[0]}."),
        click.Option(["--file-name"], help="Name of the files without number and ending. Default: the resource type."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the run and its manifest as JSON."),
    ]


def _option(name: str, found: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    text = found.description or ""
    if found.annotation is bool:
        state = "on" if found.default else "off"
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=f"{text} Default: {state}.")
    if get_origin(found.annotation) is Literal:
        return click.Option([flag, name], type=click.Choice(get_args(found.annotation)), help=text)
    return click.Option([flag, name], multiple=True, help=f"{text} Again for more.")


for _format in FORMATS.values():
    export.add_command(_export_command(_format))


def _run_config(resource_type: str, values: Mapping[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """Return the run config of what was given; what was not is left to its default."""
    config: dict[str, Any] = {"resource_type": resource_type}
    for name, value in values.items():
        if name == "filters":
            config[name] = dict(_filter(text) for text in value)
        elif value not in (None, ()):
            config[name] = list(value) if isinstance(value, tuple) else value
    del options
    return config


def _filter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not FIELD=VALUE.", param_hint="--filter")
    return name, None if value == "null" else value


def _export(format_name: str, config: Mapping[str, Any], *, as_json: bool) -> None:
    os.environ.setdefault("EXPORT_PIPELINES_LOG_LEVEL", "CRITICAL")
    from export_pipelines.execution import open_instance, run_export

    began = time.monotonic()
    with open_instance() as instance, _progress_bar() as show:
        run, manifest = run_export(instance, format_name, config, show)
    if manifest is None:
        _fail(run.tags, run.run_id)
    if as_json:
        click.echo(json.dumps({"run_id": run.run_id, "status": run.status.value, **manifest}, indent=2))
        return
    folder = settings.exports_folder() / run.run_id
    seconds = time.monotonic() - began
    size = sum(file["bytes"] for file in manifest["files"])
    click.echo(
        f"Exported {manifest['records_count']:,} {manifest['resource_type']} as "
        f"{FORMATS[format_name].title} in {seconds:.1f} s: {len(manifest['files'])} file(s), {size:,} bytes."
    )
    for file in manifest["files"][:10]:
        click.echo(f"  {_shown(folder / file['name'])}  {file['rows']:,} rows, {file['bytes']:,} bytes")
    if len(manifest["files"]) > 10:
        click.echo(f"  ... and {len(manifest['files']) - 10} more, listed in {_shown(folder / 'manifest.json')}")
    for warning in manifest["warnings"]:
        click.secho(f"Note: {warning}", err=True)


def _fail(tags: Mapping[str, str], run_id: str) -> NoReturn:
    message = tags.get("export/error") or f"The export failed; see run {run_id} in the web UI."
    codes = {kind.code: kind.exit_code for kind in _kinds(ExportPipelinesError)}
    click.echo(f"Error: {message}", err=True)
    sys.exit(codes.get(tags.get("export/error_code", ""), 1))


def _kinds(kind: type[ExportPipelinesError]) -> Iterator[type[ExportPipelinesError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


@contextmanager
def _exit_codes() -> Iterator[None]:
    try:
        yield
    except ExportPipelinesError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("Interrupted: nothing was published.", err=True)
        sys.exit(130)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Yield a function that shows a run's tags as a bar; it shows nothing but on a terminal."""
    if not sys.stderr.isatty():
        yield lambda tags: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=100)

        def show(tags: Mapping[str, str]) -> None:
            parts = f" {tags['export/parts']}" if "export/parts" in tags else ""
            records = f" {int(tags['export/records_count']):,}" if "export/records_count" in tags else ""
            stage = tags.get("export/stage", "starting")
            bar.update(task, description=f"{stage}{records}{parts}", completed=int(tags.get("export/progress", "0")))

        yield show


@main.command()
@click.option("--products", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--orders", type=click.IntRange(min=0), help="Default: a quarter of the products.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another shop of the same size.")
def sample(products: int, orders: int | None, seed: int) -> None:
    """Makes a sample shop in the catalogue's database, which must be empty."""
    with _exit_codes():
        _make_sample(products, orders, seed)


def _make_sample(products: int, orders: int | None = None, seed: int = 7) -> None:
    from export_pipelines.catalog.sample import generate

    began = time.monotonic()
    generate(settings.database_url(), products=products, orders=orders, seed=seed)
    click.echo(f"Made a sample shop with {products:,} products in {time.monotonic() - began:.1f} s.")


@main.command()
@click.option("--products", type=click.IntRange(min=1), default=10_000, show_default=True)
def run(products: int) -> None:
    """Makes a sample shop if there is no catalogue, and exports its products to CSV."""
    with _exit_codes():
        if not os.environ.get("DATABASE_URL") and not (settings.home_folder() / "shop.db").exists():
            _make_sample(products)
        _export("csv", {"resource_type": "products"}, as_json=False)
    click.echo(
        "\nNext:\n"
        "  make dev                                               the same in a web UI, with history\n"
        "  .venv/bin/export-pipelines export excel products       as an Excel workbook\n"
        "  .venv/bin/export-pipelines --help                      all that can be done"
    )


@main.command("resource-types")
@click.argument("name", required=False)
def resource_types(name: str | None) -> None:
    """Lists what can be exported, or one resource type's fields."""
    if name is None:
        for known in ENTITIES.values():
            click.echo(f"{known.name:<24} {known.description}")
        return
    with _exit_codes():
        for found in entity(name).fields.values():
            values = f"one of {one_of(found.values)}" if found.values else ""
            notes = "; ".join(filter(None, [found.description, values, "" if found.nullable else "never empty"]))
            click.echo(f"{found.name:<28} {found.type.value:<9} {notes}".rstrip())


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="0: any free port.")
def dev(port: int) -> None:
    """Starts the web UI, GraphQL and the daemon on this machine, until Ctrl-C."""
    from export_pipelines.dev import serve

    with _exit_codes():
        serve(port)


def _shown(path: Path) -> Path:
    """Return a path as it is shortest from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


_ = RequestError
