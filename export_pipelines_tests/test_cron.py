from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.cron import (
    ALIASES,
    check_cron,
    check_time_zone,
    dagster_cron,
    due_times,
    is_due,
    last_time,
    next_times,
)
from export_pipelines.errors import RequestError

ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
YEARS = [2026, 2027]
LORD_HOWE = "Australia/Lord_Howe"
NAMING_HOURS = ["30 2 * * *", "30 1 * * *", "15 2 * * *", "0 9 * * 1", "@daily", "0 0 1 * *"]
NAMING_NONE = ["*/15 * * * *", "0 * * * *"]
WRITTEN_OUT = {"@daily": "0 0 * * *", "@hourly": "0 * * * *"}

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def moment(zone: str, *parts: int) -> float:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type,misc]


def when(seconds: float, zone: str) -> datetime:
    return datetime.fromtimestamp(seconds, ZoneInfo(zone))


def ticks(crons: list[str], zone: str, begin: float, end: float) -> Iterator[float]:
    """Yield what Dagster's daemon does: it searches each time from the last one on."""
    after = begin
    while True:
        due = next(schedule_execution_time_iterator(after, crons, zone)).timestamp()
        if due >= end:
            return
        yield due
        after = due + 1


def ours(expression: str, zone: str, begin: float, end: float) -> list[float]:
    written = dagster_cron(expression, zone)
    return list(ticks([written] if isinstance(written, str) else written, zone, begin, end))


def theirs(expression: str, zone: str, begin: float, end: float) -> Iterator[datetime]:
    """Yield the times of an independent library."""
    for due in CronSim(WRITTEN_OUT.get(expression, expression), when(begin - 1, zone)):
        if due.timestamp() >= end:
            return
        yield due


def walked(minutes: set[int], zone: str, begin: float, end: float) -> list[float]:
    """Return each minute of real time at which the clocks show one of these."""
    steps = range(int(begin), int(end), 60)
    return [float(step) for step in steps if when(step, zone).minute in minutes]


def weeks_of_change(zone: str, year: int) -> list[tuple[float, float]]:
    """Return the two weeks around each change of the clocks; two of January without any."""
    noons = [moment(zone, year, 1, 15, 12) + day * 86_400 for day in range(340)]
    changes = [
        after
        for before, after in pairwise(noons)
        if when(before, zone).utcoffset() != when(after, zone).utcoffset()
    ]
    week = 7 * 86_400
    return [(noon - week, noon + week) for noon in changes or noons[:1]]


@pytest.mark.parametrize("expression", NAMING_HOURS)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", YEARS)
def test_a_year_of_times_that_name_an_hour(expression: str, zone: str, year: int) -> None:
    year_long = (moment(zone, year, 1, 1), moment(zone, year + 1, 1, 1))
    found = ours(expression, zone, *year_long)
    others = list(theirs(expression, zone, *year_long))
    assert len(found) == len(others) >= 12
    # Of a repeated time, Dagster takes the second one.
    assert found == [due.replace(fold=1).timestamp() for due in others]


@pytest.mark.parametrize(
    ("expression", "zone", "repeated"),
    [
        ("30 2 * * *", "Europe/Paris", "2026-10-25 02:30:00+01:00"),
        ("30 1 * * *", "America/New_York", "2026-11-01 01:30:00-05:00"),
        ("30 1 * * *", LORD_HOWE, "2026-04-05 01:30:00+10:30"),
    ],
)
def test_a_repeated_time_is_due_once_and_a_skipped_one_right_after(
    expression: str, zone: str, repeated: str
) -> None:
    found = ours(expression, zone, moment(zone, 2026, 1, 1), moment(zone, 2027, 1, 1))
    day = repeated.split()[0]
    assert [str(when(due, zone)) for due in found if str(when(due, zone)).startswith(day)] == [
        repeated
    ]
    assert len(found) == 365


def test_a_skipped_time_is_due_right_after() -> None:
    [due] = next_times("30 2 * * *", "Europe/Paris", moment("Europe/Paris", 2026, 3, 29), 1)
    assert str(due) == "2026-03-29 03:00:00+02:00"
    [due] = next_times("15 2 * * *", LORD_HOWE, moment(LORD_HOWE, 2026, 10, 4), 1)
    assert str(due) == "2026-10-04 02:30:00+11:00"


@pytest.mark.parametrize("zone", ["Africa/Cairo", "America/Santiago", "Atlantic/Azores"])
@pytest.mark.parametrize("expression", ["@daily", "30 23 * * *", "30 0 * * *"])
def test_each_day_has_one_also_where_clocks_change_at_midnight(zone: str, expression: str) -> None:
    found = ours(expression, zone, moment(zone, 2026, 1, 1), moment(zone, 2027, 1, 1))
    assert [when(due, zone).date().toordinal() for due in found] == list(
        range(datetime(2026, 1, 1).toordinal(), datetime(2027, 1, 1).toordinal())  # noqa: DTZ001
    )


@pytest.mark.parametrize("expression", NAMING_NONE)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", YEARS)
def test_times_that_name_no_hour_go_by_real_time(expression: str, zone: str, year: int) -> None:
    weeks = weeks_of_change(zone, year)
    assert len(weeks) == (1 if zone == "Asia/Kolkata" else 2)
    for span in weeks:
        found = ours(expression, zone, *span)
        assert found == [due.timestamp() for due in theirs(expression, zone, *span)]
        assert len(found) >= 14 * 24 - 1


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [
        ("@hourly", {0}),
        ("45 * * * *", {45}),
        ("*/20 0-23 * * *", {0, 20, 40}),
        ("5-6 * */1 * *", {5, 6}),
    ],
)
@pytest.mark.parametrize("zone", [LORD_HOWE, "Europe/Paris"])
def test_minutes_are_those_that_the_clocks_show(
    expression: str, minutes: set[int], zone: str
) -> None:
    for month, day in [(3, 27), (4, 3), (10, 2), (10, 23)]:
        begin = moment(zone, 2026, month, day)
        span = (begin, begin + 4 * 86_400)
        assert ours(expression, zone, *span) == walked(minutes, zone, *span)


def test_dagster_alone_is_late_on_lord_howe() -> None:
    # Half of the year, as it takes the offset of today.
    differ = []
    for month in (1, 7):
        begin = moment(LORD_HOWE, 2026, month, 1)
        span = (begin, begin + 86_400)
        right = walked({0}, LORD_HOWE, *span)
        differ.append(list(ticks(["0 * * * *"], LORD_HOWE, *span)) != right)
        assert ours("0 * * * *", LORD_HOWE, *span) == right
    assert any(differ)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", LORD_HOWE])
def test_the_29th_of_february_is_found_on_the_day_before(zone: str) -> None:
    leap_day = moment(zone, 2028, 2, 29, 9, 30)
    for hours in range(1, 24 * 4):
        at = leap_day - hours * 3_600
        assert next_times("30 9 29 2 *", zone, at, 1)[0].timestamp() == leap_day
        assert last_time("30 9 29 2 *", zone, at) == moment(zone, 2024, 2, 29, 9, 30)
    found = ours("30 9 29 2 *", zone, moment(zone, 2027, 1, 1), moment(zone, 2040, 1, 1))
    assert [str(when(due, zone).date()) for due in found] == [
        "2028-02-29",
        "2032-02-29",
        "2036-02-29",
    ]
    assert is_due("30 9 29 2 *", zone, leap_day)


def test_dagster_alone_misses_the_29th_of_february() -> None:
    noon_before = moment("UTC", 2028, 2, 28, 12)
    missed = next(schedule_execution_time_iterator(noon_before, "30 9 29 2 *", "UTC"))
    assert missed.year == 2032


LEAP_SPRING: list[tuple[str, Callable[[date], bool]]] = [
    ("0 9 29 * *", lambda day: day.day == 29),
    ("0 9 15,29 * *", lambda day: day.day in (15, 29)),
    ("0 9 29-31 * *", lambda day: day.day >= 29),
    ("0 9 29-31 2 *", lambda day: day.day == 29 and day.month == 2),
    ("0 9 29 feb,mar *", lambda day: day.day == 29 and day.month in (2, 3)),
    ("0 9 29 */2 *", lambda day: day.day == 29 and day.month % 2 == 1),
    ("0 9 29 * 1", lambda day: day.day == 29 or day.isoweekday() == 1),
    ("0 9 1,15,29 2-4 *", lambda day: day.day in (1, 15, 29) and day.month in (2, 3, 4)),
    ("0 9 */14 * *", lambda day: day.day in (1, 15, 29)),
]
"""Expressions with a 29th, and their days."""


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York"])
@pytest.mark.parametrize(("expression", "fits"), LEAP_SPRING, ids=[each for each, _ in LEAP_SPRING])
def test_29ths_are_found_in_every_hour_of_a_leap_spring(
    expression: str, fits: Callable[[date], bool], zone: str
) -> None:
    days = [date(2028, 2, 20) + timedelta(days=number) for number in range(3_300)]
    due = [moment(zone, day.year, day.month, day.day, 9) for day in days if fits(day)]
    begin, end = moment(zone, 2028, 2, 27), moment(zone, 2028, 4, 2)
    assert check_cron(expression) == expression
    for at in range(int(begin), int(end), 3 * 3600):
        found = next_times(expression, zone, at, 2)
        assert [each.timestamp() for each in found] == [each for each in due if each >= at][:2]
    for known in due[:3]:
        assert is_due(expression, zone, known)
        assert last_time(expression, zone, known + 60) == known


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_stay_as_they_are(alias: str) -> None:
    assert check_cron(f" {alias}\t") == alias
    assert len(next_times(alias, "UTC", 0)) == 5


@pytest.mark.parametrize(
    ("expression", "stored"),
    [
        ("0 9 * * 1", "0 9 * * 1"),
        ("  0   9\t*\n* 1 ", "0 9 * * 1"),
        ("*/15 0-12/2 1,15 jan-MAR,12 mon-fri,7", "*/15 0-12/2 1,15 jan-MAR,12 mon-fri,7"),
        ("0 22-2 * * fri-mon", "0 22-2 * * fri-mon"),
        ("* * * * 0-7", "* * * * 0-7"),
    ],
)
def test_right_expressions_have_single_blanks(expression: str, stored: str) -> None:
    assert check_cron(expression) == stored


@pytest.mark.parametrize(
    ("expression", "field", "allowed"),
    [
        ("60 * * * *", "minute '60'", "0 to 59"),
        ("1-60 * * * *", "minute '1-60'", "0 to 59"),
        ("*/0 * * * *", "minute '*/0'", "0 to 59"),
        ("1,, * * * *", "minute '1,,'", "0 to 59"),
        ("H * * * *", "minute 'H'", "0 to 59"),
        ("\u0661 * * * *", "minute '\u0661'", "0 to 59"),
        ("0 24 * * *", "hour '24'", "0 to 23"),
        ("0 -1 * * *", "hour '-1'", "0 to 23"),
        ("0 0 0 * *", "day of the month '0'", "1 to 31"),
        ("0 0 L * *", "day of the month 'L'", "1 to 31"),
        ("0 0 1 13 *", "month '13'", "1 to 12 or jan to dec"),
        ("0 0 1 mai *", "month 'mai'", "1 to 12 or jan to dec"),
        ("0 0 * * 8", "day of the week '8'", "0 to 7 or sun to sat"),
        ("0 0 * * 1#2", "day of the week '1#2'", "0 to 7 or sun to sat"),
    ],
)
def test_a_wrong_field_is_named(expression: str, field: str, allowed: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_cron(expression)
    assert str(refused.value) == (
        f"The {field} of the cron expression is wrong: use * or numbers from {allowed}, "
        "with , - and /, such as 0 9 * * 1 for Mondays at 9:00."
    )


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        (
            "5-5 * * * *",
            "The minute '5-5' of the cron expression has a range of one: write 5 instead of 5-5.",
        ),
        (
            "0 0 * * 1,7-0",
            "The day of the week '1,7-0' of the cron expression has a range of one: "
            "write 7 instead of 7-0.",
        ),
        (
            "0 0 * jan-1 *",
            "The month 'jan-1' of the cron expression has a range of one: "
            "write jan instead of jan-1.",
        ),
        (
            "@reboot",
            "'@reboot' is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and "
            "@annually.",
        ),
        (
            "* * * * * *",
            "The cron expression '* * * * * *' has 6 fields and must have five: minute, hour, day "
            "of the month, month and day of the week, such as 0 9 * * 1 for Mondays at 9:00.",
        ),
        (
            " ",
            "The cron expression ' ' has 0 fields and must have five: minute, hour, day of the "
            "month, month and day of the week, such as 0 9 * * 1 for Mondays at 9:00.",
        ),
    ],
)
def test_other_mistakes_have_their_sentence(expression: str, sentence: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_cron(expression)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 2,4,jun *", "0 0 30,31 feb *"])
def test_a_date_that_never_comes_is_refused(expression: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_cron(expression)
    assert str(refused.value) == f"The cron expression '{expression}' fits no date at all."


@pytest.mark.parametrize("expression", ["0 9 * * " + "1," * 60 + "1", "9" * 5_000 + " * * * *"])
def test_an_expression_fits_its_column(expression: str) -> None:
    with pytest.raises(RequestError, match=r" is too long: use 100 characters at most\.$"):
        check_cron(expression)


@pytest.mark.parametrize("name", ["UTC", *ZONES, "Africa/Cairo"])
def test_time_zones_are_known_by_their_names(name: str) -> None:
    assert check_time_zone(name) == name


@pytest.mark.parametrize(
    "name", ["europe/paris", "../x", "/etc/passwd", "", "UTC ", "Europe", "x" * 5_000, "a\0b", "é"]
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(
        RequestError, match=r" is no time zone: use a name such as Europe/Paris, or UTC\.$"
    ) as refused:
        check_time_zone(name)
    assert len(str(refused.value)) < 200


def test_clocks_that_dagster_cannot_follow_are_refused() -> None:
    with pytest.raises(RequestError) as refused:
        check_time_zone("Antarctica/Troll")
    assert str(refused.value) == (
        "The clocks of Antarctica/Troll change by more than an hour, which schedules cannot "
        "follow: use UTC."
    )


def fields(first: int, last: int, names: list[str]) -> st.SearchStrategy[str]:
    value = st.integers(first, last).map(str)
    if names:
        value |= st.sampled_from([*names, names[0].upper()])
    part = st.just("*") | value | st.tuples(value, value).map("-".join)
    step = st.just("") | st.integers(1, last).map("/{}".format)
    return st.lists(st.tuples(part, step).map("".join), min_size=1, max_size=3).map(",".join)


EXPRESSIONS = st.sampled_from(ALIASES) | st.tuples(
    fields(0, 59, []),
    fields(0, 23, []),
    fields(1, 31, []),
    fields(1, 12, MONTHS),
    fields(0, 7, DAYS),
).map(" ".join)
CHANGES = [
    datetime(2026, *date, tzinfo=timezone.utc)  # type: ignore[arg-type,misc]
    for date in [(3, 29, 1), (10, 25, 1), (4, 4, 15), (10, 3, 15, 30), (11, 1, 6)]
]
MOMENTS = st.integers(1_735_689_600, 1_830_000_000) | st.tuples(
    st.sampled_from(CHANGES), st.integers(-180, 180)
).map(lambda found: int((found[0] + timedelta(minutes=found[1])).timestamp()))


@settings(max_examples=60)
@given(EXPRESSIONS, st.sampled_from(["UTC", *ZONES, "Pacific/Chatham"]), MOMENTS)
def test_due_last_and_next_times_are_the_same_ones(written: str, zone: str, after: int) -> None:
    try:
        expression = check_cron(written)
    except RequestError:
        return
    found = [due.timestamp() for due in islice(due_times(expression, zone, after), 4)]
    assert found == sorted(set(found))
    assert found[0] >= after
    assert [due.timestamp() for due in next_times(expression, zone, after, 4)] == found
    for before, due in pairwise(found):
        assert is_due(expression, zone, due)
        assert not is_due(expression, zone, due - 1)
        assert not is_due(expression, zone, due + 1)
        assert last_time(expression, zone, due) == due
        assert last_time(expression, zone, due - 1) == before
        assert next_times(expression, zone, before + 1, 1)[0].timestamp() == due


TEXTS = st.text(max_size=30) | st.lists(
    st.text(st.sampled_from("*/-,0123456789@jafebsun#LwRHh?٣² "), max_size=12),
    min_size=4,
    max_size=6,
).map(" ".join)


@settings(max_examples=300)
@given(TEXTS)
def test_other_texts_are_refused(text: str) -> None:
    with suppress(RequestError):
        stored = check_cron(text)
        assert check_cron(stored) == stored
        assert next_times(stored, "UTC", 0, 1)
