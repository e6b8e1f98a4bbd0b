"""Which rows an export takes, as one tree of conditions, and the SQL of it.

Parsers of filter languages build this tree; `filters` has the native one. Every condition is true
or false for a row, never unknown: a comparison with an empty field is false, its opposite too.

Both databases answer alike. Texts are compared byte by byte, as Unicode orders characters.
Patterns ignore the case of the letters A to Z, and of no others: SQLite knows no more.
"""

import json
import operator as op
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeAlias, Union

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.entities import Field, Relation
from export_pipelines.catalog.joins import Joins, listed

_ESCAPE = "\\"
_DOCUMENTS = (FieldType.JSON, FieldType.LIST)
_EMPTY_DOCUMENTS = ("'[]'", "'{}'", "'\"\"'")
_JOINED_AT_ONCE = 16


class Operator(str, Enum):
    """What a condition asks of one value; all but `NULL` are false for an empty field."""

    EQUAL = "="
    NOT_EQUAL = "<>"
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    IN = "in"
    NOT_IN = "not in"
    LIKE = "like"
    NOT_LIKE = "not like"
    CONTAINS = "contains"
    NULL = "null"
    NOT_NULL = "not null"
    EMPTY = "empty"
    NOT_EMPTY = "not empty"


@dataclass(frozen=True)
class Attribute:
    """A field of the resource type, or of a record that relations lead to.

    With a multiple relation on the way, a condition holds if it does for at least one record.
    """

    path: tuple[Relation, ...]
    field: Field

    def sql(
        self, joins: Joins, condition: "Callable[[ColumnElement[Any]], ColumnElement[bool]]"
    ) -> "ColumnElement[bool]":
        """Return a condition about the attribute's SQL."""
        names = [relation.name for relation in self.path]
        for position, relation in enumerate(self.path):
            if relation.multiple:
                rest = Attribute(self.path[position + 1 :], self.field)
                return joins.any_related(
                    names[:position], relation, partial(rest.sql, condition=condition)
                )
        prefix = "".join(f"{name}." for name in names)
        return condition(joins.expression(self.field.below(prefix)))


@dataclass(frozen=True)
class Comparison:
    r"""A condition about one attribute.

    Attributes:
        attribute: what is compared.
        operator: how.
        value: with what: of the field's type, a tuple for `IN`, a pattern with `%`, `_` and `\`
            for `LIKE`, a JSON document for `CONTAINS`.
    """

    attribute: Attribute
    operator: Operator
    value: Any = None

    def sql(self, joins: Joins) -> "ColumnElement[bool]":
        """Return the condition; values are bound parameters."""
        kind = self.attribute.field.type
        return self.attribute.sql(
            joins, lambda found: _test(found, kind, self.operator, self.value)
        )


@dataclass(frozen=True)
class Comparisons:
    """A condition about one attribute of one record, with several values.

    Attributes:
        attribute: what is compared.
        operator: how.
        values: with what.
        every: whether the comparison must hold with every value, not only with one of them. With
            a multiple relation, it is the same record for which it holds with every value.
    """

    attribute: Attribute
    operator: Operator
    values: tuple[Any, ...]
    every: bool

    def sql(self, joins: Joins) -> "ColumnElement[bool]":
        """Return the condition; values are bound parameters."""
        kind = self.attribute.field.type

        def met(found: "ColumnElement[Any]") -> "ColumnElement[bool]":
            each = [_test(found, kind, self.operator, value) for value in self.values]
            return _every(each) if self.every else _some(each)

        return self.attribute.sql(joins, met)


@dataclass(frozen=True)
class All:
    """Every condition holds; with none, any row does."""

    conditions: tuple["Predicate", ...] = ()

    def sql(self, joins: Joins) -> "ColumnElement[bool]":
        """Return the conditions joined by AND."""
        return _every([condition.sql(joins) for condition in self.conditions])


@dataclass(frozen=True)
class AnyOf:
    """At least one condition holds."""

    conditions: tuple["Predicate", ...]

    def sql(self, joins: Joins) -> "ColumnElement[bool]":
        """Return the conditions joined by OR."""
        return _some([condition.sql(joins) for condition in self.conditions])


Predicate: TypeAlias = Union[Comparison, Comparisons, All, AnyOf]


def literal_pattern(text: str) -> str:
    """Return the pattern that matches a text and no other."""
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text


def normal_pattern(pattern: str) -> str:
    r"""Return a pattern in which `\` stands only before `%`, `_` and `\`; the databases differ."""
    found = []
    characters = iter(pattern)
    for character in characters:
        if character == _ESCAPE:
            found.append(literal_pattern(next(characters, _ESCAPE)))
        else:
            found.append(character)
    return "".join(found)


def ascii_lower(text: str) -> str:
    """Return a text with the letters A to Z in lower case."""
    return "".join(c.lower() if c.isascii() else c for c in text)


class _Closed(Grouping[bool]):
    """A condition in parentheses that stay; SQLAlchemy would join `a OR (b OR c)` to one list."""

    inherit_cache = True
    operator = None


class _Bytewise(FunctionElement[str]):
    """A text whose comparison does not depend on the database's collation."""

    inherit_cache = True
    name = "bytewise"
    type = Text()


@compiles(_Bytewise)
def _plain(element: "_Bytewise", compiler: SQLCompiler, **options: Any) -> str:
    (text,) = element.clauses
    return compiler.process(text, **options)


@compiles(_Bytewise, "postgresql")
def _collated(element: "_Bytewise", compiler: SQLCompiler, **options: Any) -> str:
    return f'({_plain(element, compiler, **options)} COLLATE "C")'


class _JsonContains(FunctionElement[bool]):
    """Whether a stored document contains another, as Postgres defines it (`jsonb @>`).

    A document with the character NUL, which `jsonb` cannot hold, contains nothing.
    """

    inherit_cache = False
    name = "json_contains"
    type = Boolean()

    def __init__(self, column: "ColumnElement[Any]", wanted: Any) -> None:
        super().__init__(column)
        self.wanted = wanted


_NUL = "'\\u0000'"


@compiles(_JsonContains, "postgresql")
def _contains_postgres(element: _JsonContains, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    document = compiler.process(column, **options)
    wanted = _bound(compiler, json.dumps(element.wanted), Text())
    return (
        f"CASE WHEN strpos(CAST({document} AS TEXT), {_NUL}) > 0 THEN FALSE "
        f"ELSE CAST({document} AS JSONB) @> CAST({wanted} AS JSONB) END"
    )


@compiles(_JsonContains, "sqlite")
def _contains_sqlite(element: _JsonContains, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    document = compiler.process(column, **options)
    found = _any_member(compiler, f"json_array(json({document}))", "", element.wanted, 0)
    return f"CASE WHEN json_valid({document}) AND NOT instr({document}, {_NUL}) THEN {found} END"


def _any_member(compiler: SQLCompiler, document: str, which: str, wanted: Any, level: int) -> str:
    """Return whether a member of an array or object contains what is wanted."""
    member = f"member_{level}"
    conditions = [*_contained(compiler, member, wanted, level)]
    if which:
        # Of members of the same name the last counts, as in Postgres.
        same = f"SELECT max(id) FROM json_each({document}) WHERE key = {which}"  # noqa: S608 - bound
        conditions.insert(0, f"{member}.id = ({same})")
    where = _joined(conditions)
    return f"EXISTS (SELECT 1 FROM json_each({document}) AS {member} WHERE {where})"  # noqa: S608 - values are bound


def _joined(conditions: Sequence[str]) -> str:
    if len(conditions) <= _JOINED_AT_ONCE:
        return " AND ".join(conditions)
    half = len(conditions) // 2
    return f"({_joined(conditions[:half])}) AND ({_joined(conditions[half:])})"


def _contained(compiler: SQLCompiler, member: str, wanted: Any, level: int) -> Iterator[str]:
    value = f"{member}.value"
    if isinstance(wanted, dict):
        yield f"{member}.type = 'object'"
        for key, inner in wanted.items():
            yield _any_member(compiler, value, _bound(compiler, key, Text()), inner, level + 1)
    elif isinstance(wanted, list):
        yield f"{member}.type = 'array'"
        for inner in wanted:
            yield _any_member(compiler, value, "", inner, level + 1)
    elif wanted is None or isinstance(wanted, bool):
        yield f"{member}.type = '{json.dumps(wanted)}'"
    elif isinstance(wanted, str):
        yield f"{member}.type = 'text'"
        yield f"{member}.atom = {_bound(compiler, wanted, Text())}"
    else:
        yield f"{member}.type IN ('integer', 'real')"
        kind: TypeEngine[Any] = Double() if isinstance(wanted, float) else BigInteger()
        yield f"{member}.atom = {_bound(compiler, wanted, kind)}"


def _bound(compiler: SQLCompiler, value: Any, kind: "TypeEngine[Any]") -> str:
    return compiler.process(bindparam(None, value, kind, unique=True))


def _every(conditions: "Sequence[ColumnElement[bool]]") -> "ColumnElement[bool]":
    return _halved(conditions, lambda *some: and_(true(), *some))


def _some(conditions: "Sequence[ColumnElement[bool]]") -> "ColumnElement[bool]":
    return _halved(conditions, lambda *some: or_(false(), *some))


def _halved(
    conditions: "Sequence[ColumnElement[bool]]",
    join: "Callable[..., ColumnElement[bool]]",
) -> "ColumnElement[bool]":
    """Return conditions joined as a flat tree: SQLite takes no condition of a depth over 1,000."""
    if len(conditions) <= _JOINED_AT_ONCE:
        return _Closed(join(*conditions)) if len(conditions) > 1 else join(*conditions)
    half = len(conditions) // 2
    return join(_halved(conditions[:half], join), _halved(conditions[half:], join))


def _test(
    expression: "ColumnElement[Any]", kind: FieldType, operator: Operator, value: Any
) -> "ColumnElement[bool]":
    text = _Bytewise(expression) if kind is FieldType.STRING else expression
    match operator:
        case Operator.NULL:
            return expression.is_(None)
        case Operator.NOT_NULL:
            return expression.is_not(None)
        case Operator.EMPTY:
            return or_(expression.is_(None), _without_content(expression, kind))
        case Operator.NOT_EMPTY:
            return and_(expression.is_not(None), not_(_without_content(expression, kind)))
        case Operator.IN:
            return expression.in_(listed(expression, value))
        case Operator.NOT_IN:
            return expression.not_in(listed(expression, value))
        case Operator.LIKE:
            return func.lower(text).like(ascii_lower(value), escape=_ESCAPE)
        case Operator.NOT_LIKE:
            return func.lower(text).not_like(ascii_lower(value), escape=_ESCAPE)
        case Operator.CONTAINS:
            return _JsonContains(expression, value)
    compare = {
        Operator.EQUAL: op.eq,
        Operator.NOT_EQUAL: op.ne,
        Operator.LESS: op.lt,
        Operator.LESS_OR_EQUAL: op.le,
        Operator.GREATER: op.gt,
        Operator.GREATER_OR_EQUAL: op.ge,
    }[operator]
    plain = operator in (Operator.EQUAL, Operator.NOT_EQUAL)
    found: ColumnElement[bool] = compare(expression if plain else text, value)
    return found


def _without_content(expression: "ColumnElement[Any]", kind: FieldType) -> "ColumnElement[bool]":
    if kind is FieldType.STRING:
        return expression == ""
    if kind in _DOCUMENTS:
        return cast(expression, Text).in_([literal_column(each) for each in _EMPTY_DOCUMENTS])
    return false()
