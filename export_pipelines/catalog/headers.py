"""What the columns of an export are called: other headers for fields, and columns of one value."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from unicodedata import category

from export_pipelines.artifacts import Column, Derivation, FieldType
from export_pipelines.catalog.entities import Field
from export_pipelines.errors import RequestError, shown, unknown

HEADER_CHARACTERS = 1_000
"""Most characters of a header that a request gives."""

FIXED_CHARACTERS = 10_000
"""Most characters of a fixed column's text, which every row repeats."""

_TYPES: Mapping[type, FieldType] = {
    str: FieldType.STRING,
    int: FieldType.INTEGER,
    float: FieldType.NUMBER,
    bool: FieldType.BOOLEAN,
    type(None): FieldType.STRING,
}
_NOT_IN_HEADERS = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, lone surrogates, and separators of lines and paragraphs."""


def fixed_fields(values: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return fixed columns by header and value as fields, which are none of the catalogue.

    Raises:
        RequestError: a header cannot be written, or a value is no text, number, boolean or null.
    """
    return tuple(_fixed_field(header, value) for header, value in values.items())


def with_headers(columns: Sequence[Column], rename: Mapping[str, str]) -> tuple[Column, ...]:
    """Return the columns to write with other headers, in the same order.

    Args:
        columns: of a sheet; fixed ones keep theirs.
        rename: header by the name of a column, such as `customer.email`, or of a member of one.

    Raises:
        RequestError: there is no such column, a header cannot be written, or two are the same.
    """
    known = list(_names(columns))
    for name, header in rename.items():
        if name not in known:
            raise RequestError(f"rename: {unknown('exported column', name, known)}")
        _check_header(f"rename.{name}", header)
    return _with_headers(columns, rename, "")


def _fixed_field(header: str, value: Any) -> Field:
    _check_header("fixed_columns", header)
    if type(value) not in _TYPES or not _fits(value):
        raise RequestError(
            f"fixed_columns.{header}: {shown(value)} cannot be the value of a column: write a text "
            f"of at most {FIXED_CHARACTERS:,} characters, a number of 64 bits, true, false or null."
        )
    return Field(header, _TYPES[type(value)], header, derivation=Derivation("fixed", value=value))


def _fits(value: str | int | float | None) -> bool:
    if isinstance(value, str):
        # The characters that the catalogue's databases do not hold either.
        held = not any(letter == "\0" or category(letter) == "Cs" for letter in value)
        return held and len(value) <= FIXED_CHARACTERS
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or -(2**63) <= value < 2**63


def _check_header(purpose: str, header: str) -> None:
    broken = any(category(letter) in _NOT_IN_HEADERS for letter in header)
    if broken or not header.strip() or len(header) > HEADER_CHARACTERS:
        raise RequestError(
            f"{purpose}: {shown(header)} cannot be a header: write 1 to {HEADER_CHARACTERS:,} "
            "characters, not only blanks, without line breaks and control characters."
        )


def _names(columns: Sequence[Column], prefix: str = "") -> Iterator[str]:
    """Yield what `rename` may name: all but fixed columns, and the members of objects."""
    for column in columns:
        if not column.is_fixed:
            yield prefix + column.name
            yield from _names(column.columns, f"{prefix}{column.name}.")


def _with_headers(
    columns: Sequence[Column], rename: Mapping[str, str], prefix: str
) -> tuple[Column, ...]:
    found: dict[str, Column] = {}
    names: dict[str, str] = {}
    for column in columns:
        name = prefix + column.name
        renamed = column if column.is_fixed else _renamed(column, name, rename)
        if renamed.name in found:
            raise _repeated(found[renamed.name], names[renamed.name], renamed, name)
        found[renamed.name] = renamed
        names[renamed.name] = name
    return tuple(found.values())


def _renamed(column: Column, name: str, rename: Mapping[str, str]) -> Column:
    inner = _with_headers(column.columns, rename, f"{name}.")
    if name not in rename:
        return replace(column, columns=inner)
    source = column.source if column.derivation else column.stored
    return replace(column, name=rename[name], source=source, columns=inner)


def _repeated(first: Column, first_name: str, second: Column, second_name: str) -> RequestError:
    header = shown(first.name)
    if first.is_fixed or second.is_fixed:
        field = second_name if first.is_fixed else first_name
        return RequestError(
            f"fixed_columns: {header} is also the header of the field {field}: choose another "
            "header, or exclude or rename the field."
        )
    return RequestError(
        f"rename: {first_name} and {second_name} would both have the header {header}: "
        "choose another for one of them."
    )
