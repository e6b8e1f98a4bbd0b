"""What makes orders cheaper: promotion rules, coupons and gift cards."""

from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import Code, Currency, Moment, Resource, UniqueCode, Url
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.markets import Market
from export_pipelines.catalog.models.types import amount, choice, foreign_key


class PromotionRule(Resource):
    """The condition under which a promotion applies."""

    __tablename__ = "promotion_rules"

    name: Mapped[Code]
    starts_at: Mapped[Moment | None]
    expires_at: Mapped[Moment | None]

    coupons: Mapped[list["Coupon"]] = relationship(back_populates="promotion_rule")


class CouponRecipient(Resource):
    """Whom a coupon was sent to."""

    __tablename__ = "coupon_recipients"

    email: Mapped[Code]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    customer_id: Mapped[str | None] = foreign_key("customers")

    customer: Mapped[Customer | None] = relationship()


class Coupon(Resource):
    """A code that makes a promotion apply to an order."""

    __tablename__ = "coupons"
    __table_args__ = (Index(None, "code", "promotion_rule_id", unique=True),)

    code: Mapped[Code]
    customer_single_use: Mapped[bool | None]
    usage_limit: Mapped[int | None]
    usage_count: Mapped[int | None]
    recipient_email: Mapped[Code | None]
    expires_at: Mapped[Moment | None]
    promotion_rule_id: Mapped[str | None] = foreign_key("promotion_rules")
    coupon_recipient_id: Mapped[str | None] = foreign_key("coupon_recipients")

    promotion_rule: Mapped[PromotionRule | None] = relationship(back_populates="coupons")
    coupon_recipient: Mapped[CouponRecipient | None] = relationship()


class GiftCardRecipient(Resource):
    """Whom a gift card was sent to."""

    __tablename__ = "gift_card_recipients"

    email: Mapped[Code]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    customer_id: Mapped[str | None] = foreign_key("customers")

    customer: Mapped[Customer | None] = relationship()


class GiftCard(Resource):
    """Money on a code, to pay orders with."""

    __tablename__ = "gift_cards"

    status: Mapped[str] = choice("draft", "inactive", "active", "redeemed", index=True)
    code: Mapped[UniqueCode | None]
    currency_code: Mapped[Currency | None] = mapped_column(index=True)
    initial_balance_cents: Mapped[int] = amount()
    balance_cents: Mapped[int] = amount()
    balance_max_cents: Mapped[int | None] = amount()
    balance_log: Mapped[list[dict[str, Any]]]
    usage_log: Mapped[dict[str, Any]]
    single_use: Mapped[bool | None]
    rechargeable: Mapped[bool | None]
    distribute_discount: Mapped[bool | None]
    image_url: Mapped[Url | None]
    expires_at: Mapped[Moment | None]
    recipient_email: Mapped[Code | None]
    market_id: Mapped[str | None] = foreign_key("markets")
    gift_card_recipient_id: Mapped[str | None] = foreign_key("gift_card_recipients")

    market: Mapped[Market | None] = relationship()
    gift_card_recipient: Mapped[GiftCardRecipient | None] = relationship()
