"""What was not bought yet: carts and their lines."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import Code, Currency, Moment, Resource, Url
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.inventory import Sku
from export_pipelines.catalog.models.pim import Product
from export_pipelines.catalog.models.types import amount, choice, foreign_key


class Cart(Resource):
    """A basket that somebody filled, and perhaps left behind."""

    __tablename__ = "carts"
    __includes__ = ("customer", "cart_line_items")

    status: Mapped[str] = choice("open", "merged", "frozen", "submitted", index=True)
    is_abandoned: Mapped[bool] = mapped_column(index=True)
    customer_email: Mapped[Code | None]
    currency_code: Mapped[Currency] = mapped_column(index=True)
    total_amount_cents: Mapped[int] = amount()
    checkout_url: Mapped[Url | None]
    source: Mapped[str | None] = mapped_column(String(64))
    attribution: Mapped[dict[str, Any] | None]
    abandoned_at: Mapped[Moment | None]
    customer_id: Mapped[str | None] = foreign_key("customers")

    customer: Mapped[Customer | None] = relationship()
    cart_line_items: Mapped[list["CartLineItem"]] = relationship(back_populates="cart")


class CartLineItem(Resource):
    """One article of a cart."""

    __tablename__ = "cart_line_items"

    sku_code: Mapped[Code | None]
    product_title: Mapped[str | None]
    variant_title: Mapped[str | None]
    quantity: Mapped[int]
    currency_code: Mapped[Currency]
    unit_amount_cents: Mapped[int] = amount()
    unit_amount_with_taxes_cents: Mapped[int | None] = amount()
    discount_cents: Mapped[int | None] = amount()
    unit_cost_cents: Mapped[int | None] = amount()
    total_amount_cents: Mapped[int] = amount()
    interval: Mapped[str | None] = choice("day", "week", "month", "year")
    interval_count: Mapped[int | None]
    is_upsell: Mapped[bool]
    cart_id: Mapped[str] = foreign_key("carts")
    product_id: Mapped[str | None] = foreign_key("products")
    sku_id: Mapped[str | None] = foreign_key("skus")

    cart: Mapped[Cart] = relationship(back_populates="cart_line_items")
    product: Mapped[Product | None] = relationship()
    sku: Mapped[Sku | None] = relationship()
