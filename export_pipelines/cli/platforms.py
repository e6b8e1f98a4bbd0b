"""`export-pipelines platforms`: where exports are delivered, and whether that works."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from export_pipelines.cli.terminal import exit_codes

_FIELDS = [
    click.option(
        "--set",
        "literals",
        multiple=True,
        metavar="FIELD=VALUE",
        help="A field that is no secret; again for more.",
    ),
    click.option(
        "--secret",
        "asked",
        multiple=True,
        metavar="FIELD",
        help="A secret field: asked for in a terminal, otherwise a line of the standard input.",
    ),
    click.option(
        "--secret-file",
        "files",
        multiple=True,
        metavar="FIELD=PATH",
        help="A secret field that is the content of a file, such as a private key.",
    ),
    click.option(
        "--env",
        "variables",
        multiple=True,
        metavar="FIELD=VARIABLE",
        help="A field that is read from a variable whenever the platform is opened; it is not "
        "stored.",
    ),
    click.option(
        "--auto-upload/--no-auto-upload",
        default=None,
        help="Whether exports that name no platforms go there. Default: on.",
    ),
]


@click.group()
def platforms() -> None:
    """Registers, lists and tests the platforms that exports are delivered to."""


def _with_fields(command: Any) -> Any:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


@platforms.command()
@click.argument("name")
@click.argument("platform_type", metavar="TYPE")
@_with_fields
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
                _fields(platform_type, **given),
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
@_with_fields
def change(name: str, *, auto_upload: bool | None, **given: Any) -> None:
    """Changes fields of a registered platform; those that are not named stay."""
    from dataclasses import replace

    from export_pipelines import settings
    from export_pipelines.registration import platforms as registration
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import PlatformRow

    with exit_codes():
        with writing() as session:
            row = rows.require(session, PlatformRow, settings.organization(), name)
            before = registration.registered(row)
            asked = replace(
                before,
                fields={**before.fields, **_fields(before.platform_type, **given)},
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
    from export_pipelines import settings
    from export_pipelines.registration.platforms import remove as take_out
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import PlatformRow

    with exit_codes():
        with writing() as session:
            row = rows.require(session, PlatformRow, settings.organization(), name)
            take_out(session, row)
        click.echo(f"Removed {row.name}.")


def _switch(name: str, *, is_active: bool) -> None:
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import PlatformRow

    state = "enabled" if is_active else "disabled"
    with exit_codes():
        with writing() as session:
            row = rows.require(session, PlatformRow, settings.organization(), name)
            changed = rows.switch(row, is_active=is_active)
        click.echo(f"{row.name} is {state}{'' if changed else ' already'}.")


def _state(row: Any) -> str:
    if not row.is_active:
        return "disabled"
    return "automatic" if row.auto_upload else "on request"


def _fields(
    platform_type: str,
    *,
    literals: Sequence[str],
    asked: Sequence[str],
    files: Sequence[str],
    variables: Sequence[str],
) -> dict[str, Any]:
    """Return fields as they were given on the command line, which holds no secrets."""
    from export_pipelines.config_types import is_secret
    from export_pipelines.errors import RequestError
    from export_pipelines.platforms import PLATFORMS

    kind = PLATFORMS.get(platform_type)
    known = kind.model_fields if kind else {}
    fields: dict[str, Any] = {}
    for name, value in _pairs(literals, "--set"):
        if name in known and is_secret(known[name]):
            raise RequestError(
                f"{name} is a secret, and a command line is seen by others: use --secret {name}, "
                f"--secret-file {name}=PATH or --env {name}=VARIABLE."
            )
        fields[name] = value
    for name in asked:
        fields[name] = _read_secret(name)
    for name, path in _pairs(files, "--secret-file"):
        fields[name] = _content(Path(path))
    for name, variable in _pairs(variables, "--env"):
        fields[name] = {"env": variable}
    return fields


def _pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not FIELD=VALUE.", param_hint=option)
        pairs.append((name, value))
    return pairs


def _read_secret(name: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")


def _content(path: Path) -> str:
    from export_pipelines.errors import RequestError

    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise RequestError(f"{path} cannot be read: {reason}.") from None
