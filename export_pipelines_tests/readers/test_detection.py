import gzip

import pytest

from export_pipelines.errors import RequestError
from export_pipelines.readers import READERS
from export_pipelines.readers.base import ReadOptions
from export_pipelines_tests.contracts.frames import made_file
from export_pipelines_tests.readers.files import read, refusal, zipped

ROWS = [{"string": "x"}]
MADE = {
    "csv": made_file("csv", ROWS).data,
    "json": made_file("json", ROWS).data,
    "jsonl": made_file("json", ROWS, json_lines=True).data,
    "excel": made_file("excel", ROWS).data,
    "parquet": made_file("parquet", ROWS).data,
}


def test_there_is_a_reader_of_each_kind() -> None:
    assert list(READERS) == list(MADE)


@pytest.mark.parametrize("kind", list(MADE))
@pytest.mark.parametrize("ending", ["csv", "json", "xlsx", "parquet", "xls", "exe", ""])
def test_the_content_is_believed_and_not_the_name(kind: str, ending: str) -> None:
    found = read(MADE[kind], f"things.{ending}")
    assert found.format == kind
    assert len(found.rows) == 1


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_text_files_may_be_compressed(kind: str) -> None:
    found = read(gzip.compress(MADE[kind]), "things")
    assert (found.format, found.details["compression"]) == (kind, "gzip")
    assert "twice" in refusal(gzip.compress(gzip.compress(MADE[kind])))


@pytest.mark.parametrize("kind", ["excel", "parquet"])
def test_other_files_may_not(kind: str) -> None:
    assert "compressed with gzip around it: unpack it" in refusal(gzip.compress(MADE[kind]))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b" \r\n\t[{}]", "json"),
        (b"\xef\xbb\xbf\n {}", "jsonl"),
        ("[{}]".encode("utf-16"), "json"),
        (b"id,[x]\n", "csv"),
    ],
)
def test_blanks_come_before_json(data: bytes, kind: str) -> None:
    assert read(data).format == kind


def test_a_format_that_is_asked_for_must_be_the_files() -> None:
    assert read(b"[a],b\n1,2\n", format="csv").headers == ("[a]", "b")
    assert read(b'[{"a":1}]', format="jsonl").format == "json"
    assert read(b'{"a":1}', format="json").format == "jsonl"
    assert "is an Excel workbook, not csv" in refusal(MADE["excel"], format="csv")
    assert "is a Parquet file, not json" in refusal(MADE["parquet"], format="json")
    assert "is csv, not excel: leave the format at auto" in refusal(b"a,b\n", format="excel")
    assert "is not valid JSON on line 1, column 1" in refusal(b"a,b\n", format="jsonl")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000, "an old Excel or Office file (.xls)"),
        (
            b"\xd0\xcf\x11\xe0" + b"\0" * 5000 + "EncryptedPackage".encode("utf-16-le"),
            "is protected with a password",
        ),
        (b"  <!DOCTYPE html><html></html>", "is a web page (HTML)"),
        (b"<table><tr><td>1</td></tr></table>", "is a web page (HTML)"),
        ("<html>".encode("utf-16"), "is a web page (HTML)"),
        (b'<?xml version="1.0"?><rows/>', "is XML"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "is compressed with Zstandard"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "is no text file: it has NUL characters"),
        ("a,b\n1,2\n".encode("utf-16-le"), "choose the encoding utf-16"),
        (zipped({"a.txt": "a"}), "nothing but CSV files"),
        (zipped({"a.csv": "a", "b.json": "[]"}), "nothing but CSV files"),
        (zipped({}), "nothing but CSV files"),
        (zipped({"content.xml": "", "mimetype": ""}), "is an OpenDocument file"),
        (zipped({"xl/workbook.bin": "", "xl/styles.bin": ""}), "a binary Excel workbook (.xlsb)"),
        (zipped({f"{number}.csv": "a" for number in range(101)}), "an archive of 101 CSV files"),
        (b"", "is empty: it has no rows"),
        (b"\xef\xbb\xbf", "is empty: it has no rows"),
        (b"\xff\xfe", "is empty: it has no rows"),
        (b"\n \r\n\t\n", "is empty: it has no rows"),
        (gzip.compress(b""), "is empty: it has no rows"),
        (zipped({"a.csv": ""}), "is empty: it has no rows"),
    ],
    ids=range(23),
)
def test_what_cannot_be_imported_is_named(data: bytes, what: str) -> None:
    assert what in refusal(data)


@pytest.mark.parametrize("kind", list(MADE))
def test_files_that_are_too_large_are_refused_by_their_size(kind: str) -> None:
    data = MADE[kind]
    assert len(read(data, max_bytes=max(len(data), 1000)).rows) == 1
    size = f"{len(data) - 1:,} bytes"
    assert f"is larger than {size}: split it" in refusal(data, max_bytes=len(data) - 1)


@pytest.mark.parametrize(
    ("option", "value"), [("format", "xls"), ("encoding", "ascii"), ("delimiter", "tab")]
)
def test_options_that_do_not_exist_are_refused(option: str, value: str) -> None:
    with pytest.raises(RequestError, match=f"There is no {option} '{value}'"):
        ReadOptions(**{option: value})  # type: ignore[arg-type]
