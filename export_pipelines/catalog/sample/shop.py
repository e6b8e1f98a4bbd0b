"""Fills a database with a sample shop."""

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
from sqlalchemy import select, text

from export_pipelines.catalog import database
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.sample import (
    after_sales,
    carts,
    facts,
    goods,
    payments,
    people,
    pim,
    sales,
)
from export_pipelines.catalog.sample.columns import Columns
from export_pipelines.catalog.sample.rows import Rows, Shop
from export_pipelines.errors import RequestError

MANY = 50_000
"""Most rows of tables that only illustrate, however many products there are."""

_BATCH_ROWS = 25_000

TABLES: tuple[Callable[[Rows], Columns], ...] = (
    pim.suppliers,
    pim.files,
    pim.products,
    pim.extension_templates,
    pim.extension_fields,
    pim.product_extension_values,
    goods.price_lists,
    goods.markets,
    goods.stores,
    goods.shipping_methods,
    goods.payment_methods,
    goods.tax_calculators,
    goods.shipping_categories,
    goods.skus,
    goods.sku_options,
    people.customer_groups,
    people.customers,
    people.addresses,
    people.customer_addresses,
    people.customer_subscriptions,
    goods.sku_lists,
    goods.sku_list_items,
    goods.bundles,
    goods.stock_locations,
    goods.stock_items,
    goods.tax_categories,
    goods.prices,
    goods.price_tiers,
    people.promotion_rules,
    people.coupon_recipients,
    people.coupons,
    people.gift_card_recipients,
    people.gift_cards,
    sales.orders,
    sales.line_items,
    sales.line_item_options,
    carts.subscriptions,
    carts.subscription_line_items,
    payments.transactions,
    payments.disputes,
    carts.carts,
    carts.cart_line_items,
    after_sales.returns,
    after_sales.return_line_items,
    after_sales.fulfillments,
    after_sales.fulfillment_line_items,
)
"""One function per table, which bears the table's name; a table comes after those it refers to."""


def generate(
    url: str,
    *,
    products: int = 10_000,
    orders: int | None = None,
    seed: int = 7,
    progress: Callable[[str, int], None] | None = None,
) -> Mapping[str, int]:
    """Create the schema and fill every table; return how many rows each table got.

    The same arguments give the same rows in every database. Everything is committed at the end,
    or nothing. Other tables follow the products and orders in size; without more orders they stop
    growing at 50,000 products.

    Args:
        url: an empty or new database.
        products: at least 1.
        orders: a quarter of the products by default; 0 leaves orders, payments, carts, ... empty.
        seed: which of all possible shops to make.
        progress: called with a table's name and its rows so far, after each batch.

    Raises:
        RequestError: there are no products, a negative number of orders, or the database has
            products already.
        CatalogUnavailable: the database cannot be opened.
    """
    sizes = table_sizes(products, products // 4 if orders is None else orders)
    shop = Shop(seed, sizes)
    database.create_schema(url, indexes=False)
    _refuse_filled(url)
    tables = Base.metadata.tables
    with database.bulk_writer(url) as writer:
        for make in TABLES:
            name = make.__name__
            writer.write(tables[name], _batches(shop, make, progress))
    database.create_schema(url)
    with database.begin(url) as connection:
        connection.execute(text("ANALYZE"))
    return sizes


def table_sizes(products: int, orders: int) -> Mapping[str, int]:
    """Return how many rows each table has.

    Raises:
        RequestError: there are no products, or a negative number of orders.
    """
    if products < 1 or orders < 0:
        raise RequestError(
            f"A sample shop needs at least 1 product and 0 orders, not {products} and {orders}."
        )
    some = min(products, MANY)
    skus = min(products, max(MANY, orders))
    customers = max(20, some // 10, orders // 2)
    lists = max(8, skus // 100)
    extended = sum(1 for _ in range(0, some, 3))
    subscriptions = -(-orders // facts.ORDERS_PER_SUBSCRIPTION)
    baskets = -(-orders // 4)
    returns = (orders + after_sales.ORDERS_PER_RETURN - 2) // after_sales.ORDERS_PER_RETURN
    fulfillments = orders // after_sales.ORDERS_PER_FULFILLMENT
    lines = facts.LINES.size(orders)
    markets = len(goods.MARKETS)
    return {
        "suppliers": max(12, products // 200),
        "files": some,
        "products": products,
        "extension_templates": len(pim.TEMPLATES),
        "extension_fields": len(pim.FIELDS),
        "product_extension_values": pim.GROUPS.size(extended) * pim.FIELDS_PER_TEMPLATE,
        "price_lists": markets,
        "markets": markets,
        "stores": markets * 2,
        "shipping_methods": markets * len(goods.SHIPPING),
        "payment_methods": markets * len(goods.PAYMENTS),
        "tax_calculators": 2,
        "shipping_categories": 6,
        "skus": skus,
        "sku_options": 12,
        "customer_groups": 6,
        "customers": customers,
        "addresses": customers * people.ADDRESSES_PER_CUSTOMER,
        "customer_addresses": customers,
        "customer_subscriptions": customers // 2,
        "sku_lists": lists,
        "sku_list_items": lists * goods.list_items(skus),
        "bundles": lists // 2,
        "stock_locations": 4,
        "stock_items": skus * 2,
        "tax_categories": skus,
        "prices": skus * 2,
        "price_tiers": -(-skus * 2 // 10) * 2,
        "promotion_rules": 8,
        "coupon_recipients": max(5, customers // 20),
        "coupons": max(20, customers // 4),
        "gift_card_recipients": max(5, customers // 40),
        "gift_cards": max(20, customers // 10),
        "orders": orders,
        "line_items": lines,
        "line_item_options": facts.OPTIONS.size(lines),
        "subscriptions": subscriptions,
        "subscription_line_items": carts.SUBSCRIPTION_LINES.size(subscriptions),
        "transactions": orders - (-orders // payments.ORDERS_PER_REFUND),
        "disputes": -(-orders // payments.ORDERS_PER_DISPUTE),
        "carts": baskets,
        "cart_line_items": carts.CART_LINES.size(baskets),
        "returns": returns,
        "return_line_items": after_sales.RETURN_LINES.size(returns),
        "fulfillments": fulfillments,
        "fulfillment_line_items": after_sales.FULFILLMENT_LINES.size(fulfillments),
    }


def _batches(
    shop: Shop, make: Callable[[Rows], Columns], progress: Callable[[str, int], None] | None
) -> Iterator[pa.RecordBatch]:
    name = make.__name__
    size = shop.sizes[name]
    for start in range(0, size, _BATCH_ROWS):
        stop = min(start + _BATCH_ROWS, size)
        columns = make(shop.all(name, start, stop))
        yield pa.RecordBatch.from_pydict(dict(columns))
        if progress is not None:
            progress(name, stop)


def _refuse_filled(url: str) -> None:
    products = Base.metadata.tables["products"]
    with database.begin(url) as connection:
        if connection.execute(select(products.c.id).limit(1)).first() is not None:
            raise RequestError(
                "The database has products already: make the sample shop in a new one."
            )
