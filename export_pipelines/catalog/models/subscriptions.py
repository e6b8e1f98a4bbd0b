"""Orders that repeat: subscriptions and their lines."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import Code, Currency, LongText, Moment, Resource
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.inventory import Sku
from export_pipelines.catalog.models.markets import PaymentMethod, ShippingMethod
from export_pipelines.catalog.models.orders import Order
from export_pipelines.catalog.models.pim import Product
from export_pipelines.catalog.models.types import amount, choice, foreign_key

if TYPE_CHECKING:
    from export_pipelines.catalog.models.payments import Transaction


class Subscription(Resource):
    """An agreement to deliver the same goods at regular intervals."""

    __tablename__ = "subscriptions"
    __includes__ = ("customer", "subscription_line_items")

    number: Mapped[Code]
    status: Mapped[str] = choice("active", "paused", "past_due", "retrying", "canceled", index=True)
    interval: Mapped[str] = choice("day", "week", "month", "year")
    interval_count: Mapped[int]
    currency_code: Mapped[Currency] = mapped_column(index=True)
    total_amount_cents: Mapped[int] = amount()
    shipping_amount_cents: Mapped[int | None] = amount()
    shipping_code: Mapped[str | None]
    payment_details: Mapped[dict[str, Any] | None]
    orders_count: Mapped[int] = mapped_column(comment="orders made so far")
    source: Mapped[str | None] = mapped_column(String(64))
    attribution: Mapped[dict[str, Any] | None]
    is_test: Mapped[bool]
    next_renewal_at: Mapped[Moment | None]
    cancelled_at: Mapped[Moment | None]
    cancel_reason: Mapped[str | None]
    cancel_reason_other_message: Mapped[LongText | None]
    customer_id: Mapped[str] = foreign_key("customers")
    order_id: Mapped[str | None] = foreign_key("orders")
    shipping_method_id: Mapped[str | None] = foreign_key("shipping_methods")
    payment_method_id: Mapped[str | None] = foreign_key("payment_methods")

    customer: Mapped[Customer] = relationship(back_populates="subscriptions")
    order: Mapped[Order | None] = relationship(back_populates="subscriptions")
    shipping_method: Mapped[ShippingMethod | None] = relationship()
    payment_method: Mapped[PaymentMethod | None] = relationship()
    subscription_line_items: Mapped[list["SubscriptionLineItem"]] = relationship(
        back_populates="subscription"
    )
    transactions: Mapped[list["Transaction"]] = relationship(back_populates="subscription")


class SubscriptionLineItem(Resource):
    """One article of a subscription."""

    __tablename__ = "subscription_line_items"

    sku_code: Mapped[Code | None]
    product_title: Mapped[str | None]
    variant_title: Mapped[str | None]
    quantity: Mapped[int]
    currency_code: Mapped[Currency]
    unit_amount_cents: Mapped[int] = amount()
    total_amount_cents: Mapped[int] = amount()
    subscription_id: Mapped[str] = foreign_key("subscriptions")
    product_id: Mapped[str | None] = foreign_key("products")
    sku_id: Mapped[str | None] = foreign_key("skus")

    subscription: Mapped[Subscription] = relationship(back_populates="subscription_line_items")
    product: Mapped[Product | None] = relationship()
    sku: Mapped[Sku | None] = relationship()
