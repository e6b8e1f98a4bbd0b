"""Amounts in whole units, as people write them: 12.34 of the row's currency are 1234 cents."""

from dataclasses import dataclass

import polars as pl

from export_pipelines.catalog.currencies import CURRENCIES, Currency
from export_pipelines.imports.values import numbers

MAX_CENTS = 2**51
"""Amounts in whole units stay below this: floating-point numbers tell their cents up to here."""

_OTHERS = Currency()


@dataclass(frozen=True)
class Cents:
    """What amounts in whole units are in cents.

    Attributes:
        values: the cents; null where there is no amount, or a wrong one.
        wrong: which amounts are no numbers.
        too_precise: which have more decimals than their currency.
        too_large: which are `MAX_CENTS` or more.
    """

    values: pl.Series
    wrong: pl.Series
    too_precise: pl.Series
    too_large: pl.Series


def to_cents(texts: pl.Series, currencies: pl.Series) -> Cents:
    """Return amounts in cents.

    Args:
        texts: numbers in whole units; null for none.
        currencies: the code of each row's currency.
    """
    units = numbers(texts)
    cents_of_a_unit = _cents_of_a_unit(currencies)
    whole = (units * cents_of_a_unit).round()
    too_large = (whole.abs() >= MAX_CENTS).fill_null(value=False)
    # What has no more decimals is the number that is nearest to the cents, and to no others.
    too_precise = (whole / cents_of_a_unit != units).fill_null(value=False) & ~too_large
    values = whole.set(too_large | too_precise, None).cast(pl.Int64)
    return Cents(values, units.is_null() & texts.is_not_null(), too_precise, too_large)


def _cents_of_a_unit(currencies: pl.Series) -> pl.Series:
    odd = {
        code: float(10**known.digits)
        for code, known in CURRENCIES.items()
        if known.digits != _OTHERS.digits
    }
    usual = float(10**_OTHERS.digits)
    return currencies.replace_strict(odd, default=usual, return_dtype=pl.Float64)
