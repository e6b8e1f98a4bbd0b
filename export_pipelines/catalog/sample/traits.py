"""Columns that many tables of the sample shop have, and facts that several tables repeat."""

from typing import Any

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample import awkward, words
from export_pipelines.catalog.sample.columns import (
    Columns,
    digits,
    join,
    moments,
    nullify,
    plain,
    replace,
    sprinkle,
    take,
)
from export_pipelines.catalog.sample.rows import Integers, Rows

DAY_MS = 86_400_000
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "KWD")
LANGUAGES = ("en", "de", "fr", "es", "it", "ja", "ar", "pt-BR")
ORIGINS = ("erp", "legacy-shop", "marketplace", "import 2023/01")
ATTRIBUTIONS = (
    None,
    '{"utm_source":"google","utm_medium":"cpc","utm_campaign":"spring","gclid":"Cj0KCQ-example"}',
    '{"utm_source":"newsletter","utm_medium":"email","utm_campaign":"50% off, today!"}',
    '{"utm_source":"facebook","funnel":"upsell-1","subaffiliate1":"\\"A\\""}',
    '{"referrer":"https://example.org/?a=1&b=2"}',
)
SOURCES = ("web", "pos", "api", "marketplace")


def identified(rows: Rows, **columns: pa.Array) -> Columns:
    """Add a key and timestamps; some of these are odd dates."""
    created = rows.created()
    updated = created + rows.below("updated_at", 90 * DAY_MS)
    return {
        "id": rows.keys(),
        **columns,
        "created_at": sprinkle(moments(created), rows.numbers, awkward.MOMENTS),
        "updated_at": sprinkle(moments(updated), rows.numbers, awkward.MOMENTS, every=991),
    }


def resource(rows: Rows, **columns: pa.Array) -> Columns:
    """Add a key, timestamps, references to other systems and free metadata."""
    unset = ~rows.chance("reference", 20)
    metadata = join('{"batch":', plain(rows.below("batch", 40)), ',"checked":true}')
    metadata = nullify(metadata, ~rows.chance("metadata", 30))
    return identified(
        rows,
        **columns,
        reference=nullify(join("R-", digits(rows.numbers, 8)), unset),
        reference_origin=nullify(rows.pick("reference_origin", ORIGINS), unset),
        metadata=sprinkle(metadata, rows.numbers, awkward.METADATA),
    )


def awkward_text(rows: Rows, column: pa.Array, *, required: bool = False, every: int = 997) -> Any:
    """Return the column with awkward texts in the first rows and in one of `every`."""
    texts = awkward.REQUIRED_TEXTS if required else awkward.TEXTS
    return sprinkle(column, rows.numbers, texts, every=every)


def cents(rows: Rows, column: str) -> Integers:
    """Return a price per row: few large ones, many that end in 95 or 99."""
    magnitude = 10 ** (1 + rows.below(f"{column} magnitude", 3))
    price = (1 + rows.below(column, 10**6) % (magnitude * 9)) * 100
    return price - take_integers((0, 1, 5, 5), rows.below(f"{column} ending", 4))


def take_integers(values: tuple[int, ...], index: Integers) -> Integers:
    """Return `values[index]`."""
    return np.array(values, dtype=np.int64)[index]


def sku_codes(rows: Rows) -> pa.StringArray:
    """Return the article codes of rows of `products`; `skus` share them."""
    product = rows.of("products", rows.numbers)
    department = product.pick("department", ("KIT", "OFF", "OUT", "FSH", "TLS", "HOM", "PET"))
    color = product.pick("color", ("BLK", "WHT", "RED", "NVY", "OLV", "00", "XL"))
    codes = join(department, "-", digits(rows.numbers, 7), "-", color)
    first = rows.numbers < len(awkward.CODES)
    return replace(codes, first, take(awkward.CODES, rows.numbers[first])) if first.any() else codes


def _phrases() -> tuple[str, ...]:
    """Return all pairs of adjective and noun, often used languages several times."""
    return tuple(
        f"{adjective} {noun}"
        for weight, adjectives, nouns in words.LANGUAGES
        for adjective in adjectives
        for noun in nouns
        for _ in range(max(1, weight * 60 // (len(adjectives) * len(nouns))))
    )


PHRASES = _phrases()


def brands(rows: Rows) -> pa.StringArray:
    """Return the brands of rows of `products`."""
    return rows.of("products", rows.numbers).pick("brand", words.BRANDS)


def phrases(rows: Rows) -> pa.StringArray:
    """Return what rows of `products` are, such as `Foldable Tent`."""
    return rows.of("products", rows.numbers).pick("phrase", PHRASES)


def product_names(rows: Rows) -> pa.StringArray:
    """Return the names of rows of `products`; `skus` and lines of orders share them."""
    product = rows.of("products", rows.numbers)
    variant = product.pick("variant", tuple(f" {word}" if word else "" for word in words.VARIANTS))
    model = join(" ", digits(product.below("model", 900) + 100, 3))
    names = join(brands(rows), " ", phrases(rows), variant, model)
    return sprinkle(names, rows.numbers, awkward.REQUIRED_TEXTS)


def emails(rows: Rows) -> pa.StringArray:
    """Return the e-mail addresses of rows of `customers`, all different."""
    customer = rows.of("customers", rows.numbers)
    first = take(words.FIRST_LOGINS, customer.below("first_name", len(words.FIRST_NAMES)))
    last = take(words.LAST_LOGINS, customer.below("last_name", len(words.LAST_NAMES)))
    hosts = ("@example.com", "@example.org", "@mail.example.com", "@EXAMPLE.net")
    return join(first, ".", last, plain(rows.numbers), customer.pick("host", hosts))


def order_numbers(rows: Rows) -> pa.StringArray:
    """Return the numbers of rows of `orders`."""
    return join("#", plain(rows.numbers + 10_001))
