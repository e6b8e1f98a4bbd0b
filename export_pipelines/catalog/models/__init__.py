"""The tables of the shop, one module per area."""

from export_pipelines.catalog.models import (
    after_sales,
    carts,
    customers,
    imports,
    inventory,
    markets,
    orders,
    payments,
    pim,
    pricing,
    promotions,
    subscriptions,
)
from export_pipelines.catalog.models.base import Base

__all__ = [
    "Base",
    "after_sales",
    "carts",
    "customers",
    "imports",
    "inventory",
    "markets",
    "orders",
    "payments",
    "pim",
    "pricing",
    "promotions",
    "subscriptions",
]
