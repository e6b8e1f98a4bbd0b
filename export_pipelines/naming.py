"""Names of files and folders from patterns: `{resource_type}-{date:%Y-%m-%d}-{part:05d}.{ext}`.

`{resource_type}`, `{format}` and `{run_id}` are texts, `{date}` is when the export began in the
shop's time zone, with any codes of strftime, `{part}` the number of a file from 1, and `{ext}`, at
the end only, what format and compression add anyway. `{{` and `}}` stand for braces.
"""

import re
from collections.abc import Mapping
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
_PART = re.compile(r"[-_. ]?\{part[^}]*\}")
_WIDTH = re.compile(r"0?\d?d?")
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
    named = _filled(stem, values, "file_name", FILE_FIELDS)
    base = _PART.sub("", named).format()
    _require_name(base, "file_name")
    if not _PART.search(named):
        return base, f"{named}-{{part:05d}}"
    _require_name(named.format(part=1), "file_name")
    return base, named


def folder_name(pattern: str, values: Mapping[str, str | datetime]) -> str:
    """Return a folder's name, perhaps with folders in it; empty for an empty pattern.

    Raises:
        RequestError: the pattern has an unknown field, or is no folder's name.
    """
    if not pattern.strip("/"):
        return ""
    named = _filled(pattern.strip("/"), values, "subfolder", FOLDER_FIELDS).format()
    for part in named.split("/"):
        _require_name(part, "subfolder")
    return named


def _filled(
    pattern: str, values: Mapping[str, str | datetime], what: str, known: tuple[str, ...]
) -> str:
    """Return the pattern with all fields but `{part}` filled in; it is still a template."""
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError:
        raise _malformed(what, pattern) from None
    filled = []
    for text, name, form, conversion in pieces:
        filled.append(_escaped(text))
        if name is None:
            continue
        if name not in known:
            raise RequestError(f"{what}: {unknown('placeholder', name, list(known))}")
        if conversion or not _fits(name, form or ""):
            raise _malformed(what, pattern)
        value = values.get(name)
        default = _DATE if name == "date" else ""
        filled.append(
            f"{{part:{form}}}" if value is None else _escaped(format(value, form or default))
        )
    return "".join(filled)


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
    harmful = not name or any(c in FORBIDDEN or not c.isprintable() for c in name)
    # What cannot be encoded is not printable, so it is harmful already.
    too_long = not harmful and len(name.encode()) > NAME_BYTES
    if harmful or too_long or name != name.strip(" .") or name.lower() in _TAKEN:
        raise RequestError(
            f"{what} {shown(name)} cannot be a file's name: use at most {NAME_BYTES} "
            f"bytes, none of {' '.join(FORBIDDEN)}, no blank or dot at its ends, "
            f"and not {one_of(_TAKEN)}."
        )
