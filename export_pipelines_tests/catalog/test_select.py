import pytest

from export_pipelines.catalog.entities import entity
from export_pipelines.catalog.predicates import All, parse_filters
from export_pipelines.catalog.select import (
    KeyRange,
    build_key_at,
    build_select,
    choose_fields,
    compile_select,
    stored_fields,
)
from export_pipelines.errors import RequestError

PRODUCTS = entity("products")
PRICES = entity("prices")


def names(fields: object) -> list[str]:
    return [field.name for field in fields]  # type: ignore[attr-defined]


def test_all_fields_are_chosen_unless_some_are_named() -> None:
    assert names(choose_fields(PRODUCTS)) == list(PRODUCTS.fields)
    assert names(choose_fields(PRODUCTS, ["sku", "id", "price"])) == ["sku", "id", "price"]
    without = choose_fields(PRODUCTS, (), ["id", "tags", "id"])
    assert names(without) == [name for name in PRODUCTS.fields if name not in ("id", "tags")]


@pytest.mark.parametrize(
    ("fields", "exclude_fields", "sentence"),
    [
        (
            ["colour"],
            [],
            r"^fields: There is no products field 'colour'\. .*Choose from id, .* and",
        ),
        ([], ["skuu"], r"^exclude_fields: There is no products field 'skuu'\. Did you mean sku\?"),
        (["sku", "sku"], [], r"^fields names sku more than once: name each field once\.$"),
        (
            ["sku", "id", "sku"],
            ["sku", "id"],
            r"^id and sku cannot be in both fields and exclude_fields: keep one of the two\.$",
        ),
        (["x", "x"], [], r"^fields: There is no products field 'x'"),
        (["x"], ["x"], r"^exclude_fields: There is no products field 'x'"),
        (["id'; DROP TABLE products"], [], r"^fields: There is no products field"),
        ([""], [], r"^fields: There is no products field ''"),
        ([], list(PRODUCTS.fields), r"^exclude_fields leaves no field of products .*exclude fewer"),
    ],
)
def test_fields_that_do_not_fit_are_refused(
    fields: list[str], exclude_fields: list[str], sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence):
        choose_fields(PRODUCTS, fields, exclude_fields)


def test_derived_fields_are_read_as_their_sources_once() -> None:
    chosen = choose_fields(PRICES, ["formatted_amount", "id", "amount_float", "currency_code"])
    assert names(stored_fields(PRICES, chosen)) == ["amount_cents", "currency_code", "id"]
    assert names(stored_fields(PRICES, choose_fields(PRICES))) == names(PRICES.table.columns)


def test_sql_of_sqlite() -> None:
    chosen = [PRODUCTS.fields["sku"]]
    predicate = parse_filters({"name": "n", "brand": None, "is_active": "true"}, PRODUCTS)
    statement = compile_select(build_select(PRODUCTS, chosen, predicate), "sqlite")
    assert " ".join(statement.sql.split()) == (
        "SELECT products.sku FROM products WHERE products.name = ? AND products.brand IS NULL "
        "AND products.is_active = 1 ORDER BY products.id"
    )
    assert statement.parameters == (("name_1", "n"),)


def test_sql_of_postgres_reads_parameters_from_settings() -> None:
    chosen = [PRODUCTS.fields["sku"]]
    predicate = parse_filters({"name": "n", "price_cents": 5}, PRODUCTS)
    statement = compile_select(build_select(PRODUCTS, chosen, predicate), "postgresql")
    assert " ".join(statement.sql.split()) == (
        "SELECT products.sku FROM products WHERE products.name = "
        "CAST(current_setting('export_pipelines.name_1') AS TEXT) AND products.price_cents = "
        "CAST(current_setting('export_pipelines.price_cents_1') AS BIGINT) ORDER BY products.id"
    )
    assert statement.parameters == (("name_1", "n"), ("price_cents_1", 5))


@pytest.mark.parametrize(
    ("keys", "condition", "values"),
    [
        (KeyRange(None, None), "", []),
        (KeyRange("k1", None), "WHERE products.id >= ?", ["k1"]),
        (KeyRange(None, "k2"), "WHERE products.id < ?", ["k2"]),
        (KeyRange("k1", "k2"), "WHERE products.id >= ? AND products.id < ?", ["k1", "k2"]),
    ],
)
def test_key_ranges(keys: KeyRange, condition: str, values: list[str]) -> None:
    chosen = build_select(PRODUCTS, [PRODUCTS.fields["id"]], All(()), keys)
    statement = compile_select(chosen, "sqlite")
    expected = f"SELECT products.id FROM products {condition} ORDER BY products.id"
    assert statement.sql.split() == expected.split()
    assert [value for _, value in statement.parameters] == values


def test_the_key_of_one_row() -> None:
    statement = compile_select(
        build_key_at(PRODUCTS, parse_filters({"sku": "s"}, PRODUCTS), 7), "sqlite"
    )
    assert statement.sql.split()[-4:] == ["LIMIT", "?", "OFFSET", "?"]
    assert [value for _, value in statement.parameters] == ["s", 1, 7]
