import math
from datetime import datetime, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.catalog.columns import NESTING
from export_pipelines.imports.values import (
    LOCALES,
    Times,
    custom_text,
    known_values,
    list_lengths,
    parse,
    slugs,
)
from export_pipelines_tests.contracts.frames import TEXTS, made_file, rows_of
from export_pipelines_tests.readers.files import read

PARIS = Times("Europe/Paris")
TYPES = [kind for kind in FieldType if kind not in NESTING]
KINDS = ("string", "integer", "float", "boolean", "date")
LONE_SURROGATE = "\\ud800"


def series(*texts: str | None) -> pl.Series:
    return pl.Series("cell", texts, dtype=pl.String)


def parsed(kind: FieldType, *texts: str | None, times: Times = PARIS) -> list[Any]:
    return parse(series(*texts), kind, times).to_list()


def moment(text: str, locale: str = "", zone: str = "Europe/Paris") -> str | None:
    """Return a time in UTC as the fast way and the slow one read it."""
    [found] = parsed(FieldType.DATETIME, text, times=Times(zone, locale))
    return found.strftime("%Y-%m-%dT%H:%M:%S.%f").removesuffix("000") if found else None


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_exported_values_come_back(kind: FieldType, data: st.DataObject) -> None:
    column = Column("value", kind)
    values = [row["value"] for row in data.draw(rows_of([column]))]
    if kind is FieldType.NUMBER:
        values = [value for value in values if value is None or math.isfinite(value)]
    # Rows of nothing but empty cells would be blank.
    rows = [{"value": value, "there": True} for value in values]
    columns = (column, Column("there", FieldType.BOOLEAN))
    cells = read(made_file("csv", rows, columns).data, format="csv").cells
    assert parsed(kind, *(text for text, _ in cells)) == values


@pytest.mark.parametrize("kind", TYPES)
@given(texts=st.lists(st.none() | TEXTS))
def test_any_text_is_a_value_or_null(kind: FieldType, texts: list[str | None]) -> None:
    found = parse(series(*texts), kind, PARIS)
    assert len(found) == len(texts)
    assert all(value is None for value, text in zip(found, texts, strict=True) if text is None)
    if found.dtype == pl.String:
        again = parse(found, kind, PARIS)
        assert again.to_list() == found.to_list(), "a value stays as it is"


@pytest.mark.parametrize("kind", TYPES)
def test_columns_without_values_have_their_type(kind: FieldType) -> None:
    whole = parse(series("1", "[]", "true", "2024-01-01"), kind, PARIS)
    for texts in ([], [None, None]):
        found = parse(series(*texts), kind, PARIS)
        assert found.to_list() == texts
        assert found.dtype == whole.dtype


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" 12 ", 12),
        ("+5", 5),
        ("-0", 0),
        ("12.0", 12),
        ("12.", 12),
        ("007", 7),
        ("\u00a012\u00a0", 12),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
    ],
)
def test_whole_numbers(text: str, value: int) -> None:
    assert parsed(FieldType.INTEGER, text, None) == [value, None]


@pytest.mark.parametrize(
    "text",
    [
        "1_000",
        "\u0661\u0662",
        "\u0665.0",
        "0x10",
        "1e3",
        "1,000",
        "1 000",
        "12.5",
        str(2**63),
        "--5",
        "",
        "one",
    ],
)
def test_what_is_no_whole_number(text: str) -> None:
    assert parsed(FieldType.INTEGER, text, "1") == [None, 1]


@pytest.mark.parametrize(
    ("text", "value"), [(" 1.5 ", 1.5), ("+.5e1", 5.0), ("5.", 5.0), ("1E5", 1e5), ("-0.0", 0.0)]
)
def test_numbers(text: str, value: float) -> None:
    assert parsed(FieldType.NUMBER, text, None) == [value, None]


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "-Infinity", "1e400", "1,5", "1_0.5", "\u0665", "0x1p3", "1d3", ""]
)
def test_what_is_no_finite_number(text: str) -> None:
    assert parsed(FieldType.NUMBER, text, "1") == [None, 1.0]


def test_booleans() -> None:
    words = ["true", "TRUE", " yes ", "y", "T", "1", "false", "No", "n", "F", "0", None, "2", ""]
    values = [True] * 6 + [False] * 5 + [None] * 3
    assert parsed(FieldType.BOOLEAN, *words) == values
    assert parsed(FieldType.BOOLEAN, "true", "false", None) == [True, False, None]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-02-29", "2024-02-28T23:00:00.000"),
        (" 2024-07-01 12:30 ", "2024-07-01T10:30:00.000"),
        ("2024-07-01t12:30:59.5+05:30", "2024-07-01T07:00:59.500"),
        ("2024-07-01T12:30:59.1239999z", "2024-07-01T12:30:59.123"),
        ("2024-07-01T12:30-0700", "2024-07-01T19:30:00.000"),
        ("2024-07-01T12:30+02", "2024-07-01T10:30:00.000"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999"),
        ("1969-12-31T23:59:59.9999+00:00", "1969-12-31T23:59:59.999"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999"),
        # A second that is put in is the first of the next minute.
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000"),
        # The clock goes from 2 to 3: what is between is an hour later. From 3 to 2: the first.
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00.000"),
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00.000"),
    ],
)
def test_times(text: str, utc: str) -> None:
    assert moment(text) == utc


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29",
        "29.02.",
        "29.02.2024",
        "01/02/2024",
        "0000-01-01T00:00:00.000Z",
        "0000-01-01",
        "0001-01-01",
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
        "2024-01-01T24:00:00Z",
        "2024-01-01T10:00.5",
        "2024-01-01T10:00:00+25:00",
        "2024-01-01T10",
        "2024-W01-1",
        "20240101",
        "2024-001",
        "\u0662\u0660\u0662\u0664-01-01",
        "2024-01-01T10:00:00,5Z",
        "now",
        "1704067200",
        "",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert moment(text) is None


@pytest.mark.parametrize(
    ("locale", "text", "utc"),
    [
        ("en-US", "1/2/2024 15:04:05", "2024-01-02T15:04:05.000"),
        ("en-US", "01/02/2024", "2024-01-02T00:00:00.000"),
        ("en-US", "1/2/24 15:04", "2024-01-02T15:04:00.000"),
        ("en-GB", "1/2/2024 15:04:05", "2024-02-01T15:04:05.000"),
        ("en-CA", "01/02/2024", "2024-02-01T00:00:00.000"),
        ("en-GB", "13/13/2024", None),
        ("en-US", "13/01/2024", None),
        ("", "01/02/2024", None),
    ],
)
def test_dates_of_a_locale(locale: str, text: str, utc: str | None) -> None:
    assert moment(text, locale, "UTC") == utc


@pytest.mark.parametrize("locale", ["", *LOCALES])
def test_iso_dates_are_read_whatever_the_locale(locale: str) -> None:
    assert moment("2024-01-02", locale, "UTC") == "2024-01-02T00:00:00.000"
    assert moment("2024-01-02T03:04:05.678Z", locale) == "2024-01-02T03:04:05.678"


@given(st.datetimes(datetime(2, 1, 1), datetime(9999, 12, 30), timezones=st.just(timezone.utc)))  # noqa: DTZ001
def test_both_ways_to_read_a_time_agree(time: datetime) -> None:
    plain = time.replace(tzinfo=None).isoformat()
    fast, slow = parsed(FieldType.DATETIME, f"{plain}Z", f"{plain}+00:00")
    assert fast == slow == time.replace(microsecond=time.microsecond // 1000 * 1000)


@pytest.mark.parametrize(
    "text",
    ["null", "{}", ' {"a": 1} ', "1e999", "1" * 40, '"é"', '"\\u00e9"', "[" * 200 + "]" * 200],
)
def test_documents_stay_as_they_are_written(text: str) -> None:
    assert parsed(FieldType.JSON, text, None) == [text, None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nul",
        "NaN",
        '{"a":NaN}',
        "[1,]",
        "{}{}",
        "1 2",
        "'a'",
        "01",
        '"\t"',
        "[" * 100_000,
        f'"{LONE_SURROGATE}"',
        f'{{"{LONE_SURROGATE}":1}}',
        '["a\\u0000"]',
        "\ufeff{}",
    ],
)
def test_what_is_no_document(text: str) -> None:
    assert parsed(FieldType.JSON, text, "{}") == [None, "{}"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a","é"]', '["a","é"]'),
        (' ["a", "b"] ', '["a","b"]'),
        ('["\\u00e9","\\/"]', '["é","/"]'),
        ("a, b,,c ", '["a","b","c"]'),
        ('say "hi"', '["say \\"hi\\""]'),
        ("[]", "[]"),
        (",", "[]"),
    ],
)
def test_lists(text: str, value: str) -> None:
    assert parsed(FieldType.LIST, text, None) == [value, None]


@pytest.mark.parametrize(
    "text", ["[", "[1]", "[null]", '["a",]', '["a"]x', f'["{LONE_SURROGATE}"]', '["\\u0000"]']
)
def test_what_is_no_list_of_texts(text: str) -> None:
    assert parsed(FieldType.LIST, text, "a") == [None, '["a"]']


@given(st.lists(st.none() | TEXTS))
def test_strings_are_values_as_they_are(texts: list[str | None]) -> None:
    assert parsed(FieldType.STRING, *texts) == texts


def test_lists_have_a_length() -> None:
    lists = series('["a","b"]', '["a","b","c"]', '["👩👩👩"]', '["👩👩👩👩"]', "[]", None)
    assert list_lengths(lists, 2, 3).to_list() == [False, True, False, True, False, False]
    assert list_lengths(series(), 2, 3).to_list() == []


@pytest.mark.parametrize("kind", KINDS)
def test_custom_fields_may_be_empty_texts_or_empty(kind: str) -> None:
    for texts in (["", None], [None, None], []):
        assert custom_text(series(*texts), kind, PARIS).to_list() == texts


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", " x ", " x "),
        ("integer", "12", "12"),
        ("integer", "1.5", None),
        ("integer", "x", None),
        ("float", "1.50", "1.50"),
        ("float", "NaN", None),
        ("boolean", "no", "no"),
        ("boolean", "maybe", None),
        ("date", "2024-01-05", "2024-01-05"),
        ("date", "2024-01-05T23:30:00-05:00", "2024-01-05"),
        ("date", "2024-13-05", None),
        ("date", "1/2/2024", "2024-01-02"),
    ],
)
def test_custom_fields_keep_texts_of_their_type(kind: str, text: str, value: str | None) -> None:
    found = custom_text(series(text, None, ""), kind, Times("UTC", "en-US"))
    assert found.to_list() == [value, None, ""]


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(st.none() | TEXTS))
def test_custom_values_come_back(kind: str, texts: list[str | None]) -> None:
    found = custom_text(series(*texts), kind, PARIS)
    assert custom_text(found, kind, PARIS).to_list() == found.to_list()


def test_choices_in_any_capitals() -> None:
    texts = series("Draft", " LIVE ", "live", "sold", None)
    assert known_values(texts, ("draft", "live")).to_list() == ["draft", "live", "live", None, None]
    assert known_values(series("live", None), ("draft", "live")).to_list() == ["live", None]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Größe: L/XL", "gro-e-l-xl"),
        ("  Crème brûlée!", "creme-brulee"),
        ("v1.0_b", "v1.0_b"),
        ("商品", ""),
        ("..", ""),
        ("", ""),
        (None, None),
    ],
)
def test_slugs(name: str | None, slug: str | None) -> None:
    assert slugs(series(name), 255).to_list() == [slug]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.integers(1, 20))
def test_slugs_are_short_and_plain(names: list[str], longest: int) -> None:
    for slug in slugs(series(*names, "ﷺ" * 255, "a-" * 20), longest):
        assert len(slug) <= longest
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert slug == slug.strip("-.")


def test_an_object_is_no_list() -> None:
    found = parse(pl.Series(['{"a": 1}', "a, b"]), FieldType.LIST, Times("UTC"))
    assert found.to_list() == [None, '["a","b"]']
