"""From rows of texts to rows in the catalogue's types, and all that is wrong with the others.

What can be said of a row alone is said here; what needs the other rows or the catalogue, in
`loading`. All is done column by column.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import polars as pl
from sqlalchemy import String

from export_pipelines.artifacts import ExtensionField, FieldType
from export_pipelines.catalog.entities import Field
from export_pipelines.catalog.keys import new_keys
from export_pipelines.errors import one_of
from export_pipelines.imports.amounts import to_cents
from export_pipelines.imports.constraints import (
    WRONG_TYPES,
    fill_cells,
    typed,
    violations,
    wrong_type,
)
from export_pipelines.imports.errors import ERROR_SCHEMA, error_frame, errors_of
from export_pipelines.imports.headers import Target, Use, upsert_keys
from export_pipelines.imports.row_rules import CURRENCY, Rules, shop_defaults
from export_pipelines.imports.values import custom_text, slugs
from export_pipelines.readers.base import ABSENT, ROW

REMOVE = "__REMOVE_ATTRIBUTE__"
"""The cell that takes a custom field away (row F12)."""

ABSENT_COLUMN = "\x01absent"
"""The column that names, between commas, the fields that a row says nothing about."""

__all__ = ["ABSENT_COLUMN", "REMOVE", "Checked", "Rules", "check_rows", "shop_defaults"]


@dataclass(frozen=True)
class Checked:
    """A batch of rows that was checked.

    Attributes:
        rows: those without error, in their types.
        custom: their values of custom fields, one a line; null where a row says nothing, and no
            line where the value is taken away.
        errors: what is wrong with the others: one error for each cell at most.
        failed: how many others there are.
        absent: the columns that some rows say nothing about.
        cut: how many cells of columns may have been cut.
    """

    rows: pl.DataFrame
    custom: pl.DataFrame
    errors: pl.DataFrame
    failed: int
    absent: frozenset[str]
    cut: Mapping[str, int]


def check_rows(rules: Rules, rows: pl.DataFrame, wrong: pl.DataFrame | None = None) -> Checked:
    """Return rows in their types, without those that have an error.

    Args:
        rules: how they are checked.
        rows: texts by header, with row numbers in `ROW`; `ABSENT` where a row says nothing.
        wrong: what is known to be wrong with them; cells that it is about are empty.
    """
    return _Check(rules, rows, wrong).done()


class _Check:
    """One batch while it is checked."""

    def __init__(self, rules: Rules, rows: pl.DataFrame, wrong: pl.DataFrame | None) -> None:
        self._rules = rules
        self._rows = rows
        self._numbers = rows.get_column(ROW)
        self._errors: list[pl.DataFrame] = []
        self._wrong: dict[str, pl.Series] = {}
        self._columns: dict[str, pl.Series] = {}
        self._absent: dict[str, pl.Series] = {}
        self._custom_lines: list[pl.DataFrame] = []
        self._cut: dict[str, int] = {}
        if wrong is not None and len(wrong):
            self._note_known(wrong)

    def done(self) -> Checked:
        for target in self._rules.targets:
            if target.use is Use.FIELD and target.field:
                self._field(target, target.field)
            elif target.custom:
                self._custom(target, target.custom)
        for target in self._rules.targets:
            if target.use is Use.AMOUNT and target.field:
                self._amount(target, target.field)
        self._require_key()
        self._make_keys()
        for name, source in self._rules.made.items():
            self._make_slugs(name, source)
        return self._checked()

    def _note_known(self, wrong: pl.DataFrame) -> None:
        self._errors.append(wrong)
        for target in self._rules.targets:
            known = wrong.filter(pl.col("column") == self._rules.file_header(target))
            if len(known):
                rows = known.get_column("row").implode()
                self._wrong[target.header] = self._numbers.is_in(rows)

    def _cells(
        self, target: Target, *, empty_is_null: bool = False
    ) -> tuple[pl.Series, pl.Series | None]:
        """Return a column's cells, and in which rows there is none: they are null there."""
        texts = self._rows.get_column(target.header).alias("cell")
        absent = texts == ABSENT
        some_absent = absent.any()
        if some_absent:
            texts = texts.set(absent, None)
        # An empty text in quotes is how some programs write an empty cell.
        if empty_is_null and (empty := texts == "").any():
            texts = texts.set(empty, None)
        return texts, absent.fill_null(value=False) if some_absent else None

    def _say_nothing(self, column: str, mask: pl.Series) -> None:
        known = self._absent.get(column)
        self._absent[column] = mask if known is None else known | mask

    def _each(self, *, value: bool) -> pl.Series:
        return pl.Series([value], dtype=pl.Boolean).new_from_index(0, len(self._rows))

    def _field(self, target: Target, field: Field) -> None:
        column = self._rules.entity.table.c[field.name]
        key = column.primary_key or column.foreign_keys
        plain = field.type is FieldType.STRING and not field.values and not key
        texts, absent = self._cells(target, empty_is_null=not plain)
        if absent is not None:
            self._say_nothing(field.name, absent)
        if self._rules.may_be_cut and (cut := fill_cells(texts)) is not None:
            # What is there is longer perhaps: only new rows get what is left of it.
            self._say_nothing(field.name, cut)
            self._cut[field.name] = int(cut.sum())
        self._require(target, field, texts)
        found = typed(field, texts, self._rules.times)
        if found.null_count() != texts.null_count():
            self._add(target, found.is_null() & texts.is_not_null(), *wrong_type(field))
        for mask, code, what in violations(field, column, found):
            self._add(target, mask, code, what)
        self._columns[field.name] = found

    def _require(self, target: Target, field: Field, texts: pl.Series) -> None:
        """Let empty cells of a field that cannot be empty say nothing, or be wrong."""
        if field.nullable or not texts.has_nulls():
            return
        empty = texts.is_null()
        if self._rules.may_be_unsaid(target.column):
            self._say_nothing(target.column, empty)
            return
        absent = self._absent.get(target.column)
        missing = empty if absent is None else empty & ~absent
        self._add(target, missing, "required", "must not be empty")

    def _custom(self, target: Target, custom: ExtensionField) -> None:
        texts, absent = self._cells(target)
        lines = pl.DataFrame([self._numbers, texts.alias("value")])
        if texts.null_count() < len(texts):
            texts = texts.set(texts.str.strip_chars() == REMOVE, None)
            found = custom_text(texts, custom.type, self._rules.times)
            wrong = found.is_null() & texts.is_not_null()
            self._add(target, wrong, "not_allowed", f"is no value of the type {custom.type}")
            lines = lines.with_columns(found.alias("value"))
        elif absent is None:
            return
        said = pl.col("value").is_not_null()
        lines = lines.filter(said if absent is None else said | absent)
        field_id = pl.lit(custom.id, pl.String).alias("field_id")
        self._custom_lines.append(lines.select(ROW, field_id, "value"))

    def _amount(self, target: Target, field: Field) -> None:
        """Turn whole units into cents, or compare them where the file has both."""
        texts, absent = self._cells(target, empty_is_null=True)
        found = to_cents(texts, self._currencies())
        self._add(target, found.wrong, *WRONG_TYPES[FieldType.NUMBER])
        known_currency = ~self._wrong_with(CURRENCY)
        precise = "has more decimals than its currency"
        self._add(target, found.too_precise & known_currency, "too_precise", precise)
        self._add(target, found.too_large & known_currency, "too_large", "is too large")
        given = self._columns.get(target.column)
        if given is not None:
            self._compare(target, found.values, given, absent)
            return
        if absent is not None:
            self._say_nothing(target.column, absent)
        self._require(target, field, texts)
        self._columns[target.column] = found.values

    def _compare(
        self, target: Target, cents: pl.Series, given: pl.Series, absent: pl.Series | None
    ) -> None:
        """Compare an amount with its cents, and take it where a row does not have these."""
        without = self._absent.pop(target.column, None)
        differ = cents.ne_missing(given) & ~self._wrong_with(target.column, CURRENCY)
        if without is not None:
            self._columns[target.column] = given.zip_with(~without, cents)
            differ &= ~without
        if absent is not None:
            differ &= ~absent
            if without is not None:
                self._say_nothing(target.column, without & absent)
        what = f"is not what {target.column} says: correct both, or remove one of the columns"
        self._add(target, differ, "amounts_differ", what)

    def _wrong_with(self, *columns: str) -> pl.Series:
        """Return the rows that have an error in one of some columns of the table."""
        found = self._each(value=False)
        for target in self._rules.targets:
            if target.column in columns and target.header in self._wrong:
                found |= self._wrong[target.header]
        return found

    def _currencies(self) -> pl.Series:
        own = self._columns.get(CURRENCY)
        shop = pl.Series([self._rules.currency]).new_from_index(0, len(self._rows))
        return shop if own is None else own.fill_null(self._rules.currency)

    def _require_key(self) -> None:
        """Require a complete key: without one, a row would be created each time it is imported."""
        keys = [key for key in upsert_keys(self._rules.entity) if self._rules.given.issuperset(key)]
        missing = self._each(value=True)
        for key in keys:
            incomplete = self._each(value=False)
            for name in key:
                incomplete |= self._columns[name].is_null()
            missing &= incomplete
        if missing.any():
            missing &= ~self._wrong_with(*(name for key in keys for name in key))
            self._add_missing_keys(keys, self._numbers.filter(missing))

    def _add_missing_keys(self, keys: list[tuple[str, ...]], rows: pl.Series) -> None:
        headers = {each.column: self._rules.file_header(each) for each in self._rules.targets}
        names = [" with ".join(headers[name] for name in key) for key in keys]
        none = f"no {names[0]}" if len(names) == 1 else f"none of {one_of(names)}"
        reason = f"The row has {none}: nothing tells which of the table it is."
        error = {"column": headers[keys[0][0]], "value": None, "code": "no_key", "reason": reason}
        self._errors.append(error_frame({"row": row, **error} for row in rows))

    def _make_keys(self) -> None:
        given = self._columns.get("id")
        if given is None or given.has_nulls():
            keys = pl.Series(new_keys(len(self._rows)), dtype=pl.String)
            given = keys if given is None else given.fill_null(keys)
        self._columns["id"] = given
        self._absent.pop("id", None)

    def _make_slugs(self, name: str, source: str) -> None:
        """Make what new rows need and do not have of another of their fields, or of their key."""
        given, keys = self._columns.get(name), self._columns["id"]
        if given is not None and not given.has_nulls():
            return
        kind = cast(String, self._rules.entity.table.c[name].type)
        made = slugs(self._columns[source], kind.length) if source in self._columns else keys
        made = made.zip_with((made != "").fill_null(value=False), keys)
        if given is None:
            self._say_nothing(name, self._each(value=True))
        self._columns[name] = made if given is None else given.fill_null(made)

    def _add(self, target: Target, mask: pl.Series, code: str, what: str) -> None:
        """Note what is wrong with some cells that nothing was wrong with before."""
        if not mask.any():
            return
        mask = mask.fill_null(value=False)
        known = self._wrong.get(target.header)
        self._wrong[target.header] = mask if known is None else known | mask
        if known is not None:
            mask &= ~known
        self._errors.append(
            errors_of(
                self._numbers.filter(mask),
                self._rows.get_column(target.header).filter(mask),
                header=self._rules.file_header(target),
                code=code,
                what=what,
            )
        )

    def _checked(self) -> Checked:
        errors = pl.concat([pl.DataFrame(schema=ERROR_SCHEMA), *self._errors])
        names = self._rules.columns
        columns = (self._columns[name].alias(name) for name in names)
        rows = pl.DataFrame([self._numbers, *columns, self._names_of_absent()])
        custom = self._long()
        bad = errors.get_column("row").unique()
        if len(bad):
            fine = ~pl.col(ROW).is_in(bad.implode())
            rows, custom = rows.filter(fine), custom.filter(fine)
        return Checked(rows, custom, errors, len(bad), frozenset(self._absent), self._cut)

    def _names_of_absent(self) -> pl.Series:
        if not self._absent:
            return pl.Series(ABSENT_COLUMN, [None], pl.String).new_from_index(0, len(self._rows))
        names = [
            pl.when(pl.col(name)).then(pl.lit(f"{name},")).otherwise(pl.lit("")).alias(name)
            for name in self._absent
        ]
        masks = pl.DataFrame([mask.alias(name) for name, mask in self._absent.items()])
        return masks.select(pl.concat_str(pl.lit(","), *names)).to_series().alias(ABSENT_COLUMN)

    def _long(self) -> pl.DataFrame:
        """Return the values of custom fields, one a line."""
        schema = {ROW: self._numbers.dtype, "field_id": pl.String(), "value": pl.String()}
        return pl.concat([pl.DataFrame(schema=schema), *self._custom_lines])
