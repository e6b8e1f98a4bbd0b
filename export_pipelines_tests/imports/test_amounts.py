import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.catalog.currencies import CURRENCIES, decimal_amount
from export_pipelines.imports.amounts import MAX_CENTS, Cents, to_cents

CODES = [*CURRENCIES, "CHF", "XXX"]


def cents_of(texts: list[str | None], *currencies: str) -> Cents:
    codes = currencies * len(texts) if len(currencies) == 1 else currencies
    return to_cents(pl.Series(texts, dtype=pl.String), pl.Series(codes, dtype=pl.String))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-(MAX_CENTS - 1), MAX_CENTS - 1), st.integers(-100_000, 100_000)),
            st.sampled_from(CODES),
        )
    )
)
def test_exported_amounts_come_back(amounts: list[tuple[int, str]]) -> None:
    frame = pl.DataFrame(amounts, schema={"cents": pl.Int64, "code": pl.String}, orient="row")
    decimals = frame.select(decimal_amount(pl.col("cents"), pl.col("code"))).to_series()
    written = decimals.to_frame().write_csv(include_header=False).split()
    found = to_cents(pl.Series(written, dtype=pl.String), frame["code"])
    assert found.values.to_list() == frame["cents"].to_list()
    assert not (found.wrong | found.too_precise | found.too_large).any()


@pytest.mark.parametrize(
    ("text", "code", "cents"),
    [
        ("12.34", "EUR", 1234),
        ("-0.1", "EUR", -10),
        (" 7 ", "EUR", 700),
        ("1e3", "EUR", 100_000),
        ("12.340", "EUR", 1234),
        ("1.234", "KWD", 1234),
        ("12.0", "JPY", 12),
        ("0.29", "USD", 29),
        ("1.10", "CHF", 110),
    ],
)
def test_amounts_are_of_the_currency(text: str, code: str, cents: int) -> None:
    assert cents_of([text], code).values.to_list() == [cents]


@pytest.mark.parametrize(
    ("text", "code"), [("12.345", "EUR"), ("0.001", "EUR"), ("1.2345", "KWD"), ("0.5", "JPY")]
)
def test_amounts_with_more_decimals_are_too_precise(text: str, code: str) -> None:
    found = cents_of([text, None], code)
    assert found.values.to_list() == [None, None]
    assert found.too_precise.to_list() == [True, False]
    assert found.wrong.to_list() == found.too_large.to_list() == [False, False]


@pytest.mark.parametrize("text", ["1,5", "x", "inf", "NaN", "1_000", "€5", "0x10"])
def test_what_is_no_number_is_wrong(text: str) -> None:
    found = cents_of([text, "1", None], "EUR")
    assert found.values.to_list() == [None, 100, None]
    assert found.wrong.to_list() == [True, False, False]
    assert found.too_precise.to_list() == found.too_large.to_list() == [False, False, False]


@pytest.mark.parametrize("text", [str(MAX_CENTS), "1e300", "-1e19"])
def test_amounts_beyond_whole_floating_point_numbers_are_too_large(text: str) -> None:
    found = cents_of([text], "JPY")
    assert found.values.to_list() == [None]
    assert found.too_large.to_list() == [True]
    assert found.wrong.to_list() == found.too_precise.to_list() == [False]


def test_no_rows_make_no_cents() -> None:
    assert cents_of([], "EUR").values.to_list() == []
    assert cents_of([None, None], "EUR").values.dtype == pl.Int64
