"""What a request may consist of, so that it comes out of the registry as it was put in."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from export_pipelines.errors import RequestError, shown


def require_json(value: Any, where: str, around: tuple[int, ...] = ()) -> None:
    """Refuse what JSON does not hold as it is.

    Args:
        value: a value with all that is in it.
        where: its place, as a sentence names it.
        around: the identities of the values that it is in.

    Raises:
        RequestError: a name is no text, a number is none or infinite, a text has half a character,
            or a value is of another kind or has itself in it.
    """
    if id(value) in around:
        raise RequestError(f"{where} has itself in it: write it out instead of the alias.")
    for place, each in _parts(value, where):
        require_json(each, place, (*around, id(value)))
    if isinstance(value, str):
        require_characters(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise RequestError(f"{where} is {value}: write a number, or leave it out.")
    elif not isinstance(value, bool | int | float | list | Mapping | None):
        raise RequestError(f"{where}: write {shown(str(value))} in quotes, as a text.")


def _parts(value: Any, where: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, list):
        return [(f"{where}[{number}]", each) for number, each in enumerate(value)]
    if not isinstance(value, Mapping):
        return ()
    for name in value:
        if not isinstance(name, str):
            raise RequestError(
                f"{where} has the name {shown(name)}: write it in quotes, as a text."
            )
        require_characters(name, where)
    return [(f"{where}.{_seen(name)}", each) for name, each in value.items()]


def _seen(name: str) -> str:
    return name if name.isprintable() else shown(name)


def require_characters(text: str, where: str) -> None:
    """Refuse a text that is none of Unicode.

    Raises:
        RequestError: it has half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"{where}: {shown(text)} has half a character in it, or was not UTF-8: write it anew."
        ) from None
