import csv
import gzip
import io
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.catalog.sample import awkward
from export_pipelines_tests.contracts.formats import FormatContract, digests
from export_pipelines_tests.contracts.frames import COLUMNS, TEXTS, made_file, rows_of
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.contracts.reference import Row, expected_export
from export_pipelines_tests.exports import Exporter

BOM = "\ufeff"
DELIMITERS = st.sampled_from(",;\t|")
TEXT = Column("text", FieldType.STRING)
_PARSED: Mapping[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": {"true": True, "false": False}.__getitem__,
}


def as_text(value: Any) -> str | float:
    """Return what `csv` makes of a value; floating point numbers are compared as numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        milliseconds = value.microsecond // 1000
        return f"{value.replace(tzinfo=None, microsecond=0).isoformat()}.{milliseconds:03}Z"
    return value if isinstance(value, float) else str(value)


def parse_table(text: str, kinds: dict[str, str]) -> tuple[list[str], list[Row]]:
    """Parse with the standard library, strictly; what is not text has to parse as its kind."""
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    for line in lines:
        pairs = zip(kinds.items(), line, strict=True)
        rows.append(
            {
                name: _PARSED[kind](field) if kind in _PARSED and field else field
                for (name, kind), field in pairs
            }
        )
    return header, rows


def tokens(text: str, delimiter: str = ",") -> list[list[str | None]]:
    """Parse as RFC 4180 has it, telling an empty text from an empty field, None."""
    field = re.compile(rf'(?:"((?:[^"]|"")*)"|([^"\r\n{re.escape(delimiter)}]*))([\n{delimiter}])')
    lines: list[list[str | None]] = [[]]
    position = 0
    while position < len(text):
        found = field.match(text, position)
        assert found, text[position : position + 40]
        quoted, plain, end = found.groups()
        lines[-1].append(plain or None if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if end == "\n":
            lines.append([])
    assert lines.pop() == []
    return lines


def uncompressed(file: Path) -> bytes:
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes())
    if file.suffix == ".zst":
        data: bytes = pa.input_stream(str(file), compression="zstd").read()
        return data
    return file.read_bytes()


def sheet_cells(made: bytes, delimiter: str = ",") -> list[list[str | None]]:
    return tokens(made.decode("utf-8-sig"), delimiter)


class TestCsv(FormatContract):
    name = "csv"
    cut_names = ("products-00001.csv", "products-00002.csv", "products-00003.csv")

    def tables(self, file: Path, kinds: dict[str, str]) -> list[tuple[list[str], list[Row]]]:
        text = uncompressed(file).decode()
        assert text[0] == BOM
        return [parse_table(text[1:], kinds)]

    def as_read(self, value: Any, kind: str) -> Any:
        return value if kind in _PARSED and value is not None else as_text(value)

    @pytest.mark.parametrize(
        "resource_type", [name for name, known in ENTITIES.items() if not known.listing]
    )
    def test_every_resource_type_equals_its_table(
        self, tmp_path: Path, sqlite_shop: str, postgres_shop: str, resource_type: str
    ) -> None:
        made = []
        for kind, url in (("sqlite", sqlite_shop), ("postgres", postgres_shop)):
            files = made_files(url, "csv", tmp_path / kind, resource_type=resource_type)
            made.append([Path(file.path) for file in files])
            self.assert_equal_table(made[-1], url, resource_type)
        assert digests(made[0]) == digests(made[1])


def test_null_and_empty_differ(exporter: Exporter, shop: str) -> None:
    exported = exporter.succeed(shop, "csv", fields=["id", "brand", "weight"], utf8_bom=False)
    expected = expected_export(shop, "products").rows
    assert {"", None} <= {row["brand"] for row in expected}
    _, *rows = tokens(exported.files[0].read_bytes().decode())
    assert [row[1] for row in rows] == [row["brand"] for row in expected]
    assert [row[2] is None for row in rows] == [row["weight"] is None for row in expected]


def test_files_without_mark_are_plain_utf8() -> None:
    assert made_file("csv", [{"text": "é"}], [TEXT], utf8_bom=False).data == "text\né\n".encode()
    assert made_file("csv", [], [TEXT]).data == b"\xef\xbb\xbftext\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("line\nfeed", '"line\nfeed"'),
        ("lone\rreturn", '"lone\rreturn"'),
        ("", '""'),
        (" ", " "),
        ("00123", "00123"),
        ("NULL", "NULL"),
    ],
)
def test_texts_are_quoted_only_when_they_must_be(value: str, written: str) -> None:
    made = made_file("csv", [{"text": value, "b": None}], [TEXT, Column("b", FieldType.INTEGER)])
    assert made.data.decode("utf-8-sig") == f"text,b\n{written},\n"


@given(rows=rows_of(), delimiter=DELIMITERS, bom=st.booleans(), size=st.integers(1, 4))
def test_any_rows_can_be_read_back(
    rows: list[dict[str, Any]], delimiter: str, bom: bool, size: int
) -> None:
    made = made_file("csv", rows, segment_rows=size, delimiter=delimiter, utf8_bom=bom)
    text = made.data.decode()
    assert text.startswith(BOM) is bom
    text = text.removeprefix(BOM)
    header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    assert header == [column.name for column in COLUMNS]
    exact = tokens(text, delimiter)[1:]
    assert len(lines) == len(exact) == len(rows)
    for line, fields, row in zip(lines, exact, rows, strict=True):
        for field, token, value in zip(line, fields, row.values(), strict=True):
            assert (token is None) is (value is None)
            assert field == (token or "")
            if isinstance(value, float):
                assert float(field) == value or (math.isnan(value) and field == "NaN")
            else:
                assert field == as_text(value)


@given(names=st.lists(TEXTS, min_size=1, max_size=4, unique=True), delimiter=DELIMITERS)
def test_any_header_can_be_read_back(names: list[str], delimiter: str) -> None:
    columns = [Column(name, FieldType.STRING) for name in names]
    made = made_file("csv", [], columns, delimiter=delimiter, utf8_bom=False)
    assert tokens(made.data.decode(), delimiter) == [list(names)]


@given(rows=rows_of([TEXT]))
def test_no_row_of_a_single_column_is_a_blank_line(rows: list[dict[str, Any]]) -> None:
    made = made_file("csv", rows, [TEXT], utf8_bom=False)
    found = list(csv.DictReader(io.StringIO(made.data.decode(), newline=""), strict=True))
    assert [row["text"] for row in found] == [row["text"] or "" for row in rows]


def is_number(text: str) -> bool:
    """Tell what any spreadsheet takes for a number, however it groups digits."""
    digits = text.removesuffix("%")
    mantissa, _, exponent = digits.replace("E", "e").partition("e")
    if "e" in digits.lower() and not exponent.lstrip("+-").isdigit():
        return False
    bare = mantissa[1:] if mantissa[:1] in ("+", "-") else mantissa
    groups = re.split("[.,]", bare)
    return all(group.isdigit() for group in groups) or (
        len(groups) == 2 and groups[0] == "" and groups[1].isdigit()
    )


NUMBERS = st.from_regex(
    r"[+-]?[0-9]{1,4}([.,][0-9]{1,3}){0,2}([eE][+-]?[0-9]{1,2})?%?", fullmatch=True
)
RISKY = st.tuples(st.sampled_from(["=", "+", "-", "@", "\t", "\r", "'", ""]), TEXTS | NUMBERS).map(
    "".join
)


@given(names=st.lists(RISKY, min_size=1, max_size=3, unique=True), value=RISKY)
def test_sanitizing_prefixes_formulas_and_nothing_else(names: list[str], value: str) -> None:
    columns = [Column(name, FieldType.STRING) for name in names]
    row = dict.fromkeys(names, value)
    made = made_file("csv", [row], columns, sanitize_formulas=True)
    cells = [cell for line in sheet_cells(made.data) for cell in line]
    for cell, original in zip(cells, [*names, *row.values()], strict=True):
        harmful = original.startswith(("=", "+", "-", "@", "\t", "\r"))
        if harmful and not (original.isascii() and is_number(original)):
            assert cell == "'" + original or (not original.isascii() and cell == original)
        else:
            assert cell == original


@given(rows=rows_of())
def test_sanitizing_leaves_other_types_alone(rows: list[dict[str, Any]]) -> None:
    rows = [row | {"string": None} for row in rows]
    plain, sanitized = (
        made_file("csv", rows, sanitize_formulas=wish).data for wish in (False, True)
    )
    assert plain == sanitized


def test_the_sample_shop_is_sanitized(exporter: Exporter, shop: str) -> None:
    exported = exporter.succeed(shop, "csv", fields=["name", "price"], sanitize_formulas=True)
    _, *rows = sheet_cells(exported.files[0].read_bytes())
    names = [row[0] for row in rows]
    exported_texts = {row["name"] for row in expected_export(shop, "products").rows}
    for text in exported_texts.intersection(awkward.REQUIRED_TEXTS):
        if text in ("=1+1", "@SUM(A1)", '=HYPERLINK("http://example.com","x")', "\t", "-"):
            assert f"'{text}" in names
            assert text not in names
        else:
            assert text in names
    assert [row[1] for row in rows if row[1] and row[1].startswith("-")]
