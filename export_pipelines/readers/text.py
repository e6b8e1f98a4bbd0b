"""Text files as checked UTF-8, whatever encoding they are in."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from export_pipelines.readers.base import Content
from export_pipelines.readers.unpacking import Meter, opened_chunks

_MARKS = {
    codecs.BOM_UTF8: ("utf-8", "utf-8"),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
}
# Windows-1252, as browsers read what says it is Latin-1. Five bytes have no character there.
_LATIN_1 = "".join(bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(256))


def encoding_of(head: bytes, content: Content) -> tuple[str, str, int]:
    """Return a text's encoding, Python's name for it, and the length of its byte order mark.

    Args:
        head: what the text begins with, at least 4 bytes if it has so many.
        content: the file, whose options may name the encoding.

    Raises:
        FileRefused: the byte order mark is that of another encoding than the options name.
    """
    asked = content.options.encoding
    for mark, (encoding, codec) in _MARKS.items():
        if head.startswith(mark):
            if asked not in ("auto", encoding):
                raise content.refusal(
                    f"is in {encoding}, as its first bytes say, not in {asked}: leave the "
                    "encoding at auto."
                )
            return encoding, codec, len(mark)
    if asked == "utf-16":
        return asked, "utf-16-be" if head[:1] == b"\0" else "utf-16-le", 0
    return ("utf-8" if asked == "auto" else asked), asked.replace("auto", "utf-8"), 0


@contextmanager
def opened_text(content: Content, member: str, meter: Meter) -> Iterator[Iterator[bytes]]:
    """Give a text in UTF-8, without byte order mark, in chunks.

    Args:
        content: the file.
        member: which of the files in an archive.
        meter: counts what it unpacks to.

    Raises:
        FileRefused: it is damaged or too large, is not in the encoding that it should be, or has
            NUL characters.
    """
    with opened_chunks(content, member, meter) as chunks:
        yield _utf8_chunks(content, chunks)


def _utf8_chunks(content: Content, chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    encoding, codec, mark = encoding_of(first, content)
    whole = chain([first[mark:]], chunks)
    lines = 1
    for chunk in _decoded(content, whole, encoding, codec):
        if b"\0" in chunk:
            line = lines + chunk.count(b"\n", 0, chunk.index(b"\0"))
            raise content.refusal(
                f"has a NUL character on line {line:,}: it may be no text file, or text in UTF-16 "
                "(then choose the encoding utf-16)."
            )
        lines += chunk.count(b"\n")
        yield chunk


def _decoded(
    content: Content, chunks: Iterator[bytes], encoding: str, codec: str
) -> Iterator[bytes]:
    if encoding == "latin-1":
        for chunk in chunks:
            yield codecs.charmap_decode(chunk, "strict", _LATIN_1)[0].encode()
        return
    decoder = codecs.getincrementaldecoder(codec)()
    plain = encoding == "utf-8"
    lines = 1
    for chunk in chain(chunks, [b""]):
        try:
            # ASCII between whole characters needs no decoding, which is ten times slower.
            decoded = plain and chunk.isascii() and chunk and not decoder.getstate()[0]
            text = "" if decoded else decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start)
            raise _wrong_encoding(content, encoding, line, error.object[error.start]) from error
        lines += chunk.count(b"\n")
        yield chunk if plain else text.encode()


def _wrong_encoding(content: Content, encoding: str, line: int, byte: int) -> Exception:
    if encoding == "utf-16":
        return content.refusal(f"is not UTF-16 text: line {line:,} cannot be read.")
    return content.refusal(
        f"is not UTF-8 text: line {line:,} has the byte 0x{byte:02X}. Save it as UTF-8, or choose "
        "the encoding latin-1 if it comes from an older program."
    )
