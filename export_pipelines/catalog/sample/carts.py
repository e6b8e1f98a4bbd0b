"""Sample subscriptions and carts."""

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample.columns import (
    Columns,
    constant,
    digits,
    integers,
    join,
    moments,
    nullify,
    take,
)
from export_pipelines.catalog.sample.facts import (
    ORDERS_PER_SUBSCRIPTION,
    order_currencies,
    order_customers,
    order_markets,
    order_shipping,
)
from export_pipelines.catalog.sample.pattern import Pattern
from export_pipelines.catalog.sample.rows import Integers, Rows
from export_pipelines.catalog.sample.traits import (
    ATTRIBUTIONS,
    CURRENCIES,
    DAY_MS,
    SOURCES,
    awkward_text,
    cents,
    emails,
    product_names,
    resource,
    sku_codes,
)

SUBSCRIPTION_LINES = Pattern(1, 2)
CART_LINES = Pattern(2, 1, 3, 0)


def _fees(rows: Rows) -> Integers:
    """Return the totals of lines of subscriptions or carts, which have a price and a quantity."""
    return cents(rows, "unit") * (1 + rows.below("quantity", 3))


def subscriptions(rows: Rows) -> Columns:
    """Every eighth order began one."""
    order = rows.of("orders", rows.numbers * ORDERS_PER_SUBSCRIPTION)
    total = SUBSCRIPTION_LINES.sums(
        rows.numbers, lambda numbers: _fees(rows.of("subscription_line_items", numbers))
    )
    state = rows.below("status", 8)
    status = ("active", "active", "active", "active", "paused", "past_due", "retrying", "canceled")
    running = state != 7
    begun = order.created()
    count = rows.below("count", 12)
    market = order_markets(order)
    reasons = ("too expensive", "moved", "other", "quality, taste")
    return resource(
        rows,
        number=join("S", digits(rows.numbers + 1, 6)),
        status=take(status, state),
        interval=rows.pick("interval", ("month", "month", "week", "day", "year")),
        interval_count=integers(1 + rows.below("interval_count", 3)),
        currency_code=order_currencies(order),
        total_amount_cents=integers(total),
        shipping_amount_cents=integers(np.where(rows.chance("free", 50), 0, 495)),
        shipping_code=join("ship-", digits(market * 4 + order_shipping(order), 2)),
        payment_details=constant('{"type":"card","expires":"01/28"}', len(rows)),
        orders_count=integers(count + 1),
        source=rows.pick("source", SOURCES),
        attribution=rows.pick("attribution", ATTRIBUTIONS),
        is_test=pa.array(rows.chance("test", 2)),
        next_renewal_at=moments(begun + (count + 1) * 30 * DAY_MS, ~running),
        cancelled_at=moments(begun + count * 30 * DAY_MS + 999, running),
        cancel_reason=nullify(rows.pick("reason", reasons), running),
        cancel_reason_other_message=awkward_text(
            rows, nullify(rows.pick("message", ("Just because.", "¡Ya no!")), running)
        ),
        customer_id=rows.refer("customers", order_customers(order)),
        order_id=order.keys(),
        shipping_method_id=rows.refer("shipping_methods", market * 4 + order_shipping(order)),
        payment_method_id=rows.refer("payment_methods", market * 5),
    )


def subscription_line_items(rows: Rows) -> Columns:
    """One or two per subscription."""
    subscription = rows.of("subscriptions", SUBSCRIPTION_LINES.parent(rows.numbers))
    order = rows.of("orders", subscription.numbers * ORDERS_PER_SUBSCRIPTION)
    sku = rows.of("skus", rows.below("sku", rows.size("skus")))
    return resource(
        rows,
        sku_code=sku_codes(sku),
        product_title=product_names(sku),
        variant_title=rows.pick("variant", (None, "S", "M", "L", "250 ml")),
        quantity=integers(1 + rows.below("quantity", 3)),
        currency_code=order_currencies(order),
        unit_amount_cents=integers(cents(rows, "unit")),
        total_amount_cents=integers(_fees(rows)),
        subscription_id=subscription.keys(),
        product_id=rows.refer("products", sku.numbers),
        sku_id=sku.keys(),
    )


def _cart_currencies(rows: Rows) -> pa.StringArray:
    return rows.of("carts", rows.numbers).pick("currency", CURRENCIES)


def carts(rows: Rows) -> Columns:
    """Open and abandoned ones; every fourth is empty."""
    customer = rows.of("customers", rows.below("customer", rows.size("customers")))
    stranger = rows.chance("stranger", 40)
    abandoned = rows.chance("abandoned", 50)
    total = CART_LINES.sums(
        rows.numbers, lambda numbers: _fees(rows.of("cart_line_items", numbers))
    )
    return resource(
        rows,
        status=rows.pick("status", ("open", "open", "open", "merged", "frozen", "submitted")),
        is_abandoned=pa.array(abandoned),
        customer_email=nullify(emails(customer), stranger),
        currency_code=_cart_currencies(rows),
        total_amount_cents=integers(total),
        checkout_url=join("https://checkout.example.com/c/", digits(rows.numbers, 9)),
        source=rows.pick("source", SOURCES),
        attribution=rows.pick("attribution", ATTRIBUTIONS),
        abandoned_at=moments(rows.created() + DAY_MS, ~abandoned),
        customer_id=rows.refer("customers", customer.numbers, stranger),
    )


def cart_line_items(rows: Rows) -> Columns:
    """None to three per cart."""
    cart = rows.of("carts", CART_LINES.parent(rows.numbers))
    sku = rows.of("skus", rows.below("sku", rows.size("skus")))
    unit = cents(rows, "unit")
    once = rows.chance("once", 80)
    return resource(
        rows,
        sku_code=sku_codes(sku),
        product_title=product_names(sku),
        variant_title=rows.pick("variant", (None, "S", "M", "L", "250 ml")),
        quantity=integers(1 + rows.below("quantity", 3)),
        currency_code=_cart_currencies(cart),
        unit_amount_cents=integers(unit),
        unit_amount_with_taxes_cents=integers(unit * 6 // 5),
        discount_cents=integers(np.zeros(len(rows), dtype=np.int64)),
        unit_cost_cents=integers(unit * 2 // 5, rows.chance("no cost", 20)),
        total_amount_cents=integers(_fees(rows)),
        interval=nullify(rows.pick("interval", ("month", "week")), once),
        interval_count=integers(1 + rows.below("interval_count", 3), once),
        is_upsell=pa.array(rows.chance("upsell", 5)),
        cart_id=cart.keys(),
        product_id=rows.refer("products", sku.numbers),
        sku_id=sku.keys(),
    )
