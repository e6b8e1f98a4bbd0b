"""Cron expressions in a time zone: whether they are right, and when they are due.

Due times are those of Dagster, which starts the runs. A time that the clocks skip is due once,
right after; one that they repeat is due once, the second time, or the first where it begins or ends
at midnight. Expressions that name no hour go by real time: each quarter of an hour of a repeated
hour is due.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dagster._utils.schedules import (
    CroniterShim,
    get_latest_completed_cron_tick,
    is_valid_cron_string,
    schedule_execution_time_iterator,
)
from dagster._vendored.croniter.croniter import CroniterBadDateError

from export_pipelines.errors import RequestError, one_of, shown

ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)
_EXAMPLE = "such as 0 9 * * 1 for Mondays at 9:00"
_MOST_CHARACTERS = 100
_LEAP_DAY = 29
_FEBRUARY = 2
_FROM_SUNDAY_TO_ITSELF = [7, 0]
_HOUR = timedelta(hours=1)


def check_cron(expression: str) -> str:
    """Return an expression with single blanks.

    Raises:
        RequestError: it is too long, has not five fields, is no known alias, or a field is wrong;
            or no date ever fits it.
    """
    fields = expression.split()
    if len(" ".join(fields)) > _MOST_CHARACTERS:
        raise RequestError(
            f"The cron expression {shown(expression)} is too long: use {_MOST_CHARACTERS} "
            "characters at most."
        )
    if len(fields) == 1 and fields[0].startswith("@"):
        if fields[0] not in ALIASES:
            raise RequestError(f"{shown(expression)} is not one of {one_of(ALIASES)}.")
        return fields[0]
    if len(fields) != len(_FIELDS):
        raise RequestError(
            f"The cron expression {shown(expression)} has {len(fields)} fields and must have five: "
            f"minute, hour, day of the month, month and day of the week, {_EXAMPLE}."
        )
    for text, (name, first, last, names) in zip(fields, _FIELDS, strict=True):
        _check_field(text, name, first, last, names)
    if not is_valid_cron_string(" ".join(fields)) or not _is_ever_due(" ".join(fields)):
        raise RequestError(f"The cron expression {shown(expression)} fits no date at all.")
    return " ".join(fields)


def check_time_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        RequestError: there is none of that name, or Dagster cannot follow its clocks.
    """
    try:
        change = _clock_change(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RequestError(
            f"{shown(name)} is no time zone: use a name such as Europe/Paris, or UTC."
        ) from None
    if change > _HOUR:
        raise RequestError(
            f"The clocks of {name} change by more than an hour, which schedules cannot follow: "
            "use UTC."
        )
    return name


def due_times(expression: str, time_zone: str, after: float) -> Iterator[datetime]:
    """Yield the times at which an expression is due, in its zone.

    Args:
        expression: a right one.
        time_zone: an existing one.
        after: seconds since 1970; the first time is this or later.
    """
    yield from schedule_execution_time_iterator(after, _crons(expression, time_zone), time_zone)


def next_times(expression: str, time_zone: str, after: float, count: int = 5) -> list[datetime]:
    """Return the next times at which an expression is due, in its zone."""
    return list(islice(due_times(expression, time_zone, after), count))


def is_due(expression: str, time_zone: str, moment: float) -> bool:
    """Return whether an expression is due at a moment, in seconds since 1970."""
    return next(due_times(expression, time_zone, moment)).timestamp() == moment


def last_time(expression: str, time_zone: str, before: float) -> float:
    """Return when an expression was due last, at a moment or before it, in seconds since 1970."""
    moment = datetime.fromtimestamp(before, timezone.utc)
    return max(
        get_latest_completed_cron_tick(cron, moment, time_zone).timestamp()
        for cron in _crons(expression, time_zone)
    )


def dagster_cron(expression: str, time_zone: str) -> str | list[str]:
    """Return an expression as Dagster computes it right.

    A 29th of February that is written in numbers is missed by whoever looks for it after the 28th
    has begun, and other 29ths fail whoever looks for them in the March after it. Where clocks
    change by half an hour, on Lord Howe Island, an expression that names minutes only is half an
    hour late for half a year, and right if it is written as two.
    """
    fields, *_ = CroniterShim.expand(expression)
    if _LEAP_DAY in fields[2] and ("*" in fields[3] or _FEBRUARY in fields[3]):
        return _with_leap_day(expression, fields[2], fields[3])
    if any(field != ["*"] for field in fields[1:]) or not _clock_change(time_zone) % _HOUR:
        return expression
    minute = "0" if expression.startswith("@") else expression.split()[0]
    return [f"{minute} * * * 0-5", f"{minute} * * * 6"]


def _with_leap_day(expression: str, days: list[Any], months: list[Any]) -> str | list[str]:
    """Return an expression with the 29th of February apart from other days."""
    minute, hour, _, month, weekday = expression.split()
    all_months = range(1, 13) if "*" in months else months
    longer = ",".join(str(each) for each in all_months if each != _FEBRUARY)
    late = [day for day in days if isinstance(day, int) and day >= _LEAP_DAY]
    before = ",".join(str(day) for day in days if day not in late)
    since = ",".join(map(str, late))
    crons = [f"{minute} {hour} {before} {month} {weekday}"] if before else []
    if longer:
        crons.append(f"{minute} {hour} {since} {longer} {weekday}")
    crons.append(f"{minute} {hour} 29 feb {weekday}")
    return crons if len(crons) > 1 else crons[0]


def _crons(expression: str, time_zone: str) -> list[str]:
    written = dagster_cron(expression, time_zone)
    return [written] if isinstance(written, str) else written


def _clock_change(time_zone: str) -> timedelta:
    """Return by how much a zone's clocks change in a year."""
    zone = ZoneInfo(time_zone)
    year = datetime.now(zone).year
    offsets = [
        datetime(year, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in range(1, 13)
    ]
    return max(offsets) - min(offsets)


def _check_field(text: str, name: str, first: int, last: int, names: tuple[str, ...]) -> None:
    for part in text.split(","):
        found = _PART.fullmatch(part)
        bounds = [each for each in (found.groups()[:2] if found else ()) if each is not None]
        numbers = [_number(bound, first, names) for bound in bounds]
        right = found and all(number is not None and first <= number <= last for number in numbers)
        step = int(found.group(3) or 1) if found else 0
        if not right or not 1 <= step <= last:
            also = f" or {names[0]} to {names[-1]}" if names else ""
            raise RequestError(
                f"The {name} {shown(text)} of the cron expression is wrong: use * or numbers from "
                f"{first} to {last}{also}, with , - and /, {_EXAMPLE}."
            )
        if len(set(numbers)) < len(numbers) or numbers == _FROM_SUNDAY_TO_ITSELF:
            # Dagster goes around once, and takes all.
            raise RequestError(
                f"The {name} {shown(text)} of the cron expression has a range of one: write "
                f"{bounds[0]} instead of {bounds[0]}-{bounds[1]}."
            )


def _number(text: str, first: int, names: tuple[str, ...]) -> int | None:
    if text.isdecimal():
        return int(text)
    return names.index(text.lower()) + first if text.lower() in names else None


def _is_ever_due(expression: str) -> bool:
    try:
        next(schedule_execution_time_iterator(0, [expression], "UTC"))
    except CroniterBadDateError:
        return False
    return True
