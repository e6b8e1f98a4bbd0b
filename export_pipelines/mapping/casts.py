"""Casts: from a foreign file's texts to those that the importer reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import polars as pl

from export_pipelines.errors import one_of, shown
from export_pipelines.mapping.dates import example, iso_date
from export_pipelines.mapping.decimals import (
    MAX_MULTIPLIED_DIGITS,
    is_power_of_ten,
    plain_numbers,
)
from export_pipelines.mapping.form import Boolean, ColumnRule, Number

_MEMBER = "items"
_NAMED_WORDS = 20


@dataclass(frozen=True)
class Cast:
    """What becomes of cells.

    Attributes:
        value: the new text; null for an empty cell, and for one that cannot be cast.
        failed: whether a cell cannot be cast; None if every one can.
        code: what is wrong then, for programs.
        reason: the same for people, and what to do.
    """

    value: pl.Expr
    failed: pl.Expr | None = None
    code: str = ""
    reason: str = ""


def cast_of(rule: ColumnRule, text: pl.Expr, value: pl.Expr) -> Cast:
    """Return the cast that a rule asks for.

    Args:
        rule: one of its casts is set.
        text: the cells without blanks at their ends; null for those that are not cast.
        value: where the new texts will be, so that they are computed once.
    """
    if rule.split is not None:
        return Cast(_json_list(text, rule.split))
    if rule.values is not None:
        return _looked_up(text, rule.values, rule.otherwise)
    failed = text.is_not_null() & value.is_null()
    if rule.number is not None:
        reason = _number_reason(rule.number)
        return Cast(_number(text, rule.number), failed, "not_a_number", reason)
    if rule.boolean is not None:
        reason = _boolean_reason(rule.boolean)
        return Cast(_boolean(text, rule.boolean), failed, "not_a_boolean", reason)
    pattern = str(rule.date)
    reason = f"It is no date of the form {pattern}, such as {example(pattern)}."
    return Cast(iso_date(text, pattern), failed, "not_a_date", reason)


def _json_list(text: pl.Expr, separator: str) -> pl.Expr:
    items = text.str.split(separator).list.eval(
        pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != "")
    )
    # Polars writes JSON of structs only.
    written = pl.struct(items.alias(_MEMBER)).struct.json_encode()
    prefix = len(f'{{"{_MEMBER}":')
    inner = written.str.slice(prefix).str.head(-1)
    return pl.when(text.is_not_null()).then(inner)


def _number(text: pl.Expr, number: Number) -> pl.Expr:
    plain = partial(
        plain_numbers,
        decimal_mark=number.decimal_mark,
        group_mark=number.group_mark,
        multiply=number.multiply,
    )
    return text.map_batches(plain, return_dtype=pl.String, is_elementwise=True)


def _number_reason(number: Number) -> str:
    reason = f"It is no number of the form 1{number.group_mark}234{number.decimal_mark}5"
    if is_power_of_ten(number.multiply):
        return f"{reason}."
    return f"{reason}, or has more than {MAX_MULTIPLIED_DIGITS} digits."


def _boolean(text: pl.Expr, boolean: Boolean) -> pl.Expr:
    words = pl.Series([*boolean.true, *boolean.false]).str.strip_chars().str.to_lowercase()
    meanings = ["true"] * len(boolean.true) + ["false"] * len(boolean.false)
    known = dict(zip(words, meanings, strict=True))
    return text.str.to_lowercase().replace_strict(known, default=None, return_dtype=pl.String)


def _boolean_reason(boolean: Boolean) -> str:
    words = [*boolean.true, *boolean.false]
    quoted = [shown(word) for word in words[:_NAMED_WORDS]]
    others = len(words) - len(quoted)
    named = one_of([*quoted, f"{others:,} more"] if others else quoted)
    return f"It is none of the words that the mapping knows: {named}."


def _looked_up(text: pl.Expr, values: Mapping[str, str | None], otherwise: str) -> Cast:
    found = text.replace_strict(
        list(values),
        list(values.values()),
        default=text if otherwise == "keep" else None,
        return_dtype=pl.String,
    )
    if otherwise != "refuse":
        return Cast(found)
    return Cast(
        found,
        ~text.is_in(list(values)).fill_null(value=True),
        "unknown_value",
        "The mapping's values do not have it: add it there, or set otherwise to keep or empty.",
    )
