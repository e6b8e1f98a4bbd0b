import re
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, String, column, select, values

from export_pipelines.catalog.currencies import (
    CURRENCIES,
    decimal_amount,
    decimal_amount_sql,
    formatted_amount,
)
from export_pipelines.catalog.database import begin
from export_pipelines_tests.contracts import reference

CODES = sorted({*CURRENCIES, "CHF", "ZZZ", "", "eur", "$1m"})
LIMIT = 2**53
AMOUNTS = st.one_of(
    st.integers(-LIMIT, LIMIT),
    st.integers(-1_100, 1_100),
    st.sampled_from([0, -1, 99, -99, 999, 1_000, -1_000, 99_999, 100_000, LIMIT, -LIMIT]),
)
PAIRS = st.lists(
    st.tuples(st.none() | AMOUNTS, st.none() | st.sampled_from(CODES)), min_size=1, max_size=20
)


def frame(pairs: list[tuple[int | None, str | None]]) -> pl.DataFrame:
    schema = {"cents": pl.Int64, "currency": pl.String}
    return pl.DataFrame(pairs, schema=schema, orient="row")


def decimals(pairs: list[tuple[int | None, str | None]]) -> list[float | None]:
    amount = decimal_amount(pl.col("cents"), pl.col("currency"))
    return frame(pairs).select(amount).to_series().to_list()


def formats(pairs: list[tuple[int | None, str | None]]) -> list[str | None]:
    amount = formatted_amount(pl.col("cents"), pl.col("currency"))
    return frame(pairs).select(amount).to_series().to_list()


@given(pairs=PAIRS)
def test_decimal_amounts_equal_plain_division(pairs: list[tuple[int | None, str | None]]) -> None:
    assert decimals(pairs) == [reference.decimal_amount(*pair) for pair in pairs]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs=PAIRS)
def test_decimal_amounts_equal_those_in_sql(
    url: str, pairs: list[tuple[int | None, str | None]]
) -> None:
    columns = (column("at", BigInteger), column("cents", BigInteger), column("code", String))
    rows = [(at, *pair) for at, pair in enumerate(pairs)]
    data = values(*columns, name="data").data(rows).cte()
    amount = decimal_amount_sql(data.c.cents, data.c.code)
    with begin(url) as connection:
        found = list(connection.scalars(select(amount).order_by(data.c.at)))
    assert [None if amount is None else float(amount) for amount in found] == decimals(pairs)


@given(pairs=PAIRS)
def test_formatted_amounts_equal_plain_formatting(
    pairs: list[tuple[int | None, str | None]],
) -> None:
    assert formats(pairs) == [reference.formatted_amount(*pair) for pair in pairs]


@given(pair=st.tuples(AMOUNTS, st.sampled_from(sorted(CURRENCIES))))
def test_formatted_amounts_can_be_read_back(pair: tuple[int, str]) -> None:
    cents, code = pair
    known = CURRENCIES[code]
    [text] = formats([pair])
    assert text
    assert text.startswith("-") is (cents < 0)
    number = text.removeprefix("-").removeprefix(known.symbol or f"{code} ")
    whole, _, fraction = number.partition(known.decimal_mark if known.digits else "/")
    assert re.fullmatch(rf"\d{{1,3}}({re.escape(known.group_mark)}\d{{3}})*", whole)
    assert re.fullmatch(rf"\d{{{known.digits}}}", fraction)
    digits = whole.replace(known.group_mark, "") + fraction
    assert Decimal(digits) == abs(cents)


@pytest.mark.parametrize(
    ("cents", "currency", "expected"),
    [
        (123456, "EUR", "€1.234,56"),
        (-5, "EUR", "-€0,05"),
        (0, "USD", "$0.00"),
        (100_000_000, "USD", "$1,000,000.00"),
        (1234, "JPY", "¥1,234"),
        (1234, "KWD", "KWD 1.234"),
        (1234567, "KWD", "KWD 1,234.567"),
        (1234567, "CLP", "$1.234.567"),
        (-150, "GBP", "-£1.50"),
        (99_999_999_999_999, "CHF", "CHF 999,999,999,999.99"),
        (123456, "BRL", "R$1.234,56"),
        (None, "EUR", None),
        (1, None, None),
    ],
)
def test_amounts_as_people_write_them(
    cents: int | None, currency: str | None, expected: str | None
) -> None:
    assert formats([(cents, currency)]) == [expected]
    assert reference.formatted_amount(cents, currency) == expected


def test_every_currency_is_in_the_reference() -> None:
    assert set(reference.WRITTEN) == set(CURRENCIES)
