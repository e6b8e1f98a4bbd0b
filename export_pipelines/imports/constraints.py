"""What the values of one field must be beside of its type, and what is said of those that are not.

Everything here is about a field alone: lengths, forms, lists, what is not imported at all.
"""

from collections.abc import Iterator

import polars as pl
from sqlalchemy import Column, String

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.entities import Field
from export_pipelines.errors import one_of
from export_pipelines.formats.excel import CELL_CHARACTERS
from export_pipelines.imports.values import Times, known_values, list_lengths, parse

Violation = tuple[pl.Series, str, str]
"""Which values are wrong, a stable name of what is wrong, and what stands after them: `is no…`."""

WRONG_TYPES = {
    FieldType.STRING: ("not_a_text", "is no text"),
    FieldType.INTEGER: ("not_an_integer", "is no whole number"),
    FieldType.NUMBER: ("not_a_number", "is no number"),
    FieldType.BOOLEAN: ("not_a_boolean", "is neither true nor false"),
    FieldType.DATETIME: ("not_a_time", "is no time such as 2026-01-31 or 2026-01-31T09:00:00Z"),
    FieldType.JSON: ("not_json", "is no JSON document"),
    FieldType.LIST: ("not_a_list", "is no list of texts"),
}
"""What is said of a text that is no value of a field's type."""

_PATTERNS = {"currency_code": "^[A-Z]{3}$", "country_code": "^[A-Z]{2}$"}
_CODE = "a code in capitals"
_CUT = CELL_CHARACTERS - 1  # half of the last character may have been cut off too


def fill_cells(texts: pl.Series) -> pl.Series | None:
    """Return which texts are as long as a cell of Excel can be, and may be cut; None for none."""
    if (longest := texts.str.len_bytes().max()) is None or longest < _CUT:  # type: ignore[operator]
        return None
    return pl.Series(
        [text is not None and len(text.encode("utf-16-le")) >= 2 * _CUT for text in texts]
    )


def wrong_type(field: Field) -> tuple[str, str]:
    """Return the name of what is wrong with a text that is no value of a field, and a sentence."""
    if field.values:
        return "not_allowed", f"is none of {one_of(field.values)}"
    return WRONG_TYPES[field.type]


def typed(field: Field, texts: pl.Series, times: Times) -> pl.Series:
    """Return texts as values of a field; null where one is no such value."""
    if field.values:
        return known_values(texts, field.values)
    return parse(texts, field.type, times)


def violations(field: Field, column: "Column[str]", values: pl.Series) -> Iterator[Violation]:
    """Yield what is wrong with values of a field's type, the plainest first.

    Args:
        field: the field.
        column: its column in the table.
        values: the values, in the field's type.
    """
    length = column.type.length if isinstance(column.type, String) else None
    # Characters take longer to count than bytes, of which there are never fewer.
    if length and values.dtype == pl.String and _longest(values) > length:
        yield (
            values.str.len_chars() > length,
            "too_long",
            f"has more than {length:,} characters",
        )
    if pattern := column.info.get("pattern") or _PATTERNS.get(field.name):
        what = f"is not of the form: {field.description or _CODE}"
        yield ~values.str.contains(pattern), "malformed", what
    if "items" in column.info:
        most, longest = column.info["items"]
        what = f"has more than {most} items, or one of more than {longest} characters"
        yield list_lengths(values, most, longest), "too_long", what
    if field.name == "is_bundle":
        yield values, "bundle", "says that it is a bundle, which is not imported"


def _longest(texts: pl.Series) -> int:
    longest = texts.str.len_bytes().max()
    return longest if isinstance(longest, int) else 0
