"""The example requests of the vendors, from the command line, against plain Python over tables."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from export_pipelines.cli import main
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.contracts.reference import Row, decimal_amount, expected_export
from export_pipelines_tests.formats.test_csv import as_text
from export_pipelines_tests.formats.test_json import as_value

_BLANK: tuple[Any, ...] = (None, "", [], {})
_NOT_OF_RELATED = {"profile_id", "external_id", "network_transaction_id"}
"""Attributes that are named like foreign keys: they refer to other systems."""


@dataclass(frozen=True)
class Link:
    """Which rows of `target` belong to a row: those whose `remote` is the row's `local`."""

    target: str
    local: str
    remote: str = "id"
    multiple: bool = False


def _many(target: str, remote: str, local: str = "id") -> Link:
    return Link(target, local, remote, multiple=True)


LINKS: Mapping[tuple[str, str], Link] = {
    ("bundles", "sku_list"): Link("sku_lists", "sku_list_id"),
    ("bundles", "sku_list_items"): _many("sku_list_items", "sku_list_id", "sku_list_id"),
    ("cart_line_items", "cart"): Link("carts", "cart_id"),
    ("carts", "cart_line_items"): _many("cart_line_items", "cart_id"),
    ("carts", "customer"): Link("customers", "customer_id"),
    ("customer_subscriptions", "customer"): Link("customers", "customer_id"),
    ("customers", "customer_subscriptions"): _many("customer_subscriptions", "customer_id"),
    ("disputes", "order"): Link("orders", "order_id"),
    ("fulfillment_line_items", "fulfillment"): Link("fulfillments", "fulfillment_id"),
    ("fulfillments", "fulfillment_line_items"): _many("fulfillment_line_items", "fulfillment_id"),
    ("fulfillments", "shipping_method"): Link("shipping_methods", "shipping_method_id"),
    ("line_items", "line_item_options"): _many("line_item_options", "line_item_id"),
    ("line_items", "order"): Link("orders", "order_id"),
    ("orders", "billing_address"): Link("addresses", "billing_address_id"),
    ("orders", "customer"): Link("customers", "customer_id"),
    ("orders", "line_items"): _many("line_items", "order_id"),
    ("orders", "payment_method"): Link("payment_methods", "payment_method_id"),
    ("orders", "shipping_address"): Link("addresses", "shipping_address_id"),
    ("orders", "shipping_method"): Link("shipping_methods", "shipping_method_id"),
    ("prices", "price_list"): Link("price_lists", "price_list_id"),
    ("prices", "price_tiers"): _many("price_tiers", "price_id"),
    ("prices", "sku"): Link("skus", "sku_id"),
    ("products", "main_image"): Link("files", "main_image_id"),
    ("products", "supplier"): Link("suppliers", "supplier_id"),
    ("return_line_items", "return"): Link("returns", "return_id"),
    ("returns", "return_line_items"): _many("return_line_items", "return_id"),
    ("shipping_categories", "skus"): _many("skus", "shipping_category_id"),
    ("sku_list_items", "sku"): Link("skus", "sku_id"),
    ("sku_lists", "bundles"): _many("bundles", "sku_list_id"),
    ("sku_lists", "sku_list_items"): _many("sku_list_items", "sku_list_id"),
    ("skus", "prices"): _many("prices", "sku_id"),
    ("skus", "shipping_category"): Link("shipping_categories", "shipping_category_id"),
    ("skus", "stock_items"): _many("stock_items", "sku_id"),
    ("skus", "tax_categories"): _many("tax_categories", "sku_id"),
    ("stock_items", "sku"): Link("skus", "sku_id"),
    ("subscription_line_items", "subscription"): Link("subscriptions", "subscription_id"),
    ("subscriptions", "customer"): Link("customers", "customer_id"),
    ("subscriptions", "payment_method"): Link("payment_methods", "payment_method_id"),
    ("subscriptions", "subscription_line_items"): _many(
        "subscription_line_items", "subscription_id"
    ),
    ("tax_categories", "sku"): Link("skus", "sku_id"),
    ("transactions", "customer"): Link("customers", "customer_id"),
}


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name one home folder for all: to make one takes longer than an export."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(used_home: Path, own_settings: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    del own_settings  # it has set another one
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(used_home))
    return used_home


def rows_of(url: str, table: str) -> Sequence[Row]:
    return expected_export(url, table).rows


@cache
def _by(url: str, table: str, column: str) -> Mapping[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows_of(url, table):
        found.setdefault(row[column], []).append(row)
    return found


def related(url: str, table: str, relation: str, row: Row) -> list[Row]:
    """Return the rows that belong to a row, in the order of their keys."""
    link = LINKS[table, relation]
    value = row[link.local]
    return [] if value is None else _by(url, link.target, link.remote).get(value, [])


def kept(url: str, table: str, skips: Sequence[str], *, included: bool) -> dict[str, str]:
    """Return the attributes that the skip flags leave, and their kinds."""

    def skipped(name: str) -> bool:
        if name == "id":
            return ("rel_ids" if included else "ids") in skips
        if name.endswith("_id") and name not in _NOT_OF_RELATED:
            return "rel_ids" in skips
        if name in ("created_at", "updated_at"):
            return "timestamps" in skips
        formats = name.endswith("_float") or name.startswith("formatted_")
        return formats and "amount_formats" in skips

    kinds = expected_export(url, table).kinds
    return {name: kind for name, kind in kinds.items() if not skipped(name)}


def nested(
    url: str,
    table: str,
    row: Row,
    includes: Sequence[str] = (),
    skips: Sequence[str] = (),
    *,
    included: bool = False,
) -> dict[str, Any]:
    """Return a row as the JSON object it has to be."""
    kinds = kept(url, table, skips, included=included)
    found: dict[str, Any] = {name: as_value(row[name], kind) for name, kind in kinds.items()}
    for relation in dict.fromkeys(path.partition(".")[0] for path in includes):
        deeper = [path.partition(".")[2] for path in includes if path.startswith(f"{relation}.")]
        link = LINKS[table, relation]
        objects = [
            nested(url, link.target, each, deeper, skips, included=True)
            for each in related(url, table, relation, row)
        ]
        found[relation] = objects if link.multiple else next(iter(objects), None)
    if "blanks" not in skips:
        return found
    return {name: value for name, value in found.items() if value not in _BLANK}


def flat(
    url: str,
    table: str,
    rows: Sequence[Row],
    includes: Sequence[str] = (),
    skips: Sequence[str] = (),
) -> tuple[list[str], list[list[Any]]]:
    """Return header and lines of rows, with one level of related ones.

    Those of several multiple relations stand below each other.
    """
    own = list(kept(url, table, skips, included=False))
    relations = list(dict.fromkeys(path.partition(".")[0] for path in includes))
    names = {
        relation: list(kept(url, LINKS[table, relation].target, skips, included=True))
        for relation in relations
    }
    header = own + [f"{relation}.{name}" for relation in relations for name in names[relation]]
    lines = []
    for row in rows:
        found = {relation: related(url, table, relation, row) for relation in relations}
        one = {each: found[each][0] for each in found if found[each] and not _multiple(table, each)}
        several = [
            {each: other} for each in found if _multiple(table, each) for other in found[each]
        ]
        for more in several or [{}]:
            values = [row[name] for name in own]
            for relation in relations:
                other = {**one, **more}.get(relation)
                values += [other and other[name] for name in names[relation]]
            lines.append(values)
    return header, lines


def _multiple(table: str, relation: str) -> bool:
    return LINKS[table, relation].multiple


def read_csv(path: Path) -> list[list[str]]:
    """Return the lines of a file, header first; it begins with a byte order mark."""
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data[3:].decode(), newline=""), strict=True))


def assert_lines(found: Sequence[Sequence[str]], expected: Sequence[Sequence[Any]]) -> None:
    """Compare all values; floating point numbers as numbers."""
    assert len(found) == len(expected)
    for line, values in zip(found, expected, strict=True):
        texts = [as_text(value) for value in values]
        read = [
            float(text) if isinstance(wanted, float) else text
            for text, wanted in zip(line, texts, strict=True)
        ]
        assert read == texts


def arguments_of(request: Mapping[str, Any]) -> list[str]:
    """Return a vendor's request as the command line has it."""
    given = {"format": "json", "includes": [], "filters": {}, **request}
    found = [given.pop("format"), given.pop("resource_type")]
    for name, value in given.pop("filters").items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        found += ["--filter", f"{name}={text}"]
    for path in given.pop("includes"):
        found += ["--include", path]
    for name, value in given.items():
        found += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return found


def exported(url: str, request: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Export as the command line does, in this process, and return the only file."""
    monkeypatch.setenv("DATABASE_URL", url)
    result = CliRunner().invoke(main, ["export", *arguments_of(request), "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    return only_file(json.loads(result.stdout))


def only_file(manifest: Mapping[str, Any]) -> Path:
    (name,) = (str(file["name"]) for file in manifest["files"])
    home = Path(os.environ["EXPORT_PIPELINES_HOME"])
    return home / "exports" / str(manifest["run_id"]) / name


def assert_exported(url: str, path: Path, request: Mapping[str, Any], rows: list[Row]) -> None:
    """Compare every value of a file with rows and what is related to them."""
    table, includes = request["resource_type"], request.get("includes", [])
    skips = [name.removeprefix("skip_") for name in request if name.startswith("skip_")]
    if request.get("format") == "csv":
        header, lines = flat(url, table, rows, includes, skips)
        found = read_csv(path)
        assert found[0] == header
        assert_lines(found[1:], lines)
        return
    wanted = [nested(url, table, row, includes, skips) for row in rows]
    records = json.loads(path.read_bytes())
    assert records == wanted
    # Dictionaries are equal in any order.
    assert json.dumps(records) == json.dumps(wanted)


_NOON_2018 = datetime(2018, 1, 1, 12, tzinfo=timezone.utc)

Wanted = Callable[[str, Row], bool]
REQUESTS: Mapping[str, tuple[dict[str, Any], Wanted]] = {
    # The documents' own values where the sample shop has them.
    "addresses": (
        {
            "resource_type": "addresses",
            "filters": {"country_code_eq": "IT", "city_in": ["Roma", "Milano", "Prato"]},
            "skip_timestamps": True,
        },
        lambda _, row: row["country_code"] == "IT" and row["city"] in ("Roma", "Milano", "Prato"),
    ),
    "bundles": (
        {
            "resource_type": "bundles",
            "format": "csv",
            "includes": ["sku_list", "sku_list_items"],
            "filters": {"sku_list_name_in": ["semi;colon", "line\nfeed"]},
            "skip_ids": True,
        },
        lambda url, row: (
            related(url, "bundles", "sku_list", row)[0]["name"] in ("semi;colon", "line\nfeed")
        ),
    ),
    "coupons": (
        {"resource_type": "coupons", "skip_timestamps": True, "skip_blanks": True},
        lambda _, row: bool(row),
    ),
    "customer_subscriptions": (
        {
            "resource_type": "customer_subscriptions",
            "format": "csv",
            "includes": ["customer"],
            "filters": {"customer_email_matches": "%@example.com"},
        },
        lambda _, row: row["customer_email"].endswith("@example.com"),
    ),
    "customers": (
        {
            "resource_type": "customers",
            "format": "json",
            "includes": ["customer_subscriptions"],
            "filters": {"email_end": ".com"},
            "skip_ids": True,
            "skip_rel_ids": True,
            "skip_blanks": True,
        },
        lambda _, row: row["email"].endswith(".com"),
    ),
    "gift_cards": (
        {
            "resource_type": "gift_cards",
            "format": "csv",
            "filters": {"created_at_gteq": "2018-01-01T12:00:00.000Z"},
        },
        lambda _, row: row["created_at"] >= _NOON_2018,
    ),
    "orders": (
        {
            "resource_type": "orders",
            "includes": [
                "customer",
                "shipping_address",
                "billing_address",
                "line_items.line_item_options",
            ],
            "filters": {
                "status_in": ["placed", "approved"],
                "placed_at_gteq": "2018-01-01T12:00:00.000Z",
                "country_code_eq": "DE",
            },
            "skip_ids": True,
            "skip_rel_ids": True,
            "skip_timestamps": True,
            "skip_blanks": True,
            "skip_amount_formats": True,
        },
        lambda _, row: (
            row["status"] in ("placed", "approved")
            and row["placed_at"] >= _NOON_2018
            and row["country_code"] == "DE"
        ),
    ),
    "prices": (
        {
            "resource_type": "prices",
            "format": "csv",
            "includes": ["price_tiers"],
            "filters": {"price_list_currency_code_eq": "USD"},
            "skip_rel_ids": True,
            "skip_amount_formats": True,
        },
        lambda url, row: related(url, "prices", "price_list", row)[0]["currency_code"] == "USD",
    ),
    "sku_lists": (
        {
            "resource_type": "sku_lists",
            "includes": ["sku_list_items"],
            "filters": {"manual_true": True},
            "skip_blanks": True,
        },
        lambda _, row: row["manual"],
    ),
    "skus": (
        {
            "resource_type": "skus",
            "includes": ["prices.price_tiers", "stock_items", "tax_categories"],
            "filters": {"name_cont": "Waha"},
            "skip_blanks": True,
            "skip_amount_formats": True,
        },
        lambda _, row: "Waha" in row["name"],
    ),
    "stock_items": (
        {
            "resource_type": "stock_items",
            "format": "csv",
            "includes": ["sku"],
            "filters": {"quantity_gteq": 1},
            "skip_ids": True,
            "skip_rel_ids": True,
        },
        lambda _, row: row["quantity"] >= 1,
    ),
}


@pytest.mark.parametrize("example", REQUESTS)
def test_requests_of_commerce_layer(
    monkeypatch: pytest.MonkeyPatch, shop: str, example: str
) -> None:
    request, wanted = REQUESTS[example]
    every = rows_of(shop, example)
    rows = [row for row in every if wanted(shop, row)]
    assert 0 < len(rows) < len(every) or "filters" not in request
    assert_exported(shop, exported(shop, request, monkeypatch), request, rows)


def test_a_request_in_a_shell(sqlite_shop: str) -> None:
    request, wanted = REQUESTS["orders"]
    program = shutil.which("export-pipelines", path=str(Path(sys.executable).parent))
    assert program
    done = subprocess.run(
        [program, "export", *arguments_of(request), "--json"],
        env={**os.environ, "DATABASE_URL": sqlite_shop},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads(done.stdout)
    rows = [row for row in rows_of(sqlite_shop, "orders") if wanted(sqlite_shop, row)]
    assert manifest["records_count"] == len(rows)
    assert_exported(sqlite_shop, only_file(manifest), request, rows)


_CUSTOMER = (
    "customer_id customer.id, customer_email customer.email, customer_first_name "
    "customer.first_name, customer_last_name customer.last_name, customer_phone customer.phone, "
)
_CUSTOMER_OF_ORDER = _CUSTOMER.replace(" customer.", " order.customer.")
NO_TEST_ORDERS: Wanted = lambda _, row: not row["is_test"]  # noqa: E731


@dataclass(frozen=True)
class View:
    """What a listing has to be: header and source of each column, or a header that is both."""

    table: str
    date: str
    text: str
    wanted: Wanted = lambda _url, _row: True

    @property
    def columns(self) -> dict[str, str]:
        pairs = [item.split() for item in self.text.split(",") if item.strip()]
        return {pair[0]: pair[-1] for pair in pairs}

    def value(self, url: str, row: Row, source: str) -> Any:
        table = self.table
        *path, name = source.split(".")
        for relation in path:
            found = related(url, table, relation, row)
            if not found:
                return None
            row, table = found[0], LINKS[table, relation].target
        if "-" not in name:
            return row[name]
        whole, less = name.split("-")
        if row[whole] is None or row[less] is None:
            return None
        return decimal_amount(row[whole] - row[less], row["currency_code"])

    def rows(self, url: str) -> list[Row]:
        """Return the rows of its table that belong to it."""
        return [row for row in rows_of(url, self.table) if self.wanted(url, row)]

    def lines(self, url: str, rows: Sequence[Row]) -> list[list[Any]]:
        sources = self.columns.values()
        return [[self.value(url, row, source) for source in sources] for row in rows]


def _of(relation: str, wanted: Callable[[Row], bool], table: str) -> Wanted:
    return lambda url, row: wanted(related(url, table, relation, row)[0])


VIEWS: Mapping[str, View] = {
    "order_list": View(
        "orders",
        "placed_at",
        "number, created_at, date_placed placed_at, status, payment_status, fulfillment_status,"
        "source, currency currency_code,"
        + _CUSTOMER
        + "country country_code, shipping_state shipping_address.state_code, shipping_country "
        "shipping_address.country_code, payment_method payment_method.name, shipping_method "
        "shipping_method.name, shipping_code shipping_method.code, shipping_excl_tax "
        "shipping_taxable_amount_float, shipping_tax shipping_tax_amount_float, total_excl_tax "
        "total_amount_with_taxes_cents-total_tax_amount_cents, total_tax total_tax_amount_float,"
        "total_incl_tax total_amount_with_taxes_float, total_discount discount_amount_float,"
        "coupon_code, ip ip_address, attribution, tags, metadata, order_status_url cart_url,"
        "updated_at",
        NO_TEST_ORDERS,
    ),
    "order_line_items": View(
        "line_items",
        "order.placed_at",
        "id, order_number order.number, date_placed order.placed_at, order_status order.status,"
        "order_source order.source,"
        + _CUSTOMER_OF_ORDER
        + "sku sku_code, product_id, product_title, variant_id sku_id, variant_title, item_type,"
        "quantity, current_quantity, fulfillable_quantity, price unit_amount_float,"
        "total_discount discount_float, total_tax tax_amount_float, total total_amount_float,"
        "unit_cost unit_cost_float, is_upsell, is_gift_card, requires_shipping, currency "
        "currency_code, attribution order.attribution, metadata, created_at, updated_at",
        _of("order", lambda order: not order["is_test"], "line_items"),
    ),
    "customer_list": View(
        "customers",
        "joined_at",
        "id, email, first_name, last_name, phone_number phone, language language_code,"
        "accepts_marketing, date_joined joined_at, first_purchase_date first_ordered_at,"
        "last_purchase_date last_ordered_at, user_type, is_blocked, ip ip_address, user_agent,"
        "tags, metadata, created_at, updated_at",
    ),
    "transaction_list": View(
        "transactions",
        "created_at",
        "id, date_created created_at, type, status, amount amount_float, currency currency_code,"
        "payment_method, payment_details, response_code, response_message, auth_code, external_id,"
        "network_transaction_id, order order_number, order_date order_placed_at, subscription "
        "subscription_id,"
        + _CUSTOMER
        + "parent_id, initiator, is_disputed, is_external, amount_available_for_refund "
        "refundable_amount_float, attribution",
        NO_TEST_ORDERS,
    ),
    "dispute_list": View(
        "disputes",
        "created_at",
        "id, date_created created_at, happened_at, type, status, amount amount_float, currency "
        "currency_code, report_amount_cents, report_currency report_currency_code, case_number,"
        "arn, resolution, resolution_other_message, order order.number, transaction "
        "transaction_id, metadata",
    ),
    "subscription_list": View(
        "subscriptions",
        "created_at",
        "id, number, date_created created_at, status, interval, interval_count, next_renewal_date "
        "next_renewal_at, num_orders orders_count, total total_amount_float, currency "
        "currency_code, shipping_code, shipping_price shipping_amount_float, payment_method "
        "payment_method.name, payment_details, cancellation_date cancelled_at, cancel_reason,"
        "cancel_reason_other_message," + _CUSTOMER + "source, attribution, metadata",
        NO_TEST_ORDERS,
    ),
    "subscription_line_items": View(
        "subscription_line_items",
        "subscription.created_at",
        "id, subscription_id, subscription_number subscription.number, date_created "
        "subscription.created_at, subscription_status subscription.status, sku sku_code,"
        "product_id, product_title, variant_id sku_id, variant_title, quantity, price "
        "unit_amount_float, total total_amount_float, currency currency_code, metadata",
        _of("subscription", lambda owner: not owner["is_test"], "subscription_line_items"),
    ),
    "open_cart_list": View(
        "carts",
        "created_at",
        "id, date_created created_at, status, abandoned is_abandoned, currency currency_code,"
        "total total_amount_float, checkout_url," + _CUSTOMER + "source, attribution, metadata",
        lambda _, row: row["status"] == "open",
    ),
    "open_cart_line_items": View(
        "cart_line_items",
        "cart.created_at",
        "id, cart_id, date_created cart.created_at, sku sku_code, product_id, product_title,"
        "variant_id sku_id, variant_title, quantity, price_excl_tax unit_amount_float,"
        "price_incl_tax unit_amount_with_taxes_float, total_discount discount_float, unit_cost "
        "unit_cost_float, total total_amount_float, interval, interval_count, is_upsell, currency "
        "currency_code, metadata",
        _of("cart", lambda cart: cart["status"] == "open", "cart_line_items"),
    ),
    "return_list": View(
        "returns",
        "created_at",
        "id, number, created_at, status, order_number, user_id customer_id, customer_email, note,"
        "total_refund_amount refund_amount_float, total_return_excl_tax return_amount_float,"
        "total_return_incl_tax return_amount_with_taxes_float, currency currency_code,"
        "adjustments, tracking_carrier, tracking_code",
    ),
    "return_line_items": View(
        "return_line_items",
        "created_at",
        "id, return_id, return_number return.number, order_number return.order_number, created_at,"
        "line_item_id, location_id stock_location_id, sku sku_code, quantity, restock_type,"
        "return_reason, amount_excl_tax amount_float, amount_incl_tax amount_with_taxes_float,"
        "currency currency_code",
    ),
    "fulfillment_list": View(
        "fulfillments",
        "created_at",
        "id, number, created_at, order_number, status, delivery_status, location_id "
        "stock_location_id, shipping_method shipping_method.name, tracking_carrier, tracking_code,"
        "tracking_link, last_event_date last_event_at, requires_shipping",
    ),
    "fulfillment_line_items": View(
        "fulfillment_line_items",
        "created_at",
        "id, fulfillment_id, fulfillment_number fulfillment.number, order_number "
        "fulfillment.order_number, created_at, order_line_id line_item_id, sku sku_code,"
        "product_id, product_title, quantity, fulfilled_quantity, returned_quantity,"
        "returnable_quantity, price_excl_tax unit_amount_float, price_incl_tax "
        "unit_amount_with_taxes_float, total_discount discount_float, fulfillment_service "
        "fulfillment.fulfillment_service, currency currency_code",
    ),
}
"""The thirteen types of Next Commerce."""


@pytest.mark.parametrize(
    ("listing", "database"),
    [(name, ("sqlite", "postgres")[place % 2]) for place, name in enumerate(VIEWS)],
)
def test_requests_of_next_commerce(
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    listing: str,
    database: str,
) -> None:
    shop: str = request.getfixturevalue(f"{database}_shop")
    view = VIEWS[listing]
    every = view.rows(shop)
    moments = sorted(filter(None, (view.value(shop, row, view.date) for row in every)))
    first = moments[len(moments) // 4].replace(microsecond=0)
    last = moments[-(len(moments) // 4) - 1].replace(microsecond=0)
    # Whole seconds, all of which belong to the range, as the end of a day at 23:59:59 does.
    rows = [
        row
        for row in every
        if (moment := view.value(shop, row, view.date))
        and first <= moment.replace(microsecond=0) <= last
    ]
    assert 0 < len(rows) < len(every)
    asked = {
        "resource_type": listing,
        "format": "csv",
        "date_from": f"{first:%Y-%m-%dT%H:%M:%SZ}",
        "date_to": f"{last:%Y-%m-%dT%H:%M:%SZ}",
    }
    found = read_csv(exported(shop, asked, monkeypatch))
    assert found[0] == list(view.columns)
    assert_lines(found[1:], view.lines(shop, rows))


SKIPS = ("skip_ids", "skip_rel_ids", "skip_timestamps", "skip_blanks", "skip_amount_formats")


@pytest.mark.parametrize("flag", [*SKIPS, "dry_data"])
def test_each_skip_flag_in_json(tmp_path: Path, sqlite_shop: str, flag: str) -> None:
    request: dict[str, Any] = {
        "resource_type": "orders",
        "includes": ["customer", "shipping_address", "line_items.line_item_options"],
    }
    skips = SKIPS if flag == "dry_data" else (flag,)
    (file,) = made_files(sqlite_shop, "json", tmp_path, **request, **{flag: True})
    wanted = {**request, **dict.fromkeys(skips, True)}
    assert_exported(sqlite_shop, Path(file.path), wanted, list(rows_of(sqlite_shop, "orders")))


def test_dry_data_in_csv_leaves_blanks(tmp_path: Path, sqlite_shop: str) -> None:
    request: dict[str, Any] = {"resource_type": "prices", "includes": ["sku"]}
    (file,) = made_files(sqlite_shop, "csv", tmp_path, **request, dry_data=True)
    wanted = {**request, "format": "csv", **dict.fromkeys(SKIPS, True)}
    assert_exported(sqlite_shop, Path(file.path), wanted, list(rows_of(sqlite_shop, "prices")))


@pytest.mark.parametrize("format_name", ["csv", "excel", "zip", "parquet"])
def test_blanks_are_skipped_in_json_only(
    monkeypatch: pytest.MonkeyPatch, sqlite_shop: str, format_name: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    result = CliRunner().invoke(main, ["export", format_name, "coupons", "--skip-blanks"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: skip_blanks is for JSON only: ")
    assert result.stderr.endswith("Leave it out, or export as JSON.\n")
    assert result.stderr.count("\n") == 1


def test_blanks_of_stock_items_are_left_in_csv(
    monkeypatch: pytest.MonkeyPatch, sqlite_shop: str, home: Path
) -> None:
    request, wanted = REQUESTS["stock_items"]
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    arguments = ["export", *arguments_of({**request, "skip_blanks": True})]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert result.stderr == (
        "Note: skip_blanks is for JSON only: in CSV all records have the same columns. "
        "It was ignored.\n"
    )
    path = max(home.glob("exports/*/stock_items.csv"), key=lambda found: found.stat().st_mtime_ns)
    rows = [row for row in rows_of(sqlite_shop, "stock_items") if wanted(sqlite_shop, row)]
    assert_exported(sqlite_shop, path, request, rows)
