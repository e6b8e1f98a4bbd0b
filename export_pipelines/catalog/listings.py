"""The export types of Next Commerce (rows N07-N19): flat views of a table, with its columns (4.4).

A column is a field of the table or, with dots, of a record that singular relations lead to. What
the catalogue does not hold, such as an order's outstanding amount, has no column.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.after_sales import (
    Fulfillment,
    FulfillmentLineItem,
    Return,
    ReturnLineItem,
)
from export_pipelines.catalog.models.carts import Cart, CartLineItem
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.orders import LineItem, Order
from export_pipelines.catalog.models.payments import Dispute, Transaction
from export_pipelines.catalog.models.subscriptions import Subscription, SubscriptionLineItem


@dataclass(frozen=True)
class Listing:
    """A flat view of a table.

    Attributes:
        name: its name in requests.
        description: one sentence about it.
        model: the table; one row of it is one row of the listing.
        date_field: the column that a range of dates is about.
        columns: header and field, such as `customer.email`; `a_float - b_cents` is a difference.
        always: filters that every export of it has.
    """

    name: str
    description: str
    model: type[Base]
    date_field: str
    columns: Mapping[str, str]
    always: Mapping[str, Any] = field(default_factory=dict)


def _columns(text: str) -> Mapping[str, str]:
    """Read `header = field`, or a name that is both, a line each or with commas between."""
    pairs = (item.partition("=") for item in text.replace("\n", ",").split(",") if item.strip())
    return {header.strip(): (source or header).strip() for header, _, source in pairs}


def _customer(path: str) -> str:
    return f"""
        customer_id = {path}.id
        customer_email = {path}.email
        customer_first_name = {path}.first_name
        customer_last_name = {path}.last_name
        customer_phone = {path}.phone
    """


_REAL_ORDERS = {"is_test": False}
"""Test orders are not exported (Next Commerce's guide to test orders)."""

_ORDER_COLUMNS = f"""
    number, created_at, date_placed = placed_at, status, payment_status, fulfillment_status
    source, currency = currency_code
    {_customer("customer")}
    country = country_code
    shipping_state = shipping_address.state_code
    shipping_country = shipping_address.country_code
    payment_method = payment_method.name
    shipping_method = shipping_method.name
    shipping_code = shipping_method.code
    shipping_excl_tax = shipping_taxable_amount_float
    shipping_tax = shipping_tax_amount_float
    total_excl_tax = total_amount_with_taxes_float - total_tax_amount_cents
    total_tax = total_tax_amount_float
    total_incl_tax = total_amount_with_taxes_float
    total_discount = discount_amount_float
    coupon_code, ip = ip_address, attribution, tags, metadata
    order_status_url = cart_url
    updated_at
"""

LISTINGS = (
    Listing("order_list", "Orders.", Order, "date_placed", _columns(_ORDER_COLUMNS), _REAL_ORDERS),
    Listing(
        "order_line_items",
        "Lines of orders, a row each.",
        LineItem,
        "date_placed",
        _columns(
            f"""
            id, order_number = order.number, date_placed = order.placed_at
            order_status = order.status, order_source = order.source
            {_customer("order.customer")}
            sku = sku_code, product_id, product_title, variant_id = sku_id, variant_title
            item_type, quantity, current_quantity, fulfillable_quantity
            price = unit_amount_float
            total_discount = discount_float
            total_tax = tax_amount_float
            total = total_amount_float
            unit_cost = unit_cost_float
            is_upsell, is_gift_card, requires_shipping, currency = currency_code
            attribution = order.attribution, metadata, created_at, updated_at
            """
        ),
        {"order_is_test": False},
    ),
    Listing(
        "customer_list",
        "Customers.",
        Customer,
        "date_joined",
        _columns(
            """
            id, email, first_name, last_name, phone_number = phone, language = language_code
            accepts_marketing, date_joined = joined_at, first_purchase_date = first_ordered_at
            last_purchase_date = last_ordered_at, user_type, is_blocked, ip = ip_address
            user_agent, tags, metadata, created_at, updated_at
            """
        ),
    ),
    Listing(
        "transaction_list",
        "Transactions.",
        Transaction,
        "date_created",
        _columns(
            f"""
            id, date_created = created_at, type, status, amount = amount_float
            currency = currency_code, payment_method, payment_details, response_code
            response_message, auth_code, external_id, network_transaction_id
            order = order_number, order_date = order_placed_at, subscription = subscription_id
            {_customer("customer")}
            parent_id, initiator, is_disputed, is_external
            amount_available_for_refund = refundable_amount_float, attribution
            """
        ),
        _REAL_ORDERS,
    ),
    Listing(
        "dispute_list",
        "Disputes.",
        Dispute,
        "date_created",
        _columns(
            """
            id, date_created = created_at, happened_at, type, status, amount = amount_float
            currency = currency_code, report_amount_cents
            report_currency = report_currency_code, case_number, arn, resolution
            resolution_other_message, order = order.number, transaction = transaction_id, metadata
            """
        ),
    ),
    Listing(
        "subscription_list",
        "Subscriptions.",
        Subscription,
        "date_created",
        _columns(
            f"""
            id, number, date_created = created_at, status, interval, interval_count
            next_renewal_date = next_renewal_at, num_orders = orders_count
            total = total_amount_float, currency = currency_code, shipping_code
            shipping_price = shipping_amount_float, payment_method = payment_method.name
            payment_details, cancellation_date = cancelled_at, cancel_reason
            cancel_reason_other_message
            {_customer("customer")}
            source, attribution, metadata
            """
        ),
        _REAL_ORDERS,
    ),
    Listing(
        "subscription_line_items",
        "Lines of subscriptions, a row each.",
        SubscriptionLineItem,
        "date_created",
        _columns(
            """
            id, subscription_id, subscription_number = subscription.number
            date_created = subscription.created_at, subscription_status = subscription.status
            sku = sku_code, product_id, product_title, variant_id = sku_id, variant_title
            quantity, price = unit_amount_float, total = total_amount_float
            currency = currency_code, metadata
            """
        ),
        {"subscription_is_test": False},
    ),
    Listing(
        "open_cart_list",
        "Open carts.",
        Cart,
        "date_created",
        _columns(
            f"""
            id, date_created = created_at, status, abandoned = is_abandoned
            currency = currency_code, total = total_amount_float, checkout_url
            {_customer("customer")}
            source, attribution, metadata
            """
        ),
        {"status": "open"},
    ),
    Listing(
        "open_cart_line_items",
        "Lines of open carts, a row each.",
        CartLineItem,
        "date_created",
        _columns(
            """
            id, cart_id, date_created = cart.created_at, sku = sku_code, product_id
            product_title, variant_id = sku_id, variant_title, quantity
            price_excl_tax = unit_amount_float, price_incl_tax = unit_amount_with_taxes_float
            total_discount = discount_float, unit_cost = unit_cost_float
            total = total_amount_float, interval, interval_count, is_upsell
            currency = currency_code, metadata
            """
        ),
        {"cart_status": "open"},
    ),
    Listing(
        "return_list",
        "Returns.",
        Return,
        "created_at",
        _columns(
            """
            id, number, created_at, status, order_number, user_id = customer_id
            customer_email, note, total_refund_amount = refund_amount_float
            total_return_excl_tax = return_amount_float
            total_return_incl_tax = return_amount_with_taxes_float
            currency = currency_code, adjustments, tracking_carrier, tracking_code
            """
        ),
    ),
    Listing(
        "return_line_items",
        "Lines of returns, a row each.",
        ReturnLineItem,
        "created_at",
        _columns(
            """
            id, return_id, return_number = return.number, order_number = return.order_number
            created_at, line_item_id, location_id = stock_location_id, sku = sku_code
            quantity, restock_type, return_reason, amount_excl_tax = amount_float
            amount_incl_tax = amount_with_taxes_float, currency = currency_code
            """
        ),
    ),
    Listing(
        "fulfillment_list",
        "Fulfillments.",
        Fulfillment,
        "created_at",
        _columns(
            """
            id, number, created_at, order_number, status, delivery_status
            location_id = stock_location_id, shipping_method = shipping_method.name
            tracking_carrier, tracking_code, tracking_link, last_event_date = last_event_at
            requires_shipping
            """
        ),
    ),
    Listing(
        "fulfillment_line_items",
        "Lines of fulfillments, a row each.",
        FulfillmentLineItem,
        "created_at",
        _columns(
            """
            id, fulfillment_id, fulfillment_number = fulfillment.number
            order_number = fulfillment.order_number, created_at, order_line_id = line_item_id
            sku = sku_code, product_id, product_title, quantity, fulfilled_quantity
            returned_quantity, returnable_quantity, price_excl_tax = unit_amount_float
            price_incl_tax = unit_amount_with_taxes_float, total_discount = discount_float
            fulfillment_service = fulfillment.fulfillment_service, currency = currency_code
            """
        ),
    ),
)
