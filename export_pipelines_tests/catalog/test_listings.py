import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from export_pipelines.artifacts import FieldType
from export_pipelines.catalog.entities import ENTITIES, entity
from export_pipelines.catalog.listings import LISTINGS
from export_pipelines.errors import NoRecords, RequestError
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.contracts.reference import Row
from export_pipelines_tests.formats.test_csv import as_text
from export_pipelines_tests.formats.test_json import as_value
from export_pipelines_tests.test_vendor_requests import VIEWS, View, related, rows_of

ALL = pytest.mark.parametrize("name", VIEWS)
NAMES = """
    order_list order_line_items customer_list transaction_list dispute_list subscription_list
    subscription_line_items open_cart_list open_cart_line_items return_list return_line_items
    fulfillment_list fulfillment_line_items
"""


def exported(url: str, folder: Path, name: str, **request: Any) -> list[dict[str, Any]]:
    (file,) = made_files(url, "json", folder, resource_type=name, **request)
    found: list[dict[str, Any]] = json.loads(Path(file.path).read_bytes())
    return found


def as_json(value: Any) -> Any:
    """Return a stored value as JSON has it; documents are stored as texts of it."""
    return as_text(value) if isinstance(value, datetime) else as_value(value, "float")


def test_there_are_thirteen() -> None:
    assert [listing.name for listing in LISTINGS] == NAMES.split()
    assert all(listing.description.endswith(".") for listing in LISTINGS)


@ALL
def test_each_is_a_resource_type(name: str) -> None:
    known, view = ENTITIES[name], VIEWS[name]
    assert (known.name, known.table.name, known.includes) == (name, view.table, ())
    assert list(known.fields) == list(view.columns)
    assert all(found.name == header for header, found in known.fields.items())
    assert known.fields[known.date_field].type is FieldType.DATETIME
    assert known.fields[known.date_field].source == view.date


@ALL
def test_what_may_be_missing_is_not_said_to_be_never_empty(sqlite_shop: str, name: str) -> None:
    view = VIEWS[name]
    empty = {
        header
        for line in view.lines(sqlite_shop, rows_of(sqlite_shop, view.table))
        for header, value in zip(view.columns, line, strict=True)
        if value is None
    }
    assert empty <= {field.name for field in entity(name).fields.values() if field.nullable}


@ALL
def test_no_field_is_described_by_one_that_is_not_there(name: str) -> None:
    known = entity(name)
    for field in known.fields.values():
        for word in field.description.split():
            assert not word.endswith(("_cents", "_code")) or word in known.fields


@ALL
def test_every_value_of_every_row(tmp_path: Path, shop: str, name: str) -> None:
    view = VIEWS[name]
    documents = {
        found.name
        for found in entity(name).fields.values()
        if found.type in (FieldType.JSON, FieldType.LIST)
    }
    wanted = [
        {
            header: json.loads(value) if header in documents and value else as_json(value)
            for header, value in zip(view.columns, line, strict=True)
        }
        for line in view.lines(shop, view.rows(shop))
    ]
    assert exported(shop, tmp_path, name) == wanted


@pytest.mark.parametrize(
    ("name", "relation", "column", "value"),
    [
        ("order_list", "", "is_test", True),
        ("order_line_items", "order", "is_test", True),
        ("transaction_list", "", "is_test", True),
        ("subscription_list", "", "is_test", True),
        ("subscription_line_items", "subscription", "is_test", True),
        ("open_cart_list", "", "status", "merged"),
        ("open_cart_line_items", "cart", "status", "submitted"),
    ],
)
def test_test_orders_and_carts_that_are_not_open_are_left_out(
    tmp_path: Path, sqlite_shop: str, name: str, relation: str, column: str, value: Any
) -> None:
    view = VIEWS[name]

    def owner(row: Row) -> Row:
        return related(sqlite_shop, view.table, relation, row)[0] if relation else row

    every = rows_of(sqlite_shop, view.table)
    left_out = [row for row in every if owner(row)[column] == value]
    assert left_out
    assert not [row for row in view.rows(sqlite_shop) if row in left_out]
    key = "number" if name == "order_list" else "id"
    exports = {record[key] for record in exported(sqlite_shop, tmp_path, name, fields=[key])}
    assert exports == {row[key] for row in view.rows(sqlite_shop)}


def test_no_filter_brings_them_back(tmp_path: Path, sqlite_shop: str) -> None:
    with pytest.raises(NoRecords, match=r"Only those with status = open are ever exported\."):
        exported(sqlite_shop, tmp_path, "open_cart_list", filters={"status": "merged"})
    with pytest.raises(RequestError, match=r"'is_test': There is no order_list attribute"):
        exported(sqlite_shop, tmp_path, "order_list", filters={"is_test": True})


@ALL
def test_days_are_those_of_the_shop(
    tmp_path: Path, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_TIME_ZONE", "Pacific/Auckland")
    zone, view = ZoneInfo("Pacific/Auckland"), VIEWS[name]

    def day(row: Row) -> Any:
        moment = view.value(sqlite_shop, row, view.date)
        # What the calendar of the zone cannot hold is in no range.
        edge = moment and not 1000 < moment.year < 9000
        return None if moment is None or edge else moment.astimezone(zone).date()

    rows = view.rows(sqlite_shop)
    days = sorted(filter(None, map(day, rows)))
    first, last = days[len(days) // 3], days[-(len(days) // 3) - 1] + timedelta(days=1)
    key = next(iter(view.columns))
    found = exported(
        sqlite_shop, tmp_path, name, date_from=str(first), date_to=str(last), fields=[key]
    )
    wanted = [row for row in rows if (each := day(row)) and first <= each <= last]
    assert [record[key] for record in found] == [row[key] for row in wanted]
    assert wanted


def test_related_resources_cannot_be_exported_with_one() -> None:
    with pytest.raises(RequestError, match="order_list have no related resources that can be"):
        entity("order_list").included("customer", "includes")


def test_a_difference_is_empty_where_either_amount_is() -> None:
    view = View("orders", "placed_at", "")
    row = {"a_cents": 1, "b_cents": None, "currency_code": "EUR"}
    assert view.value("", row, "a_cents-b_cents") is None
    assert view.value("", {**row, "b_cents": 3}, "a_cents-b_cents") == -0.02
