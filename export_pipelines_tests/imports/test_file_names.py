import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.imports.file_names import key_of, plain_name, short_name

NAMES = st.binary(min_size=1, max_size=255).map(os.fsdecode)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("stock.csv", "stock.csv"),
        ("it's 5 €.csv", "it's 5 €.csv"),
        ("日本.csv", "日本.csv"),
        ("a\nb.csv", r"'a\nb.csv'"),
        ("\x1b[31mred.csv", r"'\x1b[31mred.csv'"),
        ("a\u202egpj.csv", r"'a\u202egpj.csv'"),
        ("\udcff.csv", r"'\udcff.csv'"),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@given(name=NAMES)
def test_plain_names_are_one_line_that_can_be_stored(name: str) -> None:
    assert plain_name(name).isprintable()
    plain_name(name).encode()


@given(first=NAMES, second=NAMES)
def test_keys_can_be_stored_and_tell_files_apart(first: str, second: str) -> None:
    for name in (first, second):
        key_of(name).encode()
        assert len(key_of(name)) <= 255
    assert (key_of(first) == key_of(second)) == (first == second)


def test_keys_are_names_where_these_are_text() -> None:
    assert key_of("it's 日本\n.csv") == "it's 日本\n.csv"
    assert key_of("\udcff.csv") not in ("\udcff.csv", key_of("\udcfe.csv"))


@given(name=NAMES)
def test_short_names(name: str) -> None:
    found = short_name(name)
    assert len(os.fsencode(found)) <= 200
    assert (found == name) == (len(os.fsencode(name)) <= 200)
    assert short_name(found) == found


@pytest.mark.parametrize("letter", "xé👩")
def test_short_names_keep_their_beginning_and_ending(letter: str) -> None:
    stem = letter * (251 // len(letter.encode()))
    found = short_name(f"{stem}.csv")
    assert found.startswith(letter * 40)
    assert found.endswith(".csv")
    assert 195 <= len(os.fsencode(found)) <= 200


@pytest.mark.parametrize("name", ["x" * 255, "." + "x" * 254, "a." + "x" * 253])
def test_names_without_an_ending(name: str) -> None:
    assert len(short_name(name)) <= 200


def test_long_names_stay_different() -> None:
    """Names that differ only where one is cut off are those of two files."""
    names = [f"{'x' * 240}-{number}.csv" for number in range(50)]
    assert len(set(map(short_name, names))) == len(names)
