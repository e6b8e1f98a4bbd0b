"""`export-pipelines prune`: what is old is removed, from a terminal."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from export_pipelines.cli.terminal import exit_code, exit_codes

_Command = Callable[..., None]


def _days(kind: str, what: str) -> Callable[[_Command], _Command]:
    return click.option(
        f"--{kind}-days",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Keep {what} for so many days. Default: EXPORT_PIPELINES_KEEP_{kind.upper()}_DAYS.",
    )


@click.command()
@_days("exports", "files of exports")
@_days("staging", "what is staged of runs that ended")
@_days("imports", "imported files and reports")
@_days("runs", "records of runs")
@_days("ticks", "ticks of schedules and sensors")
@click.option("--dry-run", is_flag=True, help="Remove nothing, and list what would be removed.")
def prune(**values: Any) -> None:
    """Removes what is old and not in use, as the schedule prune_daily does each night."""
    config = {name: value for name, value in values.items() if value not in (None, False)}
    with exit_codes():
        prune_and_report(config)


def prune_and_report(config: Mapping[str, Any]) -> None:
    """Prune in this process, say what was removed, and exit with a code if something could not."""
    if not os.environ.get("EXPORT_PIPELINES_LOG_LEVEL"):
        os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
    from export_pipelines.execution import run_prune
    from export_pipelines.records import open_instance

    with open_instance() as instance:
        run, metadata = run_prune(instance, config)
    for record in metadata["would_be_removed"].records if "would_be_removed" in metadata else ():
        click.echo(f"  {record.data['kind']}: {record.data['name']}")
    if "summary" in metadata:
        click.echo(metadata["summary"].value)
    if run.status.value != "SUCCESS":
        unexplained = f"Pruning failed unexpectedly: see run {run.run_id} in the web UI."
        click.echo(f"Error: {run.tags.get('prune/error', unexplained)}", err=True)
        sys.exit(exit_code(run.tags.get("prune/error_code", "")))
