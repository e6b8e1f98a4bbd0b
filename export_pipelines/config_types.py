"""Dagster's config types of pydantic fields, which the launchpad shows and checks.

Dagster's own conversion resolves variables of the environment before the run's steps begin, and
would carry secrets in what travels between them; here `{env: NAME}` stays as it is.
"""

from typing import Any, Literal, get_args, get_origin

import dagster as dg
from dagster._config import ScalarUnion
from pydantic.fields import FieldInfo

VARIABLE = dg.Selector(  # type: ignore[no-untyped-call]
    {"env": dg.Field(str, description="A variable of the environment.")}
)
_TEXT = ScalarUnion(dg.String, non_scalar_schema=VARIABLE)
_TYPES: dict[Any, Any] = {bool: bool, int: int, list[str]: [str], str: _TEXT}


def config_type(field: FieldInfo) -> Any:
    """Return the config type of a field; a secret is only taken as `{env: NAME}`."""
    if is_secret(field):
        return VARIABLE
    if get_origin(field.annotation) is Literal:
        return choice(get_args(field.annotation))
    return _TYPES[field.annotation]


def may_have_lines(field: FieldInfo) -> bool:
    """Return whether a text may be of several lines."""
    return _is_marked(field, "lines")


def is_secret(field: FieldInfo) -> bool:
    """Return whether a field's value must never be shown."""
    return _is_marked(field, "secret")


def is_address(field: FieldInfo) -> bool:
    """Return whether a field says where secrets are sent to, or how they are guarded on the way."""
    return _is_marked(field, "address")


def is_of_machine(field: FieldInfo) -> bool:
    """Return whether a field's value names something of the machine where exports run."""
    return _is_marked(field, "of_machine")


def is_else_of_machine(field: FieldInfo) -> bool:
    """Return whether something of the machine where exports run is used in place of no value."""
    return _is_marked(field, "else_of_machine")


def _is_marked(field: FieldInfo, mark: str) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(mark))


def choice(values: tuple[str, ...]) -> dg.Enum:
    """Return a type that says what it allows, in the launchpad and when a value is refused."""
    name = " | ".join(value if value.isalnum() else repr(value) for value in values)
    return dg.Enum(name, [dg.EnumValue(value) for value in values])
