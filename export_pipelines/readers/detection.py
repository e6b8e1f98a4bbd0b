"""Which kind of file something is, told by what it begins with; its name is not believed."""

import mmap
import posixpath
import re
from dataclasses import replace

from export_pipelines.readers.base import Content, size_text
from export_pipelines.readers.text import encoding_of
from export_pipelines.readers.unpacking import head, opened_archive

_HEAD_BYTES = 4096
_MAX_MEMBERS = 100
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_FOREIGN = {
    b"%PDF-": "a PDF document",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"{\\rtf": "a text document (RTF)",
}
_MARKUP = re.compile(r"\s*<(!doctype|html|head|body|table|meta|\?xml|!--)", re.IGNORECASE)
_ACCEPTED = "Files of CSV, JSON, JSON Lines, Excel (.xlsx) and Parquet can be imported"
_TITLES = {"excel": "an Excel workbook", "parquet": "a Parquet file"}


def detected(content: Content) -> Content:
    """Return the file with its kind, its compression and the files in it.

    Raises:
        FileRefused: it is empty, too large, or of a kind that cannot be imported.
    """
    _check_size(content)
    with content.path.open("rb") as source:
        begin = source.read(_HEAD_BYTES)
    if begin.startswith(_GZIP):
        content = replace(content, compression="gzip")
        begin = head(content, _HEAD_BYTES)
    content = _kind(content, begin)
    asked = content.options.format.replace("jsonl", "json")
    if asked not in ("auto", content.format.replace("jsonl", "json")):
        raise content.refusal(
            f"is {_TITLES.get(content.format, content.format)}, not {content.options.format}: "
            "leave the format at auto."
        )
    return content


def _check_size(content: Content) -> None:
    size = content.path.stat().st_size
    allowed = content.options.max_bytes
    if not size:
        raise content.refusal("is empty: it has no rows.")
    if allowed is not None and size > allowed:
        raise content.refusal(f"is larger than {size_text(allowed)}: split it.")


def _kind(content: Content, begin: bytes) -> Content:
    if begin.startswith(_GZIP):
        raise content.refusal("was compressed with gzip twice: unpack it once.")
    if begin.startswith(_OLE):
        raise _old_workbook(content)
    for mark, kind in _FOREIGN.items():
        if begin.startswith(mark):
            raise content.refusal(f"is {kind}. {_ACCEPTED}.")
    if begin.startswith((b"PAR1", *_ZIP)):
        if content.compression != "none":
            raise content.refusal("is compressed with gzip around it: unpack it first.")
        return replace(content, format="parquet") if begin[:2] == b"PA" else _archive(content)
    return replace(content, format=_text_kind(content, begin))


def _text_kind(content: Content, begin: bytes) -> str:
    encoding, codec, mark = encoding_of(begin, content)
    if encoding != "utf-16" and b"\0" in begin:
        raise content.refusal(
            "is no text file: it has NUL characters. If it is text in UTF-16, choose the encoding "
            f"utf-16. {_ACCEPTED}."
        )
    text = begin[mark:].decode(codec, errors="ignore").lstrip()
    asked = content.options.format
    if asked in ("csv", "json", "jsonl"):
        return asked if asked == "csv" else ("json" if text[:1] == "[" else "jsonl")
    if _MARKUP.match(text):
        kind = "XML" if text.startswith("<?xml") else "a web page (HTML)"
        raise content.refusal(f"is {kind}. {_ACCEPTED}.")
    return {"[": "json", "{": "jsonl"}.get(text[:1], "csv")


def _archive(content: Content) -> Content:
    with opened_archive(content) as archive:
        names = [name for name in archive.namelist() if not _is_aside(name)]
    if any(name.startswith("xl/") for name in names):
        if "xl/workbook.bin" in names:
            raise content.refusal("is a binary Excel workbook (.xlsb): save it as .xlsx.")
        return replace(content, format="excel")
    if "content.xml" in names:
        raise content.refusal("is an OpenDocument file: save it as an Excel workbook (.xlsx).")
    if not names or not all(name.lower().endswith(".csv") for name in names):
        raise content.refusal(
            "is a ZIP archive; only one that has nothing but CSV files can be imported. Unpack it, "
            "and import the file that is in it."
        )
    if len(names) > _MAX_MEMBERS:
        raise content.refusal(
            f"is an archive of {len(names):,} CSV files; {_MAX_MEMBERS} are allowed: split it."
        )
    return replace(content, format="csv", compression="zip", members=tuple(names))


def _is_aside(name: str) -> bool:
    """Return whether a member is a folder, or what macOS adds to archives."""
    return name.endswith("/") or name.startswith("__MACOSX/") or posixpath.basename(name)[:1] == "."


def _old_workbook(content: Content) -> Exception:
    with (
        content.path.open("rb") as source,
        mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        encrypted = data.find(_ENCRYPTED) >= 0
    if encrypted:
        return content.refusal("is protected with a password: save it without one.")
    return content.refusal("is an old Excel or Office file (.xls): save it as .xlsx.")
