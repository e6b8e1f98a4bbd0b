"""The text of a JSON file, from whose front one value after the other is taken."""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from export_pipelines.errors import shown
from export_pipelines.readers.base import MAX_RECORD_BYTES, Content, size_text

NUMBER = "\0"
"""What begins a number, a text like all others; no text of a file can have it."""

_BLANKS = re.compile(r"[ \t\n\r]*")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
# How far from the end of what was read an error may be that is none once more is read.
_UNFINISHED = 16


@dataclass(frozen=True)
class Value:
    """A value of a JSON file.

    Attributes:
        content: what it is; numbers are texts that begin with `NUMBER`.
        line: the line on which it begins, from 1.
        size: how many characters it has.
        repeated: a name that one of its objects has more than once; None if there is none.
    """

    content: Any
    line: int
    size: int
    repeated: str | None


class _Constant(Exception):
    """The text has `NaN` or an infinity, which JSON has not."""


class JsonText:
    """Takes values from the front of a text that is read as it is needed."""

    def __init__(self, content: Content, chunks: Iterator[bytes]) -> None:
        self._content = content
        self._chunks = chunks
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._seen = 0
        self._ended = False
        self._repeated: str | None = None
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=NUMBER.__add__,
            parse_float=NUMBER.__add__,
            parse_constant=_refuse_constant,
        )

    def peek(self) -> str:
        """Return the next character that is no blank; an empty text at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def skip(self) -> None:
        """Go on after the character that was peeked at."""
        self._at += 1

    def refuse(self, reason: str) -> NoReturn:
        """Refuse the file for what stands here.

        Raises:
            FileRefused: always.
        """
        raise self._content.refusal(f"is not valid JSON on {self._where(self._at)}: {reason}")

    def take(self, row: int | None = None) -> Value:
        """Return the next value, which begins at the character that was peeked at.

        Args:
            row: its number, for sentences; None if that is its line.

        Raises:
            FileRefused: it is not valid, too large, too deeply nested, or has characters that
                nothing can store.
        """
        while True:
            found = self._decoded()
            if found is not None:
                value, end = found
                break
            if len(self._text) - self._at > MAX_RECORD_BYTES:
                self._refuse_size()
            self._fill()
        if end - self._at > MAX_RECORD_BYTES:
            self._refuse_size()
        line = self._line_of(self._at)
        taken = self._text[self._at : end]
        if "\\u" in taken:
            self._check_characters(taken, row or line)
        self._at = end
        return Value(value, line, len(taken), self._repeated)

    def _decoded(self) -> tuple[Any, int] | None:
        """Return the next value and where it ends; None if more of the text must be read."""
        self._repeated = None
        try:
            value, end = self._decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            cut_off = error.msg.startswith("Unterminated string")
            if self._ended or not (cut_off or error.pos >= len(self._text) - _UNFINISHED):
                self._refuse_syntax(error)
            return None
        except _Constant as error:
            self.refuse(f"JSON has no {error}. Use null.")
        except RecursionError:
            self.refuse("this record is nested too deeply.")
        # What is no object or array may go on after what was read.
        return None if end == len(self._text) and not self._ended else (value, end)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs) and self._repeated is None:
            names = Counter(name for name, _ in pairs)
            self._repeated = names.most_common(1)[0][0]
        return found

    def _refuse_syntax(self, error: json.JSONDecodeError) -> NoReturn:
        reason = error.msg.removesuffix(" starting at").lower()
        if error.pos >= len(self._text.rstrip()):
            reason = "the file ends in the middle of a record; it may have been cut off"
        raise self._content.refusal(
            f"is not valid JSON on {self._where(error.pos)}: {reason}."
        ) from error

    def _refuse_size(self) -> NoReturn:
        self.refuse(f"this record is larger than {size_text(MAX_RECORD_BYTES)}.")

    def _check_characters(self, taken: str, row: int) -> None:
        """Check the characters that are written as numbers, which may be none."""
        try:
            value = json.loads(taken, parse_int=str, parse_float=str)
            text = json.dumps(value, ensure_ascii=False)
        except RecursionError as error:
            raise self._content.refusal(f"has a row {row:,} that is nested too deeply.") from error
        if _NUL.search(text):
            raise self._content.refusal(f"has a NUL character (\\u0000) in row {row:,}: remove it.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self._content.refusal(
                f"has half a character ({shown(text[error.start])}) in row {row:,}: correct it."
            ) from error

    def _fill(self) -> bool:
        """Read on, and forget what was taken; return whether there was more."""
        if self._ended:
            return False
        chunk = next(self._chunks, b"")
        self._ended = not chunk
        self._line_of(self._at)
        self._line_start -= self._at
        self._seen = 0
        self._text = self._text[self._at :] + self._utf8.decode(chunk, final=self._ended)
        self._at = 0
        return not self._ended

    def _line_of(self, at: int) -> int:
        """Return the line of a place at which, or before which, nothing will be asked for again."""
        newlines = self._text.count("\n", self._seen, at)
        if newlines:
            self._line += newlines
            self._line_start = self._text.rindex("\n", self._seen, at) + 1
        self._seen = at
        return self._line

    def _where(self, at: int) -> str:
        line = self._line_of(at)
        return f"line {line:,}, column {at - self._line_start + 1:,}"


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)
