from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import TABLES, entity
from export_pipelines.catalog.models.types import compact_json
from export_pipelines.imports.errors import ERROR_SCHEMA
from export_pipelines.imports.headers import resolve_headers
from export_pipelines.imports.validation import ABSENT_COLUMN, REMOVE, check_rows
from export_pipelines.readers.base import ABSENT, ROW
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.imports.batches import (
    CUSTOM,
    STARTED,
    Cells,
    check,
    errors,
    rows_of,
    rules_of,
)

HEADERS = [*entity("products").stored_fields, *(field.header for field in CUSTOM)]
CELLS = st.one_of(
    st.none(),
    TEXTS,
    st.sampled_from([ABSENT, "", " ", REMOVE, "1", "1.5", "-0", "true", "EUR", "JPY", "live"]),
    st.sampled_from(["NaN", "1e400", str(2**63), "2024-01-01", STARTED, "0001-01-01"]),
    st.sampled_from(["{}", "[]", '["a"]', '["\\ud800"]', "[" * 3_000, "👩" * 256, "ﷺ" * 255]),
)


def column(checked: Any, name: str) -> list[Any]:
    found: list[Any] = checked.rows.get_column(name).to_list()
    return found


def absent(checked: Any) -> list[set[str]]:
    """Return the columns that each row says nothing about."""
    return [set(filter(None, (names or "").split(","))) for names in column(checked, ABSENT_COLUMN)]


@pytest.mark.parametrize("name", ["products", "suppliers", "orders", "stock_items"])
@given(data=st.data())
def test_every_row_is_checked_whatever_it_has(name: str, data: st.DataObject) -> None:
    known = HEADERS if name == "products" else list(TABLES[name].stored_fields)
    headers = data.draw(st.lists(st.sampled_from(known), unique=True, max_size=6))
    headers = list(dict.fromkeys(["id", *headers]))
    height = data.draw(st.integers(0, 4))
    cells = st.lists(CELLS, min_size=height, max_size=height)
    rows = rows_of({header: data.draw(cells) for header in headers})
    rules = rules_of(headers, name)
    checked = check_rows(rules, rows)
    good = checked.rows.get_column(ROW).to_list()
    bad = set(checked.errors["row"])
    assert sorted([*good, *bad]) == rows[ROW].to_list()
    assert checked.failed == len(bad)
    assert checked.rows.columns == [ROW, *rules.columns, ABSENT_COLUMN]
    assert checked.errors.schema == ERROR_SCHEMA
    assert not checked.errors.select("row", "column").is_duplicated().any()
    assert set(checked.errors["column"]) <= set(headers)
    assert all(reason.endswith(".") for reason in checked.errors["reason"])
    assert set(checked.custom[ROW]) <= set(good)
    assert checked.rows["id"].null_count() == 0
    assert set(rules.made) <= set(checked.rows.drop_nulls(list(rules.made)).columns)
    assert checked.absent <= set(rules.columns)


@settings(max_examples=25)
@given(data=st.data())
def test_batches_have_the_same_types_whatever_is_in_them(data: st.DataObject) -> None:
    cells = st.lists(CELLS, min_size=2, max_size=2)
    some = check({header: data.draw(cells) for header in HEADERS})
    none = check({header: [] for header in HEADERS})
    assert some.rows.schema == none.rows.schema
    assert some.custom.schema == none.custom.schema


def test_rows_get_the_types_of_the_catalogue() -> None:
    checked = check(
        {
            " SKU": ["a"],
            "Price": ["12.34"],
            "weight": [" 1.5"],
            "is_active": ["no"],
            "tags": ["a, b"],
            "status": ["LIVE"],
            "_created_at": ["2024-07-01T12:00:00"],
        }
    )
    assert errors(checked) == []
    [row] = checked.rows.drop("id").rows(named=True)
    assert row == {
        ROW: 2,
        "sku": "a",
        "price_cents": 1234,
        "weight": 1.5,
        "is_active": False,
        "tags": compact_json(["a", "b"]),
        "status": "live",
        "created_at": datetime(2024, 7, 1, 10, tzinfo=timezone.utc),
        "slug": column(checked, "id")[0],
        ABSENT_COLUMN: ",slug,",
    }


@pytest.mark.parametrize(
    ("header", "cell", "code", "reason"),
    [
        ("name", None, "required", "name must not be empty."),
        ("status", "", "required", "status must not be empty."),
        ("Status", "sold", "not_allowed", "Status: 'sold' is none of draft and live."),
        ("price_cents", "1.5", "not_an_integer", "price_cents: '1.5' is no whole number."),
        ("weight", "NaN", "not_a_number", "weight: 'NaN' is no number."),
        ("price", "1,5", "not_a_number", "price: '1,5' is no number."),
        ("price", "1.234", "too_precise", "price: '1.234' has more decimals than its currency."),
        ("price", "1e30", "too_large", "price: '1e30' is too large."),
        ("is_active", "x", "not_a_boolean", "is_active: 'x' is neither true nor false."),
        (
            "created_at",
            "29.02.",
            "not_a_time",
            "created_at: '29.02.' is no time such as 2026-01-31 or 2026-01-31T09:00:00Z.",
        ),
        ("tags", "[1]", "not_a_list", "tags: '[1]' is no list of texts."),
        (
            "is_bundle",
            "1",
            "bundle",
            "is_bundle: '1' says that it is a bundle, which is not imported.",
        ),
        ("currency_code", "EURO", "too_long", "currency_code: 'EURO' has more than 3 characters."),
        (
            "currency_code",
            "eur",
            "malformed",
            "currency_code: 'eur' is not of the form: a code in capitals.",
        ),
        (
            "template: care:integer",
            "x",
            "not_allowed",
            "template: care:integer: 'x' is no value of the type integer.",
        ),
    ],
)
def test_errors_say_what_is_wrong_in_the_words_of_the_file(
    header: str, cell: str | None, code: str, reason: str
) -> None:
    checked = check(
        {"sku": ["a", "b"], header: [None, cell] if header == "price" else [cell, cell]}
    )
    found = checked.errors.rows()
    assert found[-1] == (3, header, cell, code, reason)


def test_values_in_errors_are_short() -> None:
    [error] = check({"sku": ["a"], "name": ["x\n" * 500_000]}).errors.rows(named=True)
    assert len(error["value"]) == 101
    assert len(error["reason"]) < 200


def test_a_row_with_several_errors_failed_once() -> None:
    checked = check({"sku": ["a", "b"], "name": [None, "n"], "status": ["x", "live"]})
    assert errors(checked) == [(2, "name", "required"), (2, "status", "not_allowed")]
    assert checked.failed == 1
    assert column(checked, "sku") == ["b"]


def test_empty_cells_empty_a_field_and_quoted_ones_are_texts() -> None:
    checked = check(
        {
            "sku": ["a", "b"],
            "brand": [None, ""],
            "supplier_id": [None, ""],
            "weight": [None, ""],
            "tags": [None, ""],
            "price": [None, ""],
        }
    )
    assert errors(checked) == []
    assert column(checked, "brand") == [None, ""]
    for name in ("supplier_id", "weight", "tags", "price_cents"):
        assert column(checked, name) == [None, None]
    assert checked.absent == {"slug"}


def test_what_new_rows_get_by_itself_may_be_left_empty() -> None:
    empty: Cells = [None, ""]
    headers = ["id", "is_active", "is_bundle", "currency_code", "created_at"]
    checked = check({"sku": ["a", "b"], **dict.fromkeys(headers, empty)})
    assert errors(checked) == [(3, "currency_code", "malformed")]
    assert absent(checked) == [{*headers[1:], "slug"}]


def test_absent_members_are_left_alone() -> None:
    checked = check(
        {"sku": ["a", "b", "c"], "name": [ABSENT, "n", ABSENT], "brand": [None, ABSENT, "x"]}
    )
    assert errors(checked) == []
    assert absent(checked) == [{"name", "slug"}, {"brand", "slug"}, {"name", "slug"}]
    assert checked.absent == {"name", "brand", "slug"}
    assert column(checked, "name") == [None, "n", None]


@pytest.mark.parametrize("header", [header for header in HEADERS if header != "id"])
def test_a_column_that_is_absent_everywhere_is_no_error(header: str) -> None:
    checked = check({"id": ["a", "b"], header: [ABSENT, ABSENT]})
    assert errors(checked) == []
    custom = header.startswith("template:")
    assert checked.custom["value"].to_list() == ([None, None] if custom else [])


def test_amounts_beside_their_cents_must_agree() -> None:
    cells: dict[str, Cells] = {
        "sku": list("abcdefg"),
        "price": ["1.00", "1", "2.00", None, "1.00", None, "1.234"],
        "price_cents": ["100", "100", "100", "100", None, None, "100"],
    }
    checked = check(cells)
    assert errors(checked) == [
        (8, "price", "too_precise"),
        (4, "price", "amounts_differ"),
        (5, "price", "amounts_differ"),
        (6, "price", "amounts_differ"),
    ]
    assert "price: '2.00' is not what price_cents says" in checked.errors["reason"][1]
    assert column(checked, "price_cents") == [100, 100, None]


def test_amounts_are_not_compared_with_what_is_wrong() -> None:
    checked = check(
        {
            "sku": ["a", "b"],
            "price": ["1.00", "1.001"],
            "price_cents": ["x", "100"],
            "currency_code": ["EUR", "eur"],
        }
    )
    assert errors(checked) == [
        (2, "price_cents", "not_an_integer"),
        (3, "currency_code", "malformed"),
    ]


def test_amounts_stand_in_for_absent_cents() -> None:
    checked = check(
        {
            "sku": list("abcd"),
            "price_cents": [ABSENT, "100", ABSENT, ABSENT],
            "price": ["2.00", ABSENT, ABSENT, None],
        }
    )
    assert errors(checked) == []
    assert column(checked, "price_cents") == [200, 100, None, None]
    assert ["price_cents" in names for names in absent(checked)] == [False, False, True, False]


def test_amounts_are_of_the_currency_of_their_row() -> None:
    checked = check(
        {"sku": list("abc"), "price": ["12"] * 3, "currency_code": ["JPY", "KWD", None]}
    )
    assert column(checked, "price_cents") == [12, 12_000, 1_200]


def test_amounts_that_a_row_needs_must_be_there() -> None:
    resource_type, name = next(
        (known, name)
        for known, found in TABLES.items()
        for name, field in found.stored_fields.items()
        if field.derivation and field.derivation.kind == "decimal" and not field.nullable
    )
    checked = check({"id": ["a", "b", "c"], name: [None, "", ABSENT]}, resource_type)
    assert errors(checked) == [(2, name, "required"), (3, name, "required")]


def test_rows_without_a_key_are_wrong() -> None:
    checked = check(
        {"Sku": [None, "a", "", ABSENT], "ID": ["", None, None, "b"], "name": ["n"] * 4}
    )
    assert errors(checked) == [(2, "ID", "no_key")]
    assert checked.errors["reason"][0] == (
        "The row has none of ID and Sku: nothing tells which of the table it is."
    )
    assert column(checked, "sku") == ["a", "", None]


def test_a_key_that_is_wrong_is_not_missing_too() -> None:
    assert errors(check({"id": ["x" * 37]})) == [(2, "id", "too_long")]


def test_new_keys_are_made_for_rows_without_one() -> None:
    checked = check({"id": ["mine", None, None], "sku": ["a", "b", "c"]})
    mine, *others = column(checked, "id")
    assert mine == "mine"
    assert len({mine, *others}) == 3
    assert "id" not in checked.absent


def test_addresses_are_made_of_names_or_keys() -> None:
    checked = check(
        {"sku": ["a", "b", "c"], "name": ["Blue Mug", "商品", "x"], "slug": [None, "", "own"]}
    )
    assert errors(checked) == [(3, "slug", "malformed")]
    checked = check(
        {"id": ["a", "b", "c"], "name": ["Blue Mug", "商品", "x"], "slug": [None, None, "own"]}
    )
    assert column(checked, "slug") == ["blue-mug", "b", "own"]
    assert absent(checked) == [{"slug"}, {"slug"}, set()]


def test_custom_fields_are_set_emptied_taken_away_or_left_alone() -> None:
    header = CUSTOM[0].header
    checked = check({"sku": list("abcde"), header: ["oak", "", None, f" {REMOVE} ", ABSENT]})
    assert errors(checked) == []
    assert checked.custom.rows() == [(2, "F0", "oak"), (3, "F0", ""), (6, "F0", None)]
    assert all(header not in names for names in absent(checked))


def test_custom_fields_may_have_any_name() -> None:
    odd = ExtensionField("F9", "a", "b,sku,name", "string")
    targets = resolve_headers(entity("products"), ["sku", "name", odd.header], [odd])
    rules = replace(rules_of(["sku"]), targets=targets)
    checked = check_rows(rules, rows_of({"sku": ["a"], "name": ["n"], odd.header: [ABSENT]}))
    assert absent(checked) == [{"slug"}]


@pytest.mark.parametrize("field", CUSTOM, ids=lambda field: field.type)
def test_custom_fields_of_every_type(field: Any) -> None:
    good = {"string": "x", "integer": "12", "float": "1.5", "boolean": "no", "date": "2024-01-05"}
    checked = check({"sku": list("abcd"), field.header: [good[field.type], "", None, "?!"]})
    assert checked.custom["value"].to_list()[:2] == [good[field.type], ""]
    assert checked.failed == (0 if field.type == "string" else 1)


def test_errors_of_a_mapping_are_the_only_ones_of_their_cells() -> None:
    rows = rows_of({"sku": [None, "b"], "name": [None, None], "price": [None, "1.00"]})
    rows = rows.with_columns(pl.Series("price_cents", ["100", "100"]))
    headers = {"name": "Title", "price": "Preis", "sku": "Article"}
    rules = rules_of(["sku", "name", "price", "price_cents"], file_headers=headers)
    known = [
        (2, "Title", "x", "unknown_value", "It is none."),
        (2, "Preis", "x", "not_a_number", "It is no number."),
        (2, "Article", "x", "unknown_value", "It is none."),
    ]
    wrong = pl.DataFrame(known, schema=ERROR_SCHEMA, orient="row")
    checked = check_rows(rules, rows, wrong)
    assert errors(checked) == [
        *((row, name, code) for row, name, _, code, _ in known),
        (3, "Title", "required"),
    ]
    assert checked.failed == 2
    assert checked.errors["reason"][-1] == "Title must not be empty."
