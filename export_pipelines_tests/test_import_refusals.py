"""What imports refuse: whole files, or rows, and what is said of each; nothing is half applied."""

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from export_pipelines.catalog.database import create_schema
from export_pipelines_tests import hostile_process
from export_pipelines_tests.importer import Imported, Importer, write_csv
from export_pipelines_tests.imports.test_loading import INJECTIONS
from export_pipelines_tests.readers.files import gzip_of
from export_pipelines_tests.readers.test_excel import DOCTYPES, workbook
from export_pipelines_tests.readers.test_excel import HEADERS as EXCEL_HEADERS
from export_pipelines_tests.stored import add, dump, product, rows

MOST_ROWS = 50_000
MOST_BYTES = 50_000_000
MB = 1 << 20
HEADER = ["sku", "name", "status", "commodity_type", "description"]


@pytest.fixture
def importer(tmp_path: Path) -> Iterator[Importer]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Importer(tmp_path, instance)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    return url


@pytest.fixture
def shop(url: str) -> str:
    """Name a database of each kind, with tables."""
    if url.startswith("sqlite"):
        create_schema(url)
    return url


def refused(
    importer: Importer, url: str, resource_type: str, file: Path, **config: Any
) -> Imported:
    """Import what is refused as a whole, and check what must hold of every refusal."""
    before = dump(url)
    imported = importer.run(url, resource_type, file, **config)
    assert not imported.result.success
    assert dump(url) == before
    assert "\n" not in imported.error
    assert "Traceback" not in imported.error
    return imported


def many(folder: Path, count: int) -> Path:
    body = (f"S{number},Thing,live,physical,\n" for number in range(count))
    path = folder / "many.csv"
    path.write_text("".join([",".join(HEADER) + "\n", *body]))
    return path


def long_content(size: int) -> bytes:
    """Return a CSV file of exactly so many bytes, most of them descriptions."""
    header = ",".join(HEADER).encode() + b"\n"
    starts = [b"S%d,Thing,live,physical," % number for number in range(25)]
    rest = size - len(header) - sum(len(start) + 1 for start in starts)
    share = rest // len(starts)
    lengths = [share] * (len(starts) - 1) + [rest - share * (len(starts) - 1)]
    lines = [start + b"x" * length + b"\n" for start, length in zip(starts, lengths, strict=True)]
    content = b"".join([header, *lines])
    assert len(content) == size
    return content


def test_as_many_rows_as_are_allowed(importer: Importer, sqlite: str, tmp_path: Path) -> None:
    imported = refused(importer, sqlite, "products", many(tmp_path, MOST_ROWS))
    sentence = "'many.csv' has more than 50,000 rows, header included: split it."
    assert imported.error == f"many.csv: {sentence}"
    assert imported.tags["import/error_code"] == "file_refused"
    [report] = imported.reports
    assert (report["status"], report["reason"]) == ("failed", sentence)
    imported = importer.succeed(sqlite, "products", many(tmp_path, MOST_ROWS - 1))
    assert imported.counts == (MOST_ROWS - 1, 0, 0, 0)


@pytest.mark.parametrize("packed", [False, True])
def test_as_many_bytes_as_are_allowed(
    importer: Importer, sqlite: str, tmp_path: Path, *, packed: bool
) -> None:
    path = tmp_path / "long.csv"
    said = {
        False: "'long.csv' is larger than 50,000,000 bytes: split it.",
        True: "'long.csv' unpacks to more than 50,000,000 bytes, the most that is allowed: "
        "split it.",
    }[packed]
    for size in (MOST_BYTES + 1, MOST_BYTES):
        content = long_content(size)
        path.write_bytes(gzip.compress(content, 1) if packed else content)
        if size > MOST_BYTES:
            assert refused(importer, sqlite, "products", path).error == f"long.csv: {said}"
    imported = importer.succeed(sqlite, "products", path)
    assert imported.counts == (25, 0, 0, 0)
    [(last,)] = rows(sqlite, "products", "description", by="sku")[-1:]
    assert last.strip("x") == ""


def test_limits_from_the_environment(
    importer: Importer, sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = many(tmp_path, 2)
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_ROWS", "2")
    assert "has more than 2 rows" in refused(importer, sqlite, "products", three).error
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_ROWS", "3")
    assert importer.succeed(sqlite, "products", three).counts == (2, 0, 0, 0)
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", str(three.stat().st_size - 1))
    assert "is larger than " in refused(importer, sqlite, "products", three).error
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", str(three.stat().st_size))
    assert importer.succeed(sqlite, "products", three).counts == (0, 0, 2, 0)
    for name in ("ROWS", "BYTES"):
        monkeypatch.setenv(f"EXPORT_PIPELINES_MAX_IMPORT_{name}", "none")
    imported = importer.succeed(sqlite, "products", many(tmp_path, MOST_ROWS), dry_run=True)
    assert imported.counts == (MOST_ROWS - 2, 0, 2, 0)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1e3"])
def test_limits_that_are_none(
    importer: Importer, sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_ROWS", value)
    imported = refused(importer, sqlite, "products", many(tmp_path, 1))
    assert f"EXPORT_PIPELINES_MAX_IMPORT_ROWS is '{value}': set it to a" in imported.error
    assert imported.tags["import/error_code"] == "request_invalid"


CARE = "template:care:number"
FIELDS = [
    "mpn", "id", "sku", "external_ref", "name", "slug", "status", "commodity_type", "is_bundle",
    "is_active", "weight", "price", "price_cents", "currency_code", "tags", "supplier_id",
    "created_at", "ean", CARE,
]  # fmt: skip
EMPTY_KEYS = {"id": "", "sku": "", "external_ref": ""}
WRONG_CELLS: Mapping[str, tuple[Mapping[str, str], str, str]] = {
    "m2": ({"name": ""}, "name", "required"),
    "m3": ({"price_cents": "12.5"}, "price_cents", "not_an_integer"),
    "m4": ({"weight": "heavy"}, "weight", "not_a_number"),
    "m5": ({"is_active": "maybe"}, "is_active", "not_a_boolean"),
    "m6": ({"created_at": "yesterday"}, "created_at", "not_a_time"),
    "m7": ({"tags": "[1]"}, "tags", "not_a_list"),
    "m8": ({"status": "new"}, "status", "not_allowed"),
    "m9": ({"ean": "1" * 33}, "ean", "too_long"),
    "m10": ({"slug": "a b"}, "slug", "malformed"),
    "m11": ({"price": "1e300"}, "price", "too_large"),
    "m12": ({"price": "1.234"}, "price", "too_precise"),
    "m13": ({"price": "9.99"}, "price", "amounts_differ"),
    "m14": ({"is_bundle": "true"}, "is_bundle", "bundle"),
    "m15": (EMPTY_KEYS, "id", "no_key"),
    "m16": ({"sku": "S17"}, "sku", "repeated"),
    "m18": ({"sku": "OTHER"}, "sku", "taken"),
    "m19": ({"supplier_id": "NOBODY"}, "supplier_id", "not_found"),
    "m20": ({"currency_code": ""}, "currency_code", "currency_differs"),
    "m21": ({CARE: "three"}, CARE, "not_allowed"),
    "m22": ({"tags": "t," * 21}, "tags", "too_long"),
    "m23": ({"currency_code": "eur"}, "currency_code", "malformed"),
    "m24": ({"price": "much"}, "price", "not_a_number"),
}
"""By the marker of a row that is right: what makes it wrong, and the error that is found."""

LAST = 30


def good_row(number: int) -> dict[str, str]:
    known = {18: "KNOWN", 20: "DOLLAR"}.get(number)
    return {
        "mpn": f"m{number}",
        "id": known or f"new-{number}",
        "sku": known or f"S{number}",
        "external_ref": f"ref-{number}",
        "name": f"Thing, {number}",
        "slug": f"thing-{number}",
        "status": "live",
        "commodity_type": "physical",
        "is_bundle": "",
        "is_active": "true",
        "weight": "1.5",
        "price": f"{number}.25",
        "price_cents": f"{number}25",
        "currency_code": "USD" if number == 20 else "EUR",
        "tags": '["a","b"]',
        "supplier_id": "SUP",
        "created_at": "2026-01-31T09:00:00Z",
        "ean": "12345678",
        CARE: str(number),
    }


def seed(url: str) -> None:
    """Make the rows that the others refer to, or are about."""
    add(url, "suppliers", {"id": "SUP", "code": "S", "name": "Sup", "is_active": True})
    add(url, "extension_templates", {"id": "T", "slug": "care", "name": "Care"})
    field = {"id": "F", "slug": "number", "name": "Number", "type": "integer"}
    add(url, "extension_fields", {**field, "template_id": "T"})
    known = [product(name, name, name, status="draft") for name in ("KNOWN", "OTHER")]
    add(url, "products", *known, product("DOLLAR", "DOLLAR", "DOLLAR", currency_code="USD"))


def write_rows(path: Path, header: Sequence[str], found: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, header)
        writer.writeheader()
        writer.writerows(found)
    return path


def wrong_file(path: Path) -> Path:
    """Write rows of which most are wrong, each in its own way; the last has a field too many."""
    found = [good_row(number) for number in range(2, LAST + 1)]
    for row in found:
        row |= WRONG_CELLS.get(row["mpn"], ({}, "", ""))[0]
    write_rows(path, FIELDS, found)
    path.write_bytes(path.read_bytes().removesuffix(b"\r\n") + b",more\r\n")
    return path


WRONG_ERRORS = sorted(
    [(int(mark[1:]), column, code) for mark, (_, column, code) in WRONG_CELLS.items()]
    + [(17, "sku", "repeated"), (LAST, "", "column_count")]
)
FAILED = len(WRONG_ERRORS)


def corrected(path: Path, failed_rows: Path) -> Path:
    """Write the failed rows again, with exactly the bad cells put right."""
    [header, *lines] = csv.reader(StringIO(failed_rows.read_text("utf-8-sig"), newline=""))
    assert header == [*FIELDS, "_reason"]
    found = []
    for cells in lines:
        row = dict(zip(header, cells, strict=False))
        good = good_row(int(row["mpn"][1:]))
        changed = WRONG_CELLS.get(row["mpn"], ({}, "", ""))[0]
        # All other cells are as they were in the file.
        assert {name: row[name] for name in FIELDS} == good | dict(changed)
        found.append(row | {name: good[name] for name in changed})
    return write_rows(path, header, found)


def products(url: str) -> list[tuple[Any, ...]]:
    names = [name for name in FIELDS if name not in ("price", CARE)]
    return rows(url, "products", *names, by="id")


def test_every_row_says_what_is_wrong_with_it(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    seed(shop)
    imported = refused(importer, shop, "products", wrong_file(tmp_path / "wrong.csv"))
    assert sorted(imported.errors) == WRONG_ERRORS
    assert imported.error == (
        f"wrong.csv: {FAILED} of {LAST - 1} rows are wrong, so nothing was imported: correct them, "
        "or import with on_error skip."
    )
    assert imported.counts == (0, 0, 0, FAILED)
    [report] = imported.reports
    assert (report["rows"], report["errors_count"], report["applied"]) == (29, FAILED, False)
    for error in report["errors"]:
        assert error["reason"].endswith((".", "?"))
        assert "\n" not in error["reason"]
        found = WRONG_CELLS.get(f"m{error['row']}")
        if found and found[0].get(error["column"]):
            assert error["value"] == found[0][error["column"]]


def test_failed_rows_are_corrected_and_imported(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    seed(shop)
    wrong = wrong_file(tmp_path / "wrong.csv")
    first = importer.succeed(shop, "products", wrong, on_error="skip", max_error_ratio=1.0)
    assert first.counts == (LAST - 1 - FAILED, 0, 0, FAILED)
    again = corrected(tmp_path / "again.csv", first.failed_rows())
    second = importer.succeed(shop, "products", again)
    assert second.counts == (FAILED - 2, 2, 0, 0)
    found = products(shop)
    cares = rows(shop, "product_extension_values", "product_id", "value", by="product_id")
    # The same rows, right from the beginning, change nothing any more.
    right = [good_row(number) for number in range(2, LAST + 1)]
    whole = write_rows(tmp_path / "right.csv", FIELDS, right)
    assert importer.succeed(shop, "products", whole).counts == (0, 0, LAST - 1, 0)
    assert products(shop) == found
    assert len(found) == LAST
    assert cares == sorted((row["id"], row[CARE]) for row in right)


@pytest.mark.parametrize(("bad", "total", "ratio"), [(1, 10, 0.1), (29, 100, 0.29), (3, 3, 1.0)])
def test_as_many_rows_may_be_wrong_as_the_ratio_says(
    importer: Importer, sqlite: str, tmp_path: Path, bad: int, total: int, ratio: float
) -> None:
    lines = [
        [f"S{number}", "Thing", "new" if number < bad else "live", "physical", ""]
        for number in range(total)
    ]
    path = write_csv(tmp_path / "some.csv", HEADER, *lines)
    beyond = {"on_error": "skip", "max_error_ratio": ratio - 0.001}
    imported = refused(importer, sqlite, "products", path, **beyond)
    assert "rows are wrong" in imported.error or "rows is wrong" in imported.error
    assert imported.counts == (0, 0, 0, bad)
    found = importer.succeed(sqlite, "products", path, on_error="skip", max_error_ratio=ratio)
    assert found.counts == (total - bad, 0, 0, bad)
    assert len(rows(sqlite, "products", "id")) == total - bad


def test_a_ratio_that_is_none(importer: Importer, sqlite: str, tmp_path: Path) -> None:
    imported = refused(importer, sqlite, "products", many(tmp_path, 1), max_error_ratio=1.5)
    assert imported.error == "max_error_ratio is 1.5: it must be from 0 to 1, such as 0.1."


def test_json_lines_say_what_is_wrong(importer: Importer, shop: str, tmp_path: Path) -> None:
    good = {"email": "a@x.org", "metadata": {"a": 1}, "tags": ["x"], "joined_at": "2026-01-31"}
    lines = [
        good,
        {**good, "email": "b@x.org", "metadata": "{a}"},
        [good],
        {**good, "email": "c@x.org", "tags": [1]},
        {**good, "email": "d@x.org", "is_blocked": "perhaps"},
        {**good, "email": "e@x.org", "last_ordered_at": "31.1.2026"},
    ]
    path = tmp_path / "people.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    imported = refused(importer, shop, "customers", path)
    assert imported.errors == [
        (2, "metadata", "not_json"),
        (3, "", "not_an_object"),
        (4, "tags", "not_a_list"),
        (5, "is_blocked", "not_a_boolean"),
        (6, "last_ordered_at", "not_a_time"),
    ]
    skipped = importer.succeed(shop, "customers", path, on_error="skip", max_error_ratio=0.9)
    assert skipped.counts == (1, 0, 0, 5)
    found = [json.loads(line) for line in skipped.failed_rows().read_text().splitlines()]
    right = {"metadata": {"b": 2}, "tags": ["y"], "is_blocked": True, "last_ordered_at": None}
    # The row that was no object comes last: there is no member to correct.
    found = [{**row, **{name: right[name] for name in row if name in right}} for row in found[:-1]]
    again = tmp_path / "again.jsonl"
    again.write_text("".join(f"{json.dumps(line)}\n" for line in found))
    assert importer.succeed(shop, "customers", again).counts == (4, 0, 0, 0)
    assert rows(shop, "customers", "email", "is_blocked", by="email") == [
        ("a@x.org", False), ("b@x.org", False), ("c@x.org", False), ("d@x.org", True),
        ("e@x.org", False),
    ]  # fmt: skip


def test_a_new_row_needs_what_a_known_one_has(
    importer: Importer, shop: str, tmp_path: Path
) -> None:
    seed(shop)
    lines = [{"sku": "KNOWN", "name": "Changed"}, {"sku": "NEW", "name": "New"}]
    path = tmp_path / "some.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    imported = refused(importer, shop, "products", path)
    assert imported.errors == [(2, "status", "required"), (2, "commodity_type", "required")]
    skipped = importer.succeed(shop, "products", path, on_error="skip", max_error_ratio=0.5)
    assert skipped.counts == (0, 1, 0, 1)
    assert ("KNOWN", "Changed", "draft") in rows(shop, "products", "sku", "name", "status")


def test_what_a_mapping_cannot_cast(importer: Importer, shop: str, tmp_path: Path) -> None:
    columns = {
        "sku": "Artikel",
        "name": {"text": "Thing {Artikel}"},
        "status": {"column": "Zustand", "values": {"an": "live"}, "otherwise": "refuse"},
        "commodity_type": {"constant": "physical"},
        "weight": {"column": "Gewicht", "number": {"decimal_mark": ",", "group_mark": "."}},
        "is_active": {"column": "Aktiv", "boolean": {"true": ["ja"], "false": ["nein"]}},
        "created_at": {"column": "Seit", "date": "%d.%m.%Y"},
    }
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(yaml.safe_dump({"columns": columns}))
    good = {
        "Artikel": "A",
        "Zustand": "an",
        "Gewicht": "1.234,5",
        "Aktiv": "ja",
        "Seit": "1.2.2026",
    }
    wrong = {"Zustand": "aus", "Gewicht": "1,2,3", "Aktiv": "yes", "Seit": "2026-02-01"}
    lines = [
        good | {"Artikel": f"A{at}", name: cell} for at, (name, cell) in enumerate(wrong.items())
    ]
    path = write_rows(tmp_path / "fremd.csv", list(good), [good, *lines])
    imported = refused(importer, shop, "products", path, mapping=str(mapping))
    assert imported.errors == [
        (3, "Zustand", "unknown_value"),
        (4, "Gewicht", "not_a_number"),
        (5, "Aktiv", "not_a_boolean"),
        (6, "Seit", "not_a_date"),
    ]
    options = {"mapping": str(mapping), "on_error": "skip", "max_error_ratio": 0.8}
    skipped = importer.succeed(shop, "products", path, **options)
    found = list(csv.DictReader(StringIO(skipped.failed_rows().read_text("utf-8-sig"))))
    for row in found:
        row |= {name: good[name] for name, cell in wrong.items() if row[name] == cell}
    again = write_rows(tmp_path / "again.csv", list(found[0]), found)
    assert importer.succeed(shop, "products", again, mapping=str(mapping)).counts == (4, 0, 0, 0)
    stored = rows(shop, "products", "status", "weight", "is_active", by="sku")
    assert stored == [("live", 1234.5, True)] * 5


def test_headers_and_names_of_files_are_never_sql(
    importer: Importer, sqlite: str, tmp_path: Path
) -> None:
    good = dict(zip(HEADER, ["A", "Apple", "live", "physical", ""], strict=True))
    before = dump(sqlite)
    for header in INJECTIONS:
        path = write_rows(tmp_path / "a.csv", [*HEADER, header], [good | {header: "x"}])
        imported = refused(importer, sqlite, "products", path)
        assert "There is no products field " in imported.error
        path = write_rows(tmp_path / "b.csv", [*HEADER, f"template:care:{header}"], [good])
        imported = refused(importer, sqlite, "products", path)
        assert "The catalogue has no custom fields, so not " in imported.error
    for name in INJECTIONS:
        path = write_rows(tmp_path / f"{name.replace('/', '_')}.csv", HEADER, [good])
        assert importer.succeed(sqlite, "products", path, sheet=name).reports[0]["rows"] == 1
    assert len(rows(sqlite, "import_receipts", "claim", by="claim")) == len(INJECTIONS)
    assert {name: found for name, found in dump(sqlite).items() if name in ("orders", "skus")} == {
        name: before[name] for name in ("orders", "skus")
    }
    assert rows(sqlite, "products", "sku", "name") == [("A", "Apple")]


def hostile_files(folder: Path) -> dict[str, bytes]:
    """Write files that are meant to harm, and return the words that each is refused with."""
    header = ",".join(HEADER).encode() + b"\n"
    row = b"S1,Thing,live,physical,\n"
    doctype = {"xl/worksheets/sheet1.xml": DOCTYPES[1] + "<worksheet/>"}
    bomb = {"xl/worksheets/sheet1.xml": b"<x>" + b"<y/>" * (6 * MB) + b"</x>"}
    contents = {
        "bomb.csv.gz": gzip_of(row[:-1] + b"x" * MB + b"\n", 1_000, header),
        "line.csv.gz": gzip_of(b"x" * MB, 1_000, header),
        "quoted.csv.gz": gzip_of(b"x" * MB, 1_000, header + b'S1,"'),
        "entity.xlsx": workbook(EXCEL_HEADERS, members=doctype),
        "bomb.xlsx": workbook(EXCEL_HEADERS, members=bomb),
        "nul.csv": header + row + b"S2,Th\0ing,live,physical,\n",
        "latin.csv": header + "S1,Thé,live,physical,\n".encode("latin-1"),
        "twice.csv": b"sku,name,sku\nS1,Thing,S1\n",
        "wide.csv": ",".join(f"c{number}" for number in range(10_000)).encode() + b"\n",
        "quote.csv": header + row + b'S2,"Thing,live,physical,\n' + row * 1_000,
        "empty.csv": b"",
        "cut.csv.gz": gzip.compress(header + row)[:-9],
        "deep.json": b"[" * 1_000_000,
        "half.json": b'[{"sku": "\\ud800", "name": "x"}]',
        ODD_NAME: b"sku,nme\nS1,Thing\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.csv").mkdir()
    return contents


ODD_NAME = "line\nbreak \x1b[31m 👩‍👧.csv"
HOSTILE = {
    "bomb.csv.gz": "'bomb.csv.gz' unpacks to more than 50,000,000 bytes, the most that is allow",
    "line.csv.gz": "'line.csv.gz' has a row 2 of more than 8 MB: one of its quotes may never be",
    "quoted.csv.gz": "'quoted.csv.gz' has a row 2 of more than 8 MB: one of its quotes may nev",
    "entity.xlsx": "'entity.xlsx' has declarations of XML that no workbook needs",
    "bomb.xlsx": "'bomb.xlsx' unpacks to more than 20,000,000 bytes, the most that is allowed",
    "nul.csv": "'nul.csv' is no text file: it has NUL characters.",
    "latin.csv": "'latin.csv' is not UTF-8 text: line 2 has the byte 0xE9.",
    "twice.csv": "'twice.csv' has the header 'sku' twice, in columns 1 (A) and 3 (C): rename",
    "wide.csv": "'wide.csv' has 10,000 columns; 1,000 are allowed: remove those that are not",
    "quote.csv": "'quote.csv' has a quote in row 3 that is never closed: everything after it",
    "empty.csv": "'empty.csv' is empty: it has no rows.",
    "cut.csv.gz": "'cut.csv.gz' is damaged or was cut off: save or upload it again.",
    "deep.json": "'deep.json' is not valid JSON",
    "half.json": r"'half.json' has half a character ('\ud800') in row 1: correct it.",
    ODD_NAME: "There is no products field 'nme'. Did you mean name",
    "folder.csv": "There is no file ",
    "missing.csv": "There is no file ",
}


def test_hostile_files_end_with_a_sentence(sqlite: str, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    hostile_files(folder)
    before = dump(sqlite)
    asked = [sys.executable, "-m", hostile_process.__name__, sqlite, str(folder), *HOSTILE]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert dump(sqlite) == before
    assert found["peak_bytes"] < 700 * MB
    for name, words in HOSTILE.items():
        ended = found["files"][name]
        shown = repr(name) if name == ODD_NAME else name
        assert ended["error"].startswith(f"{shown}: {words}")
        assert ended["error"].endswith(".")
        assert "\n" not in ended["error"]
        assert "\x1b" not in ended["error"]
        assert ended["code"] == "file_refused"
        assert "Traceback" not in ended["log"]
    assert list((folder / "staging").glob("*")) == []
