import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import ENTITIES, Field, FieldRole, entity
from export_pipelines.catalog.headers import fixed_fields
from export_pipelines.catalog.selection import Chosen, Skips, choose
from export_pipelines.errors import RequestError

ORDERS = entity("orders")
SKUS = entity("skus")
CUSTOMERS = entity("customers")
CUSTOM = (
    ExtensionField("1", "care", "material", "string"),
    ExtensionField("2", "care", "washable", "boolean"),
)
PRODUCTS = entity("products", CUSTOM)
MATERIAL, WASHABLE = "template:care:material", "template:care:washable"


def names(chosen: Chosen) -> list[Any]:
    """Return the names of members in order; that of a relation with its members' ones."""
    return [
        member.name if isinstance(member, Field) else (member.relation.name, names(member.chosen))
        for member in chosen.members
    ]


def all_of(name: str) -> list[str]:
    return list(ENTITIES[name].fields)


def test_all_own_fields_are_chosen_unless_some_are_named() -> None:
    assert names(choose(ORDERS)) == all_of("orders")
    assert names(choose(ORDERS, ["*"])) == all_of("orders")


@given(st.permutations(all_of("customers")), st.integers(1, len(all_of("customers"))))
def test_fields_come_in_the_order_asked_for(order: list[str], count: int) -> None:
    assert names(choose(CUSTOMERS, order[:count])) == order[:count]


@given(st.sets(st.sampled_from(all_of("customers")), max_size=len(all_of("customers")) - 1))
def test_what_is_excluded_is_left_out_and_the_rest_keeps_its_order(excluded: set[str]) -> None:
    left = [name for name in all_of("customers") if name not in excluded]
    assert names(choose(CUSTOMERS, exclude_fields=sorted(excluded))) == left
    assert names(choose(CUSTOMERS, ["*"], sorted(excluded))) == left


def test_a_star_stands_for_all_that_were_not_named_before() -> None:
    rest = [name for name in all_of("customers") if name != "email"]
    assert names(choose(CUSTOMERS, ["email", "*"])) == ["email", *rest]
    assert names(choose(CUSTOMERS, ["*", "email"])) == all_of("customers")


@pytest.mark.parametrize(
    ("fields", "includes", "expected"),
    [
        (["id", "customer.email"], [], ["id", ("customer", ["email"])]),
        (["customer.email", "id"], [], [("customer", ["email"]), "id"]),
        (["customer.email"], [], [("customer", ["email"])]),
        (["id", "customer.email", "customer.id"], [], ["id", ("customer", ["email", "id"])]),
        (["id", "customer.*"], [], ["id", ("customer", all_of("customers"))]),
        (["id"], ["customer"], ["id", ("customer", all_of("customers"))]),
        (["id", "customer.email"], ["customer"], ["id", ("customer", ["email"])]),
        (["id", "customer.*"], ["customer"], ["id", ("customer", all_of("customers"))]),
        (
            ["id", "customer.email", "status"],
            ["line_items"],
            ["id", ("customer", ["email"]), "status", ("line_items", all_of("line_items"))],
        ),
        (
            ["line_items.line_item_options.name", "id"],
            [],
            [("line_items", [("line_item_options", ["name"])]), "id"],
        ),
        (
            ["line_items.id", "line_items.line_item_options.name"],
            ["line_items", "line_items.line_item_options"],
            [("line_items", ["id", ("line_item_options", ["name"])])],
        ),
        (
            ["id", "line_items.line_item_options.*"],
            [],
            ["id", ("line_items", [("line_item_options", all_of("line_item_options"))])],
        ),
    ],
)
def test_fields_of_related_resources_include_them(
    fields: list[str], includes: list[str], expected: list[Any]
) -> None:
    assert names(choose(ORDERS, fields, includes=includes)) == expected


def test_includes_come_after_the_own_fields_in_the_order_asked_for() -> None:
    chosen = choose(SKUS, includes=["stock_items", "prices.price_tiers", "shipping_category"])
    assert names(chosen) == [
        *all_of("skus"),
        ("stock_items", all_of("stock_items")),
        ("prices", [*all_of("prices"), ("price_tiers", all_of("price_tiers"))]),
        ("shipping_category", all_of("shipping_categories")),
    ]


@pytest.mark.parametrize(
    "includes",
    [["prices", "prices.price_tiers"], ["prices.price_tiers", "prices"], ["prices.price_tiers"]],
)
def test_a_deeper_include_includes_what_is_above(includes: list[str]) -> None:
    expected = [("prices", [*all_of("prices"), ("price_tiers", all_of("price_tiers"))])]
    assert names(choose(SKUS, ["id"], includes=includes)) == ["id", *expected]


@pytest.mark.parametrize("known", ENTITIES.values(), ids=list(ENTITIES))
def test_each_allowed_include_can_be_chosen_and_all_together(known: Any) -> None:
    for path in known.includes:
        assert names(choose(known, includes=[path]))[-1][0] == path.split(".")[0]
    first = list(dict.fromkeys(path.split(".")[0] for path in known.includes))
    chosen = names(choose(known, includes=known.includes))
    assert [member[0] for member in chosen[len(known.fields) :]] == first


def test_excluding_fields_of_related_resources() -> None:
    left = [name for name in all_of("customers") if name not in ("id", "email")]
    excluded = ["customer.id", "customer.email", "number"]
    chosen = choose(ORDERS, exclude_fields=excluded, includes=["customer"])
    rest = [name for name in all_of("orders") if name != "number"]
    assert names(chosen) == [*rest, ("customer", left)]
    excluded = ["customer.*", "line_items.line_item_options.*"]
    includes = ["customer", "line_items.line_item_options"]
    chosen = choose(ORDERS, ["id"], excluded, includes)
    assert names(chosen) == ["id", ("line_items", all_of("line_items"))]


def test_to_exclude_what_is_not_included_changes_nothing() -> None:
    assert names(choose(ORDERS, ["id"], ["customer.email", "number"])) == ["id"]
    assert names(choose(ORDERS, ["id"], ["number", "number"])) == ["id"]


def test_custom_fields_by_name_and_all_at_once() -> None:
    stored = list(ENTITIES["products"].fields)
    assert names(choose(PRODUCTS)) == [*stored, MATERIAL, WASHABLE]
    assert names(choose(PRODUCTS, ["sku", "template:*"])) == ["sku", MATERIAL, WASHABLE]
    assert names(choose(PRODUCTS, [WASHABLE, "template:*"])) == [WASHABLE, MATERIAL]
    assert names(choose(PRODUCTS, exclude_fields=["template:*"])) == stored
    assert names(choose(PRODUCTS, exclude_fields=[MATERIAL])) == [*stored, WASHABLE]
    assert names(choose(PRODUCTS, ["*"], [WASHABLE])) == [*stored, MATERIAL]


def skipped(skips: Skips, **request: Any) -> tuple[set[str], set[str]]:
    """Return the own fields and those of customers that are left out."""
    *own, (_, customer) = names(choose(ORDERS, includes=["customer"], skips=skips, **request))
    return set(all_of("orders")) - set(own), set(all_of("customers")) - set(customer)


def test_skip_flags() -> None:
    times = {"created_at", "updated_at"}
    assert skipped(Skips(ids=True)) == ({"id"}, set())
    own, related = skipped(Skips(rel_ids=True))
    assert own == {name for name in all_of("orders") if name.endswith("_id")}
    assert related == {"id", "customer_group_id"}
    assert skipped(Skips(timestamps=True)) == (times, times)
    own, related = skipped(Skips(amount_formats=True))
    assert related == set()
    assert own == {
        name
        for name in all_of("orders")
        if name.endswith("_float") or name.startswith("formatted_")
    }
    assert skipped(Skips()) == (set(), set())


def test_what_is_asked_for_by_name_is_not_skipped() -> None:
    every = Skips(ids=True, rel_ids=True, timestamps=True, amount_formats=True)
    fields = ["id", "customer_id", "created_at", "total_amount_float", "customer.id"]
    assert names(choose(ORDERS, fields, skips=every)) == [*fields[:-1], ("customer", ["id"])]
    assert "id" not in names(choose(ORDERS, ["*"], skips=every))


@pytest.mark.parametrize("known", ENTITIES.values(), ids=list(ENTITIES))
def test_every_foreign_key_of_every_resource_is_a_relationship_id(known: Any) -> None:
    skips = Skips(ids=True, rel_ids=True)
    left = set(names(choose(known, skips=skips)))
    for name, field in known.fields.items():
        if field.role in (FieldRole.KEY, FieldRole.FOREIGN_KEY):
            assert name not in left
    if not known.listing:
        elsewhere = {"profile_id", "external_id", "network_transaction_id"}
        assert {name for name in left if name == "id" or name.endswith("_id")} <= elsewhere


@pytest.mark.parametrize(
    ("fields", "exclude_fields", "includes", "sentence"),
    [
        (["colour"], [], [], r"^fields: There is no orders field 'colour'\..* Choose from id, .*"),
        (["numbr"], [], [], r"^fields: There is no orders field 'numbr'\. Did you mean number"),
        ([], ["numbr"], [], r"^exclude_fields: There is no orders field 'numbr'\. Did you mean"),
        (
            ["number", "number"],
            [],
            [],
            r"^fields names number more than once: name each only once\.$",
        ),
        (["id", "id"], [], [], r"^fields names id more than once: name each only once\.$"),
        ([], [], ["customer"] * 2, r"^includes names customer more than once: name each only"),
        (["id"], ["id"], [], r"^id cannot be in both fields and exclude_fields: keep one of"),
        (
            ["customer.email"],
            ["customer.email"],
            [],
            r"^customer\.email cannot be in both fields and exclude_fields",
        ),
        (
            ["id", "customer.email"],
            ["customer.*"],
            [],
            r"email cannot be in both fields and exclude_fields",
        ),
        (
            ["customer"],
            [],
            [],
            r"^fields: customer is a related resource of orders: write customer",
        ),
        ([], ["customer"], [], r"^exclude_fields: customer is a related resource of orders: "),
        (["colour.name"], [], [], r"^fields: There is no orders field 'colour'"),
        (["customer.colour"], [], [], r"^fields: There is no customers field 'colour'"),
        (
            ["market.name"],
            [],
            [],
            r"^fields: 'market' cannot be exported with orders\. Choose from",
        ),
        ([], [], ["market"], r"^includes: 'market' cannot be exported with orders\. Choose from"),
        ([], [], ["colour"], r"^includes: 'colour' cannot be exported with orders\. Choose from"),
        ([], [], ["customer.orders"], r"^includes: 'customer\.orders' cannot be exported with"),
        ([], [], [""], r"^includes: '' cannot be exported with orders\. Choose from"),
        ([], [], ["line_items."], r"^includes: 'line_items\.' cannot be exported with orders"),
        ([""], [], [], r"^fields: There is no orders field ''"),
        (["."], [], [], r"^fields: There is no orders field"),
        (["customer."], [], [], r"^fields: There is no customers field ''"),
        (["template:*"], [], [], r"^fields: .*orders.*template"),
        ([], ["*"], [], r"^exclude_fields and the skip options leave no field of orders to export"),
        ([], all_of("orders"), [], r"leave no field of orders to export: exclude fewer\.$"),
        (["number'; DROP TABLE orders"], [], [], r"^fields: There is no orders field"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    fields: Sequence[str], exclude_fields: Sequence[str], includes: Sequence[str], sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence) as caught:
        choose(ORDERS, fields, exclude_fields, includes)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["addresses", "coupons", "gift_cards", "line_items"])
def test_nothing_can_be_included_with_some(name: str) -> None:
    with pytest.raises(RequestError, match=f"^includes: {name} have no related resources"):
        choose(entity(name), includes=["customer"])


def test_a_skip_can_leave_nothing() -> None:
    with pytest.raises(RequestError, match="the skip options leave no field of orders"):
        choose(ORDERS, exclude_fields=all_of("orders")[1:], skips=Skips(ids=True))


@pytest.mark.parametrize(
    ("fields", "includes", "fixed", "expected"),
    [
        (["id", "status"], [], ["b", "a"], ["id", "status", "b", "a"]),
        (["id", "a", "status"], [], ["b", "a"], ["id", "a", "status", "b"]),
        (["a", "customer.email"], [], ["a"], ["a", ("customer", ["email"])]),
        (["customer.email"], [], ["a"], [("customer", ["email"]), "a"]),
        (
            ["id", "a"],
            ["customer"],
            ["a", "b"],
            ["id", "a", ("customer", all_of("customers")), "b"],
        ),
        (["a"], ["customer"], ["a"], ["a", ("customer", all_of("customers"))]),
        (["id", "customer", "status"], [], ["customer"], ["id", "customer", "status"]),
        (["number", "id"], [], ["number"], ["number", "id", "number"]),
        (
            ["customer.email", "id"],
            [],
            ["customer.email"],
            [("customer", ["email"]), "id", "customer.email"],
        ),
        (["*", "a"], [], ["a", "*"], [*all_of("orders"), "a", "*"]),
        ([], [], ["a"], [*all_of("orders"), "a"]),
    ],
)
def test_fixed_columns_come_last_unless_they_are_named(
    fields: list[str], includes: list[str], fixed: list[str], expected: list[Any]
) -> None:
    columns = fixed_fields(dict.fromkeys(fixed, 1))
    assert names(choose(ORDERS, fields, includes=includes, fixed=columns)) == expected


def test_nothing_but_fixed_columns_is_refused() -> None:
    columns = fixed_fields({"a": 1, "b": 2})
    with pytest.raises(RequestError, match=r"^fields names only fixed columns: add at least one"):
        choose(ORDERS, ["b", "a"], fixed=columns)
    with pytest.raises(RequestError, match=r"^exclude_fields and the skip options leave no field"):
        choose(ORDERS, [], ["*"], fixed=columns)
    with pytest.raises(RequestError, match=r"^fields names a more than once"):
        choose(ORDERS, ["id", "a", "a"], fixed=columns)
    with pytest.raises(RequestError, match=r"^exclude_fields: There is no orders field 'a'\."):
        choose(ORDERS, ["id"], ["a"], fixed=columns)


def test_many_names_are_soon_seen_to_be_repeated() -> None:
    began = time.monotonic()
    with pytest.raises(RequestError, match=r"^fields names id more than once"):
        choose(ORDERS, ["id"] * 20_000)
    assert time.monotonic() - began < 5
