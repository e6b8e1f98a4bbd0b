"""`export-pipelines registry`: all that is registered as a file, and the key of its secrets."""

from pathlib import Path

import click

from export_pipelines.cli.terminal import exit_codes


@click.group()
def registry() -> None:
    """Platforms, profiles and schedules as a file; the key of all secrets."""


@registry.command()
@click.option(
    "-f",
    "--file",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="A YAML file of platforms, profiles and schedules.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
def apply(path: Path, *, dry_run: bool) -> None:
    """Registers what a file says, all of it or nothing; what it does not name stays.

    Secrets in it are variables of the environment, ${NAME}: their values are stored, encrypted.
    """
    from export_pipelines import settings
    from export_pipelines.records import open_instance
    from export_pipelines.registration import files
    from export_pipelines.registration.transactions import registering

    with exit_codes():
        owner = settings.organization()
        contents, notes = files.check(owner, files.read_file(path))
        with open_instance() as instance, registering(instance, dry_run=dry_run) as session:
            outcomes = files.apply(session, owner, contents)
        for note in notes:
            click.echo(f"Note: {note}", err=True)
        for outcome in outcomes:
            click.echo(f"{outcome.kind:<9} {outcome.name:<30} {outcome.what}")
        if dry_run:
            click.echo("Nothing was changed.")


@registry.command("export")
@click.option(
    "-f", "--file", "path", type=click.Path(path_type=Path), help="Default: the standard output."
)
def export_registry(path: Path | None) -> None:
    """Writes all that is registered as a file that can be applied; secrets as variables."""
    from export_pipelines import settings
    from export_pipelines.records import open_instance
    from export_pipelines.registration import files
    from export_pipelines.registration.transactions import looking

    with exit_codes():
        with open_instance() as instance, looking(instance) as session:
            text = files.written(session, settings.organization())
        if path is None:
            click.echo(text, nl=False)
            return
        path.write_text(text, encoding="utf-8")
        click.echo(f"Wrote {path}.")


@registry.command("make-key")
def make_key() -> None:
    """Prints a new key for EXPORT_PIPELINES_SECRET_KEY."""
    from cryptography.fernet import Fernet

    click.echo(Fernet.generate_key().decode())


@registry.command("rotate-key")
def rotate_key() -> None:
    """Encrypts all secrets with a new key, and has another one sign links from now on.

    The key file is replaced. With EXPORT_PIPELINES_SECRET_KEY set to NEW,OLD they are encrypted
    with NEW; afterwards set it to NEW everywhere.
    """
    from export_pipelines.registry.secrets import rotate
    from export_pipelines.registry.signing import rotate_signing_key

    with exit_codes():
        count = rotate()
        rotate_signing_key()
        owners = "1 platform or webhook" if count == 1 else f"{count:,} platforms and webhooks"
        click.echo(f"Encrypted anew: the secrets of {owners}.")
