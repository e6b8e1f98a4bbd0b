from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.mapping.dates import check_pattern
from export_pipelines_tests.mapping.frames import cast, refused

TIMES = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001
ZONES = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("%d.%m.%Y", "31.12.2025", "2025-12-31"),
        ("%d.%m.%Y", " 1.2.2025 ", "2025-02-01"),
        ("%m/%d/%y", "2/1/69", "2069-02-01"),
        ("%m/%d/%y", "2/1/70", "1970-02-01"),
        ("%Y%m%d", "20250131", "2025-01-31"),
        ("%d %b %Y", "3 feb 2025", "2025-02-03"),
        ("%B %d, %Y", "February 3, 2025", "2025-02-03"),
        ("%Y-%j", "2024-366", "2024-12-31"),
        ("100%% %d.%m.%Y", "100% 1.2.2025", "2025-02-01"),
        ("%d.%m.%Y %H:%M", "31.12.2025 09:05", "2025-12-31T09:05:00.000"),
        ("%d.%m.%Y %I:%M %p", "31.12.2025 12:05 am", "2025-12-31T00:05:00.000"),
        ("%Y-%m-%d %H:%M:%S.%f", "2025-12-31 09:05:01.5", "2025-12-31T09:05:01.500"),
        ("%Y-%m-%d %H:%M:%S%z", "2025-12-31 23:05:01-02:00", "2026-01-01T01:05:01.000Z"),
        ("%Y-%m-%d %H:%M:%S%z", "2025-12-31 23:05:01Z", "2025-12-31T23:05:01.000Z"),
        ("%Y-%m-%d %H:%M%z", "2025-12-31 23:05+0100", "2025-12-31T22:05:00.000Z"),
    ],
)
def test_dates_become_iso_8601(pattern: str, text: str, expected: str) -> None:
    check_pattern(pattern)
    assert cast({"date": pattern}, [text]) == [expected]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%d.%m.%Y", "31.02.2025"),
        ("%d.%m.%Y", "29.02.2025"),
        ("%d.%m.%Y", "2025-02-01"),
        ("%d.%m.%Y", "1.2.25"),
        ("%d.%m.%Y", "1.2.0000"),
        ("%d.%m.%Y", "1.2.20255"),
        ("%d.%m.%Y", "1.2.2025 10:00"),
        ("%d.%m.%Y", "soon"),
        ("%d.%m.%Y %H:%M", "1.2.2025"),
        ("%d.%m.%Y %H:%M", "1.2.2025 24:00"),
        ("%d.%m.%Y %H:%M%z", "1.2.2025 12:00"),
        ("%d.%m.%Y %H:%M%z", "31.12.9999 23:00-02:00"),
    ],
)
def test_what_is_no_such_date_is_an_error(pattern: str, text: str) -> None:
    assert refused({"date": pattern}, [text]) == [(text, "not_a_date")]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "d.m.Y",
        "%d.%m",
        "%m.%Y",
        "%H:%M",
        "%d.%m.%Y %H",
        "%d.%m.%Y %M",
        "%d.%m.%Y %p",
        "%d.%m.%Y %z",
        "%d.%m.%Y %I:%M",
        "%d.%m.%Y %S",
        "%d.%m.%Y %H:%M.%f",
        "%d.%m.%Y %H:%M:%S %f",
        "%D",
        "%s",
        "%d.%m.%Y%",
        "%-d.%m.%Y",
        "%x",
    ],
)
def test_patterns_that_say_no_date_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"does not say which|A date has no"):
        check_pattern(pattern)


@given(st.lists(TIMES, max_size=5), st.sampled_from(["%d.%m.%Y", "%Y%m%d", "%b %d %Y", "%Y-%j"]))
def test_dates_are_read_as_python_wrote_them(times: list[datetime], pattern: str) -> None:
    cells = [time.strftime(pattern) for time in times]
    assert cast({"date": pattern}, cells) == [time.date().isoformat() for time in times]


@given(st.lists(TIMES, max_size=5), ZONES)
def test_times_are_read_as_python_wrote_them(times: list[datetime], zone: timezone) -> None:
    local = "%d/%m/%Y %I:%M:%S.%f %p"
    cells = [time.strftime(local) for time in times]
    expected = [time.isoformat(timespec="milliseconds") for time in times]
    assert cast({"date": local}, cells) == expected
    zoned = [time.replace(tzinfo=zone) for time in times if 1000 < time.year < 9999]
    cells = [time.strftime("%d/%m/%Y %H:%M:%S.%f %z") for time in zoned]
    utc = [time.astimezone(timezone.utc).replace(tzinfo=None) for time in zoned]
    assert cast({"date": "%d/%m/%Y %H:%M:%S.%f %z"}, cells) == [
        f"{time.isoformat(timespec='milliseconds')}Z" for time in utc
    ]
