import re
import time
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.clock import now, seconds_of, written

MOMENTS = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def test_now_is_a_time_in_utc_with_milliseconds() -> None:
    before = time.time()
    found = now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found)
    assert before - 0.001 <= seconds_of(found) <= time.time()


def test_other_zones_are_written_in_utc() -> None:
    paris = timezone(timedelta(hours=2))
    assert written(datetime(2026, 7, 1, 1, 30, tzinfo=paris)) == "2026-06-30T23:30:00.000Z"
    assert seconds_of("1970-01-01T00:00:01.500Z") == 1.5


@given(MOMENTS)
def test_what_is_written_is_read_as_it_was_but_for_what_is_less_than_a_millisecond(
    moment: datetime,
) -> None:
    text = written(moment)
    assert len(text) == 24
    lost = moment - datetime.fromtimestamp(seconds_of(text), timezone.utc)
    assert timedelta(microseconds=-100) <= lost < timedelta(milliseconds=1, microseconds=100)


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_times_do(one: datetime, other: datetime) -> None:
    if written(one) != written(other):
        assert (written(one) < written(other)) == (one < other)
