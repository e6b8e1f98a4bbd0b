import gzip
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from export_pipelines.errors import FileRefused, RequestError
from export_pipelines.imports.artifacts import Extract, ImportRequest
from export_pipelines.imports.reading import SANITIZED, Limits, read_file, read_options
from export_pipelines.imports.spooling import read_spool
from export_pipelines.readers.base import BATCH_ROWS, ROW
from export_pipelines_tests.imports.batches import ANY_SIZE, STARTED, claim_of, read


def dropped(folder: Path, data: bytes | str, name: str = "stock.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def rows(extract: Extract) -> list[tuple[object, ...]]:
    return [row for frame in read_spool(extract.spool) for row in frame.rows()]


def test_a_file_becomes_rows_of_texts(tmp_path: Path) -> None:
    path = dropped(tmp_path, 'sku;name\na;""\n\nb;\n')
    extract = read(path)
    assert rows(extract) == [(2, "a", ""), (4, "b", None)]
    assert extract.headers == ("sku", "name")
    assert (extract.format, extract.rows, extract.bytes) == ("csv", 2, path.stat().st_size)
    assert extract.details == {"encoding": "utf-8", "delimiter": ";", "compression": "none"}
    assert extract.sha256 == sha256(path.read_bytes()).hexdigest()
    assert (extract.started_at, extract.refused) == (STARTED, None)
    assert (extract.errors.rows, extract.broken.rows) == (0, 0)


def test_rows_that_do_not_match_the_headers_are_kept(tmp_path: Path) -> None:
    extract = read(dropped(tmp_path, "sku,name\na,b,c\nd,e\nf\n"))
    assert rows(extract) == [(3, "d", "e")]
    assert (extract.rows, extract.errors.rows, extract.broken.rows) == (3, 2, 2)
    [errors] = read_spool(extract.errors)
    assert errors.select("row", "column", "value", "code").rows() == [
        (2, "", None, "column_count"),
        (4, "", None, "column_count"),
    ]
    [broken] = read_spool(extract.broken)
    assert broken.rows() == [(2, "a", "b", "c"), (4, "f", None, None)]
    assert broken.schema[ROW] == pl.UInt32


def test_json_that_is_no_object_is_kept(tmp_path: Path) -> None:
    extract = read(dropped(tmp_path, '{"sku":"a"}\n[1]\n', "stock.jsonl"))
    [broken] = read_spool(extract.broken)
    assert broken.rows() == [(2, "[1]")]
    assert (extract.format, extract.rows) == ("jsonl", 2)


@pytest.mark.parametrize("data", ["[]", "[{}]", "[1]"])
def test_json_without_members_has_no_headers(tmp_path: Path, data: str) -> None:
    extract = read(dropped(tmp_path, data))
    assert extract.refused is None
    assert extract.headers == ()


def test_rows_are_told_as_they_are_read(tmp_path: Path) -> None:
    told: list[int] = []
    lines = "\n".join(f"{number},x" for number in range(BATCH_ROWS + 5))
    path = dropped(tmp_path, f"sku,name\n1,2,3\n{lines}\n")
    extract = read_file(claim_of(path), tmp_path / "rows", ANY_SIZE, STARTED, told.append)
    assert told[-1] == extract.rows == BATCH_ROWS + 6
    assert told == sorted(told)
    assert len(extract.spool.paths) == 2


def test_compressed_files_are_read(tmp_path: Path) -> None:
    extract = read(dropped(tmp_path, gzip.compress(b"sku,name\na,b\n")))
    assert rows(extract) == [(2, "a", "b")]
    assert extract.details["compression"] == "gzip"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "'stock.csv' is empty: it has no rows."),
        (b"sku,sku\n", "'stock.csv' has the header 'sku' twice"),
        (b"sku\n\xff\n", "'stock.csv' is not UTF-8 text: line 2 has the byte 0xFF."),
        (b"%PDF-1.7", "'stock.csv' is "),
        (b'sku\n"a', "'stock.csv' has a quote in row 2 that is never closed"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, data: bytes, sentence: str) -> None:
    extract = read(dropped(tmp_path, data))
    assert extract.refused
    assert extract.refused.reason.startswith(sentence)
    assert extract.refused.code == FileRefused.code
    assert (extract.rows, extract.bytes) == (0, len(data))


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(2, None), "'stock.csv' has more than 2 rows, header included: split it."),
        (Limits(None, 12), "'stock.csv' is larger than 12 bytes: split it."),
    ],
)
def test_a_file_beyond_a_limit_is_refused(tmp_path: Path, limits: Limits, sentence: str) -> None:
    path = dropped(tmp_path, "sku,name\na,b\nc,d\n")
    extract = read_file(claim_of(path), tmp_path / "rows", limits, STARTED)
    assert extract.refused
    assert extract.refused.reason == sentence
    assert read_file(claim_of(path), tmp_path / "rows", Limits(3, 17), STARTED).rows == 2


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    extract = read(tmp_path / "none.csv")
    assert extract.refused
    assert extract.refused.reason == f"There is no file {tmp_path / 'none.csv'}."
    assert extract.bytes == 0


def mapped(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """Return the name of a mapping file."""
    monkeypatch.setenv("EXPORT_PIPELINES_MAPPINGS", str(folder))
    (folder / "partner.yaml").write_text(text)
    return "partner"


def test_a_mapping_says_how_to_read_what_was_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "read: {encoding: latin-1, delimiter: '|', sanitized: true}\ncolumns: {sku: a}\n"
    name = mapped(tmp_path, monkeypatch, text)
    found = read_options(ImportRequest("products", mapping=name), Limits(7, 8))
    assert (found.encoding, found.delimiter, found.sanitized) == ("latin-1", "|", True)
    assert (found.max_rows, found.max_bytes) == (7, 8)
    asked = read_options(ImportRequest("products", mapping=name, delimiter=";"), ANY_SIZE)
    assert (asked.encoding, asked.delimiter) == ("latin-1", ";")


def test_a_wrong_mapping_refuses_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = mapped(tmp_path, monkeypatch, "columns: [")
    extract = read(dropped(tmp_path, "a\nb\n"), mapping=name)
    assert extract.refused
    assert extract.refused.code == RequestError.code


def test_what_was_taken_off_is_told(tmp_path: Path) -> None:
    path = dropped(tmp_path, "sku,name\na,'=b\n")
    assert rows(read(path, sanitized=True)) == [(2, "a", "=b")]
    assert read(path, sanitized=True).details[SANITIZED] == "true"
    assert rows(read(path)) == [(2, "a", "'=b")]
    assert SANITIZED not in read(path).details
