from pathlib import Path

import pytest

from export_pipelines.catalog.database import backend_of
from export_pipelines.catalog.extensions import read_extension_fields
from export_pipelines.catalog.reading import open_snapshots
from export_pipelines.errors import FileRefused, RequestError
from export_pipelines.imports.artifacts import Validated
from export_pipelines.imports.checking import aligned, check_file, own_headers
from export_pipelines.imports.spooling import read_spool
from export_pipelines.mapping import mapping_path
from export_pipelines.readers.base import ABSENT, BATCH_ROWS
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.imports.batches import CUSTOM, read, validate

CSV = """sku,name,price,status,supplier.name,template:care:integer,_reason
a,Mug,12.34,live,x,5,old
b,,1.234,live,x,x,old
c,Cup,1,gone,x,,old
d,Pot,1,live
"""


def dropped(folder: Path, text: str, name: str = "stock.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def errors(validated: Validated) -> list[tuple[int, str, str]]:
    return [
        row
        for frame in read_spool(validated.errors)
        for row in frame.select("row", "column", "code").rows()
    ]


def test_a_file_becomes_rows_in_their_types(tmp_path: Path) -> None:
    validated = validate(dropped(tmp_path, CSV))
    [rows] = read_spool(validated.spool)
    assert rows.select("sku", "name", "price_cents", "status", "slug").rows() == [
        ("a", "Mug", 1234, "live", "mug")
    ]
    [custom] = read_spool(validated.custom)
    assert custom.select("field_id", "value").rows() == [("F1", "5")]
    assert errors(validated) == [
        (5, "", "column_count"),
        (3, "name", "required"),
        (4, "status", "not_allowed"),
        (3, "template:care:integer", "not_allowed"),
        (3, "price", "too_precise"),
    ]
    assert (validated.failed, validated.spool.rows) == (3, 1)
    assert validated.columns == ("id", "sku", "name", "price_cents", "status", "slug")
    assert (validated.given_id, validated.custom_ids) == (False, ("F1",))
    for columns in (validated.absent, validated.made, validated.create_only):
        assert columns == {"slug"}
    assert validated.assumed_currency == "EUR"
    assert validated.warnings == (
        "supplier.name was left out: suppliers are imported from a file of their own.",
    )
    assert validated.refused is None


def test_batches_of_json_have_all_columns(tmp_path: Path) -> None:
    first = '{"id":"a"}\n' * BATCH_ROWS
    path = dropped(tmp_path, first + '{"name":null,"id":"b","_reason":"x"}\n', "stock.jsonl")
    frames = list(aligned(read(path)))
    assert [frame.columns[1:] for frame in frames] == [["id", "name"]] * 2
    assert frames[0]["name"].unique().to_list() == [ABSENT]
    validated = validate(path)
    assert validated.absent == {"name", "slug"}
    assert errors(validated) == [(10_001, "name", "required")]
    assert (validated.spool.rows, validated.failed) == (BATCH_ROWS, 1)


def test_reasons_are_no_headers_of_their_own() -> None:
    assert own_headers(("sku", " _Reason ", "_reasons")) == ("sku", "_reasons")


def test_rows_are_told_as_they_are_checked(tmp_path: Path) -> None:
    lines = "\n".join(f"{number},x" for number in range(BATCH_ROWS + 5))
    told: list[int] = []
    check_file(
        read(dropped(tmp_path, f"sku,name\n{lines}\n")),
        tmp_path / "rows",
        CUSTOM,
        currency="EUR",
        time_zone="UTC",
        on_rows=told.append,
    )
    assert told == [BATCH_ROWS, BATCH_ROWS + 5]


def refusal(validated: Validated) -> tuple[str, str]:
    assert validated.refused
    assert (validated.spool.rows, validated.errors.rows) == (0, 0)
    return validated.refused.code, validated.refused.reason


def test_a_file_that_could_not_be_read_stays_refused(tmp_path: Path) -> None:
    assert refusal(validate(dropped(tmp_path, "")))[1] == "'stock.csv' is empty: it has no rows."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sku,prise\na,1\n", "There is no products field 'prise'. Did you mean price?"),
        ("name\nMug\n", "No column says which of the products a row is"),
        ("_reason\nx\n", "No column says which of the products a row is"),
        ("[{}]", "No column says which of the products a row is"),
        ("[{}, 1]", "No column says which of the products a row is"),
        ("sku,SKU\na,b\n", "Two columns are about sku"),
    ],
)
def test_headers_that_mean_nothing_refuse_the_file(
    tmp_path: Path, text: str, sentence: str
) -> None:
    code, reason = refusal(validate(dropped(tmp_path, text)))
    assert code == FileRefused.code
    assert reason.startswith(sentence)


def test_an_array_without_records_has_no_rows(tmp_path: Path) -> None:
    validated = validate(dropped(tmp_path, "[]"))
    assert validated.refused is None
    assert (validated.spool.rows, validated.failed, validated.columns) == (0, 0, ())


def test_a_file_of_headers_alone_has_no_rows(tmp_path: Path) -> None:
    validated = validate(dropped(tmp_path, "sku,name\n"))
    assert validated.refused is None
    assert (validated.spool.rows, validated.failed) == (0, 0)
    assert validated.columns == ("id", "sku", "name", "slug")


def test_another_resource_type_has_no_custom_fields(tmp_path: Path) -> None:
    path = dropped(tmp_path, "code,template:care:date\na,2024-01-01\n")
    assert "There is no suppliers field" in refusal(validate(path, resource_type="suppliers"))[1]


@pytest.fixture
def mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EXPORT_PIPELINES_MAPPINGS", str(tmp_path))
    (tmp_path / "partner.yaml").write_text(
        """
        resource_type: products
        columns:
          sku: {column: Artikel}
          name: {text: "{Titel} {Artikel}"}
          status: {column: Zustand, values: {neu: live}, otherwise: refuse}
          commodity_type: {constant: physical}
          weight: {column: Gewicht, number: {decimal_mark: ","}}
          price_cents: {column: Preis}
        ignore: ["*"]
        """
    )
    return "partner"


def test_errors_of_a_mapped_file_are_in_its_own_words(tmp_path: Path, mapping: str) -> None:
    text = (
        "Artikel;Titel;Zustand;Gewicht;Preis;Foto;_reason\n"
        'a;Mug;neu;"1,5";100;x;old\n'
        "b;Cup;alt;schwer;x;;old\n"
        ";;;;;y;old\n"
    )
    validated = validate(dropped(tmp_path, text), mapping=mapping)
    assert errors(validated) == [
        (3, "Zustand", "unknown_value"),
        (3, "Gewicht", "not_a_number"),
        (4, "name", "required"),
        (4, "Zustand", "required"),
        (3, "Preis", "not_an_integer"),
        (4, "Artikel", "no_key"),
    ]
    assert validated.failed == 2
    [found] = read_spool(validated.errors)
    reasons = found.get_column("reason").to_list()
    assert reasons[0].startswith("Zustand: 'alt'. The mapping's values do not have it")
    assert reasons[1] == "Gewicht: 'schwer'. It is no number of the form 1234,5."
    assert reasons[4] == "Preis: 'x' is no whole number."
    assert reasons[3] == "Zustand must not be empty."
    [rows] = read_spool(validated.spool)
    assert rows.select("sku", "name", "weight").rows() == [("a", "Mug a", 1.5)]


def test_a_mapping_is_for_its_resource_type(tmp_path: Path, mapping: str) -> None:
    code, reason = refusal(
        validate(dropped(tmp_path, "code\na\n"), mapping=mapping, resource_type="suppliers")
    )
    assert code == RequestError.code
    assert reason == (
        f"{mapping_path(mapping)} maps products, not suppliers: choose another mapping file or "
        "resource type."
    )


def test_a_mapping_needs_its_headers(tmp_path: Path, mapping: str) -> None:
    code, reason = refusal(validate(dropped(tmp_path, "Artikel\na\n"), mapping=mapping))
    assert code == RequestError.code
    assert "a header that the file does not have" in reason


@pytest.mark.parametrize("format_name", ["csv", "json", "excel", "parquet"])
def test_exports_are_checked_without_an_error(
    sqlite_shop: str, exporter: Exporter, format_name: str, tmp_path: Path
) -> None:
    with open_snapshots(sqlite_shop) as (snapshot,):
        custom = read_extension_fields(snapshot, backend_of(sqlite_shop))
    for name in ("products", "orders", "prices"):
        exported = exporter.succeed(sqlite_shop, format_name, resource_type=name)
        extract = read(exported.files[0], resource_type=name)
        folder = tmp_path / name
        validated = check_file(extract, folder, custom, currency="EUR", time_zone="UTC")
        assert validated.refused is None
        assert errors(validated) == []
        assert validated.spool.rows == extract.rows > 100
