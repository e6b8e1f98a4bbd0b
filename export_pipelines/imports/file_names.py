"""Names of imported files: any bytes that a file system takes, where only some will do."""

import os
from hashlib import sha256

from export_pipelines.errors import shown

_SUFFIX_CHARACTERS = 8
_MOST_BYTES = 200
"""Of a file's own name, where it ends: there is more before and behind it."""


def plain_name(name: str) -> str:
    """Return a file's name as sentences have it: in one line, of characters that can be stored."""
    return name if name.isprintable() else shown(name)


def key_of(name: str) -> str:
    """Return what names a file in a key: its name, unless that is of bytes that are no text."""
    raw = os.fsencode(name)
    return name if raw == name.encode(errors="replace") else sha256(raw).hexdigest()


def short_name(name: str) -> str:
    """Return a file's own name, or its beginning and a digest if nothing could be added to it."""
    raw = os.fsencode(name)
    if len(raw) <= _MOST_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = f"{dot}{suffix}"[-_SUFFIX_CHARACTERS:] if stem else ""
    # Two files that differ only in what is cut off must not become one.
    ending = f"-{sha256(raw).hexdigest()[:_SUFFIX_CHARACTERS]}{ending}"
    while len(os.fsencode(f"{name}{ending}")) > _MOST_BYTES:
        name = name[:-1]
    return f"{name}{ending}"
