"""`export-pipelines webhooks`: addresses that are told of what becomes of jobs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from export_pipelines.cli.registered import remove_registered, switch_registered
from export_pipelines.cli.terminal import exit_codes

_SHOWN_DELIVERIES = 5
_FAILED = 1


@click.group()
def webhooks() -> None:
    """Registers, lists and tests webhooks, and shows what they were told."""


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="TOPIC",
    help="What it is told of, such as export.completed or 'import.*'; again for more. All by "
    "default.",
)
@click.option("--disabled", is_flag=True, help="Send nothing there yet.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def add(name: str, url: str, *, topics: Sequence[str], disabled: bool, as_json: bool) -> None:
    """Registers a webhook, and prints the secret by which its receiver verifies signatures.

    The secret is not shown again. Signatures are those of standardwebhooks.com.
    """
    from export_pipelines import settings
    from export_pipelines.registration import webhooks as registration
    from export_pipelines.registry.database import writing

    with exit_codes():
        asked = registration.Webhook(name, url, topics or ("*",), is_active=not disabled)
        asked = registration.check(asked)
        with writing() as session:
            row, secret = registration.add(session, settings.organization(), asked)
        if as_json:
            _echo_json({**_values(row), "secret": secret})
            return
        click.echo(f"Registered {name}. Its secret, which is not shown again:\n{secret}")
        click.echo(f"Test it: export-pipelines webhooks test {name!r}")


@webhooks.command("list")
def list_webhooks() -> None:
    """Lists webhooks, and which of them are paused or disabled."""
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import WebhookRow

    with exit_codes():
        with reading() as session:
            stored = rows.all_of(session, WebhookRow, settings.organization())
        if not stored:
            click.echo("No webhook is registered. See: export-pipelines webhooks add --help")
        for row in stored:
            click.echo(f"{row.name:<24} {_state(row):<10} {row.url} {','.join(row.topics)}")


@webhooks.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Shows a webhook and the last that it was told, but not its secret."""
    from export_pipelines import settings
    from export_pipelines.registry import deliveries as log
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import WebhookRow

    with exit_codes():
        with reading() as session:
            row = rows.require(session, WebhookRow, settings.organization(), name)
            last, _ = log.page(session, row, limit=_SHOWN_DELIVERIES)
        if as_json:
            _echo_json({**_values(row), "deliveries": [_delivery(each) for each in last]})
            return
        for title, value in _values(row).items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{title:<16} {text}".rstrip())
        _echo_deliveries(last)


@webhooks.command()
@click.argument("name")
@click.option("--status", help="Only those that are pending, delivered or failed.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="How many at most.",
)
@click.option("--cursor", help="That of the page before.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, with all attempts.")
def deliveries(
    name: str, *, status: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """Lists what a webhook was told, the latest first, and what it answered."""
    from export_pipelines import settings
    from export_pipelines.registry import deliveries as log
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import WebhookRow

    with exit_codes():
        with reading() as session:
            row = rows.require(session, WebhookRow, settings.organization(), name)
            found, more = log.page(session, row, status=status, limit=limit, cursor=cursor)
        if as_json:
            _echo_json({"deliveries": [_delivery(each) for each in found], "next_cursor": more})
            return
        _echo_deliveries(found)
        if not found:
            click.echo(f"There are no {f'{status} ' if status else ''}deliveries to {row.name}.")
        if more:
            click.echo(f"There are more: --cursor {more}")


@webhooks.command()
@click.argument("name")
@click.argument("event_id")
def redeliver(name: str, event_id: str) -> None:
    """Has an event sent again, whatever became of it; the daemon sends it."""
    from datetime import datetime, timezone

    from export_pipelines import settings
    from export_pipelines.registry import deliveries as log
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import WebhookRow

    with exit_codes():
        with writing() as session:
            row = rows.require(session, WebhookRow, settings.organization(), name)
            log.redeliver(session, row, event_id, datetime.now(timezone.utc))
        when = f" after its pause, at {row.paused_until}" if row.paused_until else ""
        click.echo(f"{event_id} is sent to {row.name} again{when}.")


@webhooks.command()
@click.argument("name")
def test(name: str) -> None:
    """Sends a webhook.test event now, and says what came back."""
    from export_pipelines import settings
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import WebhookRow
    from export_pipelines.webhooks.delivering import send_test

    with exit_codes():
        with reading() as session:
            row = rows.require(session, WebhookRow, settings.organization(), name)
        answer = send_test(row)
        words = "passed" if answer.is_delivered else "failed"
        click.echo(f"{row.name}: {words} in {answer.seconds:.2f} s: {_answer(vars(answer))}")
        if not answer.is_delivered:
            sys.exit(_FAILED)


@webhooks.command()
@click.argument("name")
def enable(name: str) -> None:
    """Sends to a webhook again, also what has waited, and also if it is paused."""
    _switch(name, is_active=True)


@webhooks.command()
@click.argument("name")
def disable(name: str) -> None:
    """Sends nothing to a webhook until it is enabled again."""
    _switch(name, is_active=False)


@webhooks.command()
@click.argument("name")
def remove(name: str) -> None:
    """Takes a webhook out of the registry, with its secret and its deliveries."""
    from export_pipelines.registration.webhooks import remove as take_out
    from export_pipelines.registry.models import WebhookRow

    remove_registered(WebhookRow, name, take_out)


@webhooks.command("rotate-secret")
@click.argument("name")
def rotate_secret(name: str) -> None:
    """Gives a webhook another secret; for a day, the one before is good as well."""
    from export_pipelines import settings
    from export_pipelines.registration.webhooks import rotate
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import writing
    from export_pipelines.registry.models import WebhookRow

    with exit_codes():
        with writing() as session:
            row = rows.require(session, WebhookRow, settings.organization(), name)
            secret = rotate(session, row)
        click.echo(f"The new secret of {row.name}, which is not shown again:\n{secret}")


def _switch(name: str, *, is_active: bool) -> None:
    from export_pipelines.registration.webhooks import switch
    from export_pipelines.registry.models import WebhookRow

    switch_registered(
        WebhookRow,
        name,
        lambda session, row: switch(session, row, is_active=is_active),
        is_active=is_active,
    )


def _state(row: Any) -> str:
    if not row.is_active:
        return "disabled"
    return "paused" if row.paused_until else "enabled"


def _values(row: Any) -> dict[str, Any]:
    names = ("id", "name", "url", "topics", "is_active", "failures", "paused_until")
    times = ("disabled_reason", "created_at", "updated_at")
    return {name: getattr(row, name) for name in (*names, *times)}


def _delivery(row: Any) -> dict[str, Any]:
    names = ("event_id", "topic", "status", "attempts_count", "created_at", "ended_at")
    values = {name: getattr(row, name) for name in names}
    due = row.next_attempt_at if row.status == "pending" else None
    return {**values, "next_attempt_at": due, "attempts": row.attempts}


def _echo_deliveries(rows: Sequence[Any]) -> None:
    for row in rows:
        last = _last_answer(row.attempts)
        click.echo(f"{row.created_at} {row.topic:<17} {row.event_id} {row.status} {last}".rstrip())


def _last_answer(attempts: Sequence[dict[str, Any]]) -> str:
    if not attempts:
        return ""
    last = attempts[-1]
    return _answer({"code": last["response_code"], "message": last["response_message"]})


def _answer(answer: dict[str, Any]) -> str:
    return " ".join(str(part) for part in (answer["code"], answer["message"]) if part)


def _echo_json(values: dict[str, Any]) -> None:
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))
