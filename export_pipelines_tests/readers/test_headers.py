import pytest

from export_pipelines_tests.readers.files import read, refusal


def test_blanks_around_headers_are_taken_off() -> None:
    assert read(b" a ,\tb\xc2\xa0,c d\n1,2,3\n").headers == ("a", "b", "c d")


@pytest.mark.parametrize("header", ["a,b,a", "a,b, a ", '"a",b,"a "'])
def test_headers_that_are_the_same_are_refused(header: str) -> None:
    assert refusal(f"{header}\n1,2,3\n".encode()) == (
        "'things.txt' has the header 'a' twice, in columns 1 (A) and 3 (C): rename or remove one "
        "of them."
    )


def test_columns_without_a_header_must_be_empty() -> None:
    assert read(b"a,,b,\n1,,2,\n").rows == {2: {"a": "1", "b": "2"}}
    assert refusal(b"a,,b\n1,,2\n\n1,x,2\n") == (
        "'things.txt' has no header for column 2 (B), which has a value in row 4: give it a "
        "header, or empty it."
    )
    assert "which has a value in row 2" in refusal(b'a,\n1,""\n')


@pytest.mark.parametrize("header", [b"\na,b\n", b",,\n1,2,3\n", b' ,"",\n1,2,3\n'])
def test_a_file_without_headers_is_refused(header: bytes) -> None:
    assert "has no headers: its first row must have the names" in refusal(header)


def test_a_file_of_headers_only_has_no_rows() -> None:
    for data in (b"a,b", b"a,b\n", b"a,b\r\n\r\n"):
        found = read(data)
        assert (found.headers, found.rows, found.broken) == (("a", "b"), {}, ())


def test_too_many_columns_are_refused() -> None:
    names = [f"c{number}" for number in range(10_000)]
    assert len(read(",".join(names[:1000]).encode()).headers) == 1000
    assert "has 10,000 columns; 1,000 are allowed" in refusal(",".join(names).encode())


def test_the_name_of_row_numbers_is_refused() -> None:
    assert "in the header of column 2 (B) that no header may have" in refusal(b"a,\x01row\n1,2\n")


def test_guards_of_formulas_are_taken_off_headers_and_texts() -> None:
    data = b"'=a,'b\n'-x,'-1\n''=x,\"'\t\"\n"
    found = read(data, sanitized=True)
    assert found.headers == ("=a", "'b")
    assert found.cells == [["-x", "-1"], ["''=x", "\t"]]
    assert read(data).headers == ("'=a", "'b")
    assert "twice" in refusal(b"=a,'=a\n1,2\n", sanitized=True)
