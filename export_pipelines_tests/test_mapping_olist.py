from pathlib import Path

import polars as pl
import pytest

import export_pipelines
from export_pipelines.catalog.models import Base
from export_pipelines.errors import RequestError
from export_pipelines.mapping import map_rows, mapped_headers, read_mapping
from export_pipelines.readers.base import ROW
from export_pipelines_tests import olist

MAPPINGS = Path(export_pipelines.__file__).resolve().parents[1] / "mappings"


def foreign_rows(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, infer_schema=False)
    return frame.with_row_index(ROW, offset=2)


def mapped(name: str, path: Path) -> pl.DataFrame:
    mapping = read_mapping(MAPPINGS / f"{name}.yaml")
    assert set(mapping.columns) <= set(Base.metadata.tables[mapping.resource_type].columns.keys())
    rows = foreign_rows(path)
    headers = mapped_headers(mapping, rows.columns[1:])
    found, errors = map_rows(mapping, rows)
    assert errors.rows() == []
    assert found.columns == [ROW, *headers]
    assert found[ROW].equals(rows[ROW])
    return found


def test_every_product_is_mapped() -> None:
    rows = mapped("olist_products", olist.PRODUCTS_FILE)
    assert len(rows) == 32_951
    assert rows.drop("category", "weight").null_count().sum_horizontal().item() == 0
    assert rows["category"].null_count() == 610
    assert rows["weight"].null_count() == 2
    assert rows["sku"].n_unique() == len(rows)
    first = rows.row(0, named=True)
    assert first | {"name": ""} == {
        ROW: 2,
        "external_ref": "1e9e8ef04dbcff4541ed26657ea517e5",
        "sku": "1e9e8ef04dbcff4541ed26657ea517e5",
        "name": "",
        "category": "perfumery",
        "status": "live",
        "commodity_type": "physical",
        "is_active": "true",
        "weight": "225",
        "currency_code": "BRL",
    }
    assert first["name"] == "Product 1e9e8ef04dbcff4541ed26657ea517e5 perfumaria"
    without = rows.filter(pl.col("category").is_null())
    assert without["name"].equals("Product " + without["sku"])


def test_every_seller_is_mapped() -> None:
    rows = mapped("olist_sellers", olist.SELLERS_FILE)
    assert len(rows) == 3_095
    assert rows.null_count().sum_horizontal().item() == 0
    assert rows.drop(ROW, "name").row(0, named=True) == {
        "code": "3442f8959a84dea7ee197c632cb2df15",
        "city": "campinas",
        "state_code": "SP",
        "zip_code": "13023",
        "country_code": "BR",
        "is_active": "true",
    }


def test_categories_are_those_of_the_translation() -> None:
    translation = pl.read_csv(
        olist.FOLDER / "product_category_name_translation.csv", infer_schema=False
    )
    written = read_mapping(MAPPINGS / "olist_products.yaml").columns["category"].values
    assert written is not None
    expected = dict(translation.iter_rows())
    assert {name: written[name] for name in expected} == expected
    assert len(expected) == 71
    assert written.keys() - expected.keys() == {
        "pc_gamer",
        "portateis_cozinha_e_preparadores_de_alimentos",
    }


def test_a_header_spelt_right_is_refused_with_the_one_that_the_file_has(
    tmp_path: Path,
) -> None:
    path = tmp_path / "right.yaml"
    path.write_text("columns: {x: product_name_length}\nignore: '*'", encoding="utf-8")
    rows = foreign_rows(olist.PRODUCTS_FILE)
    with pytest.raises(RequestError, match="Did you mean 'product_name_lenght'"):
        mapped_headers(read_mapping(path), rows.columns[1:])
