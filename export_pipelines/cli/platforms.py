"""`export-pipelines platforms`: what platforms there are, and whether they work."""

import sys

import click

from export_pipelines.cli.terminal import exit_codes


@click.group()
def platforms() -> None:
    """Lists and tests the platforms that exports are delivered to."""


@platforms.command("list")
def list_platforms() -> None:
    """Lists the platforms of platforms.yaml, or what is wrong with them."""
    from export_pipelines import settings
    from export_pipelines.errors import ExportPipelinesError
    from export_pipelines.platforms.configuration import open_platform, read_platforms

    with exit_codes():
        named = read_platforms()
        if not named:
            click.echo(f"{settings.platforms_file()} names no platform. See docs/platforms.md.")
        for name, written in named.items():
            try:
                where = open_platform(name).location
            except ExportPipelinesError as error:
                where = str(error)
            kind = str(next(iter(written), "")) if isinstance(written, dict) else ""
            click.echo(f"{name:<24} {kind:<8} {where}")


@platforms.command()
@click.argument("name")
def check(name: str) -> None:
    """Writes, lists, reads and deletes a small file on a platform; nothing of it stays."""
    from export_pipelines.platforms.configuration import open_platform

    with exit_codes():
        platform = open_platform(name)
        click.echo(f"{name}: {platform.location}")
        steps = platform.check()
        for step in steps:
            click.echo(f"  {step.name:<8} {step.error or 'passed'} ({step.seconds:.2f} s)")
        failed = [step.error for step in steps if step.error]
        if failed:
            sys.exit(failed[0].exit_code)
