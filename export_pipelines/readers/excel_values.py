"""What the cells of an Excel workbook mean: numbers, times by their formats, escaped texts."""

import math
import re
from datetime import datetime, timedelta

_PLAIN_INTEGER_DIGITS = 15
_DAY_MS = 86_400_000
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001
_NO_DAY = 60  # 1900-02-29, which Excel believes in: days before it count from one day later
_TIMES_TO = 2_958_466  # the end of the year 9999
_DAYS_TO_1904 = 1_462
_BUILT_IN_TIMES = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
_NO_PARTS_OF_TIMES = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_PART_OF_TIME = re.compile(r"[ymdhs]", re.IGNORECASE)
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORDS = {"0": "false", "1": "true"}


def is_time_format(number: int, code: str | None) -> bool:
    """Return whether a number format shows a number as a date or a time of day.

    Args:
        number: the format's id.
        code: its code if the workbook has one; None for a built-in format.
    """
    if code is None:
        return number in _BUILT_IN_TIMES
    shown = code.partition(";")[0]
    if _ELAPSED.search(shown) or shown.strip().lower() == "general":
        return False
    return bool(_PART_OF_TIME.search(_NO_PARTS_OF_TIMES.sub("", shown)))


def number_text(text: str, *, computed: bool = False) -> str:
    """Return a number in its shortest form.

    Args:
        text: the number as the workbook stores it, with up to 17 digits.
        computed: whether a formula's result: those are rounded to 15 digits, as Excel shows them,
            which nobody can type more of either.

    Raises:
        ValueError: it is no number.
    """
    if text.isdecimal() and text.isascii() and len(text) <= _PLAIN_INTEGER_DIGITS:
        return text if text[0] != "0" else str(int(text))
    value = _number(text)
    if computed:
        value = float(f"{value:.15g}")
    return repr(value).removesuffix(".0")


def time_text(text: str, *, from_1904: bool) -> str:
    """Return a number of days as a time in ISO 8601, which Excel knows no zone of; here it is UTC.

    Numbers of less than a day are times of day. Those that Excel has no date for stay numbers.

    Raises:
        ValueError: it is no number.
    """
    days = _number(text)
    if 0 <= days < 1:
        moment = _EPOCH + timedelta(milliseconds=round(days * _DAY_MS))
        return moment.time().isoformat("milliseconds")
    if from_1904:
        days += _DAYS_TO_1904
    elif 1 <= days < _NO_DAY:
        days += 1
    elif _NO_DAY <= days < _NO_DAY + 1:
        return number_text(text)
    if not 1 <= days < _TIMES_TO:
        return number_text(text)
    moment = _EPOCH + timedelta(milliseconds=round(days * _DAY_MS))
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def iso_time_text(text: str) -> str:
    """Return a time that is stored as ISO 8601 in the form of all times.

    Raises:
        ValueError: it is no such time.
    """
    moment = datetime.fromisoformat(text.strip().removesuffix("Z"))
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def boolean_text(text: str) -> str:
    """Return a truth value as a text.

    Raises:
        ValueError: it is none.
    """
    try:
        return _WORDS[text]
    except KeyError:
        raise ValueError(text) from None


def unescaped(text: str) -> str:
    """Return a text with the characters that XML cannot hold: `_x0001_` stands for one.

    Raises:
        ValueError: it has NUL, or half a character.
    """
    if "_x" not in text:
        return text
    found = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if "\0" in found:
        raise ValueError(text)
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
