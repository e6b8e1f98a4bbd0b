"""Other headers and fixed columns, from a request to the files of every format."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from export_pipelines.artifacts import Column, Derivation, FieldType
from export_pipelines.catalog.headers import (
    FIXED_CHARACTERS,
    HEADER_CHARACTERS,
    fixed_fields,
    with_headers,
)
from export_pipelines.errors import RequestError
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.contracts.pipeline import made_files
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.formats.test_csv import as_text
from export_pipelines_tests.test_vendor_requests import assert_lines, read_csv

TEXT = Column("text", FieldType.STRING)
AMOUNT = Column("amount", FieldType.NUMBER, Derivation("decimal", "cents", "currency"))
OWNER = Column("owner", FieldType.OBJECT, None, "owner.id", (Column("id", FieldType.STRING),))
LINES = Column("lines", FieldType.ARRAY, columns=(TEXT, AMOUNT))
FIXED = Column("vendor", FieldType.STRING, Derivation("fixed", value="ACME"))

VALUES: dict[str, Any] = {"vendor": "ACME", "stock": 5, "rate": 1.5, "new": True, "note": None}
HEADERS = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8),
    st.sampled_from(["*", "^a.*$", "=1+1", 'a"b', "a,b", " a ", "sku", "name", "customer.email"]),
).filter(str.strip)
FIXED_VALUES = st.one_of(
    TEXTS,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)


def test_other_headers_are_of_the_same_columns() -> None:
    rename = {"text": "a", "owner": "b", "owner.id": "c", "lines": "d", "lines.text": "e"}
    text, amount, owner, lines, fixed = with_headers(
        [TEXT, AMOUNT, OWNER, LINES, FIXED], {**rename, "amount": "f", "lines.amount": "g"}
    )
    assert (text.name, text.stored, text.type) == ("a", "text", FieldType.STRING)
    assert (amount.name, amount.derivation) == ("f", AMOUNT.derivation)
    assert (owner.name, owner.stored) == ("b", "owner.id")
    assert [(each.name, each.stored) for each in owner.columns] == [("c", "id")]
    assert (lines.name, lines.stored) == ("d", "lines")
    assert [each.name for each in lines.columns] == ["e", "g"]
    assert fixed == FIXED


def test_columns_that_are_not_renamed_stay_as_they_are() -> None:
    columns = (TEXT, AMOUNT, OWNER, LINES, FIXED)
    assert with_headers(columns, {}) == columns
    assert with_headers(columns, {"text": "a"})[1:] == columns[1:]


def test_headers_may_change_places() -> None:
    columns = [TEXT, AMOUNT]
    assert [each.name for each in with_headers(columns, {"text": "amount", "amount": "text"})] == [
        "amount",
        "text",
    ]


def test_a_fixed_column_may_have_the_name_of_a_renamed_field() -> None:
    fixed = Column("text", FieldType.INTEGER, Derivation("fixed", value=1))
    found = with_headers([TEXT, fixed], {"text": "a"})
    assert [each.name for each in found] == ["a", "text"]
    assert found[1] == fixed


def test_members_of_different_objects_may_have_the_same_header() -> None:
    found = with_headers([TEXT, OWNER, LINES], {"owner.id": "text", "text": "lines.text"})
    assert [each.name for each in found] == ["lines.text", "owner", "lines"]
    assert found[1].columns[0].name == "text"


@pytest.mark.parametrize(
    ("rename", "sentence"),
    [
        ({"texts": "a"}, r"rename: There is no exported column 'texts'\. Did you mean text\?"),
        ({"id": "a"}, r"rename: There is no .* 'id'\..* text, amount, owner, owner.id, lines, "),
        ({"vendor": "a"}, r"rename: There is no exported column 'vendor'\."),
        ({"text": "amount"}, r"rename: text and amount would both have the header 'amount': choos"),
        ({"lines.text": "amount"}, r"rename: lines.text and lines.amount would both have the head"),
        ({"text": "owner"}, r"rename: text and owner would both have the header 'owner': choose"),
        ({"text": "vendor"}, r"fixed_columns: 'vendor' is also the header of the field text: choo"),
        ({"text": ""}, r"rename\.text: '' cannot be a header: write 1 to 1,000 characters, not"),
        ({"owner.id": "a\nb"}, r"rename\.owner\.id: 'a\\nb' cannot be a header: .* line breaks"),
    ],
)
def test_headers_that_cannot_be_given(rename: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(RequestError, match=f"^{sentence}") as caught:
        with_headers([TEXT, AMOUNT, OWNER, LINES, FIXED], rename)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    ["", "  ", *(f"a{letter}b" for letter in "\t\r\n\0\x7f\x85\u2028\u2029\ud800")],
)
def test_headers_that_no_file_should_have(header: str) -> None:
    with pytest.raises(RequestError, match=r"^rename\.text: .* cannot be a header: write"):
        with_headers([TEXT], {"text": header})
    with pytest.raises(RequestError, match=r"^fixed_columns: .* cannot be a header: write"):
        fixed_fields({header: 1})


def test_headers_of_the_greatest_length() -> None:
    longest = "x" * HEADER_CHARACTERS
    assert with_headers([TEXT], {"text": longest})[0].name == longest
    with pytest.raises(RequestError, match=r"cannot be a header: write 1 to 1,000 characters"):
        with_headers([TEXT], {"text": f"{longest}x"})


def test_values_have_their_types() -> None:
    kinds = [field.type.value for field in fixed_fields(VALUES)]
    assert kinds == ["string", "integer", "number", "boolean", "string"]
    values = [field.derivation and field.derivation.value for field in fixed_fields(VALUES)]
    assert values == list(VALUES.values())
    fixed_fields({"text": "x" * FIXED_CHARACTERS, "least": -(2**63), "most": 2**63 - 1})


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {"a": 1},
        b"a",
        float("nan"),
        float("inf"),
        2**63,
        -(2**63) - 1,
        "x" * (FIXED_CHARACTERS + 1),
        "a\0",
        "\ud800",
    ],
)
def test_values_that_no_column_can_hold(value: Any) -> None:
    sentence = (
        r"^fixed_columns\.vendor: .* cannot be the value of a column: write a text of at most"
    )
    with pytest.raises(RequestError, match=sentence):
        fixed_fields({"vendor": value})


def table(format_name: str, path: Path) -> list[list[Any]]:
    """Return header and rows of a file of any format, as its own readers read it."""
    if format_name == "csv":
        return [list(line) for line in read_csv(path)]
    if format_name == "zip":
        with zipfile.ZipFile(path) as archive:
            member = path.with_name("member.csv")
            member.write_bytes(archive.read(archive.namelist()[0]))
        return [list(line) for line in read_csv(member)]
    if format_name == "excel":
        book = openpyxl.load_workbook(path)
        return [list(row) for row in book.worksheets[0].values]
    records = records_of(format_name, path)
    return [list(records[0]), *(list(record.values()) for record in records)]


def records_of(format_name: str, path: Path) -> list[dict[str, Any]]:
    if format_name == "parquet":
        found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    elif format_name == "jsonl":
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
    else:
        found = json.loads(path.read_bytes())
    return found


def made(url: str, format_name: str, folder: Path, **request: Any) -> Path:
    if format_name == "jsonl":
        format_name, request["options"] = "json", {"json_lines": True}
    (file,) = made_files(url, format_name, folder, **request)
    return Path(file.path)


@pytest.mark.parametrize("format_name", ["csv", "json", "jsonl", "excel", "zip", "parquet"])
def test_every_format_has_them(tmp_path: Path, sqlite_shop: str, format_name: str) -> None:
    fields = ["sku", "price", "template:care:material", "is_active"]
    request: dict[str, Any] = {"filters": {"sku_start": "T", "is_active": True}}
    plain = made(sqlite_shop, format_name, tmp_path / "plain", fields=fields, **request)
    path = made(
        sqlite_shop,
        format_name,
        tmp_path / "other",
        fields=["sku", "vendor", *fields[1:]],
        rename={"price": "Price €", "template:care:material": "Material", "sku": "price"},
        fixed_columns=VALUES,
        **request,
    )
    last = list(VALUES.values())[1:]
    if format_name in ("csv", "zip"):
        last = ["5", "1.5", "true", ""]
    _, *rows = table(format_name, plain)
    header, *found = table(format_name, path)
    others = ["stock", "rate", "new", "note"]
    assert header == ["price", "vendor", "Price €", "Material", "is_active", *others]
    assert found == [[row[0], "ACME", *row[1:], *last] for row in rows]
    assert len(rows) > 5


def test_types_of_fixed_columns_in_parquet(tmp_path: Path, sqlite_shop: str) -> None:
    path = made(sqlite_shop, "parquet", tmp_path, fields=["sku"], fixed_columns=VALUES)
    assert parquet.read_schema(path).types[1:] == [
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.string(),
    ]


def test_only_the_first_sheet_of_a_workbook_has_them(tmp_path: Path, sqlite_shop: str) -> None:
    path = made(
        sqlite_shop,
        "excel",
        tmp_path,
        fields=["sku", "name"],
        rename={"name": "Title"},
        fixed_columns={"vendor": "ACME"},
        options={"include_sheets": ["suppliers"]},
    )
    book = openpyxl.load_workbook(path)
    first, second = ([cell.value for cell in sheet[1]] for sheet in book.worksheets)
    assert first == ["sku", "Title", "vendor"]
    assert "name" in second
    assert "vendor" not in second


def test_what_is_left_out_has_no_header(tmp_path: Path, sqlite_shop: str) -> None:
    request: dict[str, Any] = {"resource_type": "orders", "skip_ids": True, "skip_rel_ids": True}
    request |= {"exclude_fields": ["number"], "fixed_columns": {"number": 1, "id": "x"}}
    header, first, *_ = read_csv(
        made(sqlite_shop, "csv", tmp_path / "a", rename={"status": "state"}, **request)
    )
    assert header[-2:] == ["number", "id"]
    assert first[-2:] == ["1", "x"]
    assert "state" in header
    assert "status" not in header
    with pytest.raises(RequestError, match=r"^rename: There is no exported column 'customer_id'\."):
        made(sqlite_shop, "csv", tmp_path / "b", rename={"customer_id": "x"}, **request)


def test_filters_go_by_the_names_of_the_catalogue(tmp_path: Path, sqlite_shop: str) -> None:
    request: dict[str, Any] = {"fields": ["sku", "name"], "rename": {"sku": "name", "name": "sku"}}
    header, *lines = read_csv(
        made(sqlite_shop, "csv", tmp_path, filters={"sku_start": "OUT-000"}, **request)
    )
    assert header == ["name", "sku"]
    assert lines
    assert all(line[0].startswith("OUT-000") for line in lines)


def test_blanks_are_left_out_of_fixed_columns_too(tmp_path: Path, sqlite_shop: str) -> None:
    path = made(
        sqlite_shop,
        "json",
        tmp_path,
        fields=["sku"],
        rename={"sku": "Item"},
        fixed_columns={"a": None, "b": "", "c": False, "d": 0},
        skip_blanks=True,
    )
    assert all(list(record) == ["Item", "c", "d"] for record in records_of("json", path))


def test_objects_alone_have_fixed_columns_beside_them(tmp_path: Path, sqlite_shop: str) -> None:
    request: dict[str, Any] = {"resource_type": "orders", "fields": ["customer.email"]}
    plain = records_of("json", made(sqlite_shop, "json", tmp_path / "plain", **request))
    request["rename"] = {"customer": "*", "customer.email": "^e.*$"}
    request["fixed_columns"] = {"vendor": "ACME"}
    found = records_of("json", made(sqlite_shop, "json", tmp_path / "other", **request))
    emails = [record["customer"] and record["customer"]["email"] for record in plain]
    assert found == [
        {"*": record["customer"] and {"^e.*$": email}, "vendor": "ACME"}
        for record, email in zip(plain, emails, strict=True)
    ]
    assert len({record["vendor"] for record in found}) == 1 < len(found)


def test_fixed_columns_are_no_export_of_what_no_column_can_hold(
    tmp_path: Path, sqlite_shop: str
) -> None:
    request: dict[str, Any] = {"resource_type": "orders", "fixed_columns": VALUES}
    request["fields"] = ["line_items.line_item_options.name"]
    with pytest.raises(RequestError, match=r"^fields: columns hold one level .* cannot be export"):
        made(sqlite_shop, "csv", tmp_path, **request)


def test_files_without_records_have_the_headers(tmp_path: Path, sqlite_shop: str) -> None:
    path = made(
        sqlite_shop,
        "csv",
        tmp_path,
        fields=["sku"],
        filters={"sku": "none such"},
        allow_empty=True,
        rename={"sku": "Item"},
        fixed_columns=VALUES,
    )
    assert read_csv(path) == [["Item", *VALUES]]


def test_jobs_keep_the_order_that_was_given(exporter: Exporter, sqlite_shop: str) -> None:
    exported = exporter.succeed(
        sqlite_shop,
        "csv",
        fields=["sku", "name"],
        rename={"name": "^z*$"},
        fixed_columns={"z": 1, "a": "b", "m": None},
    )
    (file,) = exported.files
    header, first, *_ = read_csv(file)
    assert header == ["sku", "^z*$", "z", "a", "m"]
    assert first[2:] == ["1", "b", ""]
    names = [column["name"] for column in exported.manifest["columns"]]
    assert names == header


PRODUCT_FIELDS = ["sku", "name", "price", "tags", "is_active", "created_at", "weight"]
PRODUCT_FIELDS += ["template:care:material", "template:dimensions:width"]


@st.composite
def flat_requests(draw: st.DrawFn) -> tuple[list[str], dict[str, str], dict[str, Any]]:
    """Make fields and fixed headers in any order, headers of some, and values of the others."""
    chosen = draw(st.lists(st.sampled_from(PRODUCT_FIELDS), min_size=1, unique=True))
    headers = draw(
        st.lists(
            HEADERS.filter(lambda header: header not in PRODUCT_FIELDS),
            min_size=len(chosen) + 3,
            max_size=len(chosen) + 3,
            unique=True,
        )
    )
    renamed = draw(st.sets(st.sampled_from(chosen)))
    rename = {name: headers.pop() for name in chosen if name in renamed}
    fixed = {header: draw(FIXED_VALUES) for header in headers[:3] if header != "*"}
    return draw(st.permutations([*chosen, *fixed])), rename, fixed


@settings(max_examples=40)
@given(asked=flat_requests(), format_name=st.sampled_from(["csv", "json", "jsonl", "parquet"]))
def test_files_are_those_of_the_fields_with_headers_and_values(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_shop: str,
    asked: tuple[list[str], dict[str, str], dict[str, Any]],
    format_name: str,
) -> None:
    fields, rename, fixed = asked
    folder = tmp_path_factory.mktemp("law")
    filters = {"sku_start": "OUT-000"}
    chosen = [name for name in fields if name not in fixed]
    request: dict[str, Any] = {"filters": filters}
    plain = made(sqlite_shop, format_name, folder / "plain", fields=chosen, **request)
    request |= {"rename": rename, "fixed_columns": fixed}
    path = made(sqlite_shop, format_name, folder / "other", fields=fields, **request)
    names, *rows = table(format_name, plain)
    header, *found = table(format_name, path)
    assert names == chosen
    assert header == [rename.get(name, name) for name in fields]
    expected = [
        [fixed[name] if name in fixed else row[names.index(name)] for name in fields]
        for row in rows
    ]
    assert len(found) == len(rows) > 0
    if format_name == "csv":
        assert_lines(found, expected)
    else:
        assert found == expected
        assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in expected]


FLAT = ["number", "total_amount_float", "customer.email", "customer.id", "line_items.sku_code"]
FLAT += ["line_items.quantity", "line_items.unit_amount_float", "billing_address.city"]
DEEP = [*FLAT, "line_items.line_item_options.name"]
OBJECTS = ["customer", "line_items", "billing_address", "line_items.line_item_options"]


def relabelled(value: Any, rename: Mapping[str, str], path: Sequence[str] = ()) -> Any:
    """Return a JSON value with other names for its members."""
    if isinstance(value, list):
        return [relabelled(each, rename, path) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        rename.get(".".join((*path, name)), name): relabelled(member, rename, (*path, name))
        for name, member in value.items()
    }


@st.composite
def related_requests(
    draw: st.DrawFn, known: Sequence[str], others: Sequence[str] = ()
) -> tuple[list[str], dict[str, str], dict[str, Any]]:
    """Make fields of orders and of related resources, headers, and fixed columns."""
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
    owners = {name.rpartition(".")[0] for name in chosen} & {*others}
    owners |= {"line_items"} if "line_items.line_item_options" in owners else set()
    names = sorted({*chosen, *owners})
    renamed = draw(st.lists(st.sampled_from(names), unique=True))
    headers = draw(
        st.lists(
            HEADERS.map(lambda header: f"{header}!"),
            min_size=len(names) + 2,
            max_size=len(names) + 2,
            unique=True,
        )
    )
    rename = dict(zip(renamed, headers, strict=False))
    return chosen, rename, {header: draw(FIXED_VALUES) for header in headers[-2:]}


@settings(max_examples=25)
@given(asked=related_requests(DEEP, OBJECTS))
def test_nested_records_have_other_names_and_fixed_members(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_shop: str,
    asked: tuple[list[str], dict[str, str], dict[str, Any]],
) -> None:
    fields, rename, fixed = asked
    folder = tmp_path_factory.mktemp("law")
    request: dict[str, Any] = {"resource_type": "orders", "fields": fields}
    request["filters"] = {"number_lt": "#10030"}
    plain = records_of("json", made(sqlite_shop, "json", folder / "plain", **request))
    request |= {"rename": rename, "fixed_columns": fixed}
    found = records_of("json", made(sqlite_shop, "json", folder / "other", **request))
    expected = [relabelled(record, rename) | fixed for record in plain]
    assert found == expected
    assert list(map(list, found)) == list(map(list, expected))
    path = made(sqlite_shop, "parquet", folder / "parquet", **request)
    assert records_of("parquet", path) == found


@settings(max_examples=25)
@given(asked=related_requests(FLAT))
def test_lines_have_other_headers_and_fixed_values(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_shop: str,
    asked: tuple[list[str], dict[str, str], dict[str, Any]],
) -> None:
    fields, rename, fixed = asked
    folder = tmp_path_factory.mktemp("law")
    request: dict[str, Any] = {"resource_type": "orders", "fields": fields}
    request["filters"] = {"number_lt": "#10030"}
    names, *lines = read_csv(made(sqlite_shop, "csv", folder / "plain", **request))
    request |= {"rename": rename, "fixed_columns": fixed}
    header, *found = read_csv(made(sqlite_shop, "csv", folder / "other", **request))
    assert header == [*(rename.get(name, name) for name in names), *fixed]
    last = [as_text(value) for value in fixed.values()]
    assert_lines(found, [[*line, *last] for line in lines])
