"""`export-pipelines export`: a command for each format, with that format's options."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from export_pipelines.cli.export_options import request_options, run_config
from export_pipelines.cli.terminal import exit_code, exit_codes, progress_bar
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format

_LISTED_FILES = 10


@click.group()
def export() -> None:
    """Exports a resource type in a format."""


def export_and_report(
    format_name: str, config: Mapping[str, Any], *, as_json: bool = False
) -> None:
    """Export in this process, say what was written, and exit with a code if it failed."""
    if not os.environ.get("EXPORT_PIPELINES_LOG_LEVEL"):
        os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
    from export_pipelines.execution import check_export, run_export
    from export_pipelines.records import open_instance
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
            config = run_config(resource_type, values)
            export_and_report(output_format.name, config, as_json=as_json)

    return click.Command(
        output_format.name,
        callback=command,
        params=[
            click.Argument(["resource_type"], default="products"),
            *request_options(output_format),
            click.Option(
                ["--json", "as_json"], is_flag=True, help="Print the run and its manifest as JSON."
            ),
        ],
        help=f"Exports a resource type as {output_format.title}; products if none is named.",
    )


for _format in FORMATS.values():
    export.add_command(_command(_format))
