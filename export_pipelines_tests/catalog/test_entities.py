import pytest
from sqlalchemy.orm import configure_mappers

from export_pipelines.artifacts import Derivation, FieldType
from export_pipelines.catalog.entities import ENTITIES, TABLES, Entity, FieldRole, entity
from export_pipelines.catalog.joins import Joins
from export_pipelines.catalog.listings import LISTINGS
from export_pipelines.catalog.models import Base
from export_pipelines.errors import RequestError

ALL = pytest.mark.parametrize("known", TABLES.values(), ids=list(TABLES))


def expected_fields(known: Entity) -> list[str]:
    names: list[str] = []
    for column in known.table.columns:
        names.append(column.name)
        if "amount" in column.info:
            base = column.name.removesuffix("_cents")
            decimal = column.info["amount"].decimal
            names += [decimal] if decimal else [f"{base}_float", f"formatted_{base}"]
    return names


def test_every_table_with_a_key_is_a_resource_type() -> None:
    configure_mappers()
    with_key = {
        str(mapper.local_table)
        for mapper in Base.registry.mappers
        if "id" in mapper.local_table.columns
    }
    assert set(TABLES) == with_key
    assert set(ENTITIES) == with_key | {listing.name for listing in LISTINGS}
    assert "product_extension_values" not in ENTITIES


def test_products_and_suppliers_come_first_then_the_alphabet() -> None:
    names = list(TABLES)
    assert list(ENTITIES)[: len(names)] == names
    assert names[:2] == ["products", "suppliers"]
    assert names[2:] == sorted(names[2:])
    assert all(name == known.name for name, known in ENTITIES.items())


@ALL
def test_fields_are_in_the_order_of_columns_and_none_hides_another(known: Entity) -> None:
    assert list(known.fields) == expected_fields(known)
    assert known.key.name == next(iter(known.fields)) == "id"
    assert known.fields["id"].role is FieldRole.KEY
    assert known.description.endswith(".")


@ALL
def test_every_field_has_a_type_and_stored_ones_sql(known: Entity) -> None:
    for name, found in known.fields.items():
        assert isinstance(found.type, FieldType)
        assert found.name == name
        expression = Joins(known).expression(found) if found.filterable else None
        if found.derivation is None:
            assert expression is known.table.c[name]
            assert found.nullable == known.table.c[name].nullable
        else:
            assert known.fields[found.derivation.cents].role is FieldRole.AMOUNT
            assert known.fields[found.derivation.currency].type is FieldType.STRING


def test_field_types_and_roles() -> None:
    fields = entity("products").fields
    assert {name: (found.type, found.role) for name, found in fields.items()} == {
        "id": (FieldType.STRING, FieldRole.KEY),
        "external_ref": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "sku": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "ean": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "barcode": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "mpn": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "name": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "slug": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "description": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "brand": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "category": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "status": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "commodity_type": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "is_bundle": (FieldType.BOOLEAN, FieldRole.ATTRIBUTE),
        "is_active": (FieldType.BOOLEAN, FieldRole.ATTRIBUTE),
        "weight": (FieldType.NUMBER, FieldRole.ATTRIBUTE),
        "price_cents": (FieldType.INTEGER, FieldRole.AMOUNT),
        "price": (FieldType.NUMBER, FieldRole.AMOUNT_FORMAT),
        "cost_price_cents": (FieldType.INTEGER, FieldRole.AMOUNT),
        "cost_price": (FieldType.NUMBER, FieldRole.AMOUNT_FORMAT),
        "currency_code": (FieldType.STRING, FieldRole.ATTRIBUTE),
        "tags": (FieldType.LIST, FieldRole.ATTRIBUTE),
        "supplier_id": (FieldType.STRING, FieldRole.FOREIGN_KEY),
        "main_image_id": (FieldType.STRING, FieldRole.FOREIGN_KEY),
        "created_at": (FieldType.DATETIME, FieldRole.TIMESTAMP),
        "updated_at": (FieldType.DATETIME, FieldRole.TIMESTAMP),
    }
    assert entity("line_items").fields["item_id"].role is FieldRole.FOREIGN_KEY
    assert entity("orders").fields["metadata"].type is FieldType.JSON


def test_amounts_are_derived() -> None:
    fields = entity("prices").fields
    assert fields["amount_float"].derivation == Derivation(
        "decimal", "amount_cents", "currency_code"
    )
    formatted = fields["formatted_amount"]
    assert formatted.derivation == Derivation("formatted", "amount_cents", "currency_code")
    assert not formatted.filterable
    assert (formatted.type, formatted.role) == (FieldType.STRING, FieldRole.AMOUNT_FORMAT)
    assert entity("products").fields["price"].derivation == Derivation(
        "decimal", "price_cents", "currency_code"
    )


def test_choices_and_units_are_described() -> None:
    fields = entity("products").fields
    assert fields["status"].values == ("draft", "live")
    assert fields["weight"].description == "grams"
    assert fields["price"].description == "price_cents in whole units of currency_code"


def test_an_unknown_resource_type_lists_all() -> None:
    with pytest.raises(RequestError) as caught:
        entity("product")
    sentence = str(caught.value)
    assert sentence.startswith("There is no resource type 'product'. Did you mean products")
    assert all(name in sentence for name in ENTITIES)


def test_an_unknown_field_says_where_it_was_asked_for() -> None:
    with pytest.raises(RequestError) as caught:
        entity("suppliers").field("nmae", "exclude_fields")
    sentence = str(caught.value)
    assert sentence.startswith("exclude_fields: There is no suppliers field 'nmae'. Did you mean")
    assert all(name in sentence for name in entity("suppliers").fields)


def test_relations_lead_to_other_resource_types() -> None:
    relations = entity("orders").relations
    assert (relations["customer"].target, relations["customer"].multiple) == ("customers", False)
    lines = relations["line_items"]
    assert (lines.target, lines.multiple) == ("line_items", True)
    assert [(step.local, step.table.name, step.remote) for step in lines.steps] == [
        ("id", "line_items", "order_id")
    ]
    options = relations["line_item_options"].steps
    assert [(step.local, step.table.name, step.remote) for step in options] == [
        ("id", "line_items", "order_id"),
        ("id", "line_item_options", "line_item_id"),
    ]
    skus = entity("sku_lists").relations["skus"].steps
    assert [(step.local, step.table.name, step.remote) for step in skus] == [
        ("id", "sku_list_items", "sku_list_id"),
        ("sku_id", "skus", "id"),
    ]
    assert "return" in TABLES["return_line_items"].relations


@ALL
def test_allowed_includes_are_relations_with_all_that_lead_to_them(known: Entity) -> None:
    for path in known.includes:
        *before, last = path.split(".")
        assert not before or ".".join(before) in known.includes
        owner = known
        for relation in before:
            owner = owner.related(relation)
        assert len(owner.relations[last].steps) == 1


@pytest.mark.parametrize("known", ENTITIES.values(), ids=list(ENTITIES))
def test_ranges_of_dates_are_about_times(known: Entity) -> None:
    assert known.fields[known.date_field].type is FieldType.DATETIME
