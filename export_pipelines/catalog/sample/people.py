"""Sample customers, addresses, coupons and gift cards."""

import numpy as np
import pyarrow as pa

from export_pipelines.catalog.sample import awkward, words
from export_pipelines.catalog.sample.columns import (
    Columns,
    constant,
    digits,
    integers,
    join,
    moments,
    nullify,
    plain,
    sprinkle,
    take,
)
from export_pipelines.catalog.sample.rows import Integers, Rows
from export_pipelines.catalog.sample.traits import (
    CURRENCIES,
    DAY_MS,
    LANGUAGES,
    awkward_text,
    cents,
    emails,
    resource,
    take_integers,
)

ADDRESSES_PER_CUSTOMER = 2


def customer_groups(rows: Rows) -> Columns:
    """Six groups."""
    names = ("Retail", "Wholesale", "VIP", "Staff, family & friends", "Schools", "Press")
    return resource(rows, name=take(names, rows.numbers), code=join("CG", plain(rows.numbers + 1)))


def order_counts(rows: Rows) -> Integers:
    """Return how many orders each customer made: order n is by customer n modulo all of them."""
    orders, customers = rows.size("orders"), rows.size("customers")
    return (orders - rows.numbers + customers - 1) // customers


def customers(rows: Rows) -> Columns:
    """People with names of many scripts; who ordered, and when, agrees with the orders."""
    count = order_counts(rows)
    orders = rows.of("orders", rows.numbers)
    last = rows.numbers + np.maximum(count - 1, 0) * rows.size("customers")
    login = rows.below("first_name", len(words.FIRST_NAMES))
    anonymised = ~rows.chance("anonymised", 2)
    tags = rows.pick("tags", (None, "[]", '["vip"]', '["b2b","net, 30"]', '["do \\"not\\" call"]'))
    address = join("203.0.113.", plain(rows.below("ip", 256)))
    return resource(
        rows,
        email=emails(rows),
        first_name=awkward_text(rows, take(words.FIRST_NAMES, login)),
        last_name=awkward_text(rows, rows.pick("last_name", words.LAST_NAMES)),
        phone=sprinkle(
            join("+49 ", digits(rows.below("phone", 10**10), 10)),
            rows.numbers,
            ("0049 (30) 123-456", "004930123456", "+1", "-1", "(555) 010-9999", ""),
        ),
        status=take(("prospect", "acquired", "repeat"), np.clip(count, 0, 2)),
        has_password=pa.array(rows.chance("password", 70)),
        shopper_reference=nullify(join("shopper_", plain(rows.numbers)), rows.chance("shy", 50)),
        profile_id=nullify(join("prof_", digits(rows.numbers, 8)), rows.chance("no profile", 60)),
        tax_exemption_code=rows.pick("exempt", (None,) * 9 + ("ART. 151",)),
        anonymization_info=nullify(
            constant('{"requester":{"id":"1","kind":"user"}}', len(rows)), anonymised
        ),
        anonymization_status=nullify(
            rows.pick("anonymous", ("requested", "completed", "cancelled")), anonymised
        ),
        language_code=rows.pick("language", LANGUAGES),
        accepts_marketing=pa.array(rows.chance("marketing", 40)),
        is_blocked=pa.array(rows.chance("blocked", 1)),
        user_type=take(("lead", "customer"), np.clip(count, 0, 1)),
        ip_address=sprinkle(address, rows.numbers, ("2001:db8::1", "::1", None)),
        user_agent=rows.pick("agent", words.USER_AGENTS),
        tags=tags,
        joined_at=sprinkle(
            moments(rows.created(), rows.chance("not joined", 10)), rows.numbers, awkward.MOMENTS
        ),
        first_ordered_at=moments(orders.created(), count == 0),
        last_ordered_at=moments(rows.of("orders", last).created(), count == 0),
        customer_group_id=rows.refer_any("customer_groups", "group", null_percent=60),
    )


def addresses(rows: Rows) -> Columns:
    """Two per customer."""
    customer = rows.of("customers", rows.numbers // ADDRESSES_PER_CUSTOMER)
    place = rows.below("place", len(words.PLACES))
    city, state, postcode, country, latitude, longitude = (
        take(column, place) if isinstance(column[0], str) else np.array(column)[place]
        for column in zip(*words.PLACES, strict=True)
    )
    first = awkward_text(rows, customer.pick("first_name", words.FIRST_NAMES))
    last = awkward_text(rows, customer.pick("last_name", words.LAST_NAMES), every=991)
    line = join(rows.pick("street", words.STREETS), " ", plain(1 + rows.below("house", 300)))
    zip_code = join(postcode, digits(rows.below("zip", 1000), 3))
    business = rows.chance("business", 20)
    full_name = join(first, " ", last)
    full_address = join(line, ", ", zip_code, " ", city, ", ", country)
    located = ~rows.chance("geocoded", 60)
    company = join(rows.pick("company", words.LAST_NAMES), " ", rows.pick("form", words.COMPANIES))
    return resource(
        rows,
        business=pa.array(business),
        first_name=first,
        last_name=last,
        company=awkward_text(rows, nullify(company, ~business)),
        full_name=full_name,
        line_1=awkward_text(rows, line, required=True),
        line_2=awkward_text(rows, rows.pick("line_2", (None, None, None, "Apt. 4", "c/o Smith"))),
        city=awkward_text(rows, city, required=True),
        zip_code=zip_code,
        state_code=state,
        country_code=country,
        phone=join("+", digits(10**10 + rows.below("phone", 10**9), 11)),
        full_address=full_address,
        name=join(full_name, ", ", full_address),
        email=nullify(emails(customer), rows.chance("no email", 50)),
        notes=awkward_text(rows, rows.pick("notes", (None, None, "Ring twice.", "2ᵉ étage"))),
        lat=pa.array(latitude, mask=located),
        lng=pa.array(longitude, mask=located),
        is_localized=pa.array(rows.chance("localized", 90)),
        is_geocoded=pa.array(~located),
        provider_name=nullify(constant("google", len(rows)), located),
        billing_info=nullify(join(country, digits(rows.below("vat", 10**9), 9)), ~business),
    )


def customer_addresses(rows: Rows) -> Columns:
    """The first address of each customer."""
    return resource(
        rows,
        customer_id=rows.refer("customers", rows.numbers),
        address_id=rows.refer("addresses", rows.numbers * ADDRESSES_PER_CUSTOMER),
    )


def customer_subscriptions(rows: Rows) -> Columns:
    """A newsletter for every second customer."""
    customer = rows.of("customers", rows.numbers * 2)
    made = resource(rows, customer_email=emails(customer), customer_id=customer.keys())
    return {**made, "reference": rows.pick("news", ("newsletter", "back-in-stock", "Sale, -50%"))}


def promotion_rules(rows: Rows) -> Columns:
    """Eight, past, present and to come."""
    starts = rows.created()
    return resource(
        rows,
        name=join("Promotion ", plain(rows.numbers + 1)),
        starts_at=moments(starts, rows.numbers == 0),
        expires_at=moments(starts + 90 * DAY_MS, rows.numbers == 1),
    )


def coupon_recipients(rows: Rows) -> Columns:
    """Customers who were sent a coupon."""
    return _recipients(rows)


def gift_card_recipients(rows: Rows) -> Columns:
    """Customers who were sent a gift card."""
    return _recipients(rows)


def _recipients(rows: Rows) -> Columns:
    customer = rows.of("customers", rows.below("customer", rows.size("customers")))
    return resource(
        rows,
        email=emails(customer),
        first_name=customer.pick("first_name", words.FIRST_NAMES),
        last_name=awkward_text(rows, customer.pick("last_name", words.LAST_NAMES)),
        customer_id=rows.refer("customers", customer.numbers, rows.chance("guest", 20)),
    )


def coupons(rows: Rows) -> Columns:
    """Codes that look like words, numbers and formulas."""
    recipient = rows.below("recipient", rows.size("coupon_recipients"))
    owner = rows.of("coupon_recipients", recipient)
    customer = rows.of("customers", owner.below("customer", rows.size("customers")))
    nobody = ~rows.chance("recipient", 30)
    used = rows.below("used", 20)
    code = join(rows.pick("word", ("SPRING", "VIP", "50OFF", "0", "-")), digits(rows.numbers, 6))
    return resource(
        rows,
        code=code,
        customer_single_use=pa.array(rows.chance("single", 30)),
        usage_limit=integers(used + rows.below("left", 50), rows.chance("no limit", 20)),
        usage_count=integers(used),
        recipient_email=nullify(emails(customer), nobody),
        expires_at=sprinkle(
            moments(rows.created() + 365 * DAY_MS, rows.chance("forever", 30)),
            rows.numbers,
            awkward.MOMENTS,
        ),
        promotion_rule_id=rows.refer_any("promotion_rules", "rule"),
        coupon_recipient_id=rows.refer("coupon_recipients", recipient, nobody),
    )


def gift_cards(rows: Rows) -> Columns:
    """Full, used and empty ones."""
    recipient = rows.below("recipient", rows.size("gift_card_recipients"))
    owner = rows.of("gift_card_recipients", recipient)
    customer = rows.of("customers", owner.below("customer", rows.size("customers")))
    nobody = ~rows.chance("recipient", 40)
    currency = rows.below("currency", len(CURRENCIES))
    status = rows.below("status", 5)
    initial = cents(rows, "initial")
    left = np.where(status == 4, 0, initial - initial * rows.below("spent", 3) // 4)
    log = join('[{"datetime":"2024-05-01T10:00:00.000Z","balance_change_cents":', plain(left), "}]")
    return resource(
        rows,
        status=take(("draft", "inactive", "active", "active", "redeemed"), status),
        code=join("GC-", digits(rows.below("code", 10**8), 8), "-", digits(rows.numbers, 6)),
        currency_code=take(CURRENCIES, currency),
        initial_balance_cents=integers(initial),
        balance_cents=integers(left),
        balance_max_cents=integers(initial * 2, rows.chance("no maximum", 60)),
        balance_log=log,
        usage_log=constant("{}", len(rows)),
        single_use=pa.array(rows.chance("single", 20)),
        rechargeable=pa.array(rows.chance("rechargeable", 30)),
        distribute_discount=pa.array(rows.chance("distribute", 10)),
        image_url=nullify(
            join("https://cdn.example.com/cards/", plain(take_integers((1, 2, 3), status % 3))),
            rows.chance("plain", 50),
        ),
        expires_at=moments(rows.created() + 730 * DAY_MS, rows.chance("forever", 40)),
        recipient_email=nullify(emails(customer), nobody),
        market_id=rows.refer("markets", currency),
        gift_card_recipient_id=rows.refer("gift_card_recipients", recipient, nobody),
    )
