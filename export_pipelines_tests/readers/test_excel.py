import io
import math
import zipfile
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.errors import FileRefused
from export_pipelines.readers.base import BATCH_ROWS
from export_pipelines_tests.contracts.frames import TEXTS, made_file, rows_of
from export_pipelines_tests.readers.files import assert_rows, read, refusal, zipped

MB = 1 << 20
NOON = datetime(2024, 1, 31, 12)  # noqa: DTZ001
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
HEADERS = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="str"><v>b</v></c></row>'
)
RUNS = (
    "<r><t>a&amp;</t></r><r><rPr><b/></rPr><t xml:space='preserve'> b</t></r>"
    "<rPh sb='0' eb='1'><t>no</t></rPh>"
)


def workbook(
    rows: str = "",
    texts: str = "",
    styles: str = "",
    head: str = "",
    properties: str = "",
    members: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """Return a workbook of one sheet whose XML is written out."""
    parts: dict[str, str | bytes] = {
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{properties}<sheets>'
        '<sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{RELATIONS}">'
        f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
        f'<Relationship Id="r3" Type="{OFFICE}/styles" Target="styles.xml"/>'
        f'<Relationship Id="r4" Type="{OFFICE}/externalLink" TargetMode="External" '
        'Target="http://127.0.0.1:9/link"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{texts}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
        "xl/worksheets/sheet1.xml": f'{head}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>'
        "</worksheet>",
    }
    return zipped(parts | dict(members or {}))


def cell(inner: str, attributes: str = "", **parts: Any) -> str | None:
    """Return the text of a cell in row 2, whose XML is written out."""
    data = workbook(
        f'{HEADERS}<row r="2"><c r="A2"{attributes}>{inner}</c><c r="B2"><v>1</v></c></row>',
        **parts,
    )
    return read(data).rows[2]["a"]


def saved(book: openpyxl.Workbook) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def book_of(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    return saved(book)


def is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


@settings(max_examples=60)
@given(rows=rows_of(), formatting=st.booleans())
def test_any_rows_are_read_as_they_were(rows: list[dict[str, Any]], formatting: bool) -> None:
    rows = [
        {name: None if is_infinite(value) else value for name, value in row.items()} for row in rows
    ]
    found = read(made_file("excel", rows, formatting=formatting).data)
    assert found.format == "excel"
    assert found.details == {"sheet": "things"}
    assert_rows(found, rows, first=2)


@given(names=st.lists(TEXTS.map(str.strip).filter(bool), min_size=1, max_size=4, unique=True))
def test_any_headers_are_read_as_they_were(names: list[str]) -> None:
    made = made_file("excel", [], [Column(name, FieldType.STRING) for name in names])
    assert read(made.data).headers == tuple(names)


def test_a_workbook_of_another_program() -> None:
    found = read(
        book_of(
            ["id", "price", "at", "day", "yes", "time", "sum"],
            [
                "x",
                19.99,
                NOON,
                NOON.replace(hour=0),
                True,
                time(8, 30),
                "=1+1",
            ],
            ["", 0.1, None, None, False, None, None],
            [],
            ["#N/A", 5.0],
        )
    )
    assert found.cells == [
        [
            "x",
            "19.99",
            "2024-01-31T12:00:00.000Z",
            "2024-01-31T00:00:00.000Z",
            "true",
            "08:30:00.000",
            None,
        ],
        [None, "0.1", None, None, "false", None, None],
        ["#N/A", "5", None, None, None, None, None],
    ]
    assert list(found.rows) == [2, 3, 5]


def test_rows_of_many_batches() -> None:
    columns = [Column("a", FieldType.INTEGER), Column("b", FieldType.STRING)]
    rows = [{"a": number, "b": str(number)} for number in range(2 * BATCH_ROWS + 1)]
    found = read(made_file("excel", rows, columns, segment_rows=BATCH_ROWS).data)
    assert [row["a"] for row in found.rows.values()] == [row["b"] for row in rows]


@pytest.mark.parametrize(
    ("inner", "attributes", "text"),
    [
        ("<v>5</v>", "", "5"),
        ("<v> 5 </v>", ' t="n"', "5"),
        ("<v></v>", "", None),
        ("<f>A1</f>", "", None),
        ("", "", None),
        ("", ' t="s"', None),
        ("<is><t></t></is>", ' t="inlineStr"', ""),
        ("<is><t xml:space='preserve'> x </t></is>", ' t="inlineStr"', " x "),
        (f"<is>{RUNS}</is>", ' t="inlineStr"', "a& b"),
        ("<f>X</f><v></v>", ' t="str"', ""),
        ("<f>X</f><v>t_x000D_</v>", ' t="str"', "t\r"),
        ("<f>X</f><v>0.30000000000000004</v>", "", "0.3"),
        ("<v>0.30000000000000004</v>", "", "0.30000000000000004"),
        ("<v>1</v>", ' t="b"', "true"),
        ("<v>#DIV/0!</v>", ' t="e"', "#DIV/0!"),
        ("<v>2024-01-31T00:00:00Z</v>", ' t="d"', "2024-01-31T00:00:00.000Z"),
        ("<is><t><![CDATA[<x>]]></t></is>", ' t="inlineStr"', "<x>"),
    ],
)  # fmt: skip
def test_cells(inner: str, attributes: str, text: str | None) -> None:
    assert cell(inner, attributes) == text


@pytest.mark.parametrize(
    ("inner", "attributes"),
    [
        ("<v>five</v>", ""),
        ("<v>9</v>", ' t="b"'),
        ("<v>7</v>", ' t="s"'),
        ("<v>-1</v>", ' t="s"'),
        ("<v>tomorrow</v>", ' t="d"'),
        ("<v>x</v>", ' t="other"'),
        ("<v>_x0000_</v>", ' t="str"'),
        ("<v>_xD800_</v>", ' t="str"'),
    ],
)
def test_cells_that_cannot_be_read_are_named(inner: str, attributes: str) -> None:
    row = f'{HEADERS}<row r="2"><c r="A2"{attributes}>{inner}</c></row>'
    assert "a value in cell A2 that cannot be read" in refusal(workbook(row))


def test_shared_texts() -> None:
    texts = f"<si><t>a_x0009_b</t></si><si>{RUNS}</si><si><t/></si>"
    found = [cell(f"<v>{index}</v>", ' t="s"', texts=texts) for index in range(3)]
    assert found == ["a\tb", "a& b", ""]
    assert "a NUL or half a character" in refusal(
        workbook(HEADERS, texts="<si><t>_x0000_</t></si>")
    )


def test_times_by_the_format_of_the_number() -> None:
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="d\\.m\\.yyyy"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="2"/>'
        "</cellXfs>"
        '<dxfs><dxf><numFmt numFmtId="2" formatCode="d"/></dxf></dxfs>'
    )  # fmt: skip
    found = [cell("<v>45322</v>", f' s="{style}"', styles=styles) for style in range(4)]
    moment = "2024-01-31T00:00:00.000Z"
    assert found == ["45322", moment, moment, "45322"]
    properties = '<workbookPr date1904="1"/>'
    assert cell("<v>43860</v>", ' s="1"', styles=styles, properties=properties) == moment


def test_cells_and_rows_without_references() -> None:
    row = "<row><c><v>{}</v></c><c/><c><v>{}</v></c></row>"
    found = read(
        workbook('<row><c t="str"><v>a</v></c><c/><c t="str"><v>c</v></c></row>' + row.format(1, 2))
    )
    assert found.headers == ("a", "c")
    assert found.rows == {2: {"a": "1", "c": "2"}}


def test_elements_with_a_prefix() -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row r="1"><x:c t="str"><x:v>a</x:v></x:c>'
        '</x:row><x:row r="2"><x:c><x:f>B</x:f><x:v>2</x:v></x:c></x:row></x:sheetData>'
        "</x:worksheet>"
    )
    found = read(workbook(members={"xl/worksheets/sheet1.xml": sheet}))
    assert found.rows == {2: {"a": "2"}}


def test_sheets_are_chosen_by_name() -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["first"])
    book.create_sheet("Preise & Co").append(["second"])
    data = saved(book)
    assert read(data).headers == ("first",)
    found = read(data, sheet="Preise & Co")
    assert (found.headers, found.details) == (("second",), {"sheet": "Preise & Co"})
    assert refusal(data, sheet="Preise") == (
        "'things.txt' has no such sheet. There is no sheet 'Preise'. Did you mean Preise & Co? "
        "Choose from Sheet and Preise & Co."
    )


def test_headers_are_in_row_1() -> None:
    assert "has no rows in its sheet 'Sheet'" in refusal(book_of())
    assert "nothing in row 1 of its sheet 'Sheet'" in refusal(book_of([], ["a"]))
    assert read(book_of(["a"])).rows == {}
    assert "twice, in columns 1 (A) and 28 (AB)" in refusal(book_of(["a", *[None] * 26, "a"]))
    assert "no header for column 4 (D), which has a value in row 2" in refusal(
        book_of(["a"], [1, None, None, 4])
    )
    assert "no header for column 2 (B)" in refusal(book_of(["a", None, "c"], [1, 2, 3]))
    assert "has 1,001 columns" in refusal(book_of([f"c{number}" for number in range(1001)]))


def test_as_many_rows_as_are_allowed() -> None:
    data = book_of(["a"], [1], [], [2])
    assert len(read(data, max_rows=3).rows) == 2
    assert "has more than 2 rows, header included" in refusal(data, max_rows=2)


def test_guards_of_formulas_are_taken_off() -> None:
    data = book_of(["'=a", "b"], ["'=1+1", "'x"])
    found = read(data, sanitized=True)
    assert found.rows == {2: {"=a": "=1+1", "b": "'x"}}
    assert read(data).headers == ("'=a", "b")


DOCTYPES = [
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
]


@pytest.mark.parametrize("doctype", DOCTYPES)
@pytest.mark.parametrize(
    "part",
    [
        "_rels/.rels",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/sharedStrings.xml",
        "xl/styles.xml",
        "xl/worksheets/sheet1.xml",
    ],
)
def test_document_types_are_refused_in_every_part(doctype: str, part: str) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(HEADERS))) as archive:
        content = archive.read(part).decode()
    data = workbook(HEADERS, members={part: doctype + content})
    assert "declarations of XML that no workbook needs" in refusal(data)


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"]
)
def test_bombs_are_refused_when_they_have_unpacked_to_what_is_allowed(part: str) -> None:
    data = workbook(HEADERS, members={part: b"<x>" + b"<y/>" * (2 * MB) + b"</x>"})
    assert len(data) < MB // 4
    assert "unpacks to more than 5 MB" in refusal(data, max_bytes=MB // 4)


def test_texts_that_many_cells_share_count_as_often() -> None:
    rows = "".join(f'<row r="{row}"><c t="s"><v>0</v></c></row>' for row in range(2, 100))
    data = workbook(HEADERS + rows, texts=f"<si><t>{'x' * MB}</t></si>")
    assert "unpacks to more than 20 MB" in refusal(data, max_bytes=MB)
    row = "".join('<c t="s"><v>0</v></c>' for _ in range(10))
    names = "".join(f'<c t="str"><v>{place}</v></c>' for place in range(10))
    wide = workbook(f"<row>{names}</row><row>{row}</row>", texts=f"<si><t>{'x' * MB}</t></si>")
    assert "has a row 2 of more than 8 MB" in refusal(wide)


def test_a_huge_attribute_is_refused() -> None:
    data = workbook(HEADERS, members={"xl/styles.xml": b'<x y="' + b"z" * (12 * MB) + b'"/>'})
    assert "a piece of more than 8 MB" in refusal(data)


def sheet_at(target: str, attributes: str = "") -> bytes:
    """Return a workbook whose only sheet is to be found somewhere."""
    relations = (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/worksheet" '
        f'Target="{target}"{attributes}/></Relationships>'
    )
    return workbook(HEADERS, members={"xl/_rels/workbook.xml.rels": relations})


def test_external_links_are_not_opened() -> None:
    data = sheet_at("file:///etc/passwd", ' TargetMode="External"')
    assert "is a workbook without sheets" in refusal(data)


@pytest.mark.parametrize("target", ["../../../../etc/passwd", "/etc/passwd", "worksheets/none.xml"])
def test_parts_are_only_in_the_archive(target: str) -> None:
    assert "is damaged" in refusal(sheet_at(target))


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"><v>1</v>',
        '<row r="2"/><row r="1"/>',
        '<row r="1048577"/>',
        '<row r="0"/>',
        '<row r="x"/>',
        '<row r="1"><c r="XFE1"><v>1</v></c></row>',
        '<row r="1"><c r="a1"><v>1</v></c></row>',
        '<row r="1"><c r="1"><v>1</v></c></row>',
        "&nbsp;",
        "\x01",
    ],
)
def test_damaged_sheets_are_refused(rows: str) -> None:
    assert "is damaged" in refusal(workbook(rows))


def test_workbooks_that_were_cut_off_are_refused() -> None:
    data = made_file("excel", [{"string": "x" * number} for number in range(500)]).data
    for size in (10, len(data) // 2, len(data) - 1):
        assert "is damaged or was cut off" in refusal(data[:size])


@settings(max_examples=50)
@given(data=st.data())
def test_a_damaged_workbook_is_refused_or_read(data: st.DataObject) -> None:
    made = bytearray(made_file("excel", [{"string": "x", "integer": 1}]).data)
    made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(made))
    except FileRefused:
        return
