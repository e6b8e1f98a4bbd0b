import pytest

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import TABLES, entity
from export_pipelines.errors import FileRefused
from export_pipelines.imports.headers import Target, Use, resolve_headers, upsert_keys
from export_pipelines_tests.imports.batches import CUSTOM


def resolve(*headers: str, resource_type: str = "products") -> tuple[Target, ...]:
    return resolve_headers(entity(resource_type), headers, CUSTOM)


def refusal(*headers: str, resource_type: str = "products") -> str:
    with pytest.raises(FileRefused) as refused:
        resolve(*headers, resource_type=resource_type)
    return str(refused.value)


def test_keys_are_the_id_then_unique_columns_then_pairs() -> None:
    assert upsert_keys(entity("products")) == (("id",), ("external_ref",), ("sku",))
    assert upsert_keys(TABLES["extension_fields"]) == (("id",), ("template_id", "slug"))


@pytest.mark.parametrize("name", [name for name in TABLES if name != "import_receipts"])
def test_every_export_of_a_table_can_be_imported(name: str) -> None:
    found = resolve_headers(TABLES[name], list(TABLES[name].stored_fields), ())
    assert [target.header for target in found] == list(TABLES[name].stored_fields)
    assert found[0].use is Use.FIELD


def test_capitals_and_blanks_around_headers_do_not_count() -> None:
    found = resolve(" SKU ", "Name\t", "UPC_EAN", "_Created_At")
    assert [target.column for target in found] == ["sku", "name", "ean", "created_at"]
    assert [target.header for target in found] == [" SKU ", "Name\t", "UPC_EAN", "_Created_At"]


def test_amounts_are_of_their_cents_and_formatted_ones_are_ignored() -> None:
    _, price, cents = resolve("sku", "price", "price_cents")
    assert (price.use, price.column) == (Use.AMOUNT, "price_cents")
    assert (cents.use, cents.column) == (Use.FIELD, "price_cents")
    name = next(name for name in TABLES["orders"].stored_fields if name.startswith("formatted_"))
    _, formatted = resolve("id", name, resource_type="orders")
    assert formatted.use is Use.NOTHING


@pytest.mark.parametrize(
    "header",
    [
        "template:care:date",
        "template: care : date",
        " TEMPLATE :Care: Date ",
        "template:T1:F4",
        "template:t1:date",
        "template: care:f4",
    ],
)
def test_custom_fields_go_by_names_or_ids_with_blanks(header: str) -> None:
    _, target = resolve("sku", header)
    assert target.use is Use.CUSTOM
    assert target.custom == CUSTOM[4]
    assert target.header == header


def test_custom_fields_that_differ_in_capitals_are_told_apart_by_them() -> None:
    fields = tuple(ExtensionField(name, "care", name, "string") for name in ("color", "Color"))
    found = resolve_headers(entity("products"), ["id", *(field.header for field in fields)], fields)
    assert tuple(target.custom for target in found[1:]) == fields


def test_unknown_custom_fields_are_refused() -> None:
    assert "Did you mean template:care:date or" in refusal("sku", "template: care:dat")
    for header in ("template:", "template:care", "template:care:date:more", "template::"):
        assert "There is no custom field" in refusal("sku", header)
    with pytest.raises(FileRefused, match="The catalogue has no custom fields, so not"):
        resolve_headers(entity("products"), ["sku", "template:care:date"], ())
    assert "There is no suppliers field" in refusal(
        "code", "template:a:b", resource_type="suppliers"
    )


def test_unknown_headers_are_refused_with_the_nearest() -> None:
    said = refusal("sku", "prise")
    assert said.startswith("There is no products field 'prise'. Did you mean price?")
    assert said.endswith("or use a mapping file that ignores it.")


def test_related_resources_are_left_out_with_a_note() -> None:
    _, target = resolve("sku", "supplier.name")
    assert target.use is Use.NOTHING
    assert target.note == (
        "supplier.name was left out: suppliers are imported from a file of their own."
    )


@pytest.mark.parametrize(
    ("headers", "column"),
    [
        (("sku", "SKU"), "sku"),
        (("sku", "ean", "upc_ean"), "ean"),
        (("sku", "price", "PRICE"), "price_cents"),
        (("sku", "template:care:date", "template:T1:F4"), "template:care:date"),
    ],
)
def test_two_columns_of_the_same_are_refused(headers: tuple[str, ...], column: str) -> None:
    said = refusal(*headers)
    assert (
        said == f"Two columns are about {column}: {headers[-2]!r} and {headers[-1]!r}. Remove one."
    )


def test_reasons_are_ignored_however_often() -> None:
    assert [target.use for target in resolve("sku", "_reason", " _REASON")] == [
        Use.FIELD,
        Use.NOTHING,
        Use.NOTHING,
    ]


@pytest.mark.parametrize(
    ("headers", "listed"),
    [
        ((), "none"),
        (("_reason",), "'_reason'"),
        (("name", "price"), "'name' and 'price'"),
        (("supplier.name", "_created_at"), "'supplier.name' and '_created_at'"),
    ],
)
def test_a_file_without_a_key_is_refused(headers: tuple[str, ...], listed: str) -> None:
    assert refusal(*headers) == (
        "No column says which of the products a row is: the file needs one of id, external_ref "
        f"and sku. Its headers: {listed}."
    )


def test_an_incomplete_pair_is_no_key() -> None:
    resource_type = next(
        name for name, found in TABLES.items() if any(len(key) == 2 for key in upsert_keys(found))
    )
    pair = next(key for key in upsert_keys(TABLES[resource_type]) if len(key) == 2)
    resolve(*pair, resource_type=resource_type)
    assert " with ".join(pair) in refusal(pair[0], resource_type=resource_type)


def test_a_file_with_many_headers_without_a_key_names_some() -> None:
    headers = [name for name in entity("products").stored_fields if name not in ("id", "sku")]
    headers.remove("external_ref")
    assert len(headers) > 20
    assert f"{len(headers) - 20} more." in refusal(*headers)
