import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.catalog.models.types import compact_json
from export_pipelines.mapping.form import BLANKS
from export_pipelines.readers.base import ABSENT
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.mapping.frames import CELLS, cast, refused

FILLED = TEXTS.map(lambda text: text.strip(BLANKS)).filter(bool)
CASTS = [
    {"split": "|"},
    {"number": {}},
    {"date": "%d.%m.%Y"},
    {"boolean": {"true": "x"}},
    {"values": {"x": "y"}},
    {"values": {"x": "y"}, "otherwise": "keep"},
    {"values": {"x": "y"}, "otherwise": "empty"},
]


@pytest.mark.parametrize("rule", CASTS, ids=str)
def test_blank_cells_are_empty_and_absent_ones_stay_absent(rule: dict[str, object]) -> None:
    assert cast(rule, [None, "", " \u00a0\t", ABSENT]) == [None, None, None, ABSENT]


@given(
    st.lists(st.none() | st.lists(TEXTS, max_size=4), max_size=5),
    st.sampled_from(["|", ",", ";", ", ", "é", "\x01", ".*", "$"]),
)
def test_split_is_the_pieces_as_json(rows: list[list[str] | None], separator: str) -> None:
    cells = [None if row is None else separator.join(row) for row in rows]
    for cell, found in zip(cells, cast({"split": separator}, cells), strict=True):
        if cell is None or not cell.strip(BLANKS):
            assert found is None
            continue
        pieces = [piece.strip(BLANKS) for piece in cell.strip(BLANKS).split(separator)]
        expected = [piece for piece in pieces if piece]
        assert json.loads(str(found)) == expected


@pytest.mark.parametrize("text", ["a", "é👩‍👧", '"\\/', "a\tb\nc", "\x01\x1f\x7f", "\u2028", "<&>"])
def test_lists_are_compact_json(text: str) -> None:
    assert cast({"split": "|"}, [f"a{text}b|c"]) == [compact_json([f"a{text}b", "c"])]


def test_blanks_are_the_same_in_mapping_files_and_in_cells() -> None:
    every = pl.Series([chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000])
    assert set(every.filter(every.str.strip_chars() == "")) == set(BLANKS)


def test_separators_alone_are_an_empty_list() -> None:
    assert cast({"split": "|"}, ["|", "a||b| "]) == ["[]", '["a","b"]']


def test_booleans_are_words_in_any_capitals() -> None:
    boolean = {"boolean": {"true": ["yes", "Ja "], "false": "Nein"}}
    assert cast(boolean, ["YES", " ja", "nein"]) == ["true", "true", "false"]
    assert refused(boolean, ["ja", "true", "1", "jaja"]) == [
        ("true", "not_a_boolean"),
        ("1", "not_a_boolean"),
        ("jaja", "not_a_boolean"),
    ]


@given(
    st.lists(CELLS, max_size=8), st.dictionaries(FILLED, st.none() | TEXTS, min_size=1), st.data()
)
def test_value_tables_are_dictionaries(
    cells: list[str | None], table: dict[str, str | None], data: st.DataObject
) -> None:
    cells += data.draw(st.lists(st.sampled_from(list(table)), max_size=4))
    filled = [cell for cell in cells if cell not in (None, ABSENT) and cell.strip(BLANKS)]
    unknown = [cell for cell in filled if cell.strip(BLANKS) not in table]
    assert refused({"values": table}, cells) == [(cell, "unknown_value") for cell in unknown]

    def looked_up(cell: str | None, keep: bool) -> str | None:
        if cell is None or cell == ABSENT:
            return cell
        key = cell.strip(BLANKS)
        return table.get(key, key if keep and key else None)

    for otherwise in ("keep", "empty"):
        expected = [looked_up(cell, otherwise == "keep") for cell in cells]
        assert cast({"values": table, "otherwise": otherwise}, cells) == expected


@given(st.lists(TEXTS, max_size=8))
def test_errors_are_of_exactly_the_values_that_are_not_known(cells: list[str]) -> None:
    wrong = [cell for cell in cells if cell.strip(BLANKS).lower() not in ("", "e5", "0")]
    boolean = {"boolean": {"true": "E5", "false": "0"}}
    assert [value for value, _ in refused(boolean, cells)] == wrong
