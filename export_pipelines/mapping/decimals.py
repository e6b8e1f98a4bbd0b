"""Numbers of other forms as plain ones, digit by digit: no float ever rounds them."""

import re
from decimal import Decimal

import polars as pl

MAX_MULTIPLIED_DIGITS = 20
"""Most digits of a number that is multiplied, but by 10, 100, 0.1...: 128 bits hold the product."""

_BLANKS = " \u00a0\u202f"


def plain_numbers(
    texts: pl.Series, *, decimal_mark: str, group_mark: str, multiply: Decimal
) -> pl.Series:
    """Return numbers in shortest form, such as `-1234.5`; null for what is none.

    Args:
        texts: without blanks at their ends; with a sign and an exponent or without.
        decimal_mark: what stands before decimals.
        group_mark: what may stand between groups of three digits; empty for nothing.
        multiply: a positive number of up to 18 digits.
    """
    parts = _parts(texts, _pattern(decimal_mark, group_mark))
    if not is_power_of_ten(multiply):
        parts = parts.with_columns(digits=_multiplied(pl.col("digits"), multiply))
    exponent = int(multiply.normalize().as_tuple().exponent)
    return _joined(parts.with_columns(pl.col("scale") - exponent))


def is_power_of_ten(number: Decimal) -> bool:
    """Return whether to multiply by a number only moves the decimal mark."""
    return _coefficient(number) == 1


def _coefficient(number: Decimal) -> int:
    return int("".join(map(str, number.normalize().as_tuple().digits)))


def _pattern(decimal_mark: str, group_mark: str) -> str:
    mark = re.escape(decimal_mark)
    whole = "[0-9]+"
    if group_mark:
        group = f"[{_BLANKS}]" if group_mark == " " else re.escape(group_mark)
        whole = f"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+"
    exponent = "(?:[eE](?P<exponent>[+-]?[0-9]{1,3}))?"
    return (
        f"^(?P<sign>[+-]?)(?:(?P<whole>{whole})(?:{mark}(?P<fraction>[0-9]+))?"
        f"|{mark}(?P<bare>[0-9]+)){exponent}$"
    )


def _parts(texts: pl.Series, pattern: str) -> pl.DataFrame:
    """Return each number's sign, its digits, and how many of them are decimals (the scale)."""
    found = texts.str.extract_groups(pattern).struct.unnest()
    whole = pl.col("whole").fill_null("").str.replace_all("[^0-9]", "")
    fraction = pl.coalesce("fraction", "bare", pl.lit(""))
    exponent = pl.col("exponent").fill_null("0").cast(pl.Int64)
    return found.select(
        "sign",
        digits=(whole + fraction).str.strip_chars_start("0"),
        scale=fraction.str.len_bytes().cast(pl.Int64) - exponent,
    )


def _multiplied(digits: pl.Expr, factor: Decimal) -> pl.Expr:
    few = pl.when(digits.str.len_bytes() <= MAX_MULTIPLIED_DIGITS).then(
        digits.str.pad_start(1, "0")
    )
    return (few.cast(pl.Int128) * pl.lit(_coefficient(factor), pl.Int128)).cast(pl.String)


def _joined(parts: pl.DataFrame) -> pl.Series:
    """Return numbers made of their sign and their digits, `scale` of which are decimals."""
    digits, scale = pl.col("digits"), pl.col("scale")
    decimals = scale.clip(lower_bound=0)
    # Step by step: in one expression each would be computed again wherever it is used.
    padded = parts.with_columns(
        digits.str.pad_end(digits.str.len_bytes() - scale.clip(upper_bound=0), "0")
    ).with_columns(digits.str.pad_start(decimals + 1, "0"))
    cut = padded.select(
        "sign",
        whole=digits.str.head(digits.str.len_bytes() - decimals)
        .str.strip_chars_start("0")
        .str.pad_start(1, "0"),
        fraction=digits.str.tail(decimals).str.strip_chars_end("0"),
    )
    point = pl.when(pl.col("fraction") != "").then(pl.lit(".")).otherwise(pl.lit(""))
    numbers = cut.select("sign", number=pl.col("whole") + point + pl.col("fraction"))
    is_negative = (pl.col("sign") == "-") & (pl.col("number") != "0")
    minus = pl.when(is_negative).then(pl.lit("-")).otherwise(pl.lit(""))
    signed = pl.when(pl.col("sign").is_not_null()).then(minus + pl.col("number"))
    return numbers.select(signed).to_series()
