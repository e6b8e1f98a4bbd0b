"""From texts to the types of fields; what is no such value becomes null, and is told apart there.

Texts have the form that our exports write; what people write beside it is read too: yes and no,
dates of a locale, lists with commas.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.models.types import compact_json

LOCALES: Mapping[str, tuple[str, ...]] = {
    "en-US": ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y", "%m/%d/%y %H:%M"),
    "en-GB": ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y", "%d/%m/%y %H:%M"),
    "en-CA": ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y", "%d/%m/%y %H:%M"),
}
"""How dates are written, by locale, besides ISO 8601 (Elastic Path's import, features.md 3.3)."""

TRUE = ("true", "1", "yes", "y", "t")
FALSE = ("false", "0", "no", "n", "f")

_SHORTEST_TIME = len("2026-01-31T09:00:00Z")
_OWN_TIME = "%Y-%m-%dT%H:%M:%S%.fZ"
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](\d\d:\d\d)(?:(:\d\d)(?:\.(\d+))?)?(?:([Zz])|([+-]\d\d):?(\d\d)?)?)?",
    re.ASCII,
)
_WHOLE = r"^[+-]?[0-9]+(\.0*)?$"
_LIST_TEXT = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*"'
_COMPACT_LIST = rf"^\[(?:{_LIST_TEXT}(?:,{_LIST_TEXT})*)?\]$"
_LAST_YEAR = 9999


class Times:
    """How times without a zone, and dates of a locale, are read."""

    def __init__(self, time_zone: str, locale: str = "") -> None:
        """Read times without a zone as those of `time_zone`."""
        self._zone = ZoneInfo(time_zone)
        self._formats = LOCALES.get(locale, ())

    def parse(self, texts: pl.Series) -> pl.Series:
        """Return times in UTC milliseconds; null where a text is none."""
        times = texts.str.to_datetime(_OWN_TIME, time_unit="ms", strict=False)
        times = _within_calendar(times.dt.replace_time_zone("UTC"))
        if (texts.str.len_bytes() < _SHORTEST_TIME).any():
            # Polars takes 5-1-1T1:1:1Z for a time in the year 5.
            times = times.set(texts.str.len_bytes() < _SHORTEST_TIME, None)
        if times.null_count() == texts.null_count():
            return times
        doubtful = times.is_null()
        rest = texts.filter(doubtful).drop_nulls().unique()
        known = {text: self.moment(text) for text in rest}
        slow = texts.replace_strict(known, default=None, return_dtype=times.dtype)
        return times.zip_with(~doubtful, slow)

    def moment(self, text: str) -> datetime | None:
        """Return one time in UTC, None if it is none."""
        found = self._read(text.strip())
        if found is None:
            return None
        if found.tzinfo is None:
            found = found.replace(tzinfo=self._zone)
        try:
            return found.astimezone(timezone.utc)
        except OverflowError:
            return None

    def _read(self, text: str) -> datetime | None:
        for pattern in self._formats:
            try:
                return datetime.strptime(text, pattern)  # noqa: DTZ007 - moment() gives it a zone
            except ValueError:
                continue
        return _iso_time(text)

    def day(self, text: str) -> str | None:
        """Return the day of one date or time as ISO 8601, None if it is none."""
        found = self._read(text.strip())
        return found.date().isoformat() if found else None


def _within_calendar(times: pl.Series) -> pl.Series:
    """Return times without those of years that Python and databases do not have."""
    years = times.dt.year()
    others = (years < 1) | (years > _LAST_YEAR)
    return times.set(others, None) if others.any() else times


def _iso_time(text: str) -> datetime | None:
    """Return a day or a time in ISO 8601 with dashes and colons, None if it is none."""
    found = _ISO.fullmatch(text)
    if not found:
        return None
    day, clock, seconds, fraction, utc, hours, minutes = found.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    digits = f"{(fraction or '')[:6]:0<6}"
    try:
        # Python 3.10 reads this form only.
        return datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ':00'}.{digits}{zone}")
    except ValueError:
        return None


def parse(texts: pl.Series, kind: FieldType, times: Times) -> pl.Series:
    """Return texts as values of a field's type; null where one is no such value."""
    parsers: Mapping[FieldType, Callable[[pl.Series], pl.Series]] = {
        FieldType.STRING: _texts,
        FieldType.INTEGER: _integers,
        FieldType.NUMBER: numbers,
        FieldType.BOOLEAN: _booleans,
        FieldType.DATETIME: times.parse,
        FieldType.JSON: _documents,
        FieldType.LIST: _lists,
    }
    return parsers[kind](texts)


def _texts(texts: pl.Series) -> pl.Series:
    return texts


def numbers(texts: pl.Series) -> pl.Series:
    """Return finite numbers; null where a text is none."""
    found = texts.cast(pl.Float64, strict=False)
    if found.null_count() != texts.null_count():
        found = texts.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = ~found.is_finite()
    if (found == 0).any():
        # Too small a number to be told from none.
        wrong |= (found == 0) & texts.str.contains(r"^[^eE]*[1-9]")
    return found.set(wrong, None) if wrong.any() else found


def _integers(texts: pl.Series) -> pl.Series:
    found = texts.cast(pl.Int64, strict=False)
    if found.null_count() == texts.null_count():
        return found
    stripped = texts.str.strip_chars()
    # 12.0 is how spreadsheets write 12.
    whole = stripped.set(~stripped.str.contains(_WHOLE), None).str.extract(r"^([+-]?[0-9]+)")
    return whole.cast(pl.Int64, strict=False)


def _booleans(texts: pl.Series) -> pl.Series:
    found = texts == TRUE[0]
    if (found | (texts == FALSE[0])).all():
        return found
    words = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)
    plain = texts.str.strip_chars().str.to_lowercase()
    return plain.replace_strict(words, default=None, return_dtype=pl.Boolean)


def _documents(texts: pl.Series) -> pl.Series:
    # Polars parses what it can, quickly; it also gives up on `null` and on huge numbers.
    known = texts.str.json_path_match("$").is_not_null()
    escaped = texts.str.contains("\\u", literal=True)
    doubtful = texts.filter(~known | escaped).drop_nulls().unique()
    wrong = [text for text in doubtful if not _is_json(text)]
    return texts.set(texts.is_in(wrong), None) if wrong else texts


def _lists(texts: pl.Series) -> pl.Series:
    others = texts.filter(~texts.str.contains(_COMPACT_LIST)).unique()
    if not len(others):
        return texts
    changed = {text: _list(text) for text in others}
    return texts.replace_strict(
        list(changed), list(changed.values()), default=texts, return_dtype=pl.String
    )


def _list(text: str) -> str | None:
    """Return a list as JSON without blanks, perhaps of what stands between commas."""
    if text.lstrip().startswith("{"):
        return None
    if not text.lstrip().startswith("["):
        pieces = [piece.strip() for piece in text.split(",")]
        return compact_json([piece for piece in pieces if piece])
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return compact_json(found) if all(_is_text(item) for item in found) else None


def _is_text(item: object) -> bool:
    return isinstance(item, str) and _is_storable(item)


def _is_storable(value: Any) -> bool:
    """Return whether every text in a document is of whole characters that databases keep."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(_is_storable(name) and _is_storable(member) for name, member in value.items())
    return not isinstance(value, list) or all(map(_is_storable, value))


def _is_json(text: str) -> bool:
    try:
        return _is_storable(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}.")


def custom_text(texts: pl.Series, kind: str, times: Times) -> pl.Series:
    """Return values of a custom field as the catalogue keeps them; null where one is wrong.

    An empty text is a value of every type.
    """
    parsers: Mapping[str, Callable[[pl.Series], pl.Series]] = {
        "integer": lambda found: _kept(found, _integers),
        "float": lambda found: _kept(found, numbers),
        "boolean": lambda found: _kept(found, _booleans),
        "date": lambda found: _days(found, times),
    }
    parser = parsers.get(kind)
    # Most products have few of the custom fields.
    if parser is None or texts.null_count() == len(texts):
        return texts
    return parser(texts)


def _kept(texts: pl.Series, parser: Callable[[pl.Series], pl.Series]) -> pl.Series:
    found = parser(texts)
    if found.null_count() == texts.null_count():
        return texts
    return texts.set(found.is_null() & (texts != ""), None)


def _days(texts: pl.Series, times: Times) -> pl.Series:
    days = {text: text if text == "" else times.day(text) for text in texts.unique().drop_nulls()}
    if all(day == text for text, day in days.items()):
        return texts
    return texts.replace_strict(
        list(days), list(days.values()), default=None, return_dtype=pl.String
    )


def slugs(texts: pl.Series, longest: int | None) -> pl.Series:
    """Return texts as parts of addresses: small letters, digits and dashes; perhaps empty.

    Args:
        texts: what they are made of.
        longest: most characters of one; what is beyond is cut off. None for any number.
    """
    plain = texts.str.normalize("NFKD").str.to_lowercase().str.replace_all(r"\p{M}", "")
    made = plain.str.replace_all(r"[^a-z0-9._-]+", "-").str.strip_chars("-.")
    return made.str.slice(0, longest).str.strip_chars_end("-.")


def list_lengths(texts: pl.Series, most: int, longest: int) -> pl.Series:
    """Return which lists, as JSON, have more items than `most` or one longer than `longest`."""
    items = texts.str.json_decode(pl.List(pl.String))
    too_long = items.list.eval(pl.element().str.len_chars()).list.max() > longest
    return ((items.list.len() > most) | too_long).fill_null(value=False)


def known_values(texts: pl.Series, values: Sequence[str]) -> pl.Series:
    """Return the values that texts stand for, in any capitals; null for any other."""
    if texts.is_in(values).all():
        return texts
    plain = texts.str.strip_chars().str.to_lowercase()
    return plain.replace_strict(
        {value.lower(): value for value in values}, default=None, return_dtype=pl.String
    )
