"""A foreign file's headers and rows, as a mapping file has them."""

from collections.abc import Sequence
from difflib import get_close_matches

import polars as pl

from export_pipelines.errors import RequestError, one_of, shown
from export_pipelines.mapping.casts import Cast, cast_of
from export_pipelines.mapping.form import EVERYTHING_ELSE, ColumnMapping, ColumnRule, text_tokens
from export_pipelines.readers.base import ABSENT, ROW

_NAMED_HEADERS = 20
_ERRORS = {
    "row": pl.UInt32,
    "column": pl.String,
    "value": pl.String,
    "code": pl.String,
    "reason": pl.String,
}


def mapped_headers(mapping: ColumnMapping, headers: Sequence[str]) -> tuple[str, ...]:
    """Return the headers that rows have once they are mapped: those of `columns`, in order.

    Args:
        mapping: the mapping file.
        headers: all that the foreign file has.

    Raises:
        RequestError: a header that the mapping uses is not there, or one is neither used nor
            ignored.
    """
    for target, rule in mapping.columns.items():
        for header in rule.sources:
            if header not in headers:
                raise RequestError(_not_there(mapping, target, header, headers))
    known = {*mapping.ignore, *(name for rule in mapping.columns.values() for name in rule.sources)}
    left = [header for header in headers if header not in known]
    if left and EVERYTHING_ELSE not in mapping.ignore:
        raise RequestError(
            f"{mapping.path} does not say what becomes of {_listed(left)}: use each in columns, "
            f"or name it in ignore ({EVERYTHING_ELSE!r} there leaves out all that are not used)."
        )
    return tuple(mapping.columns)


def _not_there(mapping: ColumnMapping, target: str, header: str, headers: Sequence[str]) -> str:
    near = [shown(name) for name in get_close_matches(header, headers, n=3)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    found = f"Its headers are {_listed(headers)}." if headers else "It has no headers."
    return (
        f"{mapping.path} fills {shown(target)} from {shown(header)}, a header that the file does "
        f"not have.{hint} {found}"
    )


def _listed(headers: Sequence[str]) -> str:
    named = [shown(header) for header in headers[:_NAMED_HEADERS]]
    others = len(headers) - len(named)
    return one_of([*named, f"{others:,} more"] if others else named)


def map_rows(mapping: ColumnMapping, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return mapped rows, and what cannot be cast in them.

    Args:
        mapping: the mapping file.
        rows: the row numbers, and columns of texts; one that is not there is absent in all rows.

    Returns:
        The row numbers with the columns of the mapping, all texts; and one line for each cell that
        cannot be cast and is empty in the first: its `row`, `column` (the foreign header), `value`,
        `code` and `reason`.
    """
    casts = {
        target: cast_of(rule, pl.col(f"text {target}"), pl.col(f"value {target}"))
        for target, rule in mapping.columns.items()
        if rule.is_cast
    }
    rows = _with_absent(rows, mapping)
    # In steps, so that nothing is computed again by what uses it.
    frame = (
        rows.select(
            ROW, *(_cells(rule).alias(f"cell {to}") for to, rule in mapping.columns.items())
        )
        .with_columns(_castable(pl.col(f"cell {to}")).alias(f"text {to}") for to in casts)
        .with_columns(cast.value.alias(f"value {to}") for to, cast in casts.items())
        .with_columns(_failed(cast).alias(f"failed {to}") for to, cast in casts.items())
    )
    mapped = frame.select(ROW, *(_field(to, rule) for to, rule in mapping.columns.items()))
    errors = [
        _errors(rows.filter(frame[f"failed {to}"]), mapping.columns[to].sources[0], cast)
        for to, cast in casts.items()
    ]
    found = pl.concat([pl.DataFrame(schema=_ERRORS), *errors])
    return mapped, found.sort("row", maintain_order=True)


def _with_absent(rows: pl.DataFrame, mapping: ColumnMapping) -> pl.DataFrame:
    used = {header for rule in mapping.columns.values() for header in rule.sources}
    missing = sorted(used.difference(rows.columns))
    return rows.with_columns(pl.lit(ABSENT).alias(header) for header in missing)


def _cells(rule: ColumnRule) -> pl.Expr:
    """Return what fills a field before it is cast."""
    if rule.constant is not None:
        return pl.lit(rule.constant)
    if rule.text is not None:
        return _made_text(rule.text)
    return pl.col(rule.sources[0])


def _made_text(text: str) -> pl.Expr:
    tokens = text_tokens(text)
    cells = {token: _present(pl.col(token)) for is_header, token in tokens if is_header}
    pieces = [cells[token] if is_header else pl.lit(token) for is_header, token in tokens]
    filled = pl.any_horizontal(cell != "" for cell in cells.values())
    return pl.when(filled).then(pl.concat_str(pieces).str.strip_chars())


def _present(cell: pl.Expr) -> pl.Expr:
    return pl.when(cell != ABSENT).then(cell).otherwise(pl.lit(""))


def _castable(cell: pl.Expr) -> pl.Expr:
    trimmed = cell.str.strip_chars()
    return pl.when((trimmed != "") & (trimmed != ABSENT)).then(trimmed)


def _failed(cast: Cast) -> pl.Expr:
    return pl.lit(value=False) if cast.failed is None else cast.failed


def _field(target: str, rule: ColumnRule) -> pl.Expr:
    """Return what fills a field: the cell, or what it was cast to; and its default."""
    cell = pl.col(f"cell {target}")
    value = pl.col(f"value {target}") if rule.is_cast else cell
    if rule.default is not None:
        value = pl.when(value != "").then(value).otherwise(pl.lit(rule.default))
    if rule.is_cast:
        value = pl.when(~pl.col(f"failed {target}")).then(value)
    return pl.when(cell == ABSENT).then(cell).otherwise(value).alias(target)


def _errors(rows: pl.DataFrame, header: str, cast: Cast) -> pl.DataFrame:
    return rows.select(
        pl.col(ROW).alias("row"),
        pl.lit(header).alias("column"),
        pl.col(header).alias("value"),
        pl.lit(cast.code).alias("code"),
        pl.lit(cast.reason).alias("reason"),
    )
