"""Dates and times of other forms, as ISO 8601."""

import re
from datetime import datetime, timedelta, timezone

import polars as pl

from export_pipelines.errors import one_of, shown

_DIRECTIVES = (
    *("%Y", "%y", "%m", "%d", "%b", "%B", "%j"),
    *("%H", "%I", "%p", "%M", "%S", ".%f", "%z", "%%"),
)
_DIRECTIVE = re.compile(r"\.%f|%.?", re.DOTALL)
_SAMPLE = datetime(2001, 2, 3, 16, 5, 6, 700_000, timezone(timedelta(hours=1)))
_FIRST_YEAR, _LAST_YEAR = 1000, 9999


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that does not say all of a date.

    Raises:
        ValueError: a directive is unknown, or texts of the pattern are no dates, or several.
    """
    for directive in _DIRECTIVE.findall(pattern):
        if directive not in _DIRECTIVES:
            raise ValueError(
                f"A date has no {shown(directive)}: use {one_of(_DIRECTIVES)}, as in %d.%m.%Y."
            )
    try:
        found = pl.select(iso_date(pl.lit(example(pattern)), pattern)).item()
    except pl.exceptions.ComputeError:
        found = None
    if found is None or not _moment(found, pattern):
        raise ValueError(
            f"{shown(pattern)} does not say which day or time is meant: write day, month and year, "
            "an hour only with its minutes, %I only with %p."
        )


def example(pattern: str) -> str:
    """Return a date as the pattern has it."""
    return _SAMPLE.strftime(pattern)


def iso_date(text: pl.Expr, pattern: str) -> pl.Expr:
    """Return a date or time as ISO 8601, in milliseconds; null for what is none.

    Args:
        text: without blanks at its ends.
        pattern: one that `check_pattern` lets pass; a zone in it gives a time in UTC.
    """
    directives = set(_DIRECTIVE.findall(pattern))
    known = _DIRECTIVE.sub(lambda found: _POLARS.get(found[0], found[0]), pattern)
    moment = text.str.to_datetime(known, time_unit="us", strict=False)
    written = moment.dt.strftime(_iso_form(directives))
    return pl.when(moment.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR)).then(written)


_POLARS = {".%f": "%.f", "%z": "%#z"}
"""What Polars calls the same: a fraction of any digits with its point, and a zone in any form."""


def _iso_form(directives: set[str]) -> str:
    if not directives & {"%H", "%I"}:
        return "%Y-%m-%d"
    return "%Y-%m-%dT%H:%M:%S%.3f" + ("Z" if "%z" in directives else "")


def _moment(found: str, pattern: str) -> bool:
    """Return whether the sample was read as what it is, as far as the pattern goes."""
    directives = set(_DIRECTIVE.findall(pattern))
    zone = timezone.utc if "%z" in directives else _SAMPLE.tzinfo
    expected = _SAMPLE.astimezone(zone).replace(tzinfo=None)
    if not directives & {"%H", "%I"}:
        return not directives & {"%M", "%S", ".%f", "%p", "%z"} and found == f"{expected:%Y-%m-%d}"
    second = expected.second if "%S" in directives else 0
    fraction = expected.microsecond if ".%f" in directives else 0
    expected = expected.replace(second=second, microsecond=fraction)
    return found.rstrip("Z") == expected.isoformat(timespec="milliseconds")
