"""Money that moved: transactions and disputes about them."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from export_pipelines.catalog.models.base import Code, Currency, LongText, Moment, Resource
from export_pipelines.catalog.models.customers import Customer
from export_pipelines.catalog.models.orders import Order
from export_pipelines.catalog.models.types import amount, choice, foreign_key

if TYPE_CHECKING:
    from export_pipelines.catalog.models.subscriptions import Subscription


class Transaction(Resource):
    """A payment, or what became of it: a capture, a void, a refund."""

    __tablename__ = "transactions"

    number: Mapped[Code | None]
    type: Mapped[str] = choice("authorization", "capture", "sale", "void", "refund", index=True)
    status: Mapped[str] = choice("pending", "succeeded", "failed", index=True)
    currency_code: Mapped[Currency] = mapped_column(index=True)
    amount_cents: Mapped[int] = amount()
    refundable_amount_cents: Mapped[int | None] = amount()
    payment_method: Mapped[str | None] = mapped_column(index=True)
    payment_details: Mapped[dict[str, Any] | None]
    response_code: Mapped[str | None] = mapped_column(String(32))
    response_message: Mapped[LongText | None]
    auth_code: Mapped[str | None] = mapped_column(String(64))
    external_id: Mapped[Code | None]
    network_transaction_id: Mapped[str | None]
    initiator: Mapped[str | None] = choice("customer", "merchant", "staff")
    is_disputed: Mapped[bool]
    is_external: Mapped[bool]
    is_test: Mapped[bool]
    attribution: Mapped[dict[str, Any] | None]
    order_number: Mapped[Code | None]
    order_placed_at: Mapped[Moment | None]
    order_id: Mapped[str | None] = foreign_key("orders")
    subscription_id: Mapped[str | None] = foreign_key("subscriptions")
    customer_id: Mapped[str | None] = foreign_key("customers")
    parent_id: Mapped[str | None] = foreign_key("transactions")

    order: Mapped[Order | None] = relationship(back_populates="transactions")
    subscription: Mapped["Subscription | None"] = relationship(back_populates="transactions")
    customer: Mapped[Customer | None] = relationship()
    parent: Mapped["Transaction | None"] = relationship(remote_side="Transaction.id")
    disputes: Mapped[list["Dispute"]] = relationship(back_populates="transaction")


class Dispute(Resource):
    """A buyer's objection to a payment, brought by their bank."""

    __tablename__ = "disputes"

    type: Mapped[str] = choice("inquiry", "alert", "chargeback", index=True)
    status: Mapped[str] = choice(
        "open", "under_review", "won", "lost", "accepted", "resolved", index=True
    )
    currency_code: Mapped[Currency]
    amount_cents: Mapped[int] = amount()
    report_currency_code: Mapped[Currency | None]
    report_amount_cents: Mapped[int | None] = mapped_column(
        comment="minor units of report_currency_code"
    )
    case_number: Mapped[Code | None]
    arn: Mapped[str | None] = mapped_column(comment="acquirer reference number")
    reason: Mapped[str | None]
    resolution: Mapped[str | None]
    resolution_other_message: Mapped[LongText | None]
    happened_at: Mapped[Moment | None]
    order_id: Mapped[str | None] = foreign_key("orders")
    transaction_id: Mapped[str | None] = foreign_key("transactions")

    order: Mapped[Order | None] = relationship(back_populates="disputes")
    transaction: Mapped[Transaction | None] = relationship(back_populates="disputes")
