"""The XML around the rows of an Excel workbook: its list of sheets, styles and headers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_PART = "application/vnd.openxmlformats-officedocument.spreadsheetml"

WORKSHEET_TAIL = b"</sheetData></worksheet>"

_STYLES = (
    f'{_XML}<styleSheet xmlns="{_MAIN}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    "</cellXfs>"
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)


@dataclass(frozen=True)
class WorksheetLayout:
    """One worksheet: its name, which sheet of the plan and which section of it, and its rows."""

    name: str
    sheet: int
    section: int
    rows: int


def worksheet_path(number: int) -> str:
    """Return where the archive keeps a worksheet; the first is number 1."""
    return f"xl/worksheets/sheet{number}.xml"


def column_letters(index: int) -> str:
    """Return a column's name: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def fixed_members(sheet_names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of everything in a workbook but its worksheets."""
    numbers = range(1, len(sheet_names) + 1)
    overrides = "".join(
        f'<Override PartName="/{worksheet_path(number)}" ContentType="{_PART}.worksheet+xml"/>'
        for number in numbers
    )
    yield (
        "[Content_Types].xml",
        (
            f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_PART}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_PART}.styles+xml"/>'
            f"{overrides}</Types>"
        ).encode(),
    )
    yield (
        "_rels/.rels",
        (
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
            "</Relationships>"
        ).encode(),
    )
    sheets = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, sheet_names, strict=True)
    )
    yield (
        "xl/workbook.xml",
        (
            f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
            f"<sheets>{sheets}</sheets></workbook>"
        ).encode(),
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" '
        f'Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        (
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{relations}'
            f'<Relationship Id="rId{len(sheet_names) + 1}" Type="{_OFFICE}/styles" '
            'Target="styles.xml"/></Relationships>'
        ).encode(),
    )
    yield "xl/styles.xml", _STYLES.encode()


def worksheet_head(
    layout: WorksheetLayout, headers: Sequence[str], widths: Sequence[int], *, formatting: bool
) -> bytes:
    """Return what a worksheet's rows come after, its header row included.

    Args:
        layout: the worksheet.
        headers: the columns' names, escaped as texts of cells are.
        widths: the columns' widths; empty for the usual ones.
        formatting: whether the header is bold and stays in view.
    """
    last = column_letters(len(headers) - 1)
    parts = [
        f'{_XML}<worksheet xmlns="{_MAIN}"><dimension ref="A1:{last}{layout.rows + 1}"/>',
    ]
    if formatting:
        parts.append(
            '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
            'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        )
    if formatting and widths:
        columns = "".join(
            f'<col min="{number}" max="{number}" width="{width}" customWidth="1"/>'
            for number, width in enumerate(widths, start=1)
        )
        parts.append(f"<cols>{columns}</cols>")
    style = ' s="1"' if formatting else ""
    attributes = f'1"{style} t="inlineStr"><is><t xml:space="preserve">'
    cells = "".join(
        f'<c r="{column_letters(at)}{attributes}{header}</t></is></c>'
        for at, header in enumerate(headers)
    )
    parts.append(f'<sheetData><row r="1">{cells}</row>')
    return "".join(parts).encode()
