"""The parts of an Excel workbook beside its rows: sheets, formats of numbers, shared texts.

Every part is read as a stream, what it unpacks to is counted, and nothing outside the file is ever
opened: a part that declares a document type or an entity is refused.
"""

import posixpath
import zipfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from export_pipelines.errors import shown, unknown
from export_pipelines.readers.base import MAX_RECORD_BYTES, Content, size_text
from export_pipelines.readers.excel_values import is_time_format, unescaped
from export_pipelines.readers.unpacking import Meter, damaged, explained, open_member

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

_CHUNK_BYTES = 1 << 18
_MAX_ELEMENTS = 100_000
_TEXT_OVERHEAD = 64

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class Workbook:
    """What is to be known of a workbook to read one of its sheets.

    Attributes:
        sheet: the sheet's name.
        part: where the archive has it.
        from_1904: whether days are counted from 1904, as old Macs did.
        time_styles: the styles whose numbers are times.
        texts: the texts that cells share.
    """

    sheet: str
    part: str
    from_1904: bool
    time_styles: frozenset[str]
    texts: list[str]


class Package:
    """The archive that a workbook is.

    Attributes:
        content: the file.
        meter: counts what its parts unpack to, and the texts that cells share, as often as they do.
    """

    def __init__(self, content: Content, archive: zipfile.ZipFile, meter: Meter) -> None:
        self.content = content
        self.meter = meter
        self._archive = archive
        self._names = frozenset(archive.namelist())

    def has(self, part: str) -> bool:
        """Return whether there is such a part."""
        return part in self._names

    def parsed(self, part: str, parser: "XMLParserType") -> Generator[None, None, None]:
        """Parse a part, a piece at each step.

        Raises:
            FileRefused: it is damaged, unpacks to too much, or declares a document type.
        """
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.buffer_text = True
        parser.buffer_size = _CHUNK_BYTES
        fed = 0
        with open_member(self.content, self._archive, part) as source:
            while True:
                with explained(self.content):
                    data = source.read(_CHUNK_BYTES)
                    self.meter.spend(len(data))
                    parser.Parse(data, not data)
                yield
                if not data:
                    return
                fed += len(data)
                if fed - parser.CurrentByteIndex > MAX_RECORD_BYTES:
                    raise self.content.refusal(
                        f"has a piece of more than {size_text(MAX_RECORD_BYTES)} in {part}: it is "
                        "damaged."
                    )

    def elements(self, part: str, names: "set[str]") -> list[tuple[str, Attributes]]:
        """Return the elements of these names in a part, with where they are in: `cellXfs/xf`.

        Raises:
            FileRefused: it cannot be read, or has too many.
        """
        found: list[tuple[str, Attributes]] = []
        path: list[str] = [""]

        def start(name: str, attributes: dict[str, str]) -> None:
            local = local_name(name)
            if f"{path[-1]}/{local}" in names:
                found.append((local, attributes))
                if len(found) > _MAX_ELEMENTS:
                    raise damaged(self.content)
            path.append(local)

        def end(_: str) -> None:
            path.pop()

        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        for _ in self.parsed(part, parser):
            pass
        return found

    def _refuse_doctype(self, *_: Any) -> None:
        raise self.content.refusal(
            "has declarations of XML that no workbook needs, and that may do harm: it is refused."
        )


def local_name(name: str) -> str:
    """Return an element's name without its prefix."""
    return name.rpartition(":")[2]


def read_workbook(package: Package) -> Workbook:
    """Return what is to be known of the sheet that is asked for, or of the first.

    Raises:
        FileRefused: there is no such sheet, or the workbook cannot be read.
    """
    main = _main_part(package)
    found = package.elements(main, {"sheets/sheet", "workbook/workbookPr"})
    relations = _relations(package, main)
    sheets = {
        attributes.get("name", ""): relations[_relation_id(attributes)][1]
        for name, attributes in found
        if name == "sheet" and relations.get(_relation_id(attributes), ("", ""))[0] == "worksheet"
    }
    name = _chosen(package, sheets)
    others = dict(relations.values())
    from_1904 = any(attributes.get("date1904") in ("1", "true") for _, attributes in found)
    styles = others.get("styles", "")
    texts = others.get("sharedStrings", "")
    return Workbook(
        name,
        sheets[name],
        from_1904,
        _time_styles(package, styles) if package.has(styles) else frozenset(),
        _shared_texts(package, texts) if package.has(texts) else [],
    )


def _main_part(package: Package) -> str:
    found = _relations(package, "")
    for kind, part in found.values():
        if kind == "officeDocument":
            return part
    raise damaged(package.content)


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Return what a part refers to inside the archive: by id, the kind and the part."""
    folder, name = posixpath.split(part)
    elements = package.elements(
        posixpath.join(folder, "_rels", f"{name}.rels"), {"Relationships/Relationship"}
    )
    return {
        attributes.get("Id", ""): (
            attributes.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))[1:],
        )
        for _, attributes in elements
        if attributes.get("TargetMode") != "External"
    }


def _relation_id(attributes: Attributes) -> str:
    found = (value for name, value in attributes.items() if name.endswith(":id"))
    return next(found, "")


def _chosen(package: Package, sheets: Mapping[str, str]) -> str:
    if not sheets:
        raise package.content.refusal("is a workbook without sheets.")
    asked = package.content.options.sheet
    if asked and asked not in sheets:
        raise package.content.refusal(f"has no such sheet. {unknown('sheet', asked, list(sheets))}")
    return asked or next(iter(sheets))


def _time_styles(package: Package, part: str) -> frozenset[str]:
    elements = package.elements(part, {"numFmts/numFmt", "cellXfs/xf"})
    codes = {
        attributes.get("numFmtId", ""): attributes.get("formatCode", "")
        for name, attributes in elements
        if name == "numFmt"
    }
    formats = [attributes.get("numFmtId", "0") for name, attributes in elements if name == "xf"]
    return frozenset(
        str(style)
        for style, number in enumerate(formats)
        if number.isdecimal() and is_time_format(int(number), codes.get(number))
    )


def _shared_texts(package: Package, part: str) -> list[str]:
    shared = _SharedTexts(package)
    parser = expat.ParserCreate()
    parser.StartElementHandler = shared.start
    parser.EndElementHandler = shared.end
    parser.CharacterDataHandler = shared.characters
    for _ in package.parsed(part, parser):
        pass
    return shared.texts


class _SharedTexts:
    """Collects texts; of one with several formats all runs, without what tells how it is spoken."""

    def __init__(self, package: Package) -> None:
        self.texts: list[str] = []
        self._package = package
        self._pieces: list[str] = []
        self._reading = False
        self._phonetic = False

    def start(self, name: str, _: Attributes) -> None:
        local = local_name(name)
        if local == "rPh":
            self._phonetic = True
        elif local == "t":
            self._reading = not self._phonetic

    def characters(self, data: str) -> None:
        if self._reading:
            self._pieces.append(data)

    def end(self, name: str) -> None:
        local = local_name(name)
        if local == "t":
            self._reading = False
        elif local == "rPh":
            self._phonetic = False
        elif local == "si":
            self.texts.append(self._text())
            self._pieces = []
            self._package.meter.spend(_TEXT_OVERHEAD)

    def _text(self) -> str:
        try:
            return unescaped("".join(self._pieces))
        except ValueError as error:
            raise self._package.content.refusal(
                f"has a NUL or half a character in a text ({shown(''.join(self._pieces))}): "
                "correct it."
            ) from error
