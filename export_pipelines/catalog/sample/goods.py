"""Sample markets, SKUs, lists, bundles, stock and prices."""

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample import awkward, words
from export_pipelines.catalog.sample.columns import (
    Columns,
    constant,
    digits,
    integers,
    join,
    moments,
    nullify,
    plain,
    sprinkle,
    take,
)
from export_pipelines.catalog.sample.rows import Integers, Rows
from export_pipelines.catalog.sample.traits import (
    CURRENCIES,
    awkward_text,
    cents,
    phrases,
    product_names,
    resource,
    sku_codes,
    take_integers,
)

MARKETS = (
    ("Europe", "EU", "DE"),
    ("United States", "US", "US"),
    ("United Kingdom", "UK", "GB"),
    ("日本", "JP", "JP"),
    ("الكويت", "KW", "KW"),
)
SHIPPING = ("Standard", "Express", "Pick-up, free", "Freight \u2265 30 kg")
PAYMENTS = ("Credit card", "PayPal", "Wire transfer", "Invoice (30 days)", "Gift card")
_LIST_ITEMS = 8


def price_lists(rows: Rows) -> Columns:
    """One per currency."""
    codes = take(CURRENCIES, rows.numbers)
    return resource(
        rows,
        name=join("Prices in ", codes),
        code=join("pl-", codes),
        currency_code=codes,
        tax_included=pa.array(rows.numbers != 1),
    )


def markets(rows: Rows) -> Columns:
    """One per price list."""
    name, code, country = zip(*MARKETS, strict=True)
    return resource(
        rows,
        name=take(name, rows.numbers),
        code=take(code, rows.numbers),
        country_code=take(country, rows.numbers),
        price_list_id=rows.refer("price_lists", rows.numbers),
    )


def stores(rows: Rows) -> Columns:
    """Two per market: a web shop and a shop on the street."""
    kinds = take(("Web", 'Flagship "No. 1"'), rows.numbers % 2)
    return resource(
        rows,
        name=join(kinds, " ", plain(rows.numbers // 2 + 1)),
        code=join("store-", digits(rows.numbers, 2)),
        market_id=rows.refer("markets", rows.numbers // 2),
    )


def shipping_methods(rows: Rows) -> Columns:
    """Four per market."""
    kind = rows.numbers % len(SHIPPING)
    market = rows.numbers // len(SHIPPING)
    return resource(
        rows,
        name=take(SHIPPING, kind),
        code=join("ship-", digits(rows.numbers, 2)),
        carrier=take(("DHL", "UPS", None, "Kühne & Nagel"), kind),
        currency_code=take(CURRENCIES, market),
        price_amount_cents=integers(take_integers((495, 1290, 0, 9900), kind)),
        free_over_amount_cents=integers(take_integers((5000, 0, 0, 0), kind), kind != 0),
        market_id=rows.refer("markets", market),
    )


def payment_methods(rows: Rows) -> Columns:
    """Five per market."""
    kind = rows.numbers % len(PAYMENTS)
    market = rows.numbers // len(PAYMENTS)
    sources = ("stripe_payments", "paypal_payments", "wire_transfers", "invoices", "gift_cards")
    return resource(
        rows,
        name=take(PAYMENTS, kind),
        payment_source_type=take(sources, kind),
        currency_code=take(CURRENCIES, market),
        price_amount_cents=integers(take_integers((0, 35, 0, 250, 0), kind)),
        market_id=rows.refer("markets", market),
    )


def tax_calculators(rows: Rows) -> Columns:
    """A manual and an external one."""
    return resource(rows, name=take(("Manual", "External, by API"), rows.numbers))


def shipping_categories(rows: Rows) -> Columns:
    """Six kinds of goods."""
    names = ("Parcel", "Letter", "Bulky", "Fragile", "Hazardous, UN 3481", "食品")
    return resource(
        rows, name=take(names, rows.numbers), code=join("SC", digits(rows.numbers + 1, 3))
    )


def skus(rows: Rows) -> Columns:
    """One for each of the first products."""
    codes = sku_codes(rows)
    weight = pa.array((1 + rows.below("weight", 20_000)) / 4, mask=rows.chance("weightless", 10))
    return resource(
        rows,
        code=codes,
        name=product_names(rows),
        description=awkward_text(rows, join(phrases(rows), " in a box.")),
        image_url=join("https://cdn.example.com/skus/", digits(rows.numbers, 7), ".jpg"),
        pieces_per_pack=integers(
            take_integers((1, 1, 6, 12), rows.below("pack", 4)), rows.chance("no pack", 10)
        ),
        weight=sprinkle(weight, rows.numbers, awkward.WEIGHTS),
        unit_of_weight=rows.pick("unit", ("gr", "gr", "oz", "lb", None)),
        hs_tariff_number=join(digits(rows.below("hs", 10**4), 4), ".", "00"),
        do_not_ship=pa.array(rows.chance("do_not_ship", 5)),
        do_not_track=pa.array(rows.chance("do_not_track", 8)),
        inventory=nullify(
            join('{"available":true,"quantity":', plain(rows.below("stock", 90)), ',"levels":[]}'),
            ~rows.chance("inventory", 50),
        ),
        shipping_category_id=rows.refer_any("shipping_categories", "category", null_percent=5),
    )


def sku_options(rows: Rows) -> Columns:
    """Extras that cost money, time or nothing."""
    names = ("Engraving", "Gift wrap", 'Monogram "A&B"', "Assembly", "刻印", "Express making")
    market = rows.numbers % len(MARKETS)
    return resource(
        rows,
        name=take(names, rows.numbers % len(names)),
        currency_code=take(CURRENCIES, market),
        description=awkward_text(rows, rows.pick("text", ("By hand.", "Up to 20 letters."))),
        price_amount_cents=integers(500 * (rows.numbers % 5)),
        delay_hours=integers(24 * (rows.numbers % 4)),
        delay_days=integers(rows.numbers % 4),
        sku_code_regex=rows.pick("regex", ("^KIT-.*", r"^(OFF|OUT)-\d+", None)),
        market_id=rows.refer("markets", market),
    )


def sku_lists(rows: Rows) -> Columns:
    """Collections; half of them become bundles."""
    manual = rows.numbers % 4 != 3
    name = join(rows.pick("tag", words.TAGS), " ", plain(rows.numbers + 1))
    owner = rows.below("customer", rows.size("customers"))
    return resource(
        rows,
        name=awkward_text(rows, name, required=True),
        slug=join("list-", plain(rows.numbers + 1)),
        description=awkward_text(rows, join(phrases(rows), " and more")),
        image_url=nullify(
            join("https://cdn.example.com/lists/", plain(rows.numbers)), rows.chance("image", 50)
        ),
        manual=pa.array(manual),
        sku_code_regex=nullify(constant("^KIT-", len(rows)), manual),
        customer_id=rows.refer("customers", owner, ~rows.chance("wish list", 30)),
    )


def sku_list_items(rows: Rows) -> Columns:
    """Eight different SKUs per list, or all there are."""
    items = list_items(rows.size("skus"))
    sku = _listed_skus(rows)
    return resource(
        rows,
        position=integers(rows.numbers % items + 1),
        sku_code=sku_codes(rows.of("skus", sku)),
        quantity=integers(1 + rows.below("quantity", 4)),
        sku_list_id=rows.refer("sku_lists", rows.numbers // items),
        sku_id=rows.refer("skus", sku),
    )


def list_items(skus: int) -> int:
    """Return how many SKUs a list has in a shop of that many."""
    return min(_LIST_ITEMS, skus)


def _listed_skus(rows: Rows) -> Integers:
    """Return neighbours from a random start, so that a list has no SKU twice."""
    items = list_items(rows.size("skus"))
    start = rows.of("sku_lists", rows.numbers // items).below("start", rows.size("skus"))
    return (start + rows.numbers % items) % rows.size("skus")


def bundles(rows: Rows) -> Columns:
    """Every second list, at a price."""
    market = rows.numbers % len(MARKETS)
    price = cents(rows, "price")
    name = join("Set: ", phrases(rows))
    return resource(
        rows,
        code=join("BUNDLE-", digits(rows.numbers + 1, 5)),
        name=awkward_text(rows, name, required=True),
        currency_code=take(CURRENCIES, market),
        description=awkward_text(rows, join(phrases(rows), ", all in one")),
        image_url=join("https://cdn.example.com/bundles/", plain(rows.numbers)),
        do_not_ship=pa.array(rows.chance("do_not_ship", 5)),
        do_not_track=pa.array(rows.chance("do_not_track", 5)),
        price_amount_cents=integers(price),
        compare_at_amount_cents=integers(price * 5 // 4, rows.chance("no comparison", 30)),
        market_id=rows.refer("markets", market),
        sku_list_id=rows.refer("sku_lists", rows.numbers * 2),
    )


def stock_locations(rows: Rows) -> Columns:
    """Four warehouses."""
    names = ("Rotterdam", "Poznań", "Leeds, Unit 4", "川崎")
    return resource(rows, name=take(names, rows.numbers), code=join("WH", plain(rows.numbers + 1)))


def stock_items(rows: Rows) -> Columns:
    """Two locations per SKU, sold out at times."""
    sku = rows.numbers // 2
    location = (sku + rows.numbers % 2) % rows.size("stock_locations")
    quantity = np.where(rows.chance("sold out", 10), 0, rows.below("quantity", 500))
    return resource(
        rows,
        sku_code=sku_codes(rows.of("skus", sku)),
        quantity=integers(quantity),
        stock_location_id=rows.refer("stock_locations", location),
        sku_id=rows.refer("skus", sku),
    )


def tax_categories(rows: Rows) -> Columns:
    """One per SKU."""
    return resource(
        rows,
        code=rows.pick("code", ("P0000000", "FR01A", "standard", "reduced", "00000", "2.1%")),
        sku_code=sku_codes(rows.of("skus", rows.numbers)),
        sku_id=rows.refer("skus", rows.numbers),
        tax_calculator_id=rows.refer_any("tax_calculators", "calculator"),
    )


def prices(rows: Rows) -> Columns:
    """Two per SKU: in euros and in one other currency."""
    sku = rows.numbers // 2
    currency = np.where(rows.numbers % 2 == 0, 0, 1 + sku % (len(CURRENCIES) - 1))
    amount = cents(rows, "amount")
    processed = rows.created() + 60_000
    return resource(
        rows,
        currency_code=take(CURRENCIES, currency),
        sku_code=sku_codes(rows.of("skus", sku)),
        amount_cents=sprinkle(integers(amount), rows.numbers, awkward.CENTS),
        original_amount_cents=integers(amount),
        compare_at_amount_cents=integers(amount * 6 // 5, rows.chance("no comparison", 40)),
        processed_at=moments(processed, rows.chance("unprocessed", 20)),
        rules=rows.pick("rules", (None, None, "{}", '{"rules":[{"id":"b2b","priority":1}]}')),
        resource_payload=rows.pick("payload", (None, None, None, '{"vip":true}')),
        price_list_id=rows.refer("price_lists", currency),
        sku_id=rows.refer("skus", sku),
    )


def price_tiers(rows: Rows) -> Columns:
    """Two for every tenth price; the second has no limit."""
    price = rows.numbers // 2 * 10
    amount = cents(rows.of("prices", price), "amount")
    last = rows.numbers % 2 == 1
    currency = np.where(price % 2 == 0, 0, 1 + price // 2 % (len(CURRENCIES) - 1))
    return resource(
        rows,
        name=take(("10 and less", "more than 10"), rows.numbers % 2),
        up_to=pa.array(np.full(len(rows), 10.0), mask=last),
        currency_code=take(CURRENCIES, currency),
        price_amount_cents=integers(np.where(last, amount * 8 // 10, amount * 9 // 10)),
        price_id=rows.refer("prices", price),
    )
