"""What happens once an order is placed: fulfillments and returns, with their lines."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import (
    Code,
    Currency,
    LongText,
    Moment,
    Resource,
    UniqueCode,
    Url,
)
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.inventory import StockLocation
from export_pipelines.catalog.models.markets import ShippingMethod
from export_pipelines.catalog.models.orders import LineItem, Order
from export_pipelines.catalog.models.pim import Product
from export_pipelines.catalog.models.types import amount, choice, foreign_key


class Return(Resource):
    """Goods that a customer sends back, and the money they get for them."""

    __tablename__ = "returns"
    __includes__ = ("return_line_items",)

    number: Mapped[UniqueCode]
    status: Mapped[str] = choice(
        "requested", "approved", "shipped", "received", "rejected", "cancelled", index=True
    )
    order_number: Mapped[Code | None]
    customer_email: Mapped[Code | None]
    note: Mapped[LongText | None]
    currency_code: Mapped[Currency]
    refund_amount_cents: Mapped[int] = amount()
    return_amount_cents: Mapped[int | None] = amount()
    return_amount_with_taxes_cents: Mapped[int | None] = amount()
    adjustments: Mapped[list[dict[str, Any]] | None]
    tracking_carrier: Mapped[str | None] = mapped_column(String(64))
    tracking_code: Mapped[Code | None]
    approved_at: Mapped[Moment | None]
    received_at: Mapped[Moment | None]
    order_id: Mapped[str] = foreign_key("orders")
    customer_id: Mapped[str | None] = foreign_key("customers")
    stock_location_id: Mapped[str | None] = foreign_key("stock_locations")

    order: Mapped[Order] = relationship(back_populates="returns")
    customer: Mapped[Customer | None] = relationship(back_populates="returns")
    stock_location: Mapped[StockLocation | None] = relationship()
    return_line_items: Mapped[list["ReturnLineItem"]] = relationship(back_populates="return_")


class ReturnLineItem(Resource):
    """How many of an order's line are sent back."""

    __tablename__ = "return_line_items"

    sku_code: Mapped[Code | None]
    quantity: Mapped[int]
    restock_type: Mapped[str] = choice("no_restock", "cancel", "return")
    return_reason: Mapped[LongText | None]
    currency_code: Mapped[Currency]
    amount_cents: Mapped[int] = amount()
    amount_with_taxes_cents: Mapped[int | None] = amount()
    return_id: Mapped[str] = foreign_key("returns")
    line_item_id: Mapped[str] = foreign_key("line_items")
    stock_location_id: Mapped[str | None] = foreign_key("stock_locations")

    return_: Mapped[Return] = relationship(back_populates="return_line_items")
    line_item: Mapped[LineItem] = relationship(back_populates="return_line_items")
    stock_location: Mapped[StockLocation | None] = relationship()


class Fulfillment(Resource):
    """Goods of an order that are sent together."""

    __tablename__ = "fulfillments"
    __includes__ = ("fulfillment_line_items",)

    number: Mapped[UniqueCode]
    order_number: Mapped[Code | None]
    status: Mapped[str] = choice(
        "open", "processing", "on_hold", "shipped", "completed", "cancelled", index=True
    )
    delivery_status: Mapped[str | None] = choice(
        "pending", "in_transit", "out_for_delivery", "delivered", "failed"
    )
    requires_shipping: Mapped[bool]
    fulfillment_service: Mapped[str | None] = mapped_column(String(64))
    tracking_carrier: Mapped[str | None] = mapped_column(String(64))
    tracking_code: Mapped[Code | None]
    tracking_link: Mapped[Url | None]
    last_event_at: Mapped[Moment | None]
    order_id: Mapped[str] = foreign_key("orders")
    stock_location_id: Mapped[str | None] = foreign_key("stock_locations")
    shipping_method_id: Mapped[str | None] = foreign_key("shipping_methods")

    order: Mapped[Order] = relationship(back_populates="fulfillments")
    stock_location: Mapped[StockLocation | None] = relationship()
    shipping_method: Mapped[ShippingMethod | None] = relationship()
    fulfillment_line_items: Mapped[list["FulfillmentLineItem"]] = relationship(
        back_populates="fulfillment"
    )


class FulfillmentLineItem(Resource):
    """How many of an order's line are sent with a fulfillment."""

    __tablename__ = "fulfillment_line_items"

    sku_code: Mapped[Code | None]
    product_title: Mapped[str | None]
    quantity: Mapped[int]
    fulfilled_quantity: Mapped[int]
    returned_quantity: Mapped[int]
    returnable_quantity: Mapped[int]
    currency_code: Mapped[Currency]
    unit_amount_cents: Mapped[int] = amount()
    unit_amount_with_taxes_cents: Mapped[int | None] = amount()
    discount_cents: Mapped[int | None] = amount()
    fulfillment_id: Mapped[str] = foreign_key("fulfillments")
    line_item_id: Mapped[str] = foreign_key("line_items")
    product_id: Mapped[str | None] = foreign_key("products")

    fulfillment: Mapped[Fulfillment] = relationship(back_populates="fulfillment_line_items")
    line_item: Mapped[LineItem] = relationship()
    product: Mapped[Product | None] = relationship()
