import io
import math
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from export_pipelines import spool
from export_pipelines.artifacts import Column, FieldType
from export_pipelines.catalog.sample import awkward
from export_pipelines.formats import excel
from export_pipelines.formats.excel import ExcelFormat
from export_pipelines_tests.contracts.formats import PRODUCTS, FormatContract
from export_pipelines_tests.contracts.frames import COLUMNS, TEXTS, made_file, rows_of
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.contracts.reference import Row, expected_export
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.formats.test_csv import as_text

LIMIT = 32_767
UTC = timezone.utc
TEXT = Column("text", FieldType.STRING)
TIME = Column("time", FieldType.DATETIME)


def cell_value(value: Any) -> Any:
    """Return what is in a cell: texts as Excel shows them, times to the millisecond."""
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, datetime):
        micros = round(value.microsecond, -3)
        return value.replace(microsecond=0) + timedelta(microseconds=micros)
    return value


def sheet_rows(sheet: Any) -> list[list[Any]]:
    return [[cell_value(value) for value in row] for row in sheet.iter_rows(values_only=True)]


def workbook_rows(data: bytes) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    return sheet_rows(book.worksheets[0])


def in_cell(value: Any) -> Any:
    """Return what a cell holds of a value."""
    match value:
        case bool():
            return value
        case str():
            units = value.encode("utf-16-le")[: 2 * LIMIT]
            return units.decode("utf-16-le", errors="ignore")
        case int():
            return value if abs(value) < 10**15 else str(value)
        case datetime():
            excel_time = value >= datetime(1900, 3, 1, tzinfo=UTC)
            return value.replace(tzinfo=None) if excel_time else as_text(value)
    return value


class TestExcel(FormatContract):
    name = "excel"
    cut_names = ("products-00001.xlsx", "products-00002.xlsx", "products-00003.xlsx")

    def tables(self, file: Path, kinds: dict[str, str]) -> list[tuple[list[str], list[Row]]]:
        book = openpyxl.load_workbook(file, read_only=True)
        found: list[tuple[list[str], list[Row]]] = []
        for sheet in book.worksheets:
            header, *rows = sheet_rows(sheet)
            found.append((header, [dict(zip(header, row, strict=True)) for row in rows]))
        book.close()
        return found

    def as_read(self, value: Any, kind: str) -> Any:
        return in_cell(value)


def test_long_texts_are_cut_with_a_warning(exporter: Exporter, shop: str) -> None:
    exported = exporter.succeed(shop, "excel")
    texts = [row["description"] or "" for row in expected_export(shop, "products").rows]
    long = [text for text in texts if len(text.encode("utf-16-le")) > 2 * LIMIT]
    assert set(awkward.LONG_TEXTS) <= set(long)
    assert exported.manifest["warnings"] == [
        "products.xlsx: products.description: cut to the 32,767 characters that an Excel cell "
        f"holds; other formats have the whole text ({len(long)} rows)"
    ]


def test_texts_are_cut_between_characters() -> None:
    texts = ["x" * LIMIT, "x" * (LIMIT + 1), "x" + "👍" * LIMIT, "é" * LIMIT, "\x01" * LIMIT]
    made = made_file("excel", [{"text": text} for text in texts], [TEXT], segment_rows=2)
    assert [row[0] for row in workbook_rows(made.data)[1:]] == [
        "x" * LIMIT,
        "x" * LIMIT,
        "x" + "👍" * (LIMIT // 2),
        "é" * LIMIT,
        "\x01" * LIMIT,
    ]
    assert [count for _, count in made.warnings] == [1, 1]


@settings(max_examples=50)
@given(rows=rows_of(), size=st.integers(1, 4), formatting=st.booleans())
def test_any_rows_can_be_read_back(rows: list[dict[str, Any]], size: int, formatting: bool) -> None:
    made = made_file("excel", rows, segment_rows=size, formatting=formatting)
    header, *found = workbook_rows(made.data)
    assert header == [column.name for column in COLUMNS]
    assert len(found) == len(rows)
    for cells, row in zip(found, rows, strict=True):
        for cell, value in zip(cells, row.values(), strict=True):
            if isinstance(value, float) and not math.isfinite(value):
                assert float(cell) == value or (math.isnan(value) and cell == "NaN")
            else:
                assert cell == in_cell(value)
                assert isinstance(cell, str) is isinstance(in_cell(value), str)


@given(names=st.lists(TEXTS.filter(bool), min_size=1, max_size=4, unique=True))
def test_any_header_can_be_read_back(names: list[str]) -> None:
    made = made_file("excel", [], [Column(name, FieldType.STRING) for name in names])
    assert workbook_rows(made.data) == [names]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(1900, 3, 1, tzinfo=UTC), datetime(1900, 3, 1)),  # noqa: DTZ001
        (datetime(1900, 2, 28, 23, 59, 59, 999_000, UTC), "1900-02-28T23:59:59.999Z"),
        (datetime(1970, 1, 1, 0, 0, 0, 1_000, UTC), datetime(1970, 1, 1, 0, 0, 0, 1_000)),  # noqa: DTZ001
        (
            datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999_000),  # noqa: DTZ001
        ),
    ],
)
def test_times(moment: datetime, expected: datetime | str) -> None:
    made = made_file("excel", [{"time": moment}, {"time": None}], [TIME], segment_rows=1)
    assert workbook_rows(made.data) == [["time"], [expected], [None]]
    cell = openpyxl.load_workbook(io.BytesIO(made.data)).worksheets[0]["A2"]
    assert (cell.number_format == "yyyy\\-mm\\-dd\\ hh:mm:ss") is isinstance(expected, datetime)


@pytest.mark.parametrize(
    "number", [0, -1, 10**15 - 1, 1 - 10**15, 10**15, -(10**15), 2**63 - 1, -(2**63)]
)
def test_integers_that_excel_would_round_are_texts(number: int) -> None:
    made = made_file("excel", [{"n": number}], [Column("n", FieldType.INTEGER)])
    exact = len(str(abs(number))) < 16
    assert workbook_rows(made.data)[1] == [number if exact else str(number)]


@pytest.mark.parametrize("text", [" x", "x ", "\nx", "x\n", "\t", " "])
def test_blanks_at_the_ends_are_kept_by_strict_readers(text: str) -> None:
    made = made_file("excel", [{"text": text}], [TEXT])
    with zipfile.ZipFile(io.BytesIO(made.data)) as archive:
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    cell = list(root.iter("{http://schemas.openxmlformats.org/spreadsheetml/2006/main}t"))[-1]
    assert cell.text == text
    assert cell.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"


@pytest.fixture
def small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a sheet be full with its header and 100 rows."""
    monkeypatch.setattr(excel, "SHEET_ROWS", 101)
    monkeypatch.setattr(ExcelFormat, "section_rows", 100)


@pytest.mark.usefixtures("small_sheets")
@pytest.mark.parametrize("segment_rows", [7, 100, 30_000])
def test_a_full_sheet_is_followed_by_another(
    exporter: Exporter, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch, segment_rows: int
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_ROWS", segment_rows)
    fields = ["id", "status"]
    exported = exporter.succeed(
        sqlite_shop, "excel", resource_type="orders", fields=fields, include_sheets=["addresses"]
    )
    book = openpyxl.load_workbook(exported.files[0])
    addresses = len(expected_export(sqlite_shop, "addresses").rows)
    more = [f"addresses ({number})" for number in range(2, math.ceil(addresses / 100) + 1)]
    assert more
    assert book.sheetnames == ["orders", "orders (2)", "addresses", *more]
    full = {"orders (2)": 60, book.sheetnames[-1]: (addresses - 1) % 100 + 1}
    keys: dict[str, list[str]] = {"orders": [], "addresses": []}
    for sheet in book.worksheets:
        header, *rows = sheet_rows(sheet)
        assert header[0] == "id"
        assert len(rows) == full.get(sheet.title, 100)
        assert sheet.freeze_panes == "A2"
        assert sheet.column_dimensions["A"].width == 38
        assert sheet.dimensions.endswith(str(len(rows) + 1))
        keys[sheet.title.split()[0]] += [row[0] for row in rows]
    for name, found in keys.items():
        assert found == [row["id"] for row in expected_export(sqlite_shop, name).rows]


@pytest.mark.usefixtures("small_sheets")
def test_files_begin_their_sheets_anew(tmp_path: Path, shop: str) -> None:
    files = made_files(
        shop, "excel", tmp_path, readers=2, max_rows_per_file=250, fields=["id", "name"]
    )
    books = [openpyxl.load_workbook(file.path) for file in files]
    assert [book.sheetnames for book in books] == [
        *([["products", "products (2)", "products (3)"]] * 4),
        ["products", "products (2)"],
    ]
    keys = [row[0] for book in books for sheet in book for row in sheet_rows(sheet)[1:]]
    assert keys == [row["id"] for row in expected_export(shop, "products").rows]
    assert [file.rows for file in files] == [250, 250, 250, 250, 145]


def test_further_sheets_are_whole_and_in_the_first_file(exporter: Exporter, shop: str) -> None:
    exported = exporter.succeed(
        shop,
        "excel",
        include_sheets=["products", "suppliers", "customers", "suppliers"],
        fields=["id", "price"],
        filters={"is_active": True},
        max_rows_per_file=400,
    )
    products = [row for row in expected_export(shop, "products").rows if row["is_active"]]
    assert 800 < len(products) < PRODUCTS
    first, *others = (openpyxl.load_workbook(file) for file in exported.files)
    for book in (first, *others):
        assert book.sheetnames == ["products", "suppliers", "customers"]
        assert sheet_rows(book["products"])[0] == ["id", "price"]
    for name in ("suppliers", "customers"):
        header, *rows = sheet_rows(first[name])
        expected = expected_export(shop, name)
        assert header == list(expected.kinds)
        assert rows == [[in_cell(value) for value in row.values()] for row in expected.rows]
        assert [sheet_rows(book[name]) for book in others] == [[header]] * len(others)
    found = [row for book in (first, *others) for row in sheet_rows(book["products"])[1:]]
    assert found == [[row["id"], row["price"]] for row in products]
    counts = {
        sheet["resource_type"]: sheet["records_count"] for sheet in exported.manifest["sheets"]
    }
    assert counts["suppliers"] == len(expected_export(shop, "suppliers").rows)


def test_formatting(exporter: Exporter, sqlite_shop: str) -> None:
    fields = ["id", "name", "description", "is_active", "created_at"]
    exported = exporter.succeed(sqlite_shop, "excel", fields=fields)
    sheet = openpyxl.load_workbook(exported.files[0]).active
    assert sheet.freeze_panes == "A2"
    assert sheet.sheet_view.pane.state == "frozen"
    assert all(cell.font.b for cell in sheet[1])
    assert not any(cell.font.b for cell in sheet[2])
    widths = {
        name: sheet.column_dimensions[letter].width
        for name, letter in zip(fields, "ABCDE", strict=True)
    }
    assert widths["id"] == 38
    assert widths["description"] == 60
    assert widths["is_active"] == 11
    assert widths["created_at"] >= len("2024-01-01 00:00:00")
    assert 8 < widths["name"] <= 60


def test_formatting_can_be_left_out(exporter: Exporter, sqlite_shop: str) -> None:
    exported = exporter.succeed(sqlite_shop, "excel", formatting=False, fields=["id", "updated_at"])
    sheet = openpyxl.load_workbook(exported.files[0]).active
    assert sheet.freeze_panes is None
    assert not any(cell.font.b for cell in sheet[1])
    assert {dimension.width for dimension in sheet.column_dimensions.values()} <= {13}
    assert isinstance(sheet.cell(2, sheet.max_column).value, datetime)


def test_an_unknown_sheet_is_refused(exporter: Exporter, sqlite_shop: str) -> None:
    exported = exporter.run(sqlite_shop, "excel", include_sheets=["supliers"])
    assert not exported.result.success
    assert "Did you mean suppliers" in exported.error


@pytest.mark.parametrize("names", [["*", "other"], ["^o.*$", "other", "column_0"], ["__row", "a"]])
def test_headers_that_look_like_patterns(names: list[str]) -> None:
    columns = [Column(name, FieldType.INTEGER) for name in names]
    values = {name: position for position, name in enumerate(names)}
    made = made_file("excel", [values], columns)
    assert workbook_rows(made.data) == [names, list(values.values())]
