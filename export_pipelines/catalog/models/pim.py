"""Product information: products, their suppliers, files and custom fields."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import (
    Base,
    Code,
    Country,
    Currency,
    Identified,
    LongText,
    Timestamped,
    UniqueCode,
    Url,
)
from export_pipelines.catalog.models.types import (
    SHOP_CURRENCY,
    SlugOf,
    amount,
    choice,
    foreign_key,
)


class Supplier(Identified, Timestamped, Base):
    """A company that products are bought from."""

    __tablename__ = "suppliers"
    __import_defaults__: ClassVar[Mapping[str, Any]] = {"is_active": True}

    code: Mapped[UniqueCode]
    name: Mapped[Code]
    contact_name: Mapped[str | None]
    email: Mapped[Code | None]
    phone: Mapped[str | None] = mapped_column(String(64))
    website: Mapped[Url | None]
    line_1: Mapped[str | None]
    line_2: Mapped[str | None]
    city: Mapped[str | None]
    state_code: Mapped[str | None] = mapped_column(String(32))
    zip_code: Mapped[str | None] = mapped_column(String(32))
    country_code: Mapped[Country | None]
    vat_number: Mapped[str | None] = mapped_column(String(32))
    currency_code: Mapped[Currency | None]
    minimum_order_cents: Mapped[int | None] = amount()
    lead_time_days: Mapped[int | None]
    payment_terms_days: Mapped[int | None]
    is_active: Mapped[bool]
    notes: Mapped[LongText | None]

    products: Mapped[list["Product"]] = relationship(back_populates="supplier")


class File(Identified, Timestamped, Base):
    """An uploaded file, such as a product's main image."""

    __tablename__ = "files"

    file_name: Mapped[Code]
    href: Mapped[Url]
    mime_type: Mapped[str]
    file_size: Mapped[int] = mapped_column(comment="bytes")
    width: Mapped[int | None] = mapped_column(comment="pixels")
    height: Mapped[int | None] = mapped_column(comment="pixels")


class Product(Identified, Timestamped, Base):
    """An article of the catalogue, with its product data."""

    __tablename__ = "products"
    __includes__ = ("supplier", "main_image")
    __always__: ClassVar[Mapping[str, Any]] = {"is_bundle": False}
    __import_defaults__: ClassVar[Mapping[str, Any]] = {
        "slug": SlugOf("name"),
        "is_bundle": False,
        "is_active": True,
        "currency_code": SHOP_CURRENCY,
    }
    __import_aliases__: ClassVar[Mapping[str, str]] = {"upc_ean": "ean"}

    external_ref: Mapped[str | None] = mapped_column(String(2048), index=True, unique=True)
    sku: Mapped[UniqueCode | None]
    ean: Mapped[str | None] = mapped_column(
        String(32), index=True, comment="8 or 13 digits; text, because leading zeros count"
    )
    barcode: Mapped[str | None] = mapped_column(String(64))
    mpn: Mapped[str | None] = mapped_column(comment="manufacturer's part number")
    name: Mapped[Code]
    slug: Mapped[str] = mapped_column(
        comment="letters, digits, '.', '-' and '_'", info={"pattern": r"^[\w.-]+$"}
    )
    description: Mapped[LongText | None]
    brand: Mapped[Code | None]
    category: Mapped[str | None] = mapped_column(comment="path, such as Home/Kitchen/Knives")
    status: Mapped[str] = choice("draft", "live", index=True)
    commodity_type: Mapped[str] = choice("physical", "digital")
    is_bundle: Mapped[bool]
    is_active: Mapped[bool] = mapped_column(index=True)
    weight: Mapped[float | None] = mapped_column(comment="grams")
    price_cents: Mapped[int | None] = amount(decimal="price", index=True)
    cost_price_cents: Mapped[int | None] = amount(decimal="cost_price")
    currency_code: Mapped[Currency]
    tags: Mapped[list[str] | None] = mapped_column(
        comment="at most 20, of 255 characters each", info={"items": (20, 255)}
    )
    supplier_id: Mapped[str | None] = foreign_key("suppliers")
    main_image_id: Mapped[str | None] = foreign_key("files")

    supplier: Mapped[Supplier | None] = relationship(back_populates="products")
    main_image: Mapped[File | None] = relationship()
    extension_values: Mapped[list["ProductExtensionValue"]] = relationship(back_populates="product")


class ExtensionTemplate(Identified, Timestamped, Base):
    """A named group of custom fields."""

    __tablename__ = "extension_templates"

    slug: Mapped[UniqueCode]
    name: Mapped[str]

    fields: Mapped[list["ExtensionField"]] = relationship(back_populates="template")


class ExtensionField(Identified, Timestamped, Base):
    """One custom field of a template."""

    __tablename__ = "extension_fields"
    __table_args__ = (UniqueConstraint("template_id", "slug"),)

    slug: Mapped[str]
    name: Mapped[str]
    type: Mapped[str] = choice("string", "integer", "float", "boolean", "date")
    template_id: Mapped[str] = foreign_key("extension_templates")

    template: Mapped[ExtensionTemplate] = relationship(back_populates="fields")


class ProductExtensionValue(Base):
    """The value of one custom field of one product, as text."""

    __tablename__ = "product_extension_values"
    __table_args__ = (Index(None, "field_id"),)

    product_id: Mapped[str] = foreign_key("products", primary_key=True)
    field_id: Mapped[str] = foreign_key("extension_fields", primary_key=True)
    value: Mapped[LongText | None]

    product: Mapped[Product] = relationship(back_populates="extension_values")
    field: Mapped[ExtensionField] = relationship()
