"""Where and how the shop sells: markets, stores, price lists, shipping and payment methods."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import Code, Country, Currency, Resource, UniqueCode
from export_pipelines.catalog.models.types import amount, foreign_key


class PriceList(Resource):
    """Prices of one currency."""

    __tablename__ = "price_lists"

    name: Mapped[Code]
    code: Mapped[UniqueCode]
    currency_code: Mapped[Currency] = mapped_column(index=True)
    tax_included: Mapped[bool]


class Market(Resource):
    """A group of customers who see the same prices and stock."""

    __tablename__ = "markets"

    name: Mapped[Code]
    code: Mapped[UniqueCode]
    country_code: Mapped[Country | None]
    price_list_id: Mapped[str] = foreign_key("price_lists")

    price_list: Mapped[PriceList] = relationship()


class Store(Resource):
    """A shop on the street or on the web that belongs to a market."""

    __tablename__ = "stores"

    name: Mapped[Code]
    code: Mapped[UniqueCode]
    market_id: Mapped[str] = foreign_key("markets")

    market: Mapped[Market] = relationship()


class ShippingMethod(Resource):
    """A way to send goods, and what it costs."""

    __tablename__ = "shipping_methods"

    name: Mapped[Code]
    code: Mapped[UniqueCode]
    carrier: Mapped[str | None] = mapped_column(String(64))
    currency_code: Mapped[Currency]
    price_amount_cents: Mapped[int | None] = amount()
    free_over_amount_cents: Mapped[int | None] = amount()
    market_id: Mapped[str | None] = foreign_key("markets")

    market: Mapped[Market | None] = relationship()


class PaymentMethod(Resource):
    """A way to pay, and what it costs."""

    __tablename__ = "payment_methods"

    name: Mapped[Code]
    payment_source_type: Mapped[str]
    currency_code: Mapped[Currency]
    price_amount_cents: Mapped[int | None] = amount()
    market_id: Mapped[str | None] = foreign_key("markets")

    market: Mapped[Market | None] = relationship()


class TaxCalculator(Resource):
    """Something that computes taxes from the tax categories of SKUs."""

    __tablename__ = "tax_calculators"

    name: Mapped[Code]
