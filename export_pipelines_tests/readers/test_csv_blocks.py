import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export_pipelines.readers.csv_blocks import quoted, record_end
from export_pipelines_tests.readers.files import DELIMITERS

END = "\x04"
TEXTS = st.text('"",;\t|\n\rab', max_size=40)


def records(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def is_open(text: str, delimiter: str) -> bool:
    """Return whether the standard library takes what follows for a part of the last field."""
    lines = [*io.StringIO(text, newline=""), END, END]
    return list(csv.reader(lines, delimiter=delimiter))[-1] != [END]


@given(text=TEXTS, delimiter=DELIMITERS)
@example(text='15.6" screen,"a\n', delimiter=",")
@example(text='"a""b",""",\n"\r', delimiter=",")
def test_a_text_is_cut_between_records(text: str, delimiter: str) -> None:
    spans = quoted(text.encode(), delimiter.encode())
    assert (len(spans[0]) > len(spans[1])) is is_open(text, delimiter)
    end = record_end(text.encode(), spans)
    whole, rest = text[:end], text[end:]
    assert not whole or whole[-1] in "\r\n"
    assert not (whole.endswith("\r") and rest[:1] in ("\n", ""))
    assert not is_open(whole, delimiter)
    assert records(whole, delimiter) + records(rest, delimiter) == records(text, delimiter)
    if not is_open(text, delimiter):
        assert len(records(rest, delimiter)) <= 1


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", 0),
        ("a,b", 0),
        ("a\nb\nc", 4),
        ("a\nb\n", 4),
        ('a\n"b\nc\n', 2),
        ('"a\nb"\n"c\nd', 6),
        ('"a""\n""b",c', 0),
        ("a\rb\r", 2),
        ("a\r\nb\r", 3),
        ('x"y\n"z\nw', 4),
    ],
)
def test_where_the_last_whole_record_ends(text: str, end: int) -> None:
    assert record_end(text.encode(), quoted(text.encode(), b",")) == end


def test_many_fields_in_quotes_without_an_end() -> None:
    block = b'"\n",' * 100_000
    assert record_end(block, quoted(block, b",")) == 0
    assert record_end(b"\n" + block, quoted(b"\n" + block, b",")) == 1
