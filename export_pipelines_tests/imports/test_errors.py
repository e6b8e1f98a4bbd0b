import polars as pl

from export_pipelines.imports.errors import (
    ERROR_SCHEMA,
    error_frame,
    errors_of,
    placed,
    shortened,
)


def test_errors_are_a_frame() -> None:
    frame = error_frame(
        [{"row": 3, "column": "sku", "value": "x" * 200, "code": "taken", "reason": "It is."}]
    )
    assert frame.schema == ERROR_SCHEMA
    assert frame.row(0) == (3, "sku", "x" * 100 + "…", "taken", "It is.")
    assert error_frame([]).schema == ERROR_SCHEMA


def test_values_are_shortened_by_characters() -> None:
    texts = pl.Series(["👩" * 100, "👩" * 101, None, ""], dtype=pl.String)
    assert shortened(texts).to_list() == ["👩" * 100, "👩" * 100 + "…", None, ""]


def test_reasons_quote_values() -> None:
    found = errors_of(
        pl.Series([2, 5], dtype=pl.UInt32),
        pl.Series(["a\nb", None], dtype=pl.String),
        header="Weight",
        code="not_a_number",
        what="is no number",
    )
    assert found.schema == ERROR_SCHEMA
    assert found.rows() == [
        (2, "Weight", "a\nb", "not_a_number", "Weight: 'a\\nb' is no number."),
        (5, "Weight", None, "not_a_number", "Weight is no number."),
    ]


def test_reasons_of_long_cells_stay_short() -> None:
    found = errors_of(
        pl.Series([2], dtype=pl.UInt32),
        pl.Series(["\x01" * 1_000_000]),
        header="sku",
        code="too_long",
        what="has more than 255 characters",
    )
    assert len(found["reason"][0]) < 200
    assert len(found["value"][0]) == 101


def test_reasons_of_a_mapping_say_where() -> None:
    wrong = pl.DataFrame(
        [(4, "kg", "y" * 300, "not_a_number", "It is no number.")],
        schema=ERROR_SCHEMA,
        orient="row",
    )
    [(row, column, value, code, reason)] = placed(wrong).rows()
    assert (row, column, value, code) == (4, "kg", "y" * 100 + "…", "not_a_number")
    assert reason == f"kg: '{'y' * 99}…. It is no number."
    assert placed(wrong.clear()).schema == ERROR_SCHEMA
