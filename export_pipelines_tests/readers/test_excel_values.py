from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, to_excel
from openpyxl.utils.escape import escape

from export_pipelines.readers.excel_values import (
    boolean_text,
    is_time_format,
    iso_time_text,
    number_text,
    time_text,
    unescaped,
)

TIMES = st.datetimes(datetime(1904, 1, 2), datetime(9999, 12, 30)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("-1.0", "-1"),
        ("007", "7"),
        ("0", "0"),
        ("19.989999999999998", "19.99"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("123456789012345", "123456789012345"),
        ("1234567890123456", "1234567890123456"),
        ("1E-3", "0.001"),
        ("1e21", "1e+21"),
        (".5", "0.5"),
        ("5.", "5"),
    ],
)
def test_numbers_are_in_their_shortest_form(stored: str, text: str) -> None:
    assert number_text(stored) == text


def test_results_of_formulas_are_rounded_as_excel_shows_them() -> None:
    assert number_text("0.30000000000000004", computed=True) == "0.3"
    assert number_text("1.1102230246251565E-16", computed=True) == "1.11022302462516e-16"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_as_it_was(value: float) -> None:
    assert float(number_text(repr(value))) == value
    assert float(number_text(f"{value:.17g}")) == value
    assert not number_text(repr(value)).endswith(".0")


@pytest.mark.parametrize(
    "stored", ["", "x", "nan", "inf", "1_000", "0x10", "1,5", "²", "1e999", "--1", "1 2"]
)
def test_what_is_no_number_is_not_read(stored: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        number_text(stored)
    with pytest.raises(ValueError):  # noqa: PT011
        time_text(stored, from_1904=False)


@pytest.mark.parametrize(
    ("days", "from_1904", "text"),
    [
        ("45322", False, "2024-01-31T00:00:00.000Z"),
        ("45322.5", False, "2024-01-31T12:00:00.000Z"),
        ("43860.5", True, "2024-01-31T12:00:00.000Z"),
        ("1", True, "1904-01-02T00:00:00.000Z"),
        ("1", False, "1900-01-01T00:00:00.000Z"),
        ("59", False, "1900-02-28T00:00:00.000Z"),
        ("60", False, "60"),
        ("61", False, "1900-03-01T00:00:00.000Z"),
        ("0.75", False, "18:00:00.000"),
        ("0", False, "00:00:00.000"),
        ("0.9999999999", False, "00:00:00.000"),
        ("-1", False, "-1"),
        ("2958465.5", False, "9999-12-31T12:00:00.000Z"),
        ("2958466", False, "2958466"),
        ("2958465.9999999999", False, "2958466"),
        ("1e300", False, "1e+300"),
    ],
)
def test_days_are_times(days: str, from_1904: bool, text: str) -> None:
    assert time_text(days, from_1904=from_1904) == text


@given(moment=TIMES, from_1904=st.booleans())
def test_any_time_is_read_as_it_was(moment: datetime, from_1904: bool) -> None:
    days = to_excel(moment, CALENDAR_MAC_1904) if from_1904 else to_excel(moment)
    text = time_text(repr(days), from_1904=from_1904)
    assert text == f"{moment.isoformat(timespec='milliseconds')}Z"


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("2024-01-31", "2024-01-31T00:00:00.000Z"),
        ("2024-01-31T10:11:12", "2024-01-31T10:11:12.000Z"),
        ("2024-01-31T10:11:12.345Z", "2024-01-31T10:11:12.345Z"),
    ],
)
def test_times_stored_as_texts(stored: str, text: str) -> None:
    assert iso_time_text(stored) == text


def test_truth_values() -> None:
    assert [boolean_text("0"), boolean_text("1")] == ["false", "true"]
    with pytest.raises(ValueError, match="2"):
        boolean_text("2")


@pytest.mark.parametrize(
    ("code", "is_time"),
    [
        ("yyyy\\-mm\\-dd\\ hh:mm:ss", True),
        ("d/m/yy", True),
        ("[$-409]d\\-mmm\\-yy;@", True),
        ("[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", True),
        ("h:mm AM/PM", True),
        ("[Red]YYYY", True),
        ("General", False),
        ("0.00", False),
        ('0.00" days"', False),
        ("#,##0\\ \\d", False),
        ("[Red]0.00", False),
        ("[h]:mm", False),
        ("0_d", False),
        ("0*s", False),
        ('0;"h"h', False),
        ("0.00E+00", False),
        ("@", False),
        ("", False),
    ],
)
def test_formats_of_times(code: str, is_time: bool) -> None:
    assert is_time_format(164, code) is is_time


def test_built_in_formats_of_times() -> None:
    for number, code in BUILTIN_FORMATS.items():
        assert is_time_format(number, None) is (is_date_format(code) and number != 46)
    assert is_time_format(30, None)
    assert is_time_format(57, None)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_any_text_is_unescaped_as_it_was(text: str) -> None:
    assert unescaped(escape(text)) == text


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("a_x000D__x000a_b", "a\r\nb"),
        ("_x005F_x0041_", "_x0041_"),
        ("_x41_ _xZZZZ_", "_x41_ _xZZZZ_"),
        ("_xD83D__xDE00_", "😀"),
    ],
)
def test_escapes(stored: str, text: str) -> None:
    assert unescaped(stored) == text


@pytest.mark.parametrize("stored", ["_x0000_", "_xD800_", "a_xDC00_b"])
def test_escapes_of_no_character(stored: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        unescaped(stored)


def test_a_day_has_its_milliseconds() -> None:
    moment = datetime(2024, 1, 1) + timedelta(milliseconds=86_399_999)  # noqa: DTZ001
    assert time_text(repr(to_excel(moment)), from_1904=False) == "2024-01-01T23:59:59.999Z"
