"""`export-pipelines schedules`: exports that run by themselves, and when."""

import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from export_pipelines.cli.terminal import exit_codes

_SHOWN_TICKS = 5
_OPTIONS = [
    click.option("--timezone", help="The zone in which it is due, such as Europe/Paris."),
    click.option("--profile", help="The profile that it exports."),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="NAME",
        help="A platform to deliver to, in place of the profile's; again for more.",
    ),
    click.option("--no-platforms", is_flag=True, help="Deliver nowhere."),
    click.option(
        "--profile-platforms", is_flag=True, help="Deliver where the profile says; the default."
    ),
    click.option(
        "--alert-after",
        "alert_after_minutes",
        type=int,
        metavar="MINUTES",
        help="How long after it was due it must have succeeded. Default: 60.",
    ),
]


@click.group()
def schedules() -> None:
    """Registers, lists and switches the schedules by which profiles are exported."""


def _with_options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@schedules.command()
@click.argument("name")
@click.option(
    "--cron",
    "cron_expression",
    required=True,
    metavar="EXPRESSION",
    help="When it is due: minute, hour, day of the month, month and day of the week, such as "
    "'0 9 * * 1' for Mondays at 9:00; or @hourly, @daily, @weekly, @monthly, @yearly.",
)
@_with_options
@click.option("--disabled", is_flag=True, help="Register it, but do not start it yet.")
def add(name: str, *, cron_expression: str, disabled: bool, **given: Any) -> None:
    """Registers a schedule, which is due from now on, and shows when.

    Without --profile it exports all active products as CSV.
    """
    from export_pipelines import settings
    from export_pipelines.records import open_instance
    from export_pipelines.registration.schedules import add as register
    from export_pipelines.registration.schedules import check
    from export_pipelines.registration.transactions import registering
    from export_pipelines.registry.schedules import Schedule

    with exit_codes():
        owner = settings.organization()
        asked = Schedule(name, cron_expression, is_active=not disabled, **_given(**given))
        asked = check(owner, asked)
        with open_instance() as instance, registering(instance) as session:
            register(session, owner, asked)
        click.echo(f"Registered {name}, which exports the profile {asked.profile}.")
        _echo_next(asked.cron_expression, asked.timezone, is_active=asked.is_active)


@schedules.command("set")
@click.argument("name")
@click.option("--cron", "cron_expression", metavar="EXPRESSION", help="When it is due.")
@_with_options
def change(name: str, *, cron_expression: str | None, **given: Any) -> None:
    """Changes a schedule; what is not named stays. It takes effect at once."""
    from dataclasses import replace

    from export_pipelines import settings
    from export_pipelines.records import open_instance
    from export_pipelines.registration import schedules as registration
    from export_pipelines.registration.transactions import registering
    from export_pipelines.registry import rows
    from export_pipelines.registry.models import ScheduleRow

    with exit_codes():
        owner = settings.organization()
        wanted = _given(**given)
        with open_instance() as instance, registering(instance) as session:
            row = rows.require(session, ScheduleRow, owner, name)
            before = registration.current(session, row)
            cron = cron_expression or before.cron_expression
            asked = replace(before, cron_expression=cron, **wanted)
            asked = registration.check(owner, asked)
            changed = registration.change(session, row, asked)
        click.echo(f"{row.name} was changed." if changed else f"{row.name} is so already.")
        _echo_next(asked.cron_expression, asked.timezone, is_active=asked.is_active)


@schedules.command("list")
def list_schedules() -> None:
    """Lists schedules with their next time, and those that are late."""
    from export_pipelines import settings
    from export_pipelines.cron import next_times
    from export_pipelines.records import open_instance
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import ScheduleRow
    from export_pipelines.schedule_states import is_running
    from export_pipelines.staleness import late_schedules

    with exit_codes():
        with reading() as session:
            stored = rows.all_of(session, ScheduleRow, settings.organization())
        if not stored:
            click.echo("No schedule is registered. See: export-pipelines schedules add --help")
            return
        with open_instance() as instance:
            late = late_schedules(instance, stored, time.time())
            for row in stored:
                runs = is_running(instance, row.key, default=row.is_active)
                [due] = next_times(row.cron_expression, row.timezone, time.time(), 1)
                when = _moment(due) if runs else "disabled"
                cron = f"{row.cron_expression} {row.timezone}"
                click.echo(f"{row.name:<30} {cron:<28} {row.profile:<20} {when}")
        for each in late:
            click.echo(each.sentence, err=True)


@schedules.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Shows a schedule, its next five times, and what became of the last five."""
    from export_pipelines import settings
    from export_pipelines.cron import next_times
    from export_pipelines.records import open_instance
    from export_pipelines.registry import rows
    from export_pipelines.registry.database import reading
    from export_pipelines.registry.models import ScheduleRow
    from export_pipelines.schedule_states import is_running, last_ticks

    with exit_codes():
        with reading() as session:
            row = rows.require(session, ScheduleRow, settings.organization(), name)
        with open_instance() as instance:
            runs = is_running(instance, row.key, default=row.is_active)
            ticks = [_tick(tick) for tick in last_ticks(instance, row.key, _SHOWN_TICKS)]
        times = next_times(row.cron_expression, row.timezone, time.time()) if runs else []
        values = {
            "id": row.id,
            "schedule_name": row.name,
            "cron_expression": row.cron_expression,
            "timezone": row.timezone,
            "profile": row.profile,
            "platforms": row.platforms,
            "alert_after_minutes": row.alert_after_minutes,
            "is_active": runs,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "dagster_name": row.key,
            "next": [due.isoformat() for due in times],
            "last": ticks,
        }
        if as_json:
            click.echo(json.dumps(values, indent=2, ensure_ascii=False))
            return
        for title, value in values.items():
            lines = value if isinstance(value, list) and title in ("next", "last") else [value]
            for line in lines:
                text = line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)
                click.echo(f"{title:<20} {text}")


@schedules.command()
@click.argument("name")
def enable(name: str) -> None:
    """Starts a schedule again, from now on; what was due meanwhile is not made up for."""
    _switch(name, is_active=True)


@schedules.command()
@click.argument("name")
def disable(name: str) -> None:
    """Stops a schedule until it is enabled again."""
    _switch(name, is_active=False)


@schedules.command()
@click.argument("name")
def remove(name: str) -> None:
    """Takes a schedule out of the registry; its runs stay."""
    from export_pipelines import settings
    from export_pipelines.records import open_instance
    from export_pipelines.registration.schedules import remove as take_out
    from export_pipelines.registration.transactions import registering
    from export_pipelines.registry import rows
    from export_pipelines.registry.models import ScheduleRow

    with exit_codes():
        with open_instance() as instance, registering(instance) as session:
            row = rows.require(session, ScheduleRow, settings.organization(), name)
            take_out(session, row)
        click.echo(f"Removed {row.name}.")


def _switch(name: str, *, is_active: bool) -> None:
    from dataclasses import replace

    from export_pipelines import settings
    from export_pipelines.records import open_instance
    from export_pipelines.registration import schedules as registration
    from export_pipelines.registration.transactions import registering
    from export_pipelines.registry import rows
    from export_pipelines.registry.models import ScheduleRow

    with exit_codes():
        with open_instance() as instance, registering(instance) as session:
            row = rows.require(session, ScheduleRow, settings.organization(), name)
            before = registration.current(session, row)
            changed = registration.change(session, row, replace(before, is_active=is_active))
        state = "enabled" if is_active else "disabled"
        click.echo(f"{row.name} is {state}{'' if changed else ' already'}.")
        _echo_next(row.cron_expression, row.timezone, is_active=is_active)


def _given(
    *,
    timezone: str | None,
    profile: str | None,
    platforms: Sequence[str],
    no_platforms: bool,
    profile_platforms: bool,
    alert_after_minutes: int | None,
) -> dict[str, Any]:
    """Return what was given of a schedule.

    Raises:
        click.UsageError: platforms are given in two ways.
    """
    if sum(map(bool, (platforms, no_platforms, profile_platforms))) > 1:
        raise click.UsageError("Choose one of --platform, --no-platforms and --profile-platforms.")
    texts = {
        "timezone": timezone,
        "profile": profile,
        "alert_after_minutes": alert_after_minutes,
    }
    given: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
    if platforms or no_platforms:
        given["platforms"] = list(platforms)
    if profile_platforms:
        given["platforms"] = None
    return given


def _echo_next(cron_expression: str, zone: str, *, is_active: bool) -> None:
    from export_pipelines.cron import next_times

    if not is_active:
        click.echo("It is disabled: 'export-pipelines schedules enable' starts it.")
        return
    click.echo("Next:")
    for due in next_times(cron_expression, zone, time.time()):
        click.echo(f"  {_moment(due)}")


def _moment(due: datetime) -> str:
    return due.strftime("%a %Y-%m-%d %H:%M %Z")


def _tick(tick: Any) -> str:
    """Return when a schedule was due, and what became of it."""
    from datetime import timezone

    from export_pipelines.clock import written

    due = written(datetime.fromtimestamp(tick.timestamp, timezone.utc))
    error = tick.error.message.strip() if tick.error else ""
    runs = ", ".join(f"run {run_id}" for run_id in tick.run_ids)
    return " ".join(filter(None, (due, tick.status.value, runs, tick.skip_reason, error)))
