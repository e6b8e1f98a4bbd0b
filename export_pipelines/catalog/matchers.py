"""The 51 matchers of the native filter language (2.3): what each asks, and of which types."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.predicates import Operator

_TEXTS = frozenset({FieldType.STRING})
_DOCUMENTS = frozenset({FieldType.JSON, FieldType.LIST})
_ORDERED = frozenset({FieldType.STRING, FieldType.INTEGER, FieldType.NUMBER, FieldType.DATETIME})
_SCALARS = _ORDERED | {FieldType.BOOLEAN}
_ALL = _SCALARS | _DOCUMENTS


@dataclass(frozen=True)
class Matcher:
    """What a filter asks of an attribute.

    Attributes:
        name: what stands behind the attribute, such as `cont_any`.
        meaning: the same in words.
        types: the types of attributes that it can be asked of.
        operator: the comparison with each value.
        opposite: that for the value `false`, of matchers that take true or false.
        takes: `value`, `list`, `boolean` or `document`.
        every: whether all values of a list must match, not any.
        or_null: whether an empty attribute matches too.
        pattern: what to put before and behind a literal text to make a pattern of it.
    """

    name: str
    meaning: str
    types: frozenset[FieldType]
    operator: Operator
    opposite: Operator | None = None
    takes: str = "value"
    every: bool = False
    or_null: bool = False
    pattern: tuple[str, str] | None = None


def _matchers() -> Iterator[Matcher]:
    equal, differs = Operator.EQUAL, Operator.NOT_EQUAL
    yield Matcher("eq", "equal", _SCALARS, equal)
    yield Matcher("eq_or_null", "equal, or empty", _SCALARS, equal, or_null=True)
    yield Matcher("not_eq", "not equal, and not empty", _SCALARS, differs)
    yield Matcher("not_eq_or_null", "not equal, or empty", _SCALARS, differs, or_null=True)
    yield from _patterned("matches", "does_not_match", "like the pattern", None)
    comparisons = {
        "lt": ("less than", Operator.LESS),
        "lteq": ("at most", Operator.LESS_OR_EQUAL),
        "gt": ("more than", Operator.GREATER),
        "gteq": ("at least", Operator.GREATER_OR_EQUAL),
    }
    for name, (meaning, operator) in comparisons.items():
        yield Matcher(name, f"{meaning} the value", _ORDERED, operator)
        yield Matcher(
            f"{name}_any", f"{meaning} any of the values", _ORDERED, operator, takes="list"
        )
        yield Matcher(
            f"{name}_all",
            f"{meaning} all of the values",
            _ORDERED,
            operator,
            takes="list",
            every=True,
        )
    null, not_null = Operator.NULL, Operator.NOT_NULL
    empty, not_empty = Operator.EMPTY, Operator.NOT_EMPTY
    yield Matcher("present", "not empty, nor an empty text", _ALL, not_empty, empty, "boolean")
    yield Matcher("blank", "empty, or an empty text", _ALL, empty, not_empty, "boolean")
    yield Matcher("null", "empty", _ALL, null, not_null, "boolean")
    yield Matcher("not_null", "not empty", _ALL, not_null, null, "boolean")
    some, none = Operator.IN, Operator.NOT_IN
    yield Matcher("in", "any of the values", _SCALARS, some, takes="list")
    yield Matcher(
        "in_or_null", "any of the values, or empty", _SCALARS, some, takes="list", or_null=True
    )
    yield Matcher("not_in", "none of the values, and not empty", _SCALARS, none, takes="list")
    yield Matcher(
        "not_in_or_null", "none of the values, or empty", _SCALARS, none, takes="list", or_null=True
    )
    yield Matcher("not_eq_all", "none of the values, and not empty", _SCALARS, none, takes="list")
    yield from _patterned("start", "not_start", "beginning with", ("", "%"))
    yield from _patterned("end", "not_end", "ending with", ("%", ""))
    contains = [*_patterned("cont", "not_cont", "containing", ("%", "%"))]
    yield from (found for found in contains if found.name != "not_cont_any")
    yield Matcher(
        "jcont", "containing the JSON document", _DOCUMENTS, Operator.CONTAINS, takes="document"
    )
    booleans = frozenset({FieldType.BOOLEAN})
    yield Matcher("true", "true", booleans, equal, differs, "boolean")
    yield Matcher("false", "false", booleans, differs, equal, "boolean")


def _patterned(
    positive: str, negative: str, meaning: str, pattern: tuple[str, str] | None
) -> Iterator[Matcher]:
    names = ((positive, meaning, Operator.LIKE), (negative, f"not {meaning}", Operator.NOT_LIKE))
    for name, words, operator in names:
        yield Matcher(name, words, _TEXTS, operator, pattern=pattern)
        for every in (False, True):
            which = "all" if every else "any"
            yield Matcher(
                f"{name}_{which}",
                f"{words} {which} of the values",
                _TEXTS,
                operator,
                takes="list",
                every=every,
                pattern=pattern,
            )


MATCHERS: Mapping[str, Matcher] = {found.name: found for found in _matchers()}
"""All matchers by name."""
