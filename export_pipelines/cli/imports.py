"""`export-pipelines import`: files into the catalogue, from a terminal."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from export_pipelines.cli.terminal import exit_code, exit_codes, progress_bar
from export_pipelines.imports.file_names import plain_name

_LISTED_ERRORS = 10


@click.command("import")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--entity",
    "resource_type",
    required=True,
    metavar="NAME",
    help="What the files hold: products, suppliers, prices, ...",
)
@click.option("--mapping", metavar="FILE|NAME", help="A mapping file for foreign headers.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["auto", "csv", "json", "jsonl", "excel", "parquet"]),
    help="Default: as the content says.",
)
@click.option(
    "--encoding",
    type=click.Choice(["auto", "utf-8", "utf-16", "latin-1"]),
    help="Default: UTF-8, or as the first bytes say.",
)
@click.option(
    "--delimiter",
    type=click.Choice(["auto", ",", ";", "\t", "|"]),
    help="Default: as the header says.",
)
@click.option("--sheet", metavar="NAME", help="The sheet of a workbook. Default: the first.")
@click.option("--sanitized", is_flag=True, help="Take off the ' before formulas.")
@click.option(
    "--locale",
    type=click.Choice(["en-US", "en-GB", "en-CA"]),
    help="How dates are written, besides 2026-01-31.",
)
@click.option(
    "--on-error",
    type=click.Choice(["abort", "skip"]),
    help="If rows are wrong: import nothing, or the others. Default: abort.",
)
@click.option(
    "--max-error-ratio",
    type=click.FloatRange(0, 1),
    help="With skip: the part of the rows that may be wrong. Default: 0.1.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
def import_(files: Sequence[str], resource_type: str, *, as_json: bool, **values: Any) -> None:
    """Imports files: creates new rows and updates those that are known."""
    values["format"] = values.pop("format_name")
    config = {name: value for name, value in values.items() if value not in (None, False)}
    with exit_codes():
        import_and_report(
            resource_type,
            {"files": [_place(file) for file in files], **config},
            as_json=as_json,
        )


def _place(file: str) -> str:
    """Return where a file is, for a run that may have another working folder."""
    return file if file.startswith("platform:") else str(Path(file).absolute())


def import_and_report(
    resource_type: str, config: Mapping[str, Any], *, as_json: bool = False
) -> None:
    """Import in this process, say what became of each file, and exit with a code if one failed."""
    if not os.environ.get("EXPORT_PIPELINES_LOG_LEVEL"):
        os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
    from export_pipelines.execution import run_import
    from export_pipelines.records import open_instance

    began = time.monotonic()
    with open_instance() as instance, progress_bar("import") as show:
        run, reports = run_import(instance, resource_type, config, show)
    if as_json:
        said = [json.loads(report.read_bytes()) for report in reports]
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        for report in reports:
            _show(json.loads(report.read_bytes()), report)
        click.echo(f"{time.monotonic() - began:.1f} s.")
    if run.status.value != "SUCCESS":
        unexplained = f"The import failed unexpectedly: see run {run.run_id} in the web UI."
        # A file that the run could not even report on is told of by the run alone.
        if len(reports) < len(config["files"]) or not run.tags.get("import/error"):
            click.echo(f"Error: {run.tags.get('import/error', unexplained)}", err=True)
        sys.exit(exit_code(run.tags.get("import/error_code", "")))


def _show(report: Mapping[str, Any], path: Path) -> None:
    would = "would be " if report["dry_run"] else ""
    counts = (
        f"{report['rows']:,} rows: {report['created']:,} {would}created, {report['updated']:,} "
        f"{would}updated, {report['unchanged']:,} unchanged, {report['failed']:,} failed"
    )
    if report["reason"]:
        click.echo(f"Error: {plain_name(report['file'])}: {report['reason']}", err=True)
    else:
        click.echo(f"{plain_name(report['file'])}: {counts}.")
    for error in report["errors"][:_LISTED_ERRORS]:
        click.echo(f"  row {error['row']:,}: {error['reason']}", err=True)
    more = report["errors_count"] - _LISTED_ERRORS
    if more > 0:
        click.echo(f"  and {more:,} more, in the report", err=True)
    for warning in report["warnings"]:
        click.echo(f"Note: {warning}", err=True)
    click.echo(f"  report: {_plain(path)}")
    name = path.name.removesuffix(".report.json")
    for ending in ("csv", "jsonl"):
        failed = path.with_name(f"{name}.failed_rows.{ending}")
        if failed.exists():
            click.echo(f"  failed rows, to correct and import again: {_plain(failed)}")


def _plain(path: Path) -> str:
    """Return a path in one line, of characters that a terminal shows."""
    return str(path) if str(path).isprintable() else repr(str(path))
