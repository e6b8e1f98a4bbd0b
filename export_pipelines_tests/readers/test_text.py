import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.readers.files import gzip_of, read, refusal

MB = 1 << 20
UTF_16 = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@pytest.mark.parametrize("codec", list(UTF_16))
@pytest.mark.parametrize("mark", [True, False])
def test_utf_16(codec: str, mark: bool) -> None:
    data = (UTF_16[codec] if mark else b"") + "a;é\r\n1;😀\r\n".encode(codec)
    found = read(data, encoding="auto" if mark else "utf-16")
    assert found.rows == {2: {"a": "1", "é": "😀"}}
    assert found.details["encoding"] == "utf-16"


@given(text=TEXTS.filter(str.strip), codec=st.sampled_from(list(UTF_16)))
def test_any_text_in_utf_16(text: str, codec: str) -> None:
    quoted = text.replace('"', '""')
    found = read(UTF_16[codec] + f'a,b\n"{quoted}",1\n'.encode(codec), format="csv")
    assert found.cells == [[text, "1"]]


def test_utf_16_over_many_chunks() -> None:
    rows = 200_000
    data = codecs.BOM_UTF16_LE + ("a,b\n" + "é😀,x\n" * rows).encode("utf-16-le")
    found = read(data)
    assert len(found.rows) == rows


def test_latin_1_is_what_browsers_take_it_for() -> None:
    found = read(b"a,b\n\xe9\x80\x81,\xfc\n", encoding="latin-1")
    assert found.cells == [["é€\x81", "ü"]]
    assert found.details["encoding"] == "latin-1"


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("encoding", ["auto", "utf-8"])
def test_utf_8_with_or_without_its_mark(mark: bytes, encoding: str) -> None:
    found = read(mark + "a\né\n".encode(), encoding=encoding)
    assert found.rows == {2: {"a": "é"}}


def test_marks_of_another_encoding_are_refused() -> None:
    data = codecs.BOM_UTF16_LE + "a\n1\n".encode("utf-16-le")
    assert "is in utf-16, as its first bytes say, not in utf-8" in refusal(data, encoding="utf-8")
    data = codecs.BOM_UTF8 + b"a\n1\n"
    assert "is in utf-8, as its first bytes say, not in latin-1" in refusal(
        data, encoding="latin-1"
    )


@pytest.mark.parametrize(
    ("data", "line", "byte"),
    [
        (b"a,b\n1,2\n\xe9,3\n", 3, "0xE9"),
        (b"a\n\xc3\n", 2, "0xC3"),
        (b"a\n\xed\xa0\x80\n", 2, "0xED"),
        (b"a\nb\xe2\x82", 2, "0xE2"),
    ],
)
def test_wrong_utf_8_is_refused_with_the_line(data: bytes, line: int, byte: str) -> None:
    assert f"is not UTF-8 text: line {line} has the byte {byte}" in refusal(data)
    assert "choose the encoding latin-1" in refusal(data)


def test_lines_are_counted_over_all_chunks() -> None:
    data = gzip_of(b"1,2\n" * 100_000, 10, first=b"a,b\n", last=b"x,\xff\n")
    assert "line 1,000,002 has the byte 0xFF" in refusal(data)
    data = gzip_of(b"1,2\n" * 100_000, 10, first=b"a,b\n", last=b"x,\0\n")
    assert "has a NUL character on line 1,000,002" in refusal(data)


def test_half_characters_in_utf_16_are_refused() -> None:
    data = codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00\xd8"
    assert "is not UTF-16 text: line 2 cannot be read" in refusal(data)


def test_nul_in_utf_16_is_refused() -> None:
    data = codecs.BOM_UTF16_LE + "a\n\0b\n".encode("utf-16-le")
    assert "has a NUL character on line 2" in refusal(data)


def test_characters_are_whole_wherever_chunks_end() -> None:
    for shift in range(4):
        text = "x" * (MB - 2 - shift) + "😀é"
        assert read(f"a\n{text}\n".encode(), format="csv").cells == [[text]]
