"""What was bought: orders, their lines and the options of these."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import (
    Code,
    Country,
    Currency,
    LongText,
    Moment,
    Resource,
    UniqueCode,
    Url,
)
from export_pipelines.catalog.models.customers import Address, Customer
from export_pipelines.catalog.models.inventory import Bundle, Sku, SkuOption
from export_pipelines.catalog.models.markets import Market, PaymentMethod, ShippingMethod, Store
from export_pipelines.catalog.models.pim import Product
from export_pipelines.catalog.models.promotions import GiftCard
from export_pipelines.catalog.models.types import FOREIGN_KEYS, Key, amount, choice, foreign_key

if TYPE_CHECKING:
    from export_pipelines.catalog.models.after_sales import Fulfillment, Return, ReturnLineItem
    from export_pipelines.catalog.models.payments import Dispute, Transaction
    from export_pipelines.catalog.models.subscriptions import Subscription

ITEM_TYPES = (
    "skus",
    "bundles",
    "gift_cards",
    "shipments",
    "payment_methods",
    "adjustments",
    "discount_engine_items",
    "percentage_discount_promotions",
    "free_shipping_promotions",
    "buy_x_pay_y_promotions",
    "free_gift_promotions",
    "fixed_price_promotions",
    "external_promotions",
    "fixed_amount_promotions",
    "flex_promotions",
)


class Order(Resource):
    """A purchase, from draft to fulfilment; amounts are in `currency_code`."""

    __tablename__ = "orders"
    __includes__ = (
        "customer",
        "shipping_address",
        "billing_address",
        "line_items",
        "line_items.line_item_options",
    )
    __date_field__ = "placed_at"

    number: Mapped[UniqueCode | None]
    affiliate_code: Mapped[str | None]
    autorefresh: Mapped[bool | None]
    place_async: Mapped[bool | None]
    status: Mapped[str] = choice(
        "draft", "pending", "editing", "placing", "placed", "approved", "cancelled", index=True
    )
    payment_status: Mapped[str] = choice(
        "unpaid",
        "authorized",
        "partially_authorized",
        "paid",
        "partially_paid",
        "voided",
        "partially_voided",
        "refunded",
        "partially_refunded",
        "free",
        index=True,
    )
    fulfillment_status: Mapped[str] = choice(
        "unfulfilled", "in_progress", "fulfilled", "not_required", index=True
    )
    guest: Mapped[bool | None]
    editable: Mapped[bool | None]
    customer_email: Mapped[Code | None]
    customer_type: Mapped[str | None] = choice("new", "returning")
    language_code: Mapped[str | None] = mapped_column(String(16))
    currency_code: Mapped[Currency | None] = mapped_column(index=True)
    tax_included: Mapped[bool | None]
    tax_rate: Mapped[float | None] = mapped_column(comment="0.2 is 20 percent")
    freight_taxable: Mapped[bool | None]
    payment_method_taxable: Mapped[bool | None]
    adjustment_taxable: Mapped[bool | None]
    gift_card_taxable: Mapped[bool | None]
    requires_billing_info: Mapped[bool | None]
    country_code: Mapped[Country | None] = mapped_column(index=True)
    shipping_country_code_lock: Mapped[Country | None]
    coupon_code: Mapped[Code | None]
    gift_card_code: Mapped[str | None]
    subtotal_amount_cents: Mapped[int | None] = amount()
    shipping_amount_cents: Mapped[int | None] = amount()
    payment_method_amount_cents: Mapped[int | None] = amount()
    discount_amount_cents: Mapped[int | None] = amount()
    adjustment_amount_cents: Mapped[int | None] = amount()
    gift_card_amount_cents: Mapped[int | None] = amount()
    total_tax_amount_cents: Mapped[int | None] = amount()
    subtotal_tax_amount_cents: Mapped[int | None] = amount()
    shipping_tax_amount_cents: Mapped[int | None] = amount()
    payment_method_tax_amount_cents: Mapped[int | None] = amount()
    adjustment_tax_amount_cents: Mapped[int | None] = amount()
    total_amount_cents: Mapped[int | None] = amount()
    total_taxable_amount_cents: Mapped[int | None] = amount()
    subtotal_taxable_amount_cents: Mapped[int | None] = amount()
    shipping_taxable_amount_cents: Mapped[int | None] = amount()
    payment_method_taxable_amount_cents: Mapped[int | None] = amount()
    adjustment_taxable_amount_cents: Mapped[int | None] = amount()
    total_amount_with_taxes_cents: Mapped[int | None] = amount(index=True)
    fees_amount_cents: Mapped[int | None] = amount()
    duty_amount_cents: Mapped[int | None] = amount()
    place_total_amount_cents: Mapped[int | None] = amount()
    payment_source_details: Mapped[dict[str, Any] | None]
    token: Mapped[str | None]
    cart_url: Mapped[Url | None]
    return_url: Mapped[Url | None]
    terms_url: Mapped[Url | None]
    privacy_url: Mapped[Url | None]
    checkout_url: Mapped[Url | None]
    source: Mapped[str | None] = mapped_column(String(64), index=True, comment="sales channel")
    is_test: Mapped[bool]
    ip_address: Mapped[str | None] = mapped_column(String(45))
    attribution: Mapped[dict[str, Any] | None] = mapped_column(
        comment="marketing: utm_source, utm_campaign, gclid, ..."
    )
    tags: Mapped[list[str] | None]
    notes: Mapped[LongText | None]
    placed_at: Mapped[Moment | None]
    approved_at: Mapped[Moment | None]
    cancelled_at: Mapped[Moment | None]
    payment_updated_at: Mapped[Moment | None]
    fulfillment_updated_at: Mapped[Moment | None]
    refreshed_at: Mapped[Moment | None]
    archived_at: Mapped[Moment | None]
    subscription_created_at: Mapped[Moment | None]
    expires_at: Mapped[Moment | None]
    expiration_info: Mapped[dict[str, Any] | None]
    market_id: Mapped[str | None] = foreign_key("markets")
    customer_id: Mapped[str | None] = foreign_key("customers")
    shipping_address_id: Mapped[str | None] = foreign_key("addresses")
    billing_address_id: Mapped[str | None] = foreign_key("addresses")
    store_id: Mapped[str | None] = foreign_key("stores")
    shipping_method_id: Mapped[str | None] = foreign_key("shipping_methods")
    payment_method_id: Mapped[str | None] = foreign_key("payment_methods")

    market: Mapped[Market | None] = relationship()
    customer: Mapped[Customer | None] = relationship(back_populates="orders")
    shipping_address: Mapped[Address | None] = relationship(foreign_keys=[shipping_address_id])
    billing_address: Mapped[Address | None] = relationship(foreign_keys=[billing_address_id])
    store: Mapped[Store | None] = relationship()
    shipping_method: Mapped[ShippingMethod | None] = relationship()
    payment_method: Mapped[PaymentMethod | None] = relationship()
    line_items: Mapped[list["LineItem"]] = relationship(back_populates="order")
    line_item_options: Mapped[list["LineItemOption"]] = relationship(
        secondary="line_items", viewonly=True
    )
    transactions: Mapped[list["Transaction"]] = relationship(back_populates="order")
    disputes: Mapped[list["Dispute"]] = relationship(back_populates="order")
    returns: Mapped[list["Return"]] = relationship(back_populates="order")
    fulfillments: Mapped[list["Fulfillment"]] = relationship(back_populates="order")
    subscriptions: Mapped[list["Subscription"]] = relationship(back_populates="order")


class LineItem(Resource):
    """One line of an order: an SKU, a bundle, or a cost or discount."""

    __tablename__ = "line_items"

    sku_code: Mapped[Code | None]
    bundle_code: Mapped[Code | None]
    quantity: Mapped[int]
    currency_code: Mapped[Currency | None]
    unit_amount_cents: Mapped[int | None] = amount()
    compare_at_amount_cents: Mapped[int | None] = amount()
    options_amount_cents: Mapped[int | None] = amount()
    discount_cents: Mapped[int | None] = amount()
    total_amount_cents: Mapped[int | None] = amount()
    tax_amount_cents: Mapped[int | None] = amount()
    unit_cost_cents: Mapped[int | None] = amount()
    name: Mapped[Code | None]
    image_url: Mapped[Url | None]
    discount_breakdown: Mapped[dict[str, Any] | None]
    tax_rate: Mapped[float | None] = mapped_column(comment="0.2 is 20 percent")
    tax_breakdown: Mapped[dict[str, Any] | None]
    item_type: Mapped[str | None] = choice(*ITEM_TYPES, index=True)
    frequency: Mapped[str | None]
    coupon_code: Mapped[str | None]
    product_title: Mapped[str | None]
    variant_title: Mapped[str | None]
    current_quantity: Mapped[int | None] = mapped_column(
        comment="less what was removed or returned"
    )
    fulfillable_quantity: Mapped[int | None]
    is_upsell: Mapped[bool]
    is_gift_card: Mapped[bool]
    requires_shipping: Mapped[bool]
    order_id: Mapped[str] = foreign_key("orders")
    item_id: Mapped[str | None] = mapped_column(
        Key,
        index=True,
        sort_order=FOREIGN_KEYS,
        comment="id in the table that item_type names",
        info={"foreign_key": True},
    )
    sku_id: Mapped[str | None] = foreign_key("skus")
    bundle_id: Mapped[str | None] = foreign_key("bundles")
    gift_card_id: Mapped[str | None] = foreign_key("gift_cards")
    product_id: Mapped[str | None] = foreign_key("products")

    order: Mapped[Order] = relationship(back_populates="line_items")
    sku: Mapped[Sku | None] = relationship()
    bundle: Mapped[Bundle | None] = relationship()
    gift_card: Mapped[GiftCard | None] = relationship()
    product: Mapped[Product | None] = relationship()
    line_item_options: Mapped[list["LineItemOption"]] = relationship(back_populates="line_item")
    return_line_items: Mapped[list["ReturnLineItem"]] = relationship(back_populates="line_item")


class LineItemOption(Resource):
    """An SKU option that was ordered with a line."""

    __tablename__ = "line_item_options"

    name: Mapped[Code | None]
    quantity: Mapped[int]
    currency_code: Mapped[Currency | None]
    unit_amount_cents: Mapped[int | None] = amount()
    total_amount_cents: Mapped[int | None] = amount()
    delay_hours: Mapped[int | None]
    delay_days: Mapped[int | None]
    options: Mapped[dict[str, Any]]
    line_item_id: Mapped[str] = foreign_key("line_items")
    sku_option_id: Mapped[str | None] = foreign_key("sku_options")

    line_item: Mapped[LineItem] = relationship(back_populates="line_item_options")
    sku_option: Mapped[SkuOption | None] = relationship()
