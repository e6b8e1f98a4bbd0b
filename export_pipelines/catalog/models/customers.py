"""Who buys: customers, their groups and addresses, and the news they asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import (
    Code,
    Country,
    LongText,
    Moment,
    Resource,
    UniqueCode,
)
from export_pipelines.catalog.models.types import choice, foreign_key

if TYPE_CHECKING:
    from export_pipelines.catalog.models.after_sales import Return
    from export_pipelines.catalog.models.inventory import SkuList
    from export_pipelines.catalog.models.orders import Order
    from export_pipelines.catalog.models.subscriptions import Subscription


class CustomerGroup(Resource):
    """Customers who are treated alike."""

    __tablename__ = "customer_groups"

    name: Mapped[Code]
    code: Mapped[UniqueCode | None]

    customers: Mapped[list["Customer"]] = relationship(back_populates="customer_group")


class Customer(Resource):
    """Somebody who bought, or may buy."""

    __tablename__ = "customers"
    __includes__ = ("customer_subscriptions",)
    __import_defaults__: ClassVar[Mapping[str, Any]] = {
        "status": "prospect",
        "accepts_marketing": False,
        "is_blocked": False,
        "user_type": "customer",
    }

    email: Mapped[UniqueCode]
    first_name: Mapped[str | None]
    last_name: Mapped[Code | None]
    phone: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = choice("prospect", "acquired", "repeat", index=True)
    has_password: Mapped[bool | None]
    shopper_reference: Mapped[str | None]
    profile_id: Mapped[str | None]
    tax_exemption_code: Mapped[str | None]
    anonymization_info: Mapped[dict[str, Any] | None]
    anonymization_status: Mapped[str | None] = choice(
        "requested", "started", "completed", "failed", "cancelled"
    )
    language_code: Mapped[str | None] = mapped_column(String(16))
    accepts_marketing: Mapped[bool]
    is_blocked: Mapped[bool]
    user_type: Mapped[str] = choice("lead", "customer")
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[LongText | None]
    tags: Mapped[list[str] | None]
    joined_at: Mapped[Moment | None]
    first_ordered_at: Mapped[Moment | None]
    last_ordered_at: Mapped[Moment | None]
    customer_group_id: Mapped[str | None] = foreign_key("customer_groups")

    customer_group: Mapped[CustomerGroup | None] = relationship(back_populates="customers")
    customer_addresses: Mapped[list["CustomerAddress"]] = relationship(back_populates="customer")
    customer_subscriptions: Mapped[list["CustomerSubscription"]] = relationship(
        back_populates="customer"
    )
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")
    subscriptions: Mapped[list["Subscription"]] = relationship(back_populates="customer")
    returns: Mapped[list["Return"]] = relationship(back_populates="customer")
    sku_lists: Mapped[list["SkuList"]] = relationship(back_populates="customer")


class Address(Resource):
    """A place that goods or bills are sent to."""

    __tablename__ = "addresses"

    business: Mapped[bool | None]
    first_name: Mapped[str | None]
    last_name: Mapped[Code | None]
    company: Mapped[str | None]
    full_name: Mapped[str | None] = mapped_column(String(511))
    line_1: Mapped[str]
    line_2: Mapped[str | None]
    city: Mapped[Code]
    zip_code: Mapped[str | None] = mapped_column(String(32), index=True)
    state_code: Mapped[str | None] = mapped_column(String(32))
    country_code: Mapped[Country] = mapped_column(index=True)
    phone: Mapped[str] = mapped_column(String(64))
    full_address: Mapped[LongText | None]
    name: Mapped[LongText | None]
    email: Mapped[Code | None]
    notes: Mapped[LongText | None]
    lat: Mapped[float | None] = mapped_column(comment="degrees north")
    lng: Mapped[float | None] = mapped_column(comment="degrees east")
    is_localized: Mapped[bool | None]
    is_geocoded: Mapped[bool | None]
    provider_name: Mapped[str | None]
    billing_info: Mapped[str | None] = mapped_column(comment="VAT or tax number")


class CustomerAddress(Resource):
    """An address in a customer's address book."""

    __tablename__ = "customer_addresses"
    __table_args__ = (Index(None, "customer_id", "address_id", unique=True),)

    customer_id: Mapped[str] = foreign_key("customers")
    address_id: Mapped[str] = foreign_key("addresses")

    customer: Mapped[Customer] = relationship(back_populates="customer_addresses")
    address: Mapped[Address] = relationship()


class CustomerSubscription(Resource):
    """News, such as a newsletter, that a customer asked for; `reference` says which."""

    __tablename__ = "customer_subscriptions"
    __includes__ = ("customer",)
    __table_args__ = (Index(None, "customer_id", "reference", unique=True),)

    customer_email: Mapped[Code]
    customer_id: Mapped[str | None] = foreign_key("customers")

    customer: Mapped[Customer | None] = relationship(back_populates="customer_subscriptions")
