"""Sample products, suppliers, files and custom fields."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from export_pipelines.catalog.sample import awkward, words
from export_pipelines.catalog.sample.columns import (
    Columns,
    constant,
    digits,
    ean8,
    ean13,
    integers,
    join,
    nullify,
    plain,
    replace,
    sprinkle,
    take,
)
from export_pipelines.catalog.sample.pattern import Pattern
from export_pipelines.catalog.sample.rows import Rows
from export_pipelines.catalog.sample.traits import (
    CURRENCIES,
    awkward_text,
    brands,
    cents,
    identified,
    phrases,
    product_names,
    sku_codes,
    take_integers,
)

TEMPLATES = (
    ("care", "Care & material"),
    ("dimensions", "Dimensions"),
    ("compliance", "Compliance, CE"),
)
FIELDS = (
    ("material", "Material", "string"),
    ("washable", "Machine washable", "boolean"),
    ("care-notes", "Care notes", "string"),
    ("layers", "Layers", "integer"),
    ("width", "Width (cm)", "float"),
    ("height", "Height (cm)", "float"),
    ("parcels", "Parcels", "integer"),
    ("shape", "Shape", "string"),
    ("certified", "Certified", "boolean"),
    ("certified-on", "Certified on", "date"),
    ("certificate", "Certificate no.", "string"),
    ("risk", "Risk class", "integer"),
)
FIELDS_PER_TEMPLATE = len(FIELDS) // len(TEMPLATES)
GROUPS = Pattern(1, 2)
"""Groups of custom fields per extended product, which is every third one."""


def suppliers(rows: Rows) -> Columns:
    """Companies around the world; the first ones have awkward names."""
    place = rows.below("place", len(words.PLACES))
    name = join(rows.pick("name", words.LAST_NAMES), " ", rows.pick("form", words.COMPANIES))
    code = join("SUP-", digits(rows.numbers + 1, 5))
    login = rows.pick("login", words.LAST_LOGINS)
    contact = join(rows.pick("first", words.FIRST_NAMES), " ", rows.pick("last", words.LAST_NAMES))
    return identified(
        rows,
        code=code,
        name=awkward_text(rows, name, required=True),
        contact_name=awkward_text(rows, contact),
        email=join(login, "@", pc.utf8_lower(code), ".example.com"),
        phone=join("+", digits(rows.below("phone", 10**11), 11)),
        website=join("https://", pc.utf8_lower(code), ".example.com/"),
        line_1=join(rows.pick("street", words.STREETS), " ", plain(1 + rows.below("house", 200))),
        line_2=nullify(join("Unit ", plain(rows.below("unit", 40))), ~rows.chance("unit", 20)),
        city=take(tuple(p[0] for p in words.PLACES), place),
        state_code=take(tuple(p[1] for p in words.PLACES), place),
        zip_code=join(
            take(tuple(p[2] for p in words.PLACES), place), digits(rows.below("zip", 1000), 3)
        ),
        country_code=take(tuple(p[3] for p in words.PLACES), place),
        vat_number=join(
            take(tuple(p[3] for p in words.PLACES), place), digits(rows.below("vat", 10**9), 9)
        ),
        currency_code=rows.pick("currency_code", CURRENCIES),
        minimum_order_cents=integers(cents(rows, "minimum"), rows.chance("no minimum", 30)),
        lead_time_days=integers(rows.below("lead", 60), rows.chance("no lead", 10)),
        payment_terms_days=integers(take_integers((0, 14, 30, 60), rows.below("terms", 4))),
        is_active=pa.array(rows.chance("active", 90)),
        notes=awkward_text(rows, constant("Orders by e-mail only.", len(rows))),
    )


def files(rows: Rows) -> Columns:
    """Images; several products may share one."""
    number = digits(rows.numbers, 7)
    suffix = rows.below("suffix", 3)
    name = join("img-", number, take((".jpg", ".png", ".webp"), suffix))
    size = take_integers((800, 1200, 2000), rows.below("size", 3))
    return identified(
        rows,
        file_name=awkward_text(rows, name, required=True),
        href=join("https://cdn.example.com/files/", name),
        mime_type=take(("image/jpeg", "image/png", "image/webp"), suffix),
        file_size=integers(10_000 + rows.below("bytes", 4_000_000)),
        width=integers(size),
        height=integers(size * 3 // 4),
    )


def products(rows: Rows) -> Columns:
    """Articles with data good and bad; the first rows are the most awkward ones."""
    numbers = rows.numbers
    currency = rows.below("currency_code", 10)
    price = cents(rows, "price_cents")
    tag = [rows.pick(f"tag {place}", words.TAGS) for place in range(3)]
    two = join('["', tag[0], '","', tag[1], '"]')
    tags = pc.choose(
        pa.array(rows.below("tags", 4)), join('["', tag[0], '"]'), two, constant("[]", len(rows)),
        join('["', tag[0], '","', tag[1], '","', tag[2], '"]'),
    )  # fmt: skip
    description = join(
        rows.pick("opening", words.OPENINGS),
        phrases(rows),
        rows.pick("middle", words.MIDDLES),
        rows.pick("closing", words.CLOSINGS),
        rows.pick("afterthought", words.AFTERTHOUGHTS),
    )
    description = awkward_text(rows, description)
    long = (numbers % 200_000 < 6) & (numbers % 2 == 1)
    if long.any():
        description = replace(description, long, take(awkward.LONG_TEXTS, numbers[long] // 2 % 3))
    slug = pc.utf8_lower(join(rows.pick("slug", words.LAST_LOGINS), "-", plain(numbers)))
    ean = _eans(rows)
    weight = pa.array((1 + rows.below("weight", 40_000)) / 10, mask=rows.chance("weightless", 5))
    return identified(
        rows,
        external_ref=nullify(join("ERP/", digits(numbers, 9)), rows.chance("no ref", 10)),
        sku=sku_codes(rows),
        ean=ean,
        barcode=pc.if_else(
            pa.array(rows.chance("barcode", 60)), ean, join("*", digits(numbers, 9), "*")
        ),
        mpn=awkward_text(rows, rows.pick("mpn", ("A-100", "B 200/3", "0042", "3E10", "X.7", None))),
        name=product_names(rows),
        slug=slug,
        description=description,
        brand=awkward_text(rows, brands(rows)),
        category=awkward_text(rows, rows.pick("category", words.CATEGORIES)),
        status=take(("live", "live", "live", "draft"), rows.below("status", 4)),
        commodity_type=take(("digital", *("physical",) * 9), rows.below("commodity", 10)),
        is_bundle=pa.array(rows.chance("is_bundle", 4)),
        is_active=pa.array(rows.chance("is_active", 85)),
        weight=sprinkle(weight, numbers, awkward.WEIGHTS),
        price_cents=sprinkle(integers(price, rows.chance("priceless", 2)), numbers, awkward.CENTS),
        cost_price_cents=integers(
            price * (30 + rows.below("margin", 40)) // 100, rows.chance("costless", 15)
        ),
        currency_code=take((*("EUR",) * 6, *CURRENCIES[1:]), currency),
        tags=sprinkle(nullify(tags, rows.chance("no tags", 10)), numbers, awkward.TAGS, every=499),
        supplier_id=rows.refer_any("suppliers", "supplier", null_percent=5),
        main_image_id=rows.refer_any("files", "image", null_percent=20),
    )


def _eans(rows: Rows) -> pa.StringArray:
    """Return EAN-13 codes, every tenth with two leading zeros, some EAN-8 codes, and nulls."""
    numbers = rows.numbers
    spread = numbers // 10 * 13
    usual = 400_000_000_000 + numbers * 13
    codes = ean13(np.where(numbers % 10 == 0, 1_234_567_890 + spread, usual))
    short = (numbers % 97 == 5) & (numbers < 97 * 10**6)
    if short.any():
        codes = replace(codes, short, ean8(1_000_000 + numbers[short] // 97))
    return nullify(codes, rows.chance("no ean", 3))


def extension_templates(rows: Rows) -> Columns:
    """Three groups of custom fields."""
    return identified(
        rows,
        slug=take(tuple(slug for slug, _ in TEMPLATES), rows.numbers),
        name=take(tuple(name for _, name in TEMPLATES), rows.numbers),
    )


def extension_fields(rows: Rows) -> Columns:
    """Four custom fields of each group, of every type."""
    slug, name, kind = zip(*FIELDS, strict=True)
    return identified(
        rows,
        slug=take(slug, rows.numbers),
        name=take(name, rows.numbers),
        type=take(kind, rows.numbers),
        template_id=rows.refer("extension_templates", rows.numbers // FIELDS_PER_TEMPLATE),
    )


def product_extension_values(rows: Rows) -> Columns:
    """One or two groups of custom fields for every third product."""
    group = rows.numbers // FIELDS_PER_TEMPLATE
    extended = GROUPS.parent(group)
    template = rows.of("products", extended).below("template", len(TEMPLATES))
    template = (template + GROUPS.place(group)) % len(TEMPLATES)
    field = template * FIELDS_PER_TEMPLATE + rows.numbers % FIELDS_PER_TEMPLATE
    kinds = ("string", "integer", "float", "boolean", "date")
    kind = np.array([kinds.index(entry[2]) for entry in FIELDS], dtype=np.int64)[field]
    whole = plain(rows.below("whole", 50))
    value = pc.choose(
        pa.array(kind),
        rows.pick("text", ("cotton", "oak, oiled", "steel", 'glass 3/8"', "Wolle", "", "漆")),
        whole,
        join(whole, ".", plain(rows.below("fraction", 10))),
        rows.pick("truth", ("true", "false")),
        join("2023-", digits(1 + rows.below("month", 12), 2), "-15"),
    )
    return {
        "product_id": rows.refer("products", extended * 3),
        "field_id": rows.refer("extension_fields", field),
        "value": nullify(value, rows.chance("unset", 5)),
    }
