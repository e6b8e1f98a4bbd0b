"""`export-pipelines platforms`: where exports are delivered, and whether that works."""

import json
import sys
from typing import Any

import click

from export_pipelines.cli.platform_fields import given_fields, with_fields
from export_pipelines.cli.registered import remove_registered, switch_registered
from export_pipelines.cli.terminal import exit_codes


@click.group()
def platforms() -> None:
    """Registers, lists and tests the platforms that exports are delivered to."""


@platforms.command()
@click.argument("name")
@click.argument("platform_type", metavar="TYPE")
@with_fields
@click.option("--disabled", is_flag=True, help="Deliver nothing there yet.")
def add(
    name: str, platform_type: str, *, auto_upload: bool | None, disabled: bool, **given: Any
) -> None:
    """Registers a platform of a type: gdrive, minio, ftp, sftp, s3 or local.

    Secrets are encrypted, and never shown again.
    """
    from export_pipelines import settings
    from export_pipelines.platforms.configuration import open_platform
    from export_pipelines.registration.platforms import Platform, check
    from export_pipelines.registration.platforms import add as register
    from export_pipelines.registry.database import writing

    with exit_codes():
        asked = check(
            Platform(
                name,
                platform_type,
                given_fields(platform_type, **given),
                is_active=not disabled,
                auto_upload=auto_upload is not False,
            )
        )
        with writing() as session:
            register(session, settings.organization(), asked)
        where = open_platform(name).location
        click.echo(
            f"Registered {name}: {where}\nTest it: export-pipelines platforms check {name!r}"
        )


@platforms.command("set")
@click.argument("name")
@with_fields
def change(name: str, *, auto_upload: bool | None, **given: Any) -> None:
    """Changes fields of a registered platform; those that are not named stay."""
    from dataclasses import replace

    from export_pipelines import settings
    from export_pipelines.registration import platforms as registration
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading, writing
    from export_pipelines.registry.models import PlatformRow

    with exit_codes():
        owner = settings.organization()
        with reading() as session:
            platform_type = rows.require(session, PlatformRow, owner, name).platform_type
        # Whoever types a secret keeps nobody else from writing meanwhile.
        fields = given_fields(platform_type, **given)
        with writing() as session:
            row = rows.require(session, PlatformRow, owner, name)
            before = registration.registered(row)
            kept = {field: each for field, each in before.variables.items() if field not in fields}
            asked = replace(
                before,
                fields={**before.fields, **fields},
                variables=kept,
                auto_upload=before.auto_upload if auto_upload is None else auto_upload,
            )
            changed = registration.change(session, row, registration.check(asked))
        click.echo(f"{name} was changed." if changed else f"{name} is so already.")


@platforms.command("list")
def list_platforms() -> None:
    """Lists the platforms of the registry and of platforms.yaml, or what is wrong with them."""
    from export_pipelines import settings
    from export_pipelines.errors import ExportPipelinesError
    from export_pipelines.platforms.configuration import open_platform
    from export_pipelines.platforms.platforms_file import read_platforms
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import PlatformRow

    with exit_codes():
        with reading() as session:
            stored = rows.all_of(session, PlatformRow, settings.organization())
        listed = {row.name: (row.platform_type, _state(row)) for row in stored}
        for name, written in read_platforms().items():
            kind = str(next(iter(written), "")) if isinstance(written, dict) else ""
            listed[name] = (kind, "in file")
        if not listed:
            click.echo("No platform is registered. See: export-pipelines platforms add --help")
        for name, (kind, state) in listed.items():
            try:
                where = open_platform(name).location
            except ExportPipelinesError as error:
                where = str(error)
            click.echo(f"{name:<24} {kind:<8} {state:<10} {where}")


@platforms.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Shows a registered platform without its secrets."""
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import PlatformRow

    with exit_codes():
        with reading() as session:
            row = rows.require(session, PlatformRow, settings.organization(), name)
        values = {
            "id": row.id,
            "name": row.name,
            "platform_type": row.platform_type,
            "fields": row.fields,
            "secrets": row.secret_names,
            "is_active": row.is_active,
            "auto_upload": row.auto_upload,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
        if as_json:
            click.echo(json.dumps(values, indent=2, ensure_ascii=False))
            return
        for title, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{title:<14} {text}")


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


@platforms.command()
@click.argument("name")
def enable(name: str) -> None:
    """Delivers to a platform again."""
    _switch(name, is_active=True)


@platforms.command()
@click.argument("name")
def disable(name: str) -> None:
    """Delivers nothing to a platform until it is enabled again; schedules that name it go on."""
    _switch(name, is_active=False)


@platforms.command()
@click.argument("name")
def remove(name: str) -> None:
    """Takes a platform and its secrets out of the registry; what is there stays there."""
    from export_pipelines.registration.platforms import remove as take_out
    from export_pipelines.registry.models import PlatformRow

    remove_registered(PlatformRow, name, take_out)


def _switch(name: str, *, is_active: bool) -> None:
    from export_pipelines.registration.platforms import switch
    from export_pipelines.registry.models import PlatformRow

    switch_registered(
        PlatformRow, name, lambda _, row: switch(row, is_active=is_active), is_active=is_active
    )


def _state(row: Any) -> str:
    if not row.is_active:
        return "disabled"
    return "automatic" if row.auto_upload else "on request"
