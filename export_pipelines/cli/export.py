"""`export-pipelines export`: a command for each format, with that format's options."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from export_pipelines.cli.terminal import exit_code, exit_codes, progress_bar
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format

_LISTED_FILES = 10
_SWITCHES = {
    "skip-ids": "Leave out the records' own ids.",
    "skip-rel-ids": "Leave out the ids of related resources.",
    "skip-timestamps": "Leave out created_at and updated_at.",
    "skip-blanks": "Leave out what is empty in each record; JSON only.",
    "skip-amount-formats": "Amounts as *_cents only.",
    "dry-data": "All skip options at once; blanks in JSON only.",
    "allow-empty": "Write files without records if none match.",
}


@click.group()
def export() -> None:
    """Exports a resource type in a format."""


def export_and_report(
    format_name: str, config: Mapping[str, Any], *, as_json: bool = False
) -> None:
    """Export in this process, say what was written, and exit with a code if it failed."""
    if not os.environ.get("EXPORT_PIPELINES_LOG_LEVEL"):
        os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
    from export_pipelines.execution import check_export, open_instance, run_export
    from export_pipelines.resources import ExportStore

    began = time.monotonic()
    with open_instance() as instance, progress_bar() as show:
        check_export(instance, format_name, config)
        run, finished = run_export(instance, format_name, config, show)
    if finished is None:
        unexplained = f"The export failed unexpectedly: see run {run.run_id} in the web UI."
        click.echo(f"Error: {run.tags.get('export/error', unexplained)}", err=True)
        if location := run.tags.get("export/location"):
            click.echo(f"The files are whole, and stay in {_from_here(location)}", err=True)
        sys.exit(exit_code(run.tags.get("export/error_code", "")))
    manifest, deliveries = finished["manifest"], finished["deliveries"]
    links: Mapping[str, str] = {}
    # The export is done, whether or not the store answers once more.
    with suppress(ExportPipelinesError):
        links = ExportStore().links(run.run_id, [file["name"] for file in manifest["files"]])
    if as_json:
        place = {"location": finished["location"], "links": links, "deliveries": deliveries}
        answer = {"run_id": run.run_id, "status": run.status.value, **manifest, **place}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _report(finished, links, time.monotonic() - began)


def _report(finished: Mapping[str, Any], links: Mapping[str, str], seconds: float) -> None:
    manifest, location = finished["manifest"], _from_here(finished["location"])
    files = manifest["files"]
    size = sum(file["bytes"] for file in files)
    title = FORMATS[manifest["format"]].title
    click.echo(
        f"Exported {manifest['records_count']:,} {manifest['resource_type']} as {title}: "
        f"{len(files):,} {'file' if len(files) == 1 else 'files'}, {size:,} bytes, {seconds:.1f} s."
    )
    for file in files[:_LISTED_FILES]:
        click.echo(f"  {location}/{file['name']}  {file['rows']:,} rows, {file['bytes']:,} bytes")
        if file["name"] in links:
            click.echo(f"  for 5 minutes at {links[file['name']]}")
    if len(files) > _LISTED_FILES:
        more = len(files) - _LISTED_FILES
        click.echo(f"  and {more:,} more, all listed in {location}/manifest.json")
    for delivery in finished["deliveries"]:
        click.echo(f"Delivered to {delivery['platform']}: {delivery['location']}")
    for warning in manifest["warnings"]:
        click.echo(f"Note: {warning}", err=True)


def _from_here(location: str) -> str:
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location


def _command(output_format: Format[Any]) -> click.Command:
    def command(resource_type: str, *, as_json: bool, **values: Any) -> None:
        with exit_codes():
            config = _run_config(resource_type, values)
            export_and_report(output_format.name, config, as_json=as_json)

    options = output_format.options.model_fields.items()
    return click.Command(
        output_format.name,
        callback=command,
        params=[
            click.Argument(["resource_type"], default="products"),
            *_shared_options(output_format),
            *(_option(name, found) for name, found in options),
        ],
        help=f"Exports a resource type as {output_format.title}; products if none is named.",
    )


def _shared_options(output_format: Format[Any]) -> list[click.Option]:
    rows = output_format.default_max_rows_per_file
    compressions = output_format.compressions
    return [
        click.Option(
            ["--field", "fields"],
            multiple=True,
            metavar="NAME",
            help="A field to export: name, relation.name, relation.* or *; again for more, in this "
            "order. Default: all of its own.",
        ),
        click.Option(
            ["--exclude-field", "exclude_fields"],
            multiple=True,
            metavar="NAME",
            help="A field to leave out; again for more.",
        ),
        click.Option(
            ["--include", "includes"],
            multiple=True,
            metavar="RELATION",
            help="Related resources to export too, such as line_items.line_item_options; "
            "again for more.",
        ),
        click.Option(
            ["--filter", "filters"],
            multiple=True,
            metavar="PREDICATE=VALUE",
            help="Only records for which this holds, such as name_cont=FW, is_active=true or "
            "status_in=placed,approved; again for more, which must hold too. NAME=null: an empty "
            "field.",
        ),
        click.Option(
            ["--date-from"],
            metavar="DAY|TIME",
            help="Only records from this day or time on, in the shop's time zone.",
        ),
        click.Option(
            ["--date-to"],
            metavar="DAY|TIME",
            help="Only records until this day or time, all of which is included.",
        ),
        *(click.Option([f"--{name}"], is_flag=True, help=text) for name, text in _SWITCHES.items()),
        click.Option(
            ["--max-records"],
            type=click.IntRange(min=1),
            help="Refuse to export more records than this.",
        ),
        click.Option(
            ["--max-rows-per-file"],
            type=click.IntRange(min=1),
            help=f"Most records of one file. Default: {f'{rows:,}' if rows else 'one file'}.",
        ),
        click.Option(
            ["--compression"],
            type=click.Choice(compressions),
            help=f"Default: {compressions[0]}.",
        ),
        click.Option(
            ["--file-name"],
            help="Name of the files without number and ending, perhaps with {resource_type}, "
            "{format}, {run_id}, {date:%Y-%m-%d} and {part:05d}. Default: the resource type.",
        ),
        click.Option(
            ["--platform", "platforms"],
            multiple=True,
            metavar="NAME",
            help="A platform of platforms.yaml to deliver to as well; again for more.",
        ),
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print the run and its manifest as JSON."
        ),
    ]


def _option(name: str, found: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    text = found.description or ""
    if found.annotation is bool:
        state = "on" if found.default else "off"
        both = f"{flag}/--no-{flag[2:]}"
        return click.Option([both, name], default=None, help=f"{text} Default: {state}.")
    if get_origin(found.annotation) is Literal:
        return click.Option([flag, name], type=click.Choice(get_args(found.annotation)), help=text)
    return click.Option([flag, name], multiple=True, help=f"{text} Again for more.")


def _run_config(resource_type: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run config of what was given; what was not is left to its default."""
    config: dict[str, Any] = {"resource_type": resource_type}
    switches = {name.replace("-", "_") for name in _SWITCHES}
    for name, value in values.items():
        if name == "filters":
            config[name] = _filters(value)
        elif value not in (None, ()) and (value is not False or name not in switches):
            config[name] = list(value) if isinstance(value, tuple) else value
    return config


def _filters(texts: Sequence[str]) -> dict[str, str | None]:
    filters: dict[str, str | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not FIELD=VALUE.", param_hint="--filter")
        if name in filters:
            raise click.BadParameter(f"{name} has two values.", param_hint="--filter")
        filters[name] = None if value == "null" else value
    return filters


for _format in FORMATS.values():
    export.add_command(_command(_format))
