"""How amounts in minor units become decimal numbers and texts.

Exports derive them with Polars, in threads: in the database they cost a tenth of the whole export
for each amount. Filters need the decimal number in SQL too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Double, case, cast, literal_column


@dataclass(frozen=True)
class Currency:
    """How one currency is written: symbol first, its code and a blank if it has none."""

    symbol: str = ""
    digits: int = 2
    decimal_mark: str = "."
    group_mark: str = ","


CURRENCIES = {
    "BHD": Currency(digits=3),
    "BRL": Currency("R$", decimal_mark=",", group_mark="."),
    "CLP": Currency("$", digits=0, group_mark="."),
    "DKK": Currency("kr.", decimal_mark=",", group_mark="."),
    "EUR": Currency("€", decimal_mark=",", group_mark="."),
    "GBP": Currency("£"),
    "ISK": Currency("kr", digits=0, group_mark="."),
    "JOD": Currency(digits=3),
    "JPY": Currency("¥", digits=0),
    "KRW": Currency("₩", digits=0),
    "KWD": Currency(digits=3),
    "OMR": Currency(digits=3),
    "TND": Currency(digits=3),
    "USD": Currency("$"),
    "VND": Currency("₫", digits=0, group_mark="."),
}
"""Currencies that differ from the rule for the others: the code, two digits, `.` and `,`."""

_OTHERS = Currency()


def decimal_amount(cents: pl.Expr, currency: pl.Expr) -> pl.Expr:
    """Return the amount in whole units: 1234 EUR cents are 12.34."""
    return cents.cast(pl.Float64) / _by_currency(currency, lambda known: float(10**known.digits))


def formatted_amount(cents: pl.Expr, currency: pl.Expr) -> pl.Expr:
    """Return the amount as people write it, such as `€1.234,00`; a minus sign comes first."""
    unit = _by_currency(currency, lambda known: 10**known.digits)
    size = cents.abs()
    backwards = (size // unit).cast(pl.String).str.reverse().str.replace_all(r"(\d{3})", "${1},")
    group_mark = _by_currency(currency, lambda known: known.group_mark)
    whole = backwards.str.strip_suffix(",").str.reverse()
    # 1000 + the rest keeps its leading zeros; the last `digits` characters are the fraction.
    rest = (size % unit + 1000).cast(pl.String)
    digits = _by_currency(currency, lambda known: known.digits)
    fraction = rest.str.slice(4 - digits, digits)
    mark = _by_currency(currency, lambda known: known.decimal_mark if known.digits else "")
    codes = {code: known.symbol for code, known in CURRENCIES.items() if known.symbol}
    symbol = currency.replace_strict(codes, default=currency + " ", return_dtype=pl.String)
    sign = pl.when(cents < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    grouped = whole.str.replace_all(",", group_mark, literal=True)
    return pl.concat_str(sign, symbol, grouped, mark, fraction)


def decimal_amount_sql(
    cents: ColumnElement[Any], currency: ColumnElement[Any]
) -> ColumnElement[Any]:
    """Return the SQL of `decimal_amount`, for filters."""
    codes: dict[int, list[ColumnElement[str]]] = {}
    for code, known in CURRENCIES.items():
        if known.digits != _OTHERS.digits:
            codes.setdefault(known.digits, []).append(literal_column(f"'{code}'"))
    divisor = case(
        *((currency.in_(same), _divisor(digits)) for digits, same in codes.items()),
        else_=_divisor(_OTHERS.digits),
    )
    return cast(cents, Double) / divisor


def _divisor(digits: int) -> ColumnElement[float]:
    return literal_column(f"{10**digits}.0", Double())


def _by_currency(currency: pl.Expr, value: Callable[[Currency], Any]) -> pl.Expr:
    usual = value(_OTHERS)
    different = {code: value(known) for code, known in CURRENCIES.items() if value(known) != usual}
    return currency.replace_strict(different, default=usual, return_dtype=_dtype(usual))


def _dtype(value: Any) -> Any:
    return {str: pl.String, int: pl.Int64, float: pl.Float64}[type(value)]
