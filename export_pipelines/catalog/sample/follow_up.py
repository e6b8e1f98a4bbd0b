"""Sample payments, subscriptions, carts, returns and fulfillments."""

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample import awkward
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
from export_pipelines.catalog.sample.pattern import Pattern
from export_pipelines.catalog.sample.rows import Integers, Rows
from export_pipelines.catalog.sample.sales import (
    LINES,
    line_quantities,
    line_skus,
    line_totals,
    line_unit_cents,
    order_currencies,
    order_customers,
    order_markets,
    order_shipping,
    order_subtotals,
    taxes,
)
from export_pipelines.catalog.sample.shared import (
    ATTRIBUTIONS,
    CURRENCIES,
    DAY_MS,
    SOURCES,
    awkward_text,
    cents,
    emails,
    order_numbers,
    product_names,
    resource,
    sku_codes,
)

ORDERS_PER_REFUND = 10
ORDERS_PER_DISPUTE = 50
ORDERS_PER_SUBSCRIPTION = 8
ORDERS_PER_RETURN = 8
ORDERS_PER_FULFILLMENT = 2
SUBSCRIPTION_LINES = Pattern(1, 2)
CART_LINES = Pattern(2, 1, 3, 0)
RETURN_LINES = Pattern(1, 2)
FULFILLMENT_LINES = Pattern(3, 5, 2, 2)
"""The lines of every second order."""

_CARRIERS = ("DHL", "UPS", "FedEx", "La Poste", "ヤマト運輸")


def transactions(rows: Rows) -> Columns:
    """A payment per order, then a refund of every tenth one."""
    orders = rows.size("orders")
    refund = rows.numbers >= orders
    order = rows.of(
        "orders", np.where(refund, (rows.numbers - orders) * ORDERS_PER_REFUND, rows.numbers)
    )
    amount = order_subtotals(order)
    failed = rows.chance("failed", 5)
    kind = np.where(refund, 4, rows.below("type", 4))
    codes = ("100", "00", "05", "N7", "1e2")
    messages = ("Approved", "Declined: insufficient funds", "Do not honor", "3DS, challenged", None)
    subscription = order.numbers // ORDERS_PER_SUBSCRIPTION
    return resource(
        rows,
        number=join("T", plain(rows.numbers + 1)),
        type=take(("sale", "sale", "authorization", "capture", "refund"), kind),
        status=take(("succeeded", "failed"), failed * 1),
        currency_code=order_currencies(order),
        amount_cents=integers(amount),
        refundable_amount_cents=integers(np.where(failed | refund, 0, amount)),
        payment_method=rows.pick("method", ("card", "paypal", "klarna", "apple_pay", "bank, SEPA")),
        payment_details=nullify(
            join('{"brand":"visa","last4":"', digits(rows.below("card", 10**4), 4), '"}'),
            rows.chance("no card", 30),
        ),
        response_code=rows.pick("code", codes),
        response_message=awkward_text(rows, rows.pick("message", messages)),
        auth_code=digits(rows.below("auth", 10**6), 6),
        external_id=join("ch_", digits(rows.below("external", 10**15), 15)),
        network_transaction_id=nullify(
            digits(rows.below("network", 10**15), 15), rows.chance("no network", 50)
        ),
        initiator=rows.pick("initiator", ("customer", "customer", "merchant", "staff", None)),
        is_disputed=pa.array(~refund & (order.numbers % ORDERS_PER_DISPUTE == 0)),
        is_external=pa.array(rows.chance("external", 10)),
        is_test=pa.array(rows.chance("test", 1)),
        attribution=rows.pick("attribution", ATTRIBUTIONS),
        order_number=order_numbers(order),
        order_placed_at=moments(order.created() + 600_000),
        order_id=order.keys(),
        subscription_id=rows.refer(
            "subscriptions", subscription, order.numbers % ORDERS_PER_SUBSCRIPTION != 0
        ),
        customer_id=rows.refer("customers", order_customers(order)),
        parent_id=rows.refer("transactions", order.numbers, ~refund),
    )


def disputes(rows: Rows) -> Columns:
    """About every fiftieth order."""
    order = rows.of("orders", rows.numbers * ORDERS_PER_DISPUTE)
    amount = order_subtotals(order)
    resolved = rows.below("status", 6)
    reasons = ("Fraudulent", "Not as described", 'Product "not received"', None)
    return resource(
        rows,
        type=rows.pick("type", ("inquiry", "alert", "chargeback", "chargeback")),
        status=take(("open", "under_review", "won", "lost", "accepted", "resolved"), resolved),
        currency_code=order_currencies(order),
        amount_cents=integers(amount),
        report_currency_code=constant("USD", len(rows)),
        report_amount_cents=integers(amount * 108 // 100),
        case_number=digits(rows.below("case", 10**10), 10),
        arn=digits(rows.below("arn", 10**18), 18),
        reason=rows.pick("reason", reasons),
        resolution=nullify(rows.pick("resolution", ("refund", "evidence", "other")), resolved < 2),
        resolution_other_message=awkward_text(rows, constant(None, len(rows)).cast(pa.string())),
        happened_at=sprinkle(moments(order.created() + 20 * DAY_MS), rows.numbers, awkward.MOMENTS),
        order_id=order.keys(),
        transaction_id=rows.refer("transactions", order.numbers),
    )


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


def return_orders(rows: Rows) -> Rows:
    """Return the orders that rows of `returns` belong to: those with three lines."""
    return rows.of("orders", rows.numbers * ORDERS_PER_RETURN + 1)


def _returned_lines(rows: Rows) -> Rows:
    returned = rows.of("returns", RETURN_LINES.parent(rows.numbers))
    first = LINES.first(return_orders(returned).numbers)
    return rows.of("line_items", first + RETURN_LINES.place(rows.numbers))


def _refunds(rows: Rows) -> Integers:
    return line_totals(_returned_lines(rows))


def returns(rows: Rows) -> Columns:
    """One for every order with three lines."""
    order = return_orders(rows)
    customer = rows.of("customers", order_customers(order))
    amount = RETURN_LINES.sums(
        rows.numbers, lambda numbers: _refunds(rows.of("return_line_items", numbers))
    )
    state = rows.below("status", 6)
    status = ("requested", "approved", "shipped", "received", "rejected", "cancelled")
    approved = (state >= 1) & (state <= 3)
    created = rows.created()
    untracked = state < 2
    notes = ("Too small.", "Arrived broken; see photo", "Ne convient pas", None)
    return resource(
        rows,
        number=join("RMA-", digits(rows.numbers + 1, 6)),
        status=take(status, state),
        order_number=order_numbers(order),
        customer_email=emails(customer),
        note=awkward_text(rows, rows.pick("note", notes)),
        currency_code=order_currencies(order),
        refund_amount_cents=integers(np.where(state == 4, 0, amount)),
        return_amount_cents=integers(amount - taxes(amount, order_markets(order))),
        return_amount_with_taxes_cents=integers(amount),
        adjustments=rows.pick(
            "adjustments", (None, "[]", '[{"type":"restocking fee, 5%","cents":-500}]')
        ),
        tracking_carrier=nullify(rows.pick("carrier", _CARRIERS), untracked),
        tracking_code=nullify(digits(rows.below("tracking", 10**12), 14), untracked),
        approved_at=moments(created + DAY_MS, ~approved),
        received_at=moments(created + 9 * DAY_MS + 1, state != 3),
        order_id=order.keys(),
        customer_id=rows.refer("customers", customer.numbers),
        stock_location_id=rows.refer_any("stock_locations", "location", null_percent=20),
    )


def return_line_items(rows: Rows) -> Columns:
    """The first or the first two lines of a returned order."""
    returned = rows.of("returns", RETURN_LINES.parent(rows.numbers))
    order = return_orders(returned)
    line = _returned_lines(rows)
    amount = line_totals(line)
    return resource(
        rows,
        sku_code=sku_codes(rows.of("skus", line_skus(line))),
        quantity=integers(line_quantities(line)),
        restock_type=rows.pick("restock", ("return", "return", "no_restock", "cancel")),
        return_reason=awkward_text(rows, rows.pick("reason", ("size", "damaged", None))),
        currency_code=order_currencies(order),
        amount_cents=integers(amount - taxes(amount, order_markets(order))),
        amount_with_taxes_cents=integers(amount),
        return_id=returned.keys(),
        line_item_id=line.keys(),
        stock_location_id=rows.refer_any("stock_locations", "location", null_percent=20),
    )


def fulfillment_orders(rows: Rows) -> Rows:
    """Return the orders that rows of `fulfillments` belong to: every second one."""
    return rows.of("orders", rows.numbers * ORDERS_PER_FULFILLMENT + 1)


def fulfillments(rows: Rows) -> Columns:
    """One for every second order."""
    order = fulfillment_orders(rows)
    state = rows.below("status", 6)
    unsent = state < 3
    carrier = rows.pick("carrier", _CARRIERS)
    code = digits(rows.below("tracking", 10**12), 14)
    method = order_markets(order) * 4 + order_shipping(order)
    delivery = ("pending", "in_transit", "out_for_delivery", "delivered", "failed", None)
    return resource(
        rows,
        number=join("F", digits(rows.numbers + 1, 7)),
        order_number=order_numbers(order),
        status=take(("open", "processing", "on_hold", "shipped", "completed", "cancelled"), state),
        delivery_status=nullify(rows.pick("delivery", delivery), unsent),
        requires_shipping=pa.array(rows.chance("shipping", 95)),
        fulfillment_service=rows.pick("service", ("manual", "3PL, Ohio", None)),
        tracking_carrier=nullify(carrier, unsent),
        tracking_code=nullify(code, unsent),
        tracking_link=nullify(join("https://track.example.com/?code=", code, "&lang=en"), unsent),
        last_event_at=moments(rows.created() + 3 * DAY_MS, unsent),
        order_id=order.keys(),
        stock_location_id=rows.refer_any("stock_locations", "location"),
        shipping_method_id=rows.refer("shipping_methods", method),
    )


def fulfillment_line_items(rows: Rows) -> Columns:
    """Every line of a fulfilled order."""
    fulfillment = rows.of("fulfillments", FULFILLMENT_LINES.parent(rows.numbers))
    order = fulfillment_orders(fulfillment)
    first = LINES.first(order.numbers)
    line = rows.of("line_items", first + FULFILLMENT_LINES.place(rows.numbers))
    sku = rows.of("skus", line_skus(line))
    quantity = line_quantities(line)
    returned = np.where(rows.chance("returned", 10), 1, 0)
    unit = line_unit_cents(line)
    return resource(
        rows,
        sku_code=sku_codes(sku),
        product_title=product_names(sku),
        quantity=integers(quantity),
        fulfilled_quantity=integers(quantity),
        returned_quantity=integers(returned),
        returnable_quantity=integers(quantity - returned),
        currency_code=order_currencies(order),
        unit_amount_cents=integers(unit - taxes(unit, order_markets(order))),
        unit_amount_with_taxes_cents=integers(unit),
        discount_cents=integers(np.zeros(len(rows), dtype=np.int64)),
        fulfillment_id=fulfillment.keys(),
        line_item_id=line.keys(),
        product_id=rows.refer("products", sku.numbers),
    )
