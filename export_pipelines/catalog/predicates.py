"""Which rows an export takes: parses filters into one predicate tree and compiles it to SQL.

A filter is `{"field": value}`: equal to the value, or `null` for an empty field. All filters of a
request must hold.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import ColumnElement, and_, true

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.entities import Entity, Field
from export_pipelines.errors import RequestError, one_of, shown


@dataclass(frozen=True)
class Equal:
    """The field equals the value, or is empty if the value is None."""

    field: Field
    value: Any

    def sql(self) -> ColumnElement[bool]:
        """The condition, with the value as a bound parameter."""
        expression = self.field.expression
        if expression is None:
            raise TypeError(f"{self.field.name} has no SQL.")
        return expression.is_(None) if self.value is None else expression == self.value


@dataclass(frozen=True)
class All:
    """Every condition holds; with none, any row does."""

    conditions: tuple[Equal, ...]

    def sql(self) -> ColumnElement[bool]:
        """The conditions joined by AND."""
        return and_(true(), *(condition.sql() for condition in self.conditions))


def parse_filters(filters: Mapping[str, Any], entity: Entity) -> All:
    """Turn a request's filters into a predicate over an entity's fields.

    Raises:
        RequestError: a field does not exist, cannot be compared or cannot have the value.
    """
    return All(tuple(_equal(entity, name, value) for name, value in filters.items()))


def _equal(entity: Entity, name: str, value: Any) -> Equal:
    found = entity.field(name, "filters")
    if found.expression is None:
        raise RequestError(
            f"Filter {name!r}: {found.description}; filter by "
            f"{found.name.removeprefix('formatted_')}_cents instead."
        )
    if value is None:
        return Equal(found, None)
    if found.values and value not in found.values:
        raise RequestError(
            f"Filter {name!r}: {shown(value)} is not a value of {entity.name}.{name}, "
            f"which is one of {one_of(found.values)}."
        )
    coerce, expected = _COERCIONS.get(found.type, (None, ""))
    if coerce is None:
        raise RequestError(
            f"Filter {name!r}: a {found.type.value} field can only be compared with null, "
            "which stands for an empty field."
        )
    try:
        return Equal(found, coerce(value))
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"Filter {name!r}: {shown(value)} is not {expected}.") from None


def _string(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise TypeError
    text = str(value)
    if "\0" in text:
        raise ValueError
    text.encode()  # refuses halves of a character, which no database stores
    return text


def _integer(value: Any) -> int:
    whole = isinstance(value, str) or (isinstance(value, float) and value.is_integer())
    number = int(value) if whole else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    try:
        return known[str(value).lower()]
    except KeyError:
        raise ValueError from None


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        # Python 3.10 does not read Z.
        value = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", value))
    if not isinstance(value, datetime):
        raise TypeError
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)


_COERCIONS: Mapping[FieldType, tuple[Callable[[Any], Any], str]] = {
    FieldType.STRING: (_string, "a text that a database can hold"),
    FieldType.INTEGER: (_integer, "a whole number"),
    FieldType.NUMBER: (_number, "a number"),
    FieldType.BOOLEAN: (_boolean, "true or false"),
    FieldType.DATETIME: (_moment, "an ISO 8601 time such as 2026-01-31T09:00:00Z"),
}
