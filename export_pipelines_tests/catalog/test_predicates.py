import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.currencies import CURRENCIES, Currency
from export_pipelines.catalog.database import begin
from export_pipelines.catalog.entities import ENTITIES, Field, entity
from export_pipelines.catalog.predicates import All, parse_filters
from export_pipelines.catalog.reading import Snapshot, open_snapshots
from export_pipelines.catalog.select import build_select, compile_select
from export_pipelines.errors import RequestError

BACKENDS = ("sqlite", "postgresql")
INJECTIONS = [
    "x'; DROP TABLE products; --",
    'x"; DROP TABLE products; --',
    "zqx OR 1=1",
    "%s zqx %(name)s %%",
    "zqx ? $1 :name",
    "zqx\\'); SELECT pg_sleep(9); --",
    "zqx\n/* */ -- ",
    "zqx' UNION ALL SELECT * FROM customers --",
    "zqx名前🙂",
]
UTC = timezone.utc


def matched(snapshot: Snapshot, backend: str, name: str, filters: Mapping[str, Any]) -> list[str]:
    known = entity(name)
    chosen = build_select(known, [known.fields["id"]], parse_filters(filters, known))
    statement = compile_select(chosen, backend)
    batches = snapshot.stream(statement, [known.fields["id"].column])
    return [key for batch in batches for key in batch.column(0).to_pylist()]


class Shops:
    """The same sample shop in both databases, and its rows as Python has them."""

    def __init__(self, sqlite: Snapshot, postgres: Snapshot, url: str) -> None:
        self.snapshots = {"sqlite": sqlite, "postgresql": postgres}
        self._url = url
        self._rows: dict[str, Sequence[Mapping[str, Any]]] = {}

    def rows(self, name: str) -> Sequence[Mapping[str, Any]]:
        if name not in self._rows:
            table = entity(name).table
            with begin(self._url) as connection:
                found = connection.execute(select(table).order_by(table.c.id)).mappings()
                self._rows[name] = [dict(row) for row in found]
        return self._rows[name]

    def values(self, name: str, field: Field) -> list[Any]:
        return [value(row, field) for row in self.rows(name)]


@pytest.fixture(scope="module")
def shops(sqlite_shop: str, postgres_shop: str) -> Iterator[Shops]:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(open_snapshots(url))[0] for url in (sqlite_shop, postgres_shop)
        )
        yield Shops(first, second, sqlite_shop)


def value(row: Mapping[str, Any], field: Field) -> Any:
    if field.derivation is None:
        return row[field.name]
    cents = row[field.derivation.cents]
    digits = CURRENCIES.get(row[field.derivation.currency], Currency()).digits
    return None if cents is None else float(cents) / 10**digits


def spellings(field: Field, wanted: Any) -> st.SearchStrategy[Any]:
    """Return the ways in which a person may write a value."""
    if wanted is None:
        return st.none()
    if isinstance(wanted, bool):
        text = str(wanted)
        return st.sampled_from([wanted, text, text.lower(), str(int(wanted)), int(wanted)])
    if isinstance(wanted, datetime):
        shifted = wanted.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
        naive = wanted.replace(tzinfo=None).isoformat()
        return st.sampled_from([f"{naive}Z", f"{naive}z", naive, shifted.isoformat(), wanted])
    if isinstance(wanted, int):
        return st.sampled_from([wanted, str(wanted), f" {wanted}"])
    if isinstance(wanted, float):
        return st.sampled_from([wanted, repr(wanted)])
    return st.just(wanted)


@st.composite
def filters_of(draw: st.DrawFn, shops: Shops) -> tuple[str, dict[str, Any], list[str]]:
    """Draw a resource type, filters and the keys of the rows that they match."""
    name = draw(st.sampled_from(["products", "suppliers", "orders", "prices", "line_items"]))
    rows = shops.rows(name)
    row = draw(st.sampled_from(rows))
    fields = [field for field in ENTITIES[name].fields.values() if field.expression is not None]
    chosen = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3, unique_by=_name))
    filters: dict[str, Any] = {}
    for field in chosen:
        wanted = value(row, field)
        others = shops.values(name, field)
        if draw(st.integers(0, 3)) == 0:
            wanted = draw(st.sampled_from(others))
        if field.type is FieldType.STRING and not field.values and draw(st.integers(0, 9)) == 0:
            wanted = draw(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
            )
        if field.type in (FieldType.JSON, FieldType.LIST):
            wanted = None
        filters[field.name] = draw(spellings(field, wanted))
        rows = [one for one in rows if value(one, field) == wanted]
    return name, filters, [one["id"] for one in rows]


def _name(field: Field) -> str:
    return field.name


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_filters_match_what_python_matches(shops: Shops, data: st.DataObject) -> None:
    name, filters, expected = data.draw(filters_of(shops))
    for backend, snapshot in shops.snapshots.items():
        assert matched(snapshot, backend, name, filters) == expected, backend


def test_every_field_can_be_filtered_or_says_why_not(shops: Shops) -> None:
    for name in ("products", "orders", "prices", "stock_items", "gift_cards"):
        for field in entity(name).fields.values():
            if field.expression is None:
                with pytest.raises(RequestError, match=f"'{field.name}'.*filter by .*_cents"):
                    parse_filters({field.name: "1"}, entity(name))
                continue
            values = shops.values(name, field)
            present = [found for found in values if found is not None]
            if present and field.type not in (FieldType.JSON, FieldType.LIST):
                counts = {
                    len(matched(snapshot, backend, name, {field.name: present[-1]}))
                    for backend, snapshot in shops.snapshots.items()
                }
                assert counts == {values.count(present[-1])}, field.name
            counts = {
                len(matched(snapshot, backend, name, {field.name: None}))
                for backend, snapshot in shops.snapshots.items()
            }
            assert counts == {len(values) - len(present)}, field.name


def test_empty_text_is_not_an_empty_field(shops: Shops) -> None:
    expected = {
        wanted: [row["id"] for row in shops.rows("products") if row["brand"] == wanted]
        for wanted in ("", None)
    }
    assert all(expected.values())
    for backend, snapshot in shops.snapshots.items():
        for wanted, keys in expected.items():
            assert matched(snapshot, backend, "products", {"brand": wanted}) == keys


@pytest.mark.parametrize("text", INJECTIONS)
def test_values_are_bound_and_match_only_themselves(shops: Shops, text: str) -> None:
    known = entity("products")
    predicate = parse_filters({"name": text, "slug": text}, known)
    for backend, snapshot in shops.snapshots.items():
        statement = compile_select(build_select(known, [known.fields["id"]], predicate), backend)
        assert "zqx" not in statement.sql
        assert "DROP" not in statement.sql
        assert [bound for _, bound in statement.parameters] == [text, text]
        assert matched(snapshot, backend, "products", {"name": text}) == []
        assert len(matched(snapshot, backend, "products", {})) == 1_200


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_and_times_are_bound_too(backend: str) -> None:
    known = entity("products")
    filters = {
        "price_cents": 987654321,
        "weight": 98765.4321,
        "price": 12345.678,
        "created_at": "1987-06-05T04:03:02.987Z",
    }
    chosen = build_select(known, [known.fields["id"]], parse_filters(filters, known))
    statement = compile_select(chosen, backend)
    assert len(statement.parameters) == 4
    for literal in ("987654321", "98765", "12345", "1987", "987"):
        assert literal not in statement.sql


@pytest.mark.parametrize("name", [*INJECTIONS, "", "id ", "ID", "products.id", "id = id", "a\0b"])
def test_field_names_are_never_sql(name: str) -> None:
    with pytest.raises(RequestError, match=r"^filters: There is no products field ") as caught:
        parse_filters({name: "x"}, entity("products"))
    assert "\n" not in str(caught.value)


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
        ("created_at", "2026-01-31T09:00:00+02:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        ("created_at", datetime.fromisoformat("2026-01-31"), datetime(2026, 1, 31, tzinfo=UTC)),
        ("status", "live", "live"),
        ("tags", None, None),
    ],
)
def test_values_are_coerced(field: str, given: Any, expected: Any) -> None:
    (condition,) = parse_filters({field: given}, entity("products")).conditions
    assert condition.value == expected
    assert type(condition.value) is type(expected)


@pytest.mark.parametrize(
    ("field", "given", "sentence"),
    [
        ("name", ["x"], "Filter 'name': ['x'] is not a text that a database can hold."),
        ("name", True, "Filter 'name': True is not a text that a database can hold."),
        ("name", "a\0b", "Filter 'name': 'a\\x00b' is not a text that a database can hold."),
        ("name", "\ud800", "Filter 'name': '\\ud800' is not a text that a database can hold."),
        ("is_active", "yes", "Filter 'is_active': 'yes' is not true or false."),
        ("is_active", 2, "Filter 'is_active': 2 is not true or false."),
        ("price_cents", "1.5", "Filter 'price_cents': '1.5' is not a whole number."),
        ("price_cents", 1.5, "Filter 'price_cents': 1.5 is not a whole number."),
        ("price_cents", True, "Filter 'price_cents': True is not a whole number."),
        ("price_cents", 2**63, "Filter 'price_cents': 9223372036854775808 is not a whole number."),
        ("price_cents", math.inf, "Filter 'price_cents': inf is not a whole number."),
        ("price", "much", "Filter 'price': 'much' is not a number."),
        ("price", False, "Filter 'price': False is not a number."),
        ("weight", math.nan, "Filter 'weight': nan is not a number."),
        ("weight", "-inf", "Filter 'weight': '-inf' is not a number."),
        ("weight", {}, "Filter 'weight': {} is not a number."),
        (
            "status",
            "lvie",
            "Filter 'status': 'lvie' is not a value of products.status, which is one of draft "
            "and live.",
        ),
        (
            "tags",
            ["a"],
            "Filter 'tags': a list field can only be compared with null, which stands for an "
            "empty field.",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(field: str, given: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_filters({field: given}, entity("products"))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "given",
    [
        "yesterday",
        "2026-13-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        1_700_000_000,
        {"a": 1},
        ["2026-01-01"],
        "Z",
        "",
    ],
)
def test_times_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(RequestError, match=r"^Filter 'created_at': .* is not an ISO 8601 time"):
        parse_filters({"created_at": given}, entity("products"))


def test_long_values_are_shortened_in_sentences() -> None:
    with pytest.raises(RequestError) as caught:
        parse_filters({"is_active": "x" * 10_000}, entity("products"))
    assert len(str(caught.value)) < 200
    assert str(caught.value).endswith("… is not true or false.")


def test_formatted_amounts_name_the_field_to_filter_by() -> None:
    with pytest.raises(RequestError, match=r"filter by amount_cents instead\.$"):
        parse_filters({"formatted_amount": "€1"}, entity("prices"))


def test_no_filters_match_everything() -> None:
    assert parse_filters({}, entity("products")) == All(())
