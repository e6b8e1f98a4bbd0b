import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from export_pipelines.artifacts import Column, ExportRequest, ExtensionField, FieldType
from export_pipelines.catalog.database import arrow_schema, backend_of, bulk_insert, create_schema
from export_pipelines.catalog.entities import ENTITIES, Entity, entity
from export_pipelines.catalog.filters import (
    MAX_FILTERS,
    MAX_VALUES,
    parse_filters,
    parse_selection,
)
from export_pipelines.catalog.matchers import MATCHERS
from export_pipelines.catalog.predicates import All, AnyOf, Comparison, Comparisons, Operator
from export_pipelines.catalog.reading import open_snapshots
from export_pipelines.catalog.select import build_select, compile_select
from export_pipelines.errors import RequestError

UTC = timezone.utc
PAGE = Path(__file__).parents[2] / "docs" / "selection.md"


def refusal(name: str, filters: Any) -> str:
    with pytest.raises(RequestError) as caught:
        parse_filters(filters, entity(name))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def parsed(name: str, key: str, value: Any) -> Comparison:
    (found,) = parse_filters({key: value}, entity(name)).conditions
    assert isinstance(found, Comparison)
    return found


def where(found: Comparison | Comparisons) -> str:
    names = [relation.name for relation in found.attribute.path]
    return ".".join([*names, found.attribute.field.name])


def test_no_filters_match_everything() -> None:
    assert parse_filters({}, entity("products")) == All(())


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("name", "x", "x"),
        ("name", "", ""),
        ("ean", 123, "123"),
        ("is_active", True, True),
        ("is_active", "FALSE", False),
        ("is_active", "1", True),
        ("is_active", 0, False),
        ("price_cents", " 12 ", 12),
        ("price_cents", 12.0, 12),
        ("price_cents", -(2**63), -(2**63)),
        ("price", "12.5", 12.5),
        ("price", 12, 12.0),
        ("weight", "1e-7", 1e-7),
        ("created_at", "2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("created_at", "2026-01-31T09:00:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("created_at", "2026-01-31t09:00z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("created_at", " 2026-01-31 09:00:00.5 ", datetime(2026, 1, 31, 9, 0, 0, 500_000, UTC)),
        ("created_at", "2026-01-31T09:00:00+02:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        ("created_at", "2026-01-31T09:00:00-0230", datetime(2026, 1, 31, 11, 30, tzinfo=UTC)),
        ("created_at", "2026-01-31+02:00", datetime(2026, 1, 30, 22, tzinfo=UTC)),
        ("created_at", datetime.fromisoformat("2026-01-31"), datetime(2026, 1, 31, tzinfo=UTC)),
        ("status", "live", "live"),
        ("tags", None, None),
        ("tags_jcont", "sale", ["sale"]),
        ("tags_jcont", '["a", "b"]', ["a", "b"]),
        ("is_active_true", "0", True),
    ],
)
def test_values_are_coerced(field: str, given: Any, expected: Any) -> None:
    found = parsed("products", field, given)
    assert found.value == expected
    assert type(found.value) is type(expected)


def test_times_without_an_offset_are_in_the_zone_given() -> None:
    filters = {"created_at": "2026-07-01T12:00", "updated_at": "2026-07-01T12:00Z"}
    found = parse_filters(filters, entity("products"), ZoneInfo("Europe/Paris"))
    hours = [each.value.hour for each in found.conditions if isinstance(each, Comparison)]
    assert hours == [10, 12]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["draft", "live"], ("draft", "live")),
        (("draft",), ("draft",)),
        ("draft,live", ("draft", "live")),
        ("draft", ("draft",)),
    ],
)
def test_lists_may_be_texts_with_commas_or_one_value(given: Any, expected: Any) -> None:
    assert parsed("products", "status_in", given).value == expected


def test_numbers_in_a_text_with_commas() -> None:
    assert parsed("products", "price_cents_in", "1, 2").value == (1, 2)
    assert parsed("products", "price_cents_in", 3).value == (3,)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('["Bolts, nuts", "a"]', ("Bolts, nuts", "a")),
        ("[a, b]", ("[a", " b]")),
        ("[]", None),
        ("[" * 100_000, None),
    ],
)
def test_values_with_commas_may_be_a_json_array(given: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(RequestError):
            parsed("products", "name_in", given)
    else:
        assert parsed("products", "name_in", given).value == expected


@pytest.mark.parametrize(
    ("name", "key", "attribute", "operator"),
    [
        ("products", "name", "name", Operator.EQUAL),
        ("products", "name_not_in", "name", Operator.NOT_IN),
        ("products", "name_not_in_or_null", "name", Operator.NOT_IN),
        ("products", "name_not_null", "name", Operator.NOT_NULL),
        ("customer_subscriptions", "customer_email", "customer_email", Operator.EQUAL),
        ("customer_subscriptions", "customer_email_in", "customer_email", Operator.IN),
        ("customer_subscriptions", "customer_phone", "customer.phone", Operator.EQUAL),
        ("customer_subscriptions", "customer_status", "customer.status", Operator.EQUAL),
        ("prices", "price_list_currency_code_eq", "price_list.currency_code", Operator.EQUAL),
        ("bundles", "sku_list_name_in", "sku_list.name", Operator.IN),
        ("orders", "customer_customer_group_name", "customer.customer_group.name", Operator.EQUAL),
        ("orders", "line_items_line_item_options_name", None, Operator.EQUAL),
        ("order_list", "currency", "currency", Operator.EQUAL),
        ("order_line_items", "order_number", "order_number", Operator.EQUAL),
    ],
)
def test_keys_name_an_attribute_and_a_matcher(
    name: str, key: str, attribute: str | None, operator: Operator
) -> None:
    value = {Operator.NOT_NULL: True}.get(operator, "prospect")
    (found,) = parse_filters({key: value}, entity(name)).conditions
    if isinstance(found, AnyOf):
        found = found.conditions[0]
    assert isinstance(found, Comparison)
    assert found.operator is operator
    assert where(found) == (attribute or "line_items.line_item_options.name")


def test_several_attributes() -> None:
    key = "name_or_code_or_shipping_category_name_start"
    (found,) = parse_filters({key: "A"}, entity("skus")).conditions
    assert isinstance(found, AnyOf)
    each = [one for one in found.conditions if isinstance(one, Comparison)]
    assert [where(one) for one in each] == ["name", "code", "shipping_category.name"]
    assert {one.value for one in each} == {"A%"}


def test_attributes_with_or_in_their_names() -> None:
    custom = ExtensionField("k", "care", "hot_or_cold", "string")
    known = entity("products", (custom,))
    one, two = f"{custom.header}_eq", f"sku_or_{custom.header}_or_name_start"
    first, second = parse_filters({one: "x", two: "y"}, known).conditions
    assert isinstance(first, Comparison)
    assert where(first) == custom.header
    assert isinstance(second, AnyOf)
    each = [found for found in second.conditions if isinstance(found, Comparison)]
    assert [where(found) for found in each] == ["sku", custom.header, "name"]


def test_an_attribute_may_end_like_a_matcher() -> None:
    fields = entity("products").fields
    found = Entity(entity("products").model)
    found.__dict__["fields"] = {**fields, "name_in": replace(fields["name"], name="name_in")}
    conditions = parse_filters({"name_in": "a,b", "name_in_in": "a,b"}, found).conditions
    values = [each.value for each in conditions if isinstance(each, Comparison)]
    assert values == ["a,b", ("a", "b")]


@pytest.mark.parametrize("name", [*ENTITIES])
def test_every_field_can_be_filtered_or_says_why_not(name: str) -> None:
    for field in entity(name).fields.values():
        if field.filterable:
            assert where(parsed(name, f"{field.name}_null", True)) == field.name
        else:
            expected = f"Filter '{field.name}': {field.name} is "
            assert refusal(name, {field.name: "1"}).startswith(expected)


@pytest.mark.parametrize(
    ("field", "given", "sentence"),
    [
        ("name", True, "True is not a text of at most 10,000 characters"),
        ("name", "a\0b", "'a\\x00b' is not a text of at most 10,000 characters"),
        ("name", "\ud800", "'\\ud800' is not a text of at most 10,000 characters"),
        ("name_cont", "\ud83d\ude00", "'\\ud83d\\ude00' is not a text of at most"),
        ("name_start", "x" * 10_001, "is not a text of at most 10,000 characters"),
        ("is_active", "yes", "'yes' is not true or false, which is_active needs here."),
        ("is_active", 2, "2 is not true or false"),
        ("is_active", None.__class__, "is not true or false"),
        ("name_present", None, "None is not true or false, which name needs here."),
        ("name_null", [True], "[True] is not true or false"),
        ("price_cents", "1.5", "'1.5' is not a whole number, which price_cents needs here."),
        ("price_cents", 1.5, "1.5 is not a whole number"),
        ("price_cents", True, "True is not a whole number"),
        ("price_cents", 2**63, "9223372036854775808 is not a whole number"),
        ("price_cents", math.inf, "inf is not a whole number"),
        ("price_cents", "1_000", "'1_000' is not a whole number"),
        ("price_cents", "", "'' is not a whole number"),
        ("price", "much", "'much' is not a number, which price needs here."),
        ("price", False, "False is not a number"),
        ("price", "1_0", "'1_0' is not a number"),
        ("price", 10**400, "is not a number"),
        ("weight", math.nan, "nan is not a number"),
        ("weight", "-inf", "'-inf' is not a number"),
        (
            "status",
            "lvie",
            "'lvie' is not a value of status, which is one of draft and live.",
        ),
        ("created_at", "yesterday", "is not an ISO 8601 time such as 2026-01-31T09:00:00Z"),
        ("created_at", "2026-13-01", "is not an ISO 8601 time"),
        ("created_at", "20260131", "is not an ISO 8601 time"),
        ("created_at", "2026-W05-1", "is not an ISO 8601 time"),
        ("created_at", "2026-01-31T09", "is not an ISO 8601 time"),
        ("created_at", "2026-01-31T24:00", "is not an ISO 8601 time"),
        ("created_at", "0001-01-01T00:00:00+14:00", "is not an ISO 8601 time"),
        ("created_at", "9999-12-31T23:59:59-14:00", "is not an ISO 8601 time"),
        ("created_at", 1_700_000_000, "1700000000 is not an ISO 8601 time"),
        ("created_at", "Z", "is not an ISO 8601 time"),
        ("created_at", "", "is not an ISO 8601 time"),
        ("tags_jcont", {"a": 1}, "{'a': 1} is not a JSON array, or one text,"),
        ("tags_jcont", "[a", "'[a' is not a JSON array"),
        ("tags_jcont", 1, "1 is not a JSON array"),
        ("tags_jcont", ["\ud800"], "is not a JSON array"),
    ],
)
def test_values_that_do_not_fit_are_refused(field: str, given: Any, sentence: str) -> None:
    assert sentence in refusal("products", {field: given})
    assert refusal("products", {field: given}).startswith(f"Filter '{field}': ")


def deep(levels: int) -> Any:
    document: Any = []
    for _ in range(levels):
        document = [document]
    return document


@pytest.mark.parametrize(
    "given",
    [
        "{a: 1}",
        "",
        "1",
        '"text"',
        "null",
        None,
        3,
        "[NaN]",
        [math.inf],
        {"a": "\ud800"},
        {"\ud800": "a"},
        ["\0"],
        {"a": {1, 2}},
        [2**63],
        {"a": "x" * 10_001},
        deep(21),
        deep(400),
        "[" * 9_000,
        "[" * 20_000,
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_document_is_refused(given: Any) -> None:
    with pytest.raises(RequestError, match=r"is not a JSON object or array, which metadata needs"):
        parse_filters({"metadata_jcont": given}, entity("orders"))


@pytest.mark.parametrize(
    ("name", "filters", "sentence"),
    [
        (
            "products",
            {"colour": "red"},
            "Filter 'colour': There is no products attribute 'colour'. Choose from id, ",
        ),
        (
            "products",
            {"nmae_cont": "red"},
            "Filter 'nmae_cont': There is no products attribute 'nmae'. Did you mean name",
        ),
        ("products", {"name_or_colour_eq": "a"}, "There is no products attribute 'colour'."),
        ("products", {"": "a"}, "Filter '': There is no products attribute ''."),
        ("products", {"_eq": "a"}, "There is no products attribute"),
        ("products", {"name_or__eq": "a"}, "There is no products attribute ''."),
        ("products", {"a\nb": "a"}, "There is no products attribute 'a\\nb'."),
        ("products", {"\ud800": "a"}, "There is no products attribute '\\ud800'."),
        ("products", {7: "a"}, "Filter '7': There is no products attribute '7'."),
        ("orders", {"colour": "a"}, "may stand before its attribute: market_, customer_, "),
        (
            "products",
            {"name_eq_any": "a"},
            "Filter 'name_eq_any', after name: There is no matcher 'eq_any'. Did you mean ",
        ),
        ("products", {"name_i_cont": "a"}, "There is no products attribute 'name_i'."),
        (
            "products",
            {"is_active_cont": "a"},
            "Filter 'is_active_cont': is_active is of type boolean, which has no matcher cont. "
            "Choose from eq, eq_or_null, not_eq, not_eq_or_null, present, ",
        ),
        ("products", {"tags": ["a"]}, "tags is of type list, which has no matcher eq. Choose from"),
        ("products", {"name_true": True}, "name is of type string, which has no matcher true."),
        ("products", {"price_cents_start": 1}, "is of type integer, which has no matcher start."),
        ("orders", {"metadata_in": ["a"]}, "metadata is of type json, which has no matcher in."),
        ("products", {"name_eq": ["a"]}, "not ['a']. For a list there is in."),
        ("products", {"name_not_eq": ["a"]}, "For a list there is not_eq_all."),
        ("products", {"name_eq_or_null": ["a"]}, "For a list there is in_or_null."),
        ("products", {"name_not_eq_or_null": ["a"]}, "For a list there is not_in_or_null."),
        ("products", {"name_not_cont": ["a"]}, "For a list there is not_cont_all."),
        ("products", {"name_start": ["a"]}, "For a list there is start_any."),
        ("products", {"price_lt": (1,)}, "For a list there is lt_any."),
        ("products", {"name_eq": {"a": 1}}, "eq compares with one value, not {'a': 1}."),
        ("products", {"name_in": [["a"]]}, "in compares with one value, not ['a']."),
        ("products", {"name_in": {"a": 1}}, "in compares with one value, not {'a': 1}."),
        (
            "products",
            {"name_in": ["a", None]},
            "in cannot compare with null, which stands for an empty field: use name_null.",
        ),
        ("products", {"name_lt": None}, "lt cannot compare with null"),
        ("orders", {"customer_phone_in": None}, "use customer_phone_null."),
        ("products", {"name_in": []}, "in takes a list of 1 to 10,000 values, not 0."),
        ("products", {"name_in": ["a"] * (MAX_VALUES + 1)}, "1 to 10,000 values, not 10,001."),
        ("products", {"name_cont_any": ["a"] * 501}, "cont_any takes a list of 1 to 500 values"),
        ("products", {"price_cents_in": "1,,2"}, "'' is not a whole number"),
        ("products", {"status_in": ["live", "x"]}, "'x' is not a value of status"),
        (
            "prices",
            {"formatted_amount": "€1"},
            "Filter 'formatted_amount': formatted_amount is amount_cents as people write it, with "
            "the currency's symbol; filter by amount_cents instead.",
        ),
        ("prices", {"formatted_amount_cont": "1"}, "filter by amount_cents instead."),
        ("products", {"name" * 600: "a"}, "is longer than 2,000 characters."),
        ("products", [("name", "a")], "filters must be predicates and their values, such as"),
        ("products", "name=a", "filters must be predicates and their values"),
        ("products", None, "filters must be predicates and their values"),
        (
            "products",
            {f"name_{number}": "a" for number in range(MAX_FILTERS + 1)},
            "filters: 101 are too many: use at most 100.",
        ),
        (
            "products",
            {"name_or_sku_or_slug_or_ean_or_mpn_cont_any": ["a"] * 500},
            "filters: 2,500 comparisons of an attribute with a value are too many: use at most",
        ),
        ("products", {"tags_jcont": [0] * 2_000}, "filters: 2,001 comparisons of an attribute"),
    ],
)
def test_wrong_filters_name_the_culprit(name: str, filters: Any, sentence: str) -> None:
    assert sentence in refusal(name, filters)


def test_long_values_are_shortened_in_sentences() -> None:
    sentence = refusal("products", {"is_active": "x" * 10_000})
    assert len(sentence) < 220
    assert "… is not true or false" in sentence


def test_at_most_five_relations_follow_each_other() -> None:
    steps = ["orders", "customer"] * 3
    found = parsed("orders", "_".join([*steps[1:], "phone"]), "x")
    assert where(found) == ".".join([*steps[1:], "phone"])
    sentence = refusal("customers", {"_".join([*steps, "phone"]): "x"})
    assert "There is no customers attribute 'orders_customer_" in sentence


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def bounds(zone: str, **dates: str) -> dict[Operator, datetime]:
    request = ExportRequest("csv", "orders", **dates)  # type: ignore[arg-type]
    found = parse_selection(request, entity("orders"), zone).conditions
    return {
        each.operator: each.value
        for each in found
        if isinstance(each, Comparison) and where(each) == "placed_at"
    }


@pytest.mark.parametrize(
    ("zone", "written", "first", "end"),
    [
        ("UTC", "2026-01-31", "2026-01-31T00:00+00:00", "2026-02-01T00:00+00:00"),
        ("UTC", "2026-01-31T09:30", "2026-01-31T09:30+00:00", "2026-01-31T09:31+00:00"),
        ("UTC", "2026-01-31T23:59:59Z", "2026-01-31T23:59:59+00:00", "2026-02-01T00:00+00:00"),
        (
            "UTC",
            "2026-01-31T23:59:59.999Z",
            "2026-01-31T23:59:59.999+00:00",
            "2026-02-01T00:00+00:00",
        ),
        ("UTC", "2026-01-31T09:30-05:00", "2026-01-31T14:30+00:00", "2026-01-31T14:31+00:00"),
        ("UTC", "2026-01-31+02:00", "2026-01-30T22:00+00:00", "2026-01-31T22:00+00:00"),
        ("Europe/Paris", "2026-01-31Z", "2026-01-31T00:00+00:00", "2026-02-01T00:00+00:00"),
        ("Europe/Paris", "2026-01-31", "2026-01-30T23:00+00:00", "2026-01-31T23:00+00:00"),
        ("Europe/Paris", "2026-03-29", "2026-03-28T23:00+00:00", "2026-03-29T22:00+00:00"),
        ("Europe/Paris", "2026-10-25", "2026-10-24T22:00+00:00", "2026-10-25T23:00+00:00"),
        ("Europe/Paris", "2026-03-29T01:59", "2026-03-29T00:59+00:00", "2026-03-29T01:00+00:00"),
        ("Europe/Paris", "2026-03-29T02:59", "2026-03-29T01:59+00:00", "2026-03-29T02:00+00:00"),
        ("Europe/Paris", "2026-10-25T02:59", "2026-10-25T00:59+00:00", "2026-10-25T01:00+00:00"),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00+00:00", "2026-03-09T04:00+00:00"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00+00:00", "2026-11-02T05:00+00:00"),
        (
            "America/New_York",
            "2026-11-01T01:59:59",
            "2026-11-01T05:59:59+00:00",
            "2026-11-01T06:00+00:00",
        ),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00+00:00", "2026-03-29T21:00+00:00"),
    ],
)
def test_a_bound_is_as_long_as_it_is_precise(zone: str, written: str, first: str, end: str) -> None:
    both = {
        Operator.GREATER_OR_EQUAL: at(first),
        Operator.LESS: at(end),
    }
    assert bounds(zone, date_from=written, date_to=written) == both
    assert [*bounds(zone, date_from=written).values()] == [at(first)]
    assert [*bounds(zone, date_to=written).values()] == [at(end)]


def test_later_bounds_end_later() -> None:
    for zone in ("Europe/Paris", "America/New_York"):
        for day in ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"):
            start = datetime.fromisoformat(day)
            minutes = [start + timedelta(minutes=count) for count in range(24 * 60)]
            for moment in minutes:
                found = bounds(zone, date_from=moment.isoformat(), date_to=moment.isoformat())
                length = found[Operator.LESS] - found[Operator.GREATER_OR_EQUAL]
                assert length == timedelta(seconds=1)


@pytest.mark.parametrize(
    "written", ["yesterday", "2026-02-30", "31.01.2026", "2026-01-31T9", "20260131", " ", "T09:00"]
)
@pytest.mark.parametrize("name", ["date_from", "date_to"])
def test_what_is_no_date_is_refused(name: str, written: str) -> None:
    with pytest.raises(RequestError) as caught:
        bounds("UTC", **{name: written})
    assert str(caught.value) == (
        f"{name}: {written!r} is not a day such as 2026-01-31 or "
        "an ISO 8601 time such as 2026-01-31T23:59:59Z."
    )


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^date_from 2026-02-01 is later than date_to 2026-01"):
        bounds("UTC", date_from="2026-02-01", date_to="2026-01-31")


def test_a_range_of_dates_includes_both_ends(url: str) -> None:
    moments = [
        "2026-03-28T22:59:59.999",
        "2026-03-28T23:00:00.000",
        "2026-03-29T21:59:59.999",
        "2026-03-29T22:00:00.000",
        None,
    ]
    create_schema(url)
    table = entity("customers").table
    made = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "id": f"k{number}",
            "email": f"{number}@example.com",
            "status": "repeat",
            "accepts_marketing": False,
            "is_blocked": False,
            "user_type": "customer",
            "joined_at": moment and at(f"{moment}+00:00"),
            "reference": str(number),
            "created_at": made,
            "updated_at": made,
        }
        for number, moment in enumerate(moments)
    ]
    schema = arrow_schema(table)
    bulk_insert(url, {table: pa.Table.from_pylist(rows, schema)})
    ranges: list[tuple[dict[str, str], str]] = [
        ({}, "01234"),
        ({"date_from": "2026-03-29"}, "123"),
        ({"date_to": "2026-03-29"}, "012"),
        ({"date_from": "2026-03-29", "date_to": "2026-03-29"}, "12"),
        ({"date_from": "2026-03-29T23:59", "date_to": "2026-03-29T23:59"}, "2"),
        ({"date_from": "2026-03-28T23:00:00Z", "date_to": "2026-03-29T21:59:59Z"}, "12"),
        ({"date_to": "2026-03-29T21:59:59.998Z"}, "01"),
        ({"date_from": "2026-03-29T23:00:00.000+01:00"}, "3"),
    ]
    known = entity("customer_list")
    for dates, expected in ranges:
        request = ExportRequest("csv", "customer_list", **dates)  # type: ignore[arg-type]
        predicate = parse_selection(request, known, "Europe/Paris")
        statement = compile_select(build_select(known, ["id"], predicate), backend_of(url))
        with open_snapshots(url) as (snapshot,):
            batches = snapshot.stream(statement, [Column("id", FieldType.STRING)])
            found = [key for batch in batches for key in batch[0].to_pylist()]
        assert found == [f"k{number}" for number in expected], dates


def test_filters_that_always_hold_come_first() -> None:
    found = parse_selection(ExportRequest("csv", filters={"sku": "x"}), entity("products"), "UTC")
    each = [one for one in found.conditions if isinstance(one, Comparison)]
    assert [(where(one), one.value) for one in each] == [("is_bundle", False), ("sku", "x")]
    request = ExportRequest("csv", "order_line_items")
    (one,) = parse_selection(request, entity("order_line_items"), "UTC").conditions
    assert isinstance(one, Comparison)
    assert where(one) == "order.is_test"


def examples() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    row = re.compile(r"^\| `(\w+)` \| `(\w+)` \| `(\{.*\})` \| ", re.MULTILINE)
    for matcher, name, filters in row.findall(PAGE.read_text(encoding="utf-8")):
        yield matcher, name, json.loads(filters)


def test_the_page_has_an_example_of_each_matcher(sqlite_shop: str) -> None:
    found = list(examples())
    assert [matcher for matcher, *_ in found] != []
    assert sorted(matcher for matcher, *_ in found) == sorted(MATCHERS)
    with open_snapshots(sqlite_shop) as (snapshot,):
        for matcher, name, filters in found:
            (key,) = filters
            names = [each for each in MATCHERS if key.endswith(f"_{each}")]
            assert max(names, key=len) == matcher
            known = entity(name)
            predicate = parse_filters(filters, known)
            statement = compile_select(build_select(known, ["id"], predicate), "sqlite")
            assert snapshot.count(statement) >= 0


def test_the_page_says_what_is_allowed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for limit in ("10,000", "500", "2,000", "100 filters"):
        assert limit in text
