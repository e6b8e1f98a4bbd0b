"""Where the records of a CSV text end, so that it can be read in blocks of whole records."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'
_QUOTES = re.compile(rb'"+')

Spans = tuple["NDArray[np.intp]", "NDArray[np.intp]"]


def quoted(block: bytes, delimiter: bytes) -> Spans:
    """Return where fields in quotes begin and where they end, which the last may not do.

    Only a quote at the beginning of a field opens one; others are text: `15.6" screen`.

    Args:
        block: a text that begins with a record.
        delimiter: what stands between two fields.
    """
    import numpy as np

    characters = np.frombuffer(block, np.uint8)
    places = np.flatnonzero(characters == _QUOTE)
    opening = places[0::2]
    before = characters[opening[opening > 0] - 1]
    # If quotes are where they must be, every other one opens a field, or is the second of two.
    if np.isin(before, list(b'"\r\n' + delimiter)).all():
        return opening, places[1::2]
    return _spans(block, delimiter)


def record_end(block: bytes, spans: Spans) -> int:
    """Return where the last record ends whose end is in a block; 0 if there is none.

    Args:
        block: a text that begins with a record, and may go on.
        spans: its fields in quotes.
    """
    import numpy as np

    characters = np.frombuffer(block, np.uint8)
    following = characters[1:]
    # A line feed that belongs to a return may also be the first character of what goes on.
    returns = (characters[:-1] == _RETURN) & (following != _LINE_FEED)
    ends = characters == _LINE_FEED
    ends[:-1] |= returns
    places = np.flatnonzero(ends)
    starts, closes = spans
    outside = places[np.searchsorted(starts, places) == np.searchsorted(closes, places)]
    return int(outside[-1]) + 1 if outside.size else 0


def _spans(block: bytes, delimiter: bytes) -> Spans:
    """Find fields in quotes one by one, however many other quotes there are."""
    import numpy as np

    opening = re.compile(rb'(?:\A|(?<=[\r\n%b]))"' % re.escape(delimiter))
    fields = list(_fields(block, opening))
    starts = [start for start, _ in fields]
    ends = [end for _, end in fields if end is not None]
    return np.array(starts, np.intp), np.array(ends, np.intp)


def _fields(block: bytes, opening: "re.Pattern[bytes]") -> Iterator[tuple[int, int | None]]:
    found = opening.search(block)
    while found:
        start = found.start()
        end = _closing(block, start + 1)
        yield start, end
        found = None if end is None else opening.search(block, end + 1)


def _closing(block: bytes, at: int) -> int | None:
    """Return where the quote is that closes a field: two together are text."""
    for found in _QUOTES.finditer(block, at):
        if (found.end() - found.start()) % 2:
            return found.end() - 1
    return None
