"""The native filter language: `{attributes}_{matcher}: value`, as Commerce Layer's (2.3).

`name_or_code_start: "A"` asks whether name or code begins with A. A relation's name may stand
before an attribute (`customer_email_end`), and an attribute alone asks for equality. All filters
of a request must hold. An attribute's own name wins over a relation's, and the longest matcher
over a shorter one.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from export_pipelines.artifacts import ExportRequest, FieldType
from export_pipelines.catalog.entities import TABLES, Entity, Relation
from export_pipelines.catalog.matchers import MATCHERS, Matcher
from export_pipelines.catalog.predicates import (
    All,
    AnyOf,
    Attribute,
    Comparison,
    Comparisons,
    Operator,
    Predicate,
    literal_pattern,
    normal_pattern,
)
from export_pipelines.errors import RequestError, one_of, shown, unknown

MAX_FILTERS = 100
MAX_VALUES = 10_000
"""Most values of a matcher for equality with any of a list."""

MAX_PATTERNS = 500
"""Most values of the other matchers that take a list: databases limit a condition's depth."""

MAX_COMPARISONS = 2_000
"""Most comparisons of all filters together, one for each attribute and value."""

_MAX_CHARACTERS = 10_000
_MAX_KEY = 2_000
_MAX_RELATIONS = 5
_MAX_DEPTH = 20


def parse_selection(request: ExportRequest, entity: Entity, time_zone: str) -> All:
    """Turn a request's filters and range of dates into one predicate over an entity.

    The filters that every export of the entity has are part of it.

    Raises:
        RequestError: an attribute, a matcher or a value is wrong.
    """
    zone = ZoneInfo(time_zone)
    conditions = parse_filters(entity.always, TABLES[entity.table.name], zone).conditions
    conditions += parse_filters(request.filters, entity, zone).conditions
    return All((*conditions, *_date_range(request, entity, zone)))


def parse_filters(
    filters: Mapping[str, Any], entity: Entity, zone: ZoneInfo | timezone = timezone.utc
) -> All:
    """Turn filters into a predicate over an entity.

    Args:
        filters: predicates and values.
        entity: the resource type.
        zone: of times that do not say theirs.

    Raises:
        RequestError: an attribute, a matcher or a value is wrong.
    """
    if not isinstance(filters, Mapping):
        raise RequestError(
            "filters must be predicates and their values, such as {name_cont: 'FW'}, "
            f"not {shown(filters)}."
        )
    if len(filters) > MAX_FILTERS:
        raise RequestError(f"filters: {len(filters)} are too many: use at most {MAX_FILTERS}.")
    found = All(tuple(_parse(str(key), value, entity, zone) for key, value in filters.items()))
    size = _size(found)
    if size > MAX_COMPARISONS:
        raise RequestError(
            f"filters: {size:,} comparisons of an attribute with a value are too many: "
            f"use at most {MAX_COMPARISONS:,}."
        )
    return found


def _size(found: Any) -> int:
    """Return how many values a predicate compares with; a list for equality is one of them."""
    if isinstance(found, (All, AnyOf)):
        return sum(map(_size, found.conditions))
    if isinstance(found, Comparisons):
        return len(found.values)
    if isinstance(found, Comparison) and found.operator is Operator.CONTAINS:
        return _size(found.value)
    if isinstance(found, dict):
        return 1 + sum(map(_size, found.values()))
    return 1 + sum(map(_size, found)) if isinstance(found, list) else 1


def _parse(key: str, value: Any, entity: Entity, zone: ZoneInfo | timezone) -> Predicate:
    attributes, matcher = _predicate(key, entity)
    found = tuple(_condition(key, each, matcher, value, zone) for each in attributes)
    return found[0] if len(found) == 1 else AnyOf(found)


def _predicate(key: str, entity: Entity) -> tuple[list[Attribute], Matcher]:
    """Split a key into its attributes and its matcher."""
    if len(key) > _MAX_KEY:
        raise RequestError(f"Filter {shown(key)} is longer than {_MAX_KEY:,} characters.")
    if found := _attributes(key, entity):
        return found, MATCHERS["eq"]
    names = [name for name in MATCHERS if key.endswith(f"_{name}") and len(key) > len(name) + 1]
    for name in sorted(names, key=len, reverse=True):
        if found := _attributes(key.removesuffix(f"_{name}"), entity):
            return found, MATCHERS[name]
    if not names:
        known = [found.name for found in entity.fields.values() if found.filterable]
        begun = [name for name in known if key.startswith(f"{name}_")]
        if begun:
            attribute = max(begun, key=len)
            raise RequestError(
                f"Filter {shown(key)}, after {attribute}: "
                + unknown("matcher", key[len(attribute) + 1 :], [*MATCHERS])
            )
        rest = key
    else:
        rest = key.removesuffix(f"_{max(names, key=len)}")
    wrong = next(part for part in rest.split("_or_") if not _attributes(part, entity))
    known = [found.name for found in entity.fields.values() if found.filterable]
    formatted = entity.fields.get(wrong)
    if formatted:
        raise RequestError(
            f"Filter {shown(key)}: {wrong} is {formatted.description}; filter by "
            f"{formatted.stored[0]} instead."
        )
    raise RequestError(
        f"Filter {shown(key)}: "
        + unknown(f"{entity.name} attribute", wrong, known)
        + _relations_hint(entity)
    )


def _relations_hint(entity: Entity) -> str:
    if not entity.relations:
        return ""
    return (
        f" The name of a related resource may stand before its attribute: "
        f"{one_of([f'{name}_' for name in entity.relations])}."
    )


def _attributes(text: str, entity: Entity) -> list[Attribute]:
    """Return the attributes of `a_or_b`, none if there is one that does not exist."""
    whole = _attribute(text, entity, ())
    if whole:
        return [whole]
    for divider in re.finditer("(?=_or_)", text):
        first = _attribute(text[: divider.start()], entity, ())
        if first and (rest := _attributes(text[divider.start() + 4 :], entity)):
            return [first, *rest]
    return []


def _attribute(text: str, entity: Entity, path: tuple[Relation, ...]) -> Attribute | None:
    field = entity.fields.get(text)
    if field and field.filterable:
        return Attribute(path, field)
    if len(path) == _MAX_RELATIONS:
        return None
    for name in sorted(entity.relations, key=len, reverse=True):
        if text.startswith(f"{name}_"):
            relation = entity.relations[name]
            found = _attribute(text[len(name) + 1 :], entity.related(name), (*path, relation))
            if found:
                return found
    return None


def _condition(
    key: str, attribute: Attribute, matcher: Matcher, value: Any, zone: ZoneInfo | timezone
) -> Predicate:
    field = attribute.field
    if value is None and matcher.name in ("eq", "not_eq"):
        null = Operator.NULL if matcher.name == "eq" else Operator.NOT_NULL
        return Comparison(attribute, null)
    if field.type not in matcher.types:
        usable = [found.name for found in MATCHERS.values() if field.type in found.types]
        raise RequestError(
            f"Filter {shown(key)}: {field.name} is of type {field.type.value}, which has no "
            f"matcher {matcher.name}. Choose from {one_of(usable)}."
        )
    if matcher.takes == "boolean":
        holds = _coerced(key, attribute, value, _boolean, "true or false")
        operator = matcher.opposite if matcher.opposite and not holds else matcher.operator
        compared = matcher.types <= {FieldType.BOOLEAN}
        return Comparison(attribute, operator, compared or None)
    if matcher.takes == "document":
        coerce, words = _DOCUMENTS_OF[field.type]
        document = _coerced(key, attribute, value, coerce, words)
        return Comparison(attribute, matcher.operator, document)
    if matcher.takes == "list":
        found = _any_or_all(attribute, matcher, _values(key, attribute, matcher, value, zone))
    else:
        found = Comparison(
            attribute, matcher.operator, _value(key, attribute, matcher, value, zone)
        )
    return AnyOf((found, Comparison(attribute, Operator.NULL))) if matcher.or_null else found


def _any_or_all(attribute: Attribute, matcher: Matcher, values: tuple[Any, ...]) -> Predicate:
    if matcher.operator in (Operator.IN, Operator.NOT_IN):
        return Comparison(attribute, matcher.operator, values)
    return Comparisons(attribute, matcher.operator, values, matcher.every)


def _values(
    key: str, attribute: Attribute, matcher: Matcher, value: Any, zone: ZoneInfo | timezone
) -> tuple[Any, ...]:
    items = _split(value) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        items = [items]
    listed = matcher.operator in (Operator.IN, Operator.NOT_IN)
    limit = MAX_VALUES if listed else MAX_PATTERNS
    if not 0 < len(items) <= limit:
        raise RequestError(
            f"Filter {shown(key)}: {matcher.name} takes a list of 1 to {limit:,} values, "
            f"not {len(items):,}."
        )
    return tuple(_value(key, attribute, matcher, item, zone) for item in items)


def _split(text: str) -> list[Any]:
    """Return the values of a list in one text: a JSON array, or values with commas between them."""
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            items = json.loads(text)
            if isinstance(items, list):
                return items
    return [*text.split(",")]


def _value(
    key: str, attribute: Attribute, matcher: Matcher, value: Any, zone: ZoneInfo | timezone
) -> Any:
    field = attribute.field
    if isinstance(value, (list, tuple, dict)):
        single = matcher.takes != "list" and not isinstance(value, dict)
        hint = f" For a list there is {_for_lists(matcher)}." if single else ""
        raise RequestError(
            f"Filter {shown(key)}: {matcher.name} compares with one value, "
            f"not {shown(value)}.{hint}"
        )
    if value is None:
        raise RequestError(
            f"Filter {shown(key)}: {matcher.name} cannot compare with null, which stands for an "
            f"empty field: use {''.join(f'{step.name}_' for step in attribute.path)}"
            f"{field.name}_null."
        )
    if matcher.operator in (Operator.LIKE, Operator.NOT_LIKE):
        text = _coerced(key, attribute, value, _text, _TEXT_WORDS)
        if matcher.pattern is None:
            return normal_pattern(text)
        before, behind = matcher.pattern
        return before + literal_pattern(text) + behind
    if field.values and value not in field.values:
        raise RequestError(
            f"Filter {shown(key)}: {shown(value)} is not a value of {field.name}, "
            f"which is one of {one_of(field.values)}."
        )
    if field.type is FieldType.DATETIME:
        return _coerced(key, attribute, value, lambda each: _moment(each, zone), _MOMENT_WORDS)
    coerce, words = _COERCIONS[field.type]
    return _coerced(key, attribute, value, coerce, words)


def _for_lists(matcher: Matcher) -> str:
    names = (f"{matcher.name}_any", f"{matcher.name}_all", re.sub("eq", "in", matcher.name))
    return next(name for name in names if name in MATCHERS)


def _coerced(
    key: str, attribute: Attribute, value: Any, coerce: Callable[[Any], Any], words: str
) -> Any:
    try:
        return coerce(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise RequestError(
            f"Filter {shown(key)}: {shown(value)} is not {words}, which "
            f"{attribute.field.name} needs here."
        ) from None


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise TypeError
    text = str(value)
    if "\0" in text or len(text) > _MAX_CHARACTERS:
        raise ValueError
    text.encode()  # refuses halves of a character, which no database stores
    return text


def _integer(value: Any) -> int:
    whole = isinstance(value, str) or (isinstance(value, float) and value.is_integer())
    number = int(value) if whole else value
    if "_" in str(value) or isinstance(number, bool) or not isinstance(number, int):
        raise TypeError
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or "_" in str(value):
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


def _moment(value: Any, zone: ZoneInfo | timezone) -> datetime:
    if isinstance(value, str):
        value = _parsed_time(value)
    if not isinstance(value, datetime):
        raise TypeError
    return _in_utc(value, zone)


def _parsed_time(text: str) -> datetime:
    found = _read_time(text)
    clock = f"{found['minute'] or '00:00'}{found['second'] or ''}"
    fraction = f".{found['fraction'][:6]:0<6}" if found["fraction"] else ""
    offset = re.sub("([0-9]{2})([0-9]{2})$", r"\1:\2", found["offset"] or "")
    # Python 3.10 reads neither Z nor fractions of any length.
    offset = offset.upper().replace("Z", "+00:00")
    return datetime.fromisoformat(f"{found['day']}T{clock}{fraction}{offset}")


def _read_time(text: str) -> re.Match[str]:
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError
    return found


def _in_utc(moment: datetime, zone: ZoneInfo | timezone) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return aware.astimezone(timezone.utc)


def _document(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _MAX_CHARACTERS:
        raise ValueError
    document = json.loads(value) if isinstance(value, str) else value
    if not isinstance(document, (dict, list)):
        raise TypeError
    text = json.dumps(document, allow_nan=False)
    json.dumps(document, ensure_ascii=False).encode()  # refuses halves of a character
    if "\\u0000" in text or len(text) > _MAX_CHARACTERS:
        raise ValueError
    return _bounded(json.loads(text), _MAX_DEPTH)


def _bounded(document: Any, depth: int) -> Any:
    """Return a document whose numbers both databases can hold."""
    if not depth:
        raise ValueError
    if isinstance(document, dict):
        return {key: _bounded(value, depth - 1) for key, value in document.items()}
    if isinstance(document, list):
        return [_bounded(value, depth - 1) for value in document]
    if isinstance(document, int) and not -(2**63) <= document < 2**63:
        raise OverflowError
    return document


def _list_document(value: Any) -> Any:
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return [_text(value)]
    document = _document(value)
    if not isinstance(document, list):
        raise TypeError
    return document


_TEXT_WORDS = f"a text of at most {_MAX_CHARACTERS:,} characters that a database can hold"
_MOMENT_WORDS = "an ISO 8601 time such as 2026-01-31T09:00:00Z"
_TIME = re.compile(
    "(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    "([Tt ](?P<minute>[0-9]{2}:[0-9]{2})((?P<second>:[0-9]{2})([.,](?P<fraction>[0-9]+))?)?)?"
    "(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_COERCIONS: Mapping[FieldType, tuple[Callable[[Any], Any], str]] = {
    FieldType.STRING: (_text, _TEXT_WORDS),
    FieldType.INTEGER: (_integer, "a whole number"),
    FieldType.NUMBER: (_number, "a number"),
    FieldType.BOOLEAN: (_boolean, "true or false"),
}
_DOCUMENTS_OF: Mapping[FieldType, tuple[Callable[[Any], Any], str]] = {
    FieldType.JSON: (_document, "a JSON object or array"),
    FieldType.LIST: (_list_document, "a JSON array, or one text,"),
}


def _date_range(
    request: ExportRequest, entity: Entity, zone: ZoneInfo | timezone
) -> Sequence[Predicate]:
    attribute = Attribute((), entity.fields[entity.date_field])
    conditions = []
    if request.date_from:
        first, _ = _bound("date_from", request.date_from, zone)
        conditions.append(Comparison(attribute, Operator.GREATER_OR_EQUAL, first))
    if request.date_to:
        _, end = _bound("date_to", request.date_to, zone)
        if conditions and conditions[0].value >= end:
            raise RequestError(
                f"date_from {request.date_from} is later than date_to {request.date_to}: "
                "exchange them."
            )
        conditions.append(Comparison(attribute, Operator.LESS, end))
    return conditions


def _bound(name: str, text: str, zone: ZoneInfo | timezone) -> tuple[datetime, datetime]:
    """Return the first moment of what a bound names, and the first one after it.

    A day, minute or second ends with its last millisecond.
    """
    try:
        found = _read_time(text)
        first = _parsed_time(text)
        if not found["minute"]:
            # Days on which clocks change are not 24 hours long.
            return _in_utc(first, zone), _in_utc(first + timedelta(days=1), zone)
        length = timedelta(milliseconds=1) if found["fraction"] else timedelta(seconds=1)
        start = _in_utc(first, zone)
        return start, start + (length if found["second"] else timedelta(minutes=1))
    except (ValueError, OverflowError):
        raise RequestError(
            f"{name}: {shown(text)} is not a day such as 2026-01-31 or "
            "an ISO 8601 time such as 2026-01-31T23:59:59Z."
        ) from None
