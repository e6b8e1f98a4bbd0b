import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.errors import RequestError
from export_pipelines.mapping import map_rows, mapped_headers
from export_pipelines.readers.base import ABSENT, ROW
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.mapping.frames import CELLS, cast, mapping_of, rows_of

HEADERS = st.lists(TEXTS.filter(bool), min_size=1, max_size=4, unique=True)


@given(HEADERS, st.data())
def test_renaming_is_the_identity_up_to_names(headers: list[str], data: st.DataObject) -> None:
    height = data.draw(st.integers(0, 4))
    cells = st.lists(CELLS, min_size=height, max_size=height)
    rows = rows_of(**{header: data.draw(cells) for header in headers})
    targets = data.draw(st.permutations(headers))
    mapping = mapping_of(dict(zip(targets, headers, strict=True)))
    mapped, errors = map_rows(mapping, rows)
    assert mapped.equals(rows.rename(dict(zip(headers, targets, strict=True))))
    assert mapped.columns == [ROW, *mapped_headers(mapping, headers)]
    assert errors.is_empty()


def test_defaults_stand_for_empty_cells_and_empty_texts_only() -> None:
    cells = [None, "", " ", "a", ABSENT]
    assert cast({"default": "x"}, cells) == ["x", "x", " ", "a", ABSENT]


def test_defaults_stand_for_what_a_cast_leaves_empty_but_not_for_errors() -> None:
    rule = {"values": {"n/a": None, "b": ""}, "otherwise": "empty", "default": "x"}
    assert cast(rule, ["n/a", "b", "other", " "]) == ["x", "x", "x", "x"]
    mapping = mapping_of({"to": {"column": "from", "number": {}, "default": "0"}})
    mapped, errors = map_rows(mapping, rows_of(**{"from": ["1", "one", ""]}))
    assert mapped["to"].to_list() == ["1", None, "0"]
    assert errors["row"].to_list() == [3]


@pytest.mark.parametrize("height", [0, 1, 3])
def test_constants_are_in_every_row(height: int) -> None:
    mapping = mapping_of({"status": {"constant": "live"}, "sku": "code"})
    mapped, _ = map_rows(mapping, rows_of(code=["a"] * height))
    assert mapped.columns == [ROW, "status", "sku"]
    assert mapped["status"].to_list() == ["live"] * height
    assert mapped.schema == {ROW: pl.UInt32, "status": pl.String, "sku": pl.String}


def test_texts_are_made_of_columns() -> None:
    mapping = mapping_of(
        {"name": {"text": "{{{title}}} {code of it}"}, "note": {"text": "{title} {b}"}}
    )
    rows = rows_of(
        **{
            "title": ["T", None, "", ABSENT, "T", None],
            "code of it": ["1", "2", ABSENT, None, None, None],
            "b": ["x", " x ", None, "", "x", ""],
        }
    )
    mapped, _ = map_rows(mapping, rows)
    assert mapped["name"].to_list() == ["{T} 1", "{} 2", None, None, "{T}", None]
    assert mapped["note"].to_list() == ["T x", "x", None, None, "T x", None]


def test_a_text_of_empty_cells_has_a_default() -> None:
    mapping = mapping_of({"name": {"text": "No. {a}", "default": "none"}})
    assert map_rows(mapping, rows_of(a=["1", "", ABSENT]))[0]["name"].to_list() == [
        "No. 1",
        "none",
        "none",
    ]


def test_columns_that_a_batch_lacks_are_absent() -> None:
    mapping = mapping_of(
        {"a": "x", "b": {"column": "y", "number": {}, "default": "1"}, "c": {"text": "{x}{z}"}}
    )
    mapped, errors = map_rows(mapping, rows_of(z=["1", None]))
    assert mapped.drop(ROW).rows() == [(ABSENT, ABSENT, "1"), (ABSENT, ABSENT, None)]
    assert errors.is_empty()


def test_errors_are_in_the_order_of_rows_and_name_foreign_headers() -> None:
    mapping = mapping_of(
        {
            "weight": {"column": "kg", "number": {"decimal_mark": ","}},
            "day": {"column": "made", "date": "%d.%m.%Y"},
            "on": {"column": "state", "boolean": {"true": "x", "false": "o"}},
            "group": {"column": "kind", "values": {"a": "b"}},
        }
    )
    rows = rows_of(kg=["1", "2.5"], made=["x", "y"], state=["x", "z"], kind=["a", "b"])
    _, errors = map_rows(mapping, rows)
    assert errors.schema == {
        "row": pl.UInt32,
        "column": pl.String,
        "value": pl.String,
        "code": pl.String,
        "reason": pl.String,
    }
    assert errors.rows() == [
        (2, "made", "x", "not_a_date", "It is no date of the form %d.%m.%Y, such as 03.02.2001."),
        (3, "kg", "2.5", "not_a_number", "It is no number of the form 1234,5."),
        (3, "made", "y", "not_a_date", "It is no date of the form %d.%m.%Y, such as 03.02.2001."),
        (
            3,
            "state",
            "z",
            "not_a_boolean",
            "It is none of the words that the mapping knows: 'x' and 'o'.",
        ),
        (
            3,
            "kind",
            "b",
            "unknown_value",
            "The mapping's values do not have it: add it there, or set otherwise to keep or empty.",
        ),
    ]


def test_the_schema_of_errors_is_the_same_without_any() -> None:
    rows = rows_of(a=["1"])
    _, none = map_rows(mapping_of({"x": "a"}), rows)
    _, some = map_rows(mapping_of({"x": {"column": "a", "boolean": {"true": "y"}}}), rows)
    assert none.schema == some.schema
    assert len(none) == 0
    assert len(some) == 1


def test_a_header_may_fill_several_fields() -> None:
    mapping = mapping_of({"sku": "id", "ref": "id", "weight": {"column": "id", "number": {}}})
    mapped, _ = map_rows(mapping, rows_of(id=["07"]))
    assert mapped.drop(ROW).rows() == [("07", "07", "7")]


def test_a_missing_header_is_refused_with_those_that_are_near() -> None:
    mapping = mapping_of({"sku": "product_id"})
    with pytest.raises(RequestError) as refused:
        mapped_headers(mapping, ["Product_id", "title"])
    assert str(refused.value) == (
        "shop.yaml fills 'sku' from 'product_id', a header that the file does not have. "
        "Did you mean 'Product_id'? Its headers are 'Product_id' and 'title'."
    )
    with pytest.raises(RequestError, match="It has no headers"):
        mapped_headers(mapping, [])


def test_headers_of_texts_must_be_there_too() -> None:
    with pytest.raises(RequestError, match="fills 'name' from 'b'"):
        mapped_headers(mapping_of({"name": {"text": "{a} {b}"}}), ["a"])


def test_headers_that_are_neither_used_nor_ignored_are_refused() -> None:
    mapping = mapping_of({"sku": "id"}, ignore=["photos", "not there"])
    assert mapped_headers(mapping, ["photos", "id"]) == ("sku",)
    with pytest.raises(RequestError) as refused:
        mapped_headers(mapping, ["id", "size", "photos", "Größe\n"])
    assert str(refused.value) == (
        "shop.yaml does not say what becomes of 'size' and 'Größe\\n': use each in columns, "
        "or name it in ignore ('*' there leaves out all that are not used)."
    )


def test_a_star_ignores_all_others() -> None:
    assert mapped_headers(mapping_of({"sku": "id"}, ignore=["*"]), ["a", "id"]) == ("sku",)


def test_many_headers_are_not_all_named() -> None:
    headers = [f"h{number}" for number in range(1_000)]
    with pytest.raises(RequestError) as refused:
        mapped_headers(mapping_of({"sku": "h0"}), headers)
    assert "'h20' and 979 more:" in str(refused.value)
    assert len(str(refused.value)) < 500
