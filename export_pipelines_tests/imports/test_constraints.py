import polars as pl
import pytest

from export_pipelines.catalog.entities import entity
from export_pipelines.imports.constraints import typed, violations, wrong_type
from export_pipelines.imports.values import Times

UTC = Times("UTC")


def wrong(name: str, *texts: str | None, resource_type: str = "products") -> dict[str, list[int]]:
    """Return the places of the values that are wrong, by the codes of what is."""
    found = entity(resource_type)
    field = found.stored_fields[name]
    values = typed(field, pl.Series(texts, dtype=pl.String), UTC)
    return {
        code: mask.fill_null(value=False).arg_true().to_list()
        for mask, code, _ in violations(field, found.table.c[name], values)
    }


@pytest.mark.parametrize(("name", "length"), [("name", 255), ("ean", 32), ("external_ref", 2048)])
def test_texts_have_a_length_in_characters(name: str, length: int) -> None:
    assert wrong(name, "👩" * length, "a" * (length + 1), "é" * length, None) == {"too_long": [1]}
    assert wrong(name, "a" * length, None) == {}
    assert wrong(name) == {}


def test_long_texts_have_none() -> None:
    assert wrong("description", "a" * 100_000) == {}


@pytest.mark.parametrize(
    ("name", "resource_type", "good", "bad"),
    [
        ("currency_code", "products", ["EUR", "XXX"], ["eur", "EU", "€", "EURO", " EUR", "EUR\n"]),
        ("country_code", "suppliers", ["DE"], ["de", "DEU", "D"]),
        ("slug", "products", ["a.B-_9", "größe"], ["a b", "a/b", "", "a\n"]),
    ],
)
def test_codes_have_a_form(name: str, resource_type: str, good: list[str], bad: list[str]) -> None:
    found = wrong(name, *good, None, *bad, resource_type=resource_type)
    places = range(len(good) + 1, len(good) + 1 + len(bad))
    assert found["malformed"] == list(places)


def test_lists_have_few_short_items() -> None:
    tags = ["a," * 20, "a," * 21, "👩" * 255, "👩" * 256, None]
    assert wrong("tags", *tags) == {"too_long": [1, 3]}


def test_bundles_are_not_imported() -> None:
    assert wrong("is_bundle", "true", "no", None) == {"bundle": [0]}


def test_every_type_has_a_sentence() -> None:
    fields = entity("products").stored_fields
    assert wrong_type(fields["status"]) == ("not_allowed", "is none of draft and live")
    assert wrong_type(fields["price_cents"]) == ("not_an_integer", "is no whole number")
    for name in ("orders", "suppliers", "customers"):
        for field in entity(name).stored_fields.values():
            assert wrong_type(field)[1].startswith("is n")
