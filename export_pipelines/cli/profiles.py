"""`export-pipelines profiles`: export requests that are saved under a name."""

import json
from dataclasses import asdict
from typing import Any

import click

from export_pipelines.cli.export import export_and_report
from export_pipelines.cli.export_options import request_options, run_config
from export_pipelines.cli.registered import remove_registered, switch_registered
from export_pipelines.cli.terminal import exit_codes
from export_pipelines.formats import FORMATS
from export_pipelines.formats.base import Format


@click.group()
def profiles() -> None:
    """Registers, lists and runs profiles: saved requests, which schedules export."""


@profiles.group()
def add() -> None:
    """Registers a profile in a format."""


@profiles.group("set")
def change() -> None:
    """Gives a profile another request, whole, in a format."""


@profiles.command("list")
def list_profiles() -> None:
    """Lists profiles."""
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import ProfileRow

    with exit_codes():
        with reading() as session:
            stored = rows.all_of(session, ProfileRow, settings.organization())
        for row in stored:
            where = "automatic" if row.platforms is None else ", ".join(row.platforms) or "nowhere"
            state = "" if row.is_active else "disabled"
            kind = f"{row.request.get('resource_type', 'products')} as {row.format}"
            click.echo(f"{row.name:<24} {kind:<32} to {where} {state}".rstrip())
        if not any(row.name == "default" for row in stored):
            click.echo(f"{'default':<24} {'products as csv':<32} to automatic (built in)")


@profiles.command()
@click.argument("name")
def show(name: str) -> None:
    """Shows a profile as JSON."""
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import ProfileRow
    from export_pipelines.registry.profiles import require

    with exit_codes():
        with reading() as session:
            profile = require(session, settings.organization(), name)
            row = rows.find(session, ProfileRow, settings.organization(), name)
        stored = ("id", "created_at", "updated_at")
        values = asdict(profile) | {field: getattr(row, field, None) for field in stored}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))


@profiles.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the run and its manifest as JSON.")
def run(name: str, *, as_json: bool) -> None:
    """Exports a profile now, in this process."""
    from export_pipelines import settings
    from export_pipelines.errors import RequestError, shown
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.profiles import require

    with exit_codes():
        with reading() as session:
            profile = require(session, settings.organization(), name)
        if not profile.is_active:
            raise RequestError(f"The profile {shown(name)} is disabled: enable it first.")
        export_and_report(profile.format, profile.run_config, as_json=as_json)


@profiles.command()
@click.argument("name")
def enable(name: str) -> None:
    """Lets schedules export a profile again."""
    _switch(name, is_active=True)


@profiles.command()
@click.argument("name")
def disable(name: str) -> None:
    """Keeps schedules from exporting a profile."""
    _switch(name, is_active=False)


@profiles.command()
@click.argument("name")
def remove(name: str) -> None:
    """Takes a profile out of the registry."""
    from export_pipelines.registration.profiles import remove as take_out
    from export_pipelines.registry.models import ProfileRow

    remove_registered(ProfileRow, name, take_out)


def _switch(name: str, *, is_active: bool) -> None:
    from export_pipelines.registry.models import ProfileRow
    from export_pipelines.registry.rows import switch

    switch_registered(
        ProfileRow, name, lambda _, row: switch(row, is_active=is_active), is_active=is_active
    )


def _register(output_format: Format[Any], name: str, resource_type: str, **given: Any) -> None:
    from export_pipelines import settings
    from export_pipelines.registration import profiles as registration
    from export_pipelines.registry.database import writing

    with exit_codes():
        owner = settings.organization()
        asked = _profile(output_format, name, resource_type, given)
        asked, notes = registration.check(owner, asked)
        with writing() as session:
            registration.add(session, owner, asked)
        _say(f"Registered {name}.", notes)


def _change(output_format: Format[Any], name: str, resource_type: str, **given: Any) -> None:
    from dataclasses import replace

    from export_pipelines import settings
    from export_pipelines.registration import profiles as registration
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import ProfileRow

    with exit_codes():
        owner = settings.organization()
        asked = _profile(output_format, name, resource_type, given)
        asked, notes = registration.check(owner, asked)
        with writing() as session:
            row = rows.require(session, ProfileRow, owner, name)
            asked = replace(asked, name=row.name, is_active=row.is_active)
            changed = registration.change(session, row, asked)
        _say(f"{name} was changed." if changed else f"{name} is so already.", notes)


def _profile(
    output_format: Format[Any], name: str, resource_type: str, given: dict[str, Any]
) -> Any:
    from export_pipelines.registry.profiles import Profile

    config = run_config(resource_type, given)
    platforms = config.pop("platforms", None)
    return Profile(name, output_format.name, config, platforms)


def _say(sentence: str, notes: list[str]) -> None:
    click.echo(sentence)
    for note in notes:
        click.echo(f"Note: {note}", err=True)


def _command(output_format: Format[Any], callback: Any, text: str) -> click.Command:
    return click.Command(
        output_format.name,
        callback=lambda **given: callback(output_format, **given),
        params=[
            click.Argument(["name"]),
            click.Argument(["resource_type"], default="products"),
            *request_options(output_format),
        ],
        help=f"{text} as {output_format.title}; products if no resource type is named.",
    )


for _format in FORMATS.values():
    add.add_command(_command(_format, _register, "Registers a profile that exports"))
    change.add_command(_command(_format, _change, "Gives a profile another request,"))
