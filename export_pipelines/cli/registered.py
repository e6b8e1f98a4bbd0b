"""What commands do alike to whatever is registered under a name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from export_pipelines.cli.terminal import exit_codes

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from export_pipelines.registry.models import PlatformRow, ProfileRow, WebhookRow

Row = TypeVar("Row", "PlatformRow", "ProfileRow", "WebhookRow")


def switch_registered(
    kind: type[Row], name: str, switch: "Callable[[Session, Row], bool]", *, is_active: bool
) -> None:
    """Enable or disable a platform, profile or webhook, and say so.

    Args:
        kind: its table.
        name: its name or id.
        switch: switches a row, and tells whether it was not so before.
        is_active: whether it is enabled by that.
    """
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing

    state = "enabled" if is_active else "disabled"
    with exit_codes():
        with writing() as session:
            row = rows.require(session, kind, settings.organization(), name)
            changed = switch(session, row)
        click.echo(f"{row.name} is {state}{'' if changed else ' already'}.")


def remove_registered(kind: type[Row], name: str, remove: "Callable[[Session, Row], None]") -> None:
    """Take a platform, profile or webhook out of the registry, and say so.

    Args:
        kind: its table.
        name: its name or id.
        remove: takes a row out, unless it is in use.
    """
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing

    with exit_codes():
        with writing() as session:
            row = rows.require(session, kind, settings.organization(), name)
            remove(session, row)
        click.echo(f"Removed {row.name}.")
