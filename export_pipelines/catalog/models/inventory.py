"""What can be sold and how much of it there is: SKUs, lists of them, bundles, options and stock."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import (
    Code,
    Currency,
    LongText,
    Resource,
    UniqueCode,
    Url,
)
from export_pipelines.catalog.models.markets import Market, TaxCalculator
from export_pipelines.catalog.models.types import amount, choice, foreign_key

if TYPE_CHECKING:
    from export_pipelines.catalog.models.customers import Customer
    from export_pipelines.catalog.models.pricing import Price


class ShippingCategory(Resource):
    """Goods that are shipped in the same way."""

    __tablename__ = "shipping_categories"
    __includes__ = ("skus",)

    name: Mapped[Code]
    code: Mapped[UniqueCode | None]

    skus: Mapped[list["Sku"]] = relationship(back_populates="shipping_category")


class Sku(Resource):
    """A stock keeping unit: the smallest thing that can be bought."""

    __tablename__ = "skus"
    __includes__ = (
        "shipping_category",
        "prices",
        "prices.price_tiers",
        "stock_items",
        "tax_categories",
    )

    code: Mapped[UniqueCode]
    name: Mapped[Code]
    description: Mapped[LongText | None]
    image_url: Mapped[Url | None]
    pieces_per_pack: Mapped[int | None]
    weight: Mapped[float | None] = mapped_column(comment="in unit_of_weight")
    unit_of_weight: Mapped[str | None] = choice("gr", "oz", "lb")
    hs_tariff_number: Mapped[str | None]
    do_not_ship: Mapped[bool | None]
    do_not_track: Mapped[bool | None]
    inventory: Mapped[dict[str, Any] | None]
    shipping_category_id: Mapped[str | None] = foreign_key("shipping_categories")

    shipping_category: Mapped[ShippingCategory | None] = relationship(back_populates="skus")
    prices: Mapped[list["Price"]] = relationship(back_populates="sku")
    stock_items: Mapped[list["StockItem"]] = relationship(back_populates="sku")
    tax_categories: Mapped[list["TaxCategory"]] = relationship(back_populates="sku")
    sku_list_items: Mapped[list["SkuListItem"]] = relationship(back_populates="sku")
    sku_lists: Mapped[list["SkuList"]] = relationship(
        secondary="sku_list_items", back_populates="skus", viewonly=True
    )


class SkuOption(Resource):
    """Something extra that a buyer may order with an SKU, such as an engraving."""

    __tablename__ = "sku_options"

    name: Mapped[Code]
    currency_code: Mapped[Currency | None]
    description: Mapped[LongText | None]
    price_amount_cents: Mapped[int | None] = amount()
    delay_hours: Mapped[int | None]
    delay_days: Mapped[int | None]
    sku_code_regex: Mapped[str | None]
    market_id: Mapped[str | None] = foreign_key("markets")

    market: Mapped[Market | None] = relationship()


class SkuList(Resource):
    """A list of SKUs: chosen by hand, or by a pattern of their codes."""

    __tablename__ = "sku_lists"
    __includes__ = ("sku_list_items", "bundles")

    name: Mapped[Code]
    slug: Mapped[UniqueCode]
    description: Mapped[LongText | None]
    image_url: Mapped[Url | None]
    manual: Mapped[bool | None]
    sku_code_regex: Mapped[str | None]
    customer_id: Mapped[str | None] = foreign_key("customers")

    customer: Mapped["Customer | None"] = relationship(back_populates="sku_lists")
    skus: Mapped[list[Sku]] = relationship(
        secondary="sku_list_items", back_populates="sku_lists", viewonly=True
    )
    sku_list_items: Mapped[list["SkuListItem"]] = relationship(back_populates="sku_list")
    bundles: Mapped[list["Bundle"]] = relationship(back_populates="sku_list")


class SkuListItem(Resource):
    """An SKU in a list, with its place and quantity."""

    __tablename__ = "sku_list_items"
    __includes__ = ("sku",)
    __table_args__ = (Index(None, "sku_list_id", "sku_code", unique=True),)

    position: Mapped[int | None]
    sku_code: Mapped[Code | None]
    quantity: Mapped[int | None]
    sku_list_id: Mapped[str] = foreign_key("sku_lists")
    sku_id: Mapped[str | None] = foreign_key("skus")

    sku_list: Mapped[SkuList] = relationship(back_populates="sku_list_items")
    sku: Mapped[Sku | None] = relationship(back_populates="sku_list_items")


class Bundle(Resource):
    """A list of SKUs that is sold at one price."""

    __tablename__ = "bundles"
    __includes__ = ("sku_list", "sku_list_items")

    code: Mapped[UniqueCode]
    name: Mapped[Code]
    currency_code: Mapped[Currency | None]
    description: Mapped[LongText | None]
    image_url: Mapped[Url | None]
    do_not_ship: Mapped[bool | None]
    do_not_track: Mapped[bool | None]
    price_amount_cents: Mapped[int | None] = amount()
    compare_at_amount_cents: Mapped[int | None] = amount()
    market_id: Mapped[str | None] = foreign_key("markets")
    sku_list_id: Mapped[str] = foreign_key("sku_lists")

    market: Mapped[Market | None] = relationship()
    sku_list: Mapped[SkuList] = relationship(back_populates="bundles")
    sku_list_items: Mapped[list[SkuListItem]] = relationship(
        primaryjoin="foreign(SkuListItem.sku_list_id) == Bundle.sku_list_id",
        uselist=True,
        viewonly=True,
    )


class StockLocation(Resource):
    """A place where goods are kept."""

    __tablename__ = "stock_locations"

    name: Mapped[Code]
    code: Mapped[UniqueCode | None]


class StockItem(Resource):
    """How many of an SKU there are at a location."""

    __tablename__ = "stock_items"
    __includes__ = ("sku",)
    __ignores_skip_blanks__ = True
    __table_args__ = (Index(None, "sku_code", "stock_location_id", unique=True),)

    sku_code: Mapped[Code | None]
    quantity: Mapped[int] = mapped_column(index=True)
    stock_location_id: Mapped[str] = foreign_key("stock_locations")
    sku_id: Mapped[str | None] = foreign_key("skus")

    stock_location: Mapped[StockLocation] = relationship()
    sku: Mapped[Sku | None] = relationship(back_populates="stock_items")


class TaxCategory(Resource):
    """The code by which a tax calculator taxes an SKU."""

    __tablename__ = "tax_categories"
    __includes__ = ("sku",)

    code: Mapped[Code]
    sku_code: Mapped[Code | None]
    sku_id: Mapped[str | None] = foreign_key("skus")
    tax_calculator_id: Mapped[str | None] = foreign_key("tax_calculators")

    sku: Mapped[Sku | None] = relationship(back_populates="tax_categories")
    tax_calculator: Mapped[TaxCalculator | None] = relationship()
