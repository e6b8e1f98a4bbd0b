import pytest

from export_pipelines.catalog.entities import entity
from export_pipelines.imports.row_rules import shop_defaults
from export_pipelines_tests.imports.batches import rules_of


def test_columns_are_the_key_what_is_given_and_what_is_made() -> None:
    rules = rules_of(["sku", "price", "name", "_reason", "template:care:date"])
    assert rules.columns == ("id", "sku", "price_cents", "name", "slug")
    assert rules.given == {"sku", "name"}
    assert rules.made == {"slug": "name"}
    assert rules.custom_ids == ("F4",)


@pytest.mark.parametrize(
    ("headers", "currency"),
    [
        (["sku"], ""),
        (["sku", "price_cents"], ""),
        (["sku", "price"], "EUR"),
        (["sku", "price", "currency_code"], "EUR"),
    ],
)
def test_a_currency_is_assumed_only_for_whole_units(headers: list[str], currency: str) -> None:
    assert rules_of(headers).assumed_currency == currency


def test_new_rows_get_what_the_shop_has() -> None:
    assert shop_defaults(entity("products"), "SEK") == {
        "is_bundle": False,
        "is_active": True,
        "currency_code": "SEK",
    }
    rules = rules_of(["sku"])
    assert rules.defaults == shop_defaults(entity("products"), "EUR")
    for name in ("id", "slug", "created_at", "is_active", "currency_code"):
        assert rules.may_be_unsaid(name)
    for name in ("name", "status", "commodity_type"):
        assert not rules.may_be_unsaid(name)


def test_people_are_told_the_headers_of_their_file() -> None:
    sku, name = rules_of(["sku", " Name"]).targets
    rules = rules_of(["sku", " Name"], file_headers={"sku": "Article"})
    assert [rules.file_header(sku), rules.file_header(name)] == ["Article", " Name"]
