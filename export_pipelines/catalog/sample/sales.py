"""Sample orders, their lines and the options of these; the sums are right."""

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
    replace,
    sprinkle,
    take,
)
from export_pipelines.catalog.sample.facts import (
    LINES,
    OPTIONS,
    SHIPPING_CENTS,
    TAX_PER_MILLE,
    line_discounts,
    line_option_cents,
    line_quantities,
    line_skus,
    line_totals,
    line_unit_cents,
    option_cents,
    order_currencies,
    order_customers,
    order_markets,
    order_shipping,
    order_subtotals,
    ordered_options,
    taxes,
)
from export_pipelines.catalog.sample.people import ADDRESSES_PER_CUSTOMER
from export_pipelines.catalog.sample.rows import Integers, Mask, Rows
from export_pipelines.catalog.sample.traits import (
    ATTRIBUTIONS,
    CURRENCIES,
    DAY_MS,
    LANGUAGES,
    SOURCES,
    awkward_text,
    emails,
    order_numbers,
    product_names,
    resource,
    sku_codes,
    take_integers,
)

_COUNTRIES = ("DE", "US", "GB", "JP", "KW")
_STATUSES = ("pending", "placed", "approved", "approved", "approved", "approved", "cancelled")


def orders(rows: Rows) -> Columns:
    """Orders of all kinds; the adjustments of some are odd amounts."""
    numbers = rows.numbers
    market = order_markets(rows)
    customer = rows.of("customers", order_customers(rows))
    draft = LINES.count(numbers) == 0
    state = rows.below("status", len(_STATUSES))
    status = replace(take(_STATUSES, state), draft, constant("draft", int(draft.sum())))
    unplaced = draft | (state == 0)
    approved = ~draft & (state >= 2) & (state <= 5)
    cancelled = ~draft & (state == 6)
    guest = rows.chance("guest", 10)
    created = rows.created()
    placed = created + 600_000 + rows.below("placed", DAY_MS)
    coupon = ~rows.chance("coupon", 15)
    details = nullify(
        join('{"type":"card","last4":"', digits(rows.below("card", 10**4), 4), '"}'), unplaced
    )
    link = digits(rows.below("token", 10**15), 15)
    return resource(
        rows,
        number=order_numbers(rows),
        affiliate_code=nullify(rows.pick("affiliate", ("aff-1", "00042", "1e3")), coupon),
        autorefresh=pa.array(rows.chance("autorefresh", 90)),
        place_async=pa.array(rows.chance("async", 5)),
        status=status,
        payment_status=_payment_statuses(rows, unplaced, approved, cancelled),
        fulfillment_status=_fulfillment_statuses(rows, approved),
        guest=pa.array(guest),
        editable=pa.array(unplaced),
        customer_email=emails(customer),
        customer_type=take(("new", "returning"), (numbers >= rows.size("customers")) * 1),
        language_code=customer.pick("language", LANGUAGES),
        currency_code=take(CURRENCIES, market),
        tax_included=pa.array(market != 1),
        tax_rate=pa.array(take_integers(TAX_PER_MILLE, market) / 1000),
        freight_taxable=pa.array(market != 4),
        payment_method_taxable=pa.array(market != 4),
        adjustment_taxable=pa.array(rows.chance("taxable", 50)),
        gift_card_taxable=constant(False, len(rows)),
        requires_billing_info=pa.array(rows.chance("billing", 20)),
        country_code=take(_COUNTRIES, market),
        shipping_country_code_lock=nullify(take(_COUNTRIES, market), ~rows.chance("locked", 10)),
        coupon_code=nullify(join("SPRING", digits(numbers % 1000, 6)), coupon),
        gift_card_code=nullify(
            join("GC-", digits(rows.below("gift", 10**8), 8)), ~rows.chance("gift", 5)
        ),
        **_amounts(rows, market, unplaced),
        payment_source_details=details,
        token=link,
        cart_url=nullify(join("https://shop.example.com/cart/", link), ~unplaced),
        return_url=constant("https://shop.example.com/", len(rows)),
        terms_url=constant("https://shop.example.com/terms?lang=en&v=2", len(rows)),
        privacy_url=constant("https://shop.example.com/privacy", len(rows)),
        checkout_url=join("https://checkout.example.com/", link),
        source=rows.pick("source", SOURCES),
        is_test=pa.array(rows.chance("test", 1)),
        ip_address=join("198.51.100.", plain(rows.below("ip", 256))),
        attribution=rows.pick("attribution", ATTRIBUTIONS),
        tags=sprinkle(rows.pick("tags", (None, None, "[]", '["gift"]')), numbers, awkward.TAGS),
        notes=awkward_text(rows, rows.pick("notes", (None, None, "Leave at the door.", "Merci !"))),
        placed_at=sprinkle(moments(placed, unplaced), numbers, awkward.MOMENTS),
        approved_at=moments(placed + 3_600_000, ~approved),
        cancelled_at=moments(placed + 7_200_001, ~cancelled),
        payment_updated_at=moments(placed + 999, unplaced),
        fulfillment_updated_at=moments(placed + 2 * DAY_MS, ~approved),
        refreshed_at=moments(created + 1_000),
        archived_at=moments(placed + 200 * DAY_MS, ~rows.chance("archived", 10)),
        subscription_created_at=moments(placed, unplaced | (numbers % 8 != 0)),
        expires_at=moments(created + 60 * DAY_MS, ~unplaced),
        expiration_info=nullify(constant('{"reason":"inactive"}', len(rows)), ~unplaced),
        market_id=rows.refer("markets", market),
        customer_id=rows.refer("customers", customer.numbers, guest),
        shipping_address_id=rows.refer(
            "addresses", customer.numbers * ADDRESSES_PER_CUSTOMER, draft
        ),
        billing_address_id=rows.refer(
            "addresses", customer.numbers * ADDRESSES_PER_CUSTOMER + 1, unplaced
        ),
        store_id=rows.refer("stores", market * 2 + rows.below("store", 2)),
        shipping_method_id=rows.refer("shipping_methods", _shipping_methods(rows), draft),
        payment_method_id=rows.refer(
            "payment_methods", market * 5 + rows.below("payment", 5), unplaced
        ),
    )


def _shipping_methods(rows: Rows) -> Integers:
    return order_markets(rows) * len(SHIPPING_CENTS) + order_shipping(rows)


def _amounts(rows: Rows, market: Integers, unplaced: Mask) -> dict[str, pa.Array]:
    adjustment = sprinkle(
        integers(np.zeros(len(rows), dtype=np.int64)), rows.numbers, awkward.CENTS
    )
    subtotal = order_subtotals(rows)
    amounts = {
        "subtotal": subtotal,
        "shipping": take_integers(SHIPPING_CENTS, order_shipping(rows)),
        "payment_method": take_integers((0, 0, 35, 250), rows.below("fee", 4)),
        "discount": np.where(rows.chance("discount", 15), -(subtotal // 20), 0),
        "adjustment": adjustment.to_numpy(),
        "gift_card": np.where(rows.chance("gift", 5), -1_000, 0),
    }
    total = sum(amounts.values(), np.zeros(len(rows), dtype=np.int64))
    taxed = ("subtotal", "shipping", "payment_method", "adjustment")
    tax = {name: taxes(amounts[name], market) for name in taxed}
    total_tax = sum(tax.values(), np.zeros(len(rows), dtype=np.int64))
    made = {f"{name}_amount": value for name, value in amounts.items()}
    made |= {"total_tax_amount": total_tax}
    made |= {f"{name}_tax_amount": value for name, value in tax.items()}
    made |= {"total_amount": total, "total_taxable_amount": total - total_tax}
    made |= {f"{name}_taxable_amount": amounts[name] - tax[name] for name in taxed}
    made |= {
        "total_amount_with_taxes": np.where(market == 1, total + total_tax, total),
        "fees_amount": np.zeros(len(rows), dtype=np.int64),
        "duty_amount": np.where(market == 2, subtotal // 50, 0),
    }
    columns = {f"{name}_cents": integers(value) for name, value in made.items()}
    return {**columns, "place_total_amount_cents": integers(total, unplaced)}


def _payment_statuses(
    rows: Rows, unplaced: Mask, approved: Mask, cancelled: Mask
) -> pa.StringArray:
    column = rows.pick("payment_status", ("authorized", "partially_authorized", "free"))
    for where, values in (
        (unplaced, ("unpaid",)),
        (approved, ("paid", "paid", "paid", "partially_paid", "partially_refunded")),
        (cancelled, ("voided", "partially_voided", "refunded")),
    ):
        chosen = rows.of(rows.table, rows.numbers[where]).pick("payment_status", values)
        column = replace(column, where, chosen)
    return column


def _fulfillment_statuses(rows: Rows, approved: Mask) -> pa.StringArray:
    done = rows.pick("fulfillment", ("fulfilled", "fulfilled", "in_progress", "not_required"))
    return replace(done, ~approved, constant("unfulfilled", int((~approved).sum())))


def line_items(rows: Rows) -> Columns:
    """SKUs mostly; bundles, gift cards, shipping and discounts too."""
    order = rows.of("orders", LINES.parent(rows.numbers))
    market = order_markets(order)
    sku = rows.of("skus", line_skus(rows))
    kind = rows.numbers % 18
    bundle, gift, shipment, promotion = kind == 8, kind == 15, kind == 11, kind == 17
    other = bundle | gift | shipment | promotion
    item_type = take(
        ("skus", "bundles", "gift_cards", "shipments", "percentage_discount_promotions"),
        bundle * 1 + gift * 2 + shipment * 3 + promotion * 4,
    )
    bundle_number = rows.below("bundle", rows.size("bundles"))
    card_number = rows.below("card", rows.size("gift_cards"))
    bundle_id = rows.refer("bundles", bundle_number, ~bundle)
    card_id = rows.refer("gift_cards", card_number, ~gift)
    sku_id = nullify(sku.keys(), other)
    item_id = replace(sku_id, bundle, bundle_id.filter(pa.array(bundle)))
    item_id = replace(item_id, gift, card_id.filter(pa.array(gift)))
    quantity = line_quantities(rows)
    unit, total = line_unit_cents(rows), line_totals(rows)
    discount = line_discounts(rows)
    name = awkward_text(rows, product_names(sku))
    return resource(
        rows,
        sku_code=nullify(sku_codes(sku), other),
        bundle_code=nullify(join("BUNDLE-", digits(bundle_number + 1, 5)), ~bundle),
        quantity=integers(quantity),
        currency_code=take(CURRENCIES, market),
        unit_amount_cents=integers(unit),
        compare_at_amount_cents=integers(unit * 6 // 5, rows.chance("no comparison", 50)),
        options_amount_cents=integers(line_option_cents(rows)),
        discount_cents=integers(discount),
        total_amount_cents=integers(total),
        tax_amount_cents=integers(taxes(total, market)),
        unit_cost_cents=integers(unit * 2 // 5, rows.chance("no cost", 20)),
        name=name,
        image_url=nullify(
            join("https://cdn.example.com/skus/", digits(sku.numbers, 7), ".jpg"), other
        ),
        discount_breakdown=nullify(
            join('{"spring":{"cents":', plain(discount), ',"weight":1.0}}'), discount == 0
        ),
        tax_rate=pa.array(take_integers(TAX_PER_MILLE, market) / 1000),
        tax_breakdown=nullify(
            join('{"state_tax_collectable":', plain(taxes(total, market)), "}"), market != 1
        ),
        item_type=item_type,
        frequency=rows.pick("frequency", (None,) * 9 + ("monthly",)),
        coupon_code=nullify(rows.pick("coupon", ("SPRING", "50OFF")), discount == 0),
        product_title=name,
        variant_title=rows.pick("variant", tuple(word or None for word in words.VARIANTS)),
        current_quantity=integers(np.maximum(quantity - rows.below("removed", 2), 0)),
        fulfillable_quantity=integers(np.where(rows.chance("sent", 60), 0, quantity)),
        is_upsell=pa.array(rows.chance("upsell", 5)),
        is_gift_card=pa.array(gift),
        requires_shipping=pa.array(~(gift | shipment | promotion)),
        order_id=order.keys(),
        item_id=item_id,
        sku_id=sku_id,
        bundle_id=bundle_id,
        gift_card_id=card_id,
        product_id=rows.refer("products", sku.numbers, other),
    )


def line_item_options(rows: Rows) -> Columns:
    """One or two for one line in three."""
    line = rows.of("line_items", OPTIONS.parent(rows.numbers))
    order = rows.of("orders", LINES.parent(line.numbers))
    option = ordered_options(rows)
    names = ("Engraving", "Gift wrap", 'Monogram "A&B"', "Assembly", "刻印", "Express making")
    engraving = rows.pick("engraving", ("Anna ♥", 'For \\"M\\"', "2024\\n06", "愛"))
    return resource(
        rows,
        name=take(names, option % len(names)),
        quantity=integers(np.ones(len(rows), dtype=np.int64)),
        currency_code=order_currencies(order),
        unit_amount_cents=integers(option_cents(rows)),
        total_amount_cents=integers(option_cents(rows)),
        delay_hours=integers(24 * (option % 4)),
        delay_days=integers(option % 4),
        options=join('{"text":"', engraving, '"}'),
        line_item_id=line.keys(),
        sku_option_id=rows.refer("sku_options", option),
    )
