"""What is true of sample orders and their lines; several tables repeat it."""

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample.columns import take
from export_pipelines.catalog.sample.pattern import Pattern
from export_pipelines.catalog.sample.rows import Integers, Rows
from export_pipelines.catalog.sample.traits import CURRENCIES, cents, take_integers

LINES = Pattern(1, 3, 0, 5, 1, 2, 4, 2)
"""Lines per order; every eighth order is an empty draft."""

OPTIONS = Pattern(1, 0, 0, 2, 0, 0)
"""Options per line."""

TAX_PER_MILLE = (190, 87, 200, 100, 0)
SHIPPING_CENTS = (495, 1290, 0, 9900)
ORDERS_PER_SUBSCRIPTION = 8
"""Every eighth order begins a subscription."""


def order_markets(rows: Rows) -> Integers:
    """Return the market of rows of `orders`; half are European. Currencies have its number."""
    orders = rows.of("orders", rows.numbers)
    return take_integers((0, 0, 0, 0, 1, 2, 3, 4), orders.below("market", 8))


def order_currencies(rows: Rows) -> pa.StringArray:
    """Return the currency of rows of `orders`."""
    return take(CURRENCIES, order_markets(rows))


def order_customers(rows: Rows) -> Integers:
    """Return the customer of rows of `orders`."""
    return rows.numbers % rows.size("customers")


def option_cents(rows: Rows) -> Integers:
    """Return what rows of `line_item_options` cost apiece."""
    return 500 * (ordered_options(rows) % 5)


def ordered_options(rows: Rows) -> Integers:
    """Return the SKU option of rows of `line_item_options`."""
    options = rows.of("line_item_options", rows.numbers)
    return options.below("option", rows.size("sku_options"))


def line_skus(rows: Rows) -> Integers:
    """Return the SKU of rows of `line_items`."""
    return rows.of("line_items", rows.numbers).below("sku", rows.size("skus"))


def line_quantities(rows: Rows) -> Integers:
    """Return the quantity of rows of `line_items`."""
    return 1 + rows.of("line_items", rows.numbers).below("quantity", 4)


def line_unit_cents(rows: Rows) -> Integers:
    """Return what rows of `line_items` cost apiece."""
    return cents(rows.of("line_items", rows.numbers), "unit")


def line_discounts(rows: Rows) -> Integers:
    """Return the discount of rows of `line_items`: zero or negative."""
    lines = rows.of("line_items", rows.numbers)
    full = line_unit_cents(rows) * line_quantities(rows)
    discounted: Integers = np.where(lines.chance("discounted", 20), -(full // 10), 0)
    return discounted


def line_option_cents(rows: Rows) -> Integers:
    """Return what the options of rows of `line_items` cost together."""
    return OPTIONS.sums(
        rows.numbers, lambda numbers: option_cents(rows.of("line_item_options", numbers))
    )


def line_totals(rows: Rows) -> Integers:
    """Return the totals of rows of `line_items`."""
    full = line_unit_cents(rows) * line_quantities(rows)
    return full + line_discounts(rows) + line_option_cents(rows)


def order_subtotals(rows: Rows) -> Integers:
    """Return the sums of the lines of rows of `orders`."""
    return LINES.sums(rows.numbers, lambda numbers: line_totals(rows.of("line_items", numbers)))


def taxes(amounts: Integers, markets: Integers) -> Integers:
    """Return the tax in amounts that include it, by market."""
    rate = take_integers(TAX_PER_MILLE, markets)
    return amounts * rate // (1000 + rate)


def order_shipping(rows: Rows) -> Integers:
    """Return which of a market's four shipping methods rows of `orders` use."""
    return rows.of("orders", rows.numbers).below("shipping", len(SHIPPING_CENTS))
