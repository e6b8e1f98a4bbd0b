"""How amounts in minor units become decimal numbers and texts, as SQL for SQLite and Postgres."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    String,
    case,
    cast,
    func,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeEngine


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


class _Grouped(GenericFunction[str]):
    """A whole number with a comma between each three digits."""

    type = String()
    inherit_cache = True
    name = "grouped"


@compiles(_Grouped, "sqlite")
def _grouped_sqlite(element: _Grouped, compiler: SQLCompiler, **options: Any) -> str:
    return f"printf('%,d', {compiler.process(element.clauses, **options)})"


@compiles(_Grouped, "postgresql")
def _grouped_postgres(element: _Grouped, compiler: SQLCompiler, **options: Any) -> str:
    number = compiler.process(element.clauses, **options)
    return f"to_char({number}, 'FM9,999,999,999,999,999,990')"


def decimal_amount(cents: ColumnElement[Any], currency: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the amount in whole units, a double: 1234 EUR cents are 12.34."""
    unit = _by_currency(currency, lambda known: f"{10**known.digits}.0", Double())
    return cast(cents, Double) / unit


def formatted_amount(cents: ColumnElement[Any], currency: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the amount as people write it, such as `€1.234,00`; a minus sign comes first."""
    unit = _by_currency(currency, lambda known: str(10**known.digits), BigInteger())
    size = func.abs(cents, type_=BigInteger)
    grouped: Any = _Grouped(size // unit)
    group_mark = _by_currency(currency, lambda known: f"'{known.group_mark}'", String())
    # 1000 + the rest keeps its leading zeros; the last `digits` characters are the fraction.
    fraction = _by_currency(currency, _decimal_mark, String()) + func.substr(
        cast(_literal("1000", BigInteger()) + size % unit, String),
        _by_currency(currency, lambda known: str(5 - known.digits), BigInteger()),
    )
    symbol = _by_currency(currency, lambda known: f"'{known.symbol}'", String(), currency + _literal("' '"))
    sign = case((cents < _literal("0", BigInteger()), _literal("'-'")), else_=_literal("''"))
    return sign + symbol + func.replace(grouped, _literal("','"), group_mark) + fraction


def _decimal_mark(currency: Currency) -> str:
    return f"'{currency.decimal_mark}'" if currency.digits else "''"


def _by_currency(
    currency: ColumnElement[Any],
    text: Callable[[Currency], str],
    kind: TypeEngine[Any],
    others: ColumnElement[Any] | None = None,
) -> ColumnElement[Any]:
    """Return the SQL literal `text(currency)`, a CASE over those that differ from the others."""
    usual = text(_OTHERS)
    codes: dict[str, list[ColumnElement[Any]]] = {}
    for code, known in CURRENCIES.items():
        if text(known) != usual:
            codes.setdefault(text(known), []).append(_literal(f"'{code}'"))
    return case(
        *((currency.in_(same), _literal(found, kind)) for found, same in codes.items()),
        else_=_literal(usual, kind) if others is None else others,
    )


def _literal(sql: str, kind: TypeEngine[Any] | None = None) -> ColumnElement[Any]:
    """Return a constant of this module, not a value from a request, as it is written in SQL."""
    return literal_column(sql, kind or String())
