"""What SKUs cost: prices per price list, and their tiers."""

from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import Code, Currency, Moment, Resource
from export_pipelines.catalog.models.inventory import Sku
from export_pipelines.catalog.models.markets import PriceList
from export_pipelines.catalog.models.types import amount, foreign_key


class Price(Resource):
    """What an SKU costs in a price list."""

    __tablename__ = "prices"
    __includes__ = ("sku", "price_tiers")
    __table_args__ = (Index(None, "sku_code", "price_list_id", unique=True),)

    currency_code: Mapped[Currency | None] = mapped_column(index=True)
    sku_code: Mapped[Code | None]
    amount_cents: Mapped[int] = amount(index=True)
    original_amount_cents: Mapped[int | None] = amount()
    compare_at_amount_cents: Mapped[int | None] = amount()
    processed_at: Mapped[Moment | None]
    rules: Mapped[dict[str, Any] | None]
    resource_payload: Mapped[dict[str, Any] | None]
    price_list_id: Mapped[str | None] = foreign_key("price_lists")
    sku_id: Mapped[str | None] = foreign_key("skus")

    price_list: Mapped[PriceList | None] = relationship()
    sku: Mapped[Sku | None] = relationship(back_populates="prices")
    price_tiers: Mapped[list["PriceTier"]] = relationship(back_populates="price")


class PriceTier(Resource):
    """What one piece of an SKU costs up to some quantity."""

    __tablename__ = "price_tiers"

    name: Mapped[Code]
    up_to: Mapped[float | None] = mapped_column(comment="pieces; null is without limit")
    currency_code: Mapped[Currency | None]
    price_amount_cents: Mapped[int] = amount()
    price_id: Mapped[str] = foreign_key("prices")

    price: Mapped[Price] = relationship(back_populates="price_tiers")
