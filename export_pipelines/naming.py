"""Names of files and folders from patterns: `{resource_type}-{date:%Y-%m-%d}-{part:05d}.{ext}`.

`{resource_type}`, `{format}` and `{run_id}` are texts, `{date}` is when the export began in the
shop's time zone, with any codes of strftime, `{part}` the number of a file from 1, and `{ext}`, at
the end only, what format and compression add anyway. `{{` and `}}` stand for braces.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from zoneinfo import ZoneInfo

from export_pipelines.errors import RequestError, one_of, shown, unknown

NAME_BYTES = 200
FORBIDDEN = '/\\:*?"<>|'
FILE_FIELDS = ("resource_type", "format", "run_id", "date", "part", "ext")
FOLDER_FIELDS = ("resource_type", "format", "run_id", "date")

_EXTENSION = ".{ext}"
_DATE = "%Y-%m-%d"
_LONGEST = 255
_WIDTH = re.compile(r"(0[1-9])?d?")
_TAKEN = ("manifest",)


def name_values(
    *, resource_type: str, format_name: str, run_id: str, started_at: str, time_zone: str
) -> dict[str, str | datetime]:
    """Return what patterns may name of an export; `started_at` is ISO 8601 in UTC."""
    began = datetime.fromisoformat(started_at.replace("Z", "+00:00"))
    return {
        "resource_type": resource_type,
        "format": format_name,
        "run_id": run_id,
        "date": began.astimezone(ZoneInfo(time_zone)),
    }


def file_names(pattern: str, values: Mapping[str, str | datetime]) -> tuple[str, str]:
    """Return a file's name without number and ending, and the template of numbered ones.

    Args:
        pattern: what was asked for.
        values: those of `name_values`.

    Raises:
        RequestError: the pattern has an unknown field, or is no file's name.
    """
    stem = pattern.removesuffix(_EXTENSION)
    if "{ext}" in stem:
        raise RequestError(f"file_name {shown(pattern)}: {{ext}} can only be at the end: .{{ext}}")
    pieces = _pieces(stem, values, "file_name", FILE_FIELDS)
    base = _without_numbers(pieces)
    _require_name(base, "file_name")
    if not any(isinstance(piece, _Number) for piece in pieces):
        return base, f"{_escaped(base)}-{{part:05d}}"
    template = "".join(
        f"{{part:{piece.form}}}" if isinstance(piece, _Number) else _escaped(piece)
        for piece in pieces
    )
    _require_name(template.format(part=1), "file_name")
    return base, template


def folder_name(pattern: str, values: Mapping[str, str | datetime]) -> str:
    """Return a folder's name, perhaps with folders in it; empty for an empty pattern.

    Raises:
        RequestError: the pattern has an unknown field, or is no folder's name.
    """
    if not pattern.strip("/"):
        return ""
    named = _without_numbers(_pieces(pattern.strip("/"), values, "subfolder", FOLDER_FIELDS))
    for part in named.split("/"):
        _require_name(part, "subfolder")
    return named


def is_file_name(name: str) -> bool:
    """Return whether a name can be one of an export's files: no path, nothing hidden or odd."""
    harmful = not name or any(c in FORBIDDEN or not c.isprintable() for c in name)
    # What cannot be encoded is not printable, so it is harmful already.
    return not harmful and len(name.encode()) <= _LONGEST and name == name.strip(" .")


@dataclass(frozen=True)
class _Number:
    """The place of a file's number, and how it is written."""

    form: str


def _pieces(
    pattern: str, values: Mapping[str, str | datetime], what: str, known: tuple[str, ...]
) -> list[str | _Number]:
    """Return the texts of a pattern and of its fields, and the places of numbers."""
    pieces: list[str | _Number] = []
    try:
        for text, name, form, conversion in Formatter().parse(pattern):
            pieces.append(text)
            if name is None:
                continue
            if name not in known:
                raise RequestError(f"{what}: {unknown('placeholder', name, list(known))}")
            if conversion or not _fits(name, form or ""):
                raise _malformed(what, pattern)
            pieces.append(_value(name, form or "", values))
    except ValueError:
        raise _malformed(what, pattern) from None
    return pieces


def _value(name: str, form: str, values: Mapping[str, str | datetime]) -> str | _Number:
    if name == "part":
        return _Number(form)
    return format(values[name], form or (_DATE if name == "date" else ""))


def _without_numbers(pieces: Sequence[str | _Number]) -> str:
    """Return the texts; where a number is left out, so is what parts it from those before."""
    named = ""
    for piece in pieces:
        named = named + piece if isinstance(piece, str) else re.sub(r"[-_. ]\Z", "", named)
    return named


def _fits(name: str, form: str) -> bool:
    """Return whether a field may be written so: dates by strftime, numbers by a width."""
    if name == "date":
        return "{" not in form
    return bool(_WIDTH.fullmatch(form)) if name == "part" else not form


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _malformed(what: str, pattern: str) -> RequestError:
    return RequestError(
        f"{what} {shown(pattern)} is no pattern: write placeholders as {{resource_type}}, "
        "{date:%Y-%m-%d} or {part:05d}, and braces twice."
    )


def _require_name(name: str, what: str) -> None:
    too_long = len(name.encode(errors="replace")) > NAME_BYTES
    if too_long or not is_file_name(name) or name.lower() in _TAKEN:
        raise RequestError(
            f"{what} {shown(name)} cannot be a file's name: use at most {NAME_BYTES} "
            f"bytes, none of {' '.join(FORBIDDEN)}, no blank or dot at its ends, "
            f"and not {one_of(_TAKEN)}."
        )
