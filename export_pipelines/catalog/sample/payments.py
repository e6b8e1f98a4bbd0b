"""Sample transactions and disputes."""

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
from export_pipelines.catalog.sample.facts import (
    ORDERS_PER_SUBSCRIPTION,
    order_currencies,
    order_customers,
    order_subtotals,
)
from export_pipelines.catalog.sample.rows import Rows
from export_pipelines.catalog.sample.traits import (
    ATTRIBUTIONS,
    DAY_MS,
    awkward_text,
    order_numbers,
    resource,
)

ORDERS_PER_REFUND = 10
ORDERS_PER_DISPUTE = 50


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
