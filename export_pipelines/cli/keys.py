"""`export-pipelines keys`: who may use the API, and for what."""

import json
from collections.abc import Sequence
from typing import Any

import click

from export_pipelines.cli.terminal import exit_codes

_organization = click.option(
    "--organization", metavar="ORG", help="Whose key it is. Default: that of the settings."
)


@click.group()
def keys() -> None:
    """Makes, lists and revokes the keys of the API, which also log in to the web UI."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="What it allows: exports:read, exports:write, imports:write, platforms:write or admin, "
    "which is all of them and the web UI; again for more.",
)
@_organization
@click.option("--expires-in", "days", type=int, metavar="DAYS", help="Default: never.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def add(
    name: str,
    *,
    scopes: Sequence[str],
    organization: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Makes a key and prints it, this once."""
    from export_pipelines.registration.api_keys import ApiKey, in_days
    from export_pipelines.registration.api_keys import add as register
    from export_pipelines.registry.database import writing

    with exit_codes():
        asked = ApiKey(name, scopes, None if days is None else in_days(days))
        with writing() as session:
            row, text = register(session, _owner(organization), asked)
        if as_json:
            click.echo(json.dumps({**_values(row), "key": text}, indent=2, ensure_ascii=False))
            return
        click.echo(text)
        click.echo(
            f"This is the key {name} of the organization {row.organization}. It is not shown "
            "again: keep it where you keep passwords.",
            err=True,
        )


@keys.command("list")
@_organization
def list_keys(*, organization: str | None) -> None:
    """Lists an organization's keys, with their first characters, scopes and last use."""
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import ApiKeyRow

    with exit_codes():
        owner = _owner(organization)
        with reading() as session:
            stored = rows.all_of(session, ApiKeyRow, owner)
        if not stored:
            click.echo(f"{owner} has no key. See: export-pipelines keys add --help")
        for row in stored:
            used = f"last used {row.last_used_at}" if row.last_used_at else "never used"
            click.echo(f"{row.name:<24} {row.prefix} {_state(row):<32} {used:<34} {_scopes(row)}")


@keys.command()
@click.argument("name")
@_organization
def revoke(name: str, *, organization: str | None) -> None:
    """Has a key refused from now on; it stays in the list."""
    from export_pipelines.registration.api_keys import revoke as refuse
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import ApiKeyRow

    with exit_codes():
        with writing() as session:
            row = rows.require(session, ApiKeyRow, _owner(organization), name)
            changed = refuse(row)
        click.echo(f"{row.name} is revoked{'' if changed else ' already'}.")


@keys.command()
@click.argument("name")
@_organization
def remove(name: str, *, organization: str | None) -> None:
    """Takes a key out of the registry; it is refused from now on."""
    from export_pipelines.registration.api_keys import remove as take_out
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import ApiKeyRow

    with exit_codes():
        with writing() as session:
            row = rows.require(session, ApiKeyRow, _owner(organization), name)
            take_out(session, row)
        click.echo(f"Removed {row.name}.")


def _owner(organization: str | None) -> str:
    from export_pipelines import settings

    return settings.organization() if organization is None else organization


def _values(row: Any) -> dict[str, Any]:
    names = ("id", "name", "organization", "prefix", "scopes", "expires_at", "created_at")
    return {name: getattr(row, name) for name in names}


def _scopes(row: Any) -> str:
    return ", ".join(row.scopes)


def _state(row: Any) -> str:
    from export_pipelines.registry.api_keys import is_good

    if not row.is_active:
        return "revoked"
    if not row.expires_at:
        return ""
    return f"{'expires' if is_good(row) else 'expired'} {row.expires_at}"
