"""Sample returns and fulfillments."""

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample.columns import (
    Columns,
    digits,
    integers,
    join,
    moments,
    nullify,
    take,
)
from export_pipelines.catalog.sample.facts import (
    LINES,
    line_quantities,
    line_skus,
    line_totals,
    line_unit_cents,
    order_currencies,
    order_customers,
    order_markets,
    order_shipping,
    taxes,
)
from export_pipelines.catalog.sample.pattern import Pattern
from export_pipelines.catalog.sample.rows import Integers, Rows
from export_pipelines.catalog.sample.traits import (
    DAY_MS,
    awkward_text,
    emails,
    order_numbers,
    product_names,
    resource,
    sku_codes,
)

ORDERS_PER_RETURN = 8
ORDERS_PER_FULFILLMENT = 2
RETURN_LINES = Pattern(1, 2)
FULFILLMENT_LINES = Pattern(3, 5, 2, 2)
"""The lines of every second order."""

_CARRIERS = ("DHL", "UPS", "FedEx", "La Poste", "ヤマト運輸")


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
