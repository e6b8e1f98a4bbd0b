import codecs
import csv
import json
import tempfile
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.imports.artifacts import Counts, Loaded, Refusal, RowSpool
from export_pipelines.imports.errors import error_frame
from export_pipelines.imports.report import (
    FAILED_ENDING,
    REPORT_ENDING,
    REPORTED_ERRORS,
    failed_rows,
    report_content,
    report_files,
    row_errors,
)
from export_pipelines.imports.spooling import SpoolWriter, read_spool
from export_pipelines.readers.base import ROW
from export_pipelines_tests.contracts.frames import TEXTS
from export_pipelines_tests.imports.batches import STARTED, read, validate

ENDED = "2026-01-31T09:00:01.000Z"


def dropped(folder: Path, text: str | bytes, name: str = "stock.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(path: Path, **request: Any) -> Loaded:
    validated = validate(path, **request)
    errors, failed = validated.errors, validated.failed
    return Loaded(validated, Counts(1, 2, 3), failed, errors, applied=True)


def failed_file(path: Path, **request: Any) -> bytes:
    """Return the file of failed rows, of which there is one at most."""
    files = failed_rows(loaded(path, **request))
    assert len(files) <= 1
    return next(iter(files.values()), b"")


def cells(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_the_report_says_what_became_of_a_file(tmp_path: Path) -> None:
    path = dropped(tmp_path, "sku,name,supplier.name\na,,x\nb,Mug,x\n")
    found = loaded(path, dry_run=True, on_error="skip")
    content = report_content(found, "run", ENDED)
    assert content == {
        "report_version": 1,
        "run_id": "run",
        "file": "stock.csv",
        "resource_type": "products",
        "status": "done",
        "reason": "",
        "code": "",
        "dry_run": True,
        "applied": True,
        "format": "csv",
        "details": {"encoding": "utf-8", "delimiter": ",", "compression": "none"},
        "mapping": "",
        "on_error": "skip",
        "rows": 2,
        "created": 1,
        "updated": 2,
        "unchanged": 3,
        "failed": 1,
        "errors_count": 1,
        "errors": [
            {
                "row": 2,
                "column": "name",
                "value": None,
                "code": "required",
                "reason": "name must not be empty.",
            }
        ],
        "warnings": [
            "supplier.name was left out: suppliers are imported from a file of their own."
        ],
        "bytes": path.stat().st_size,
        "sha256": found.extract.sha256,
        "started_at": STARTED,
        "finished_at": ENDED,
    }
    files = report_files(found, "run", ENDED)
    assert list(files) == [REPORT_ENDING, f"{FAILED_ENDING}.csv"]
    assert json.loads(files[REPORT_ENDING]) == content
    assert files[REPORT_ENDING].endswith(b"}\n")


def test_the_report_says_why_a_file_was_refused(tmp_path: Path) -> None:
    found = replace(loaded(dropped(tmp_path, "")), refused=Refusal("It is empty.", "file_refused"))
    content = report_content(found, "run", ENDED)
    assert (content["status"], content["code"]) == ("failed", "file_refused")
    assert content["reason"] == "It is empty."
    assert "details" not in content
    assert list(report_files(found, "run", ENDED)) == [REPORT_ENDING]


def test_names_of_files_may_have_any_bytes(tmp_path: Path) -> None:
    path = dropped(tmp_path, "sku\na\n")
    found = loaded(path)
    claim = replace(found.claim, name=b"\xff.csv".decode(errors="surrogateescape"))
    extract = replace(found.extract, claim=claim)
    odd = replace(found, validated=replace(found.validated, extract=extract))
    assert json.loads(report_files(odd, "run", ENDED)[REPORT_ENDING])["file"] == "?.csv"


def spooled(folder: Path, *batches: list[dict[str, Any]]) -> RowSpool:
    writer = SpoolWriter(folder, "errors")
    for batch in batches:
        writer.write(error_frame(batch))
    return writer.done()


def error(row: int, reason: str) -> dict[str, Any]:
    return {"row": row, "column": "sku", "value": None, "code": "x", "reason": reason}


def test_errors_are_in_the_order_of_rows(tmp_path: Path) -> None:
    spool = spooled(tmp_path, [error(9, "a"), error(3, "b")], [error(3, "a"), error(2, "z")])
    assert [(found["row"], found["reason"]) for found in row_errors(spool)] == [
        (2, "z"),
        (3, "b"),
        (3, "a"),
        (9, "a"),
    ]
    assert list(row_errors(RowSpool())) == []


def test_the_report_has_some_errors_and_the_number_of_all(tmp_path: Path) -> None:
    count = REPORTED_ERRORS + 5
    path = dropped(tmp_path, "sku,name\n" + "a,\n" * count)
    found = loaded(path)
    content = report_content(found, "run", ENDED)
    assert (content["errors_count"], len(content["errors"])) == (count, REPORTED_ERRORS)
    assert content["errors"][-1]["row"] == REPORTED_ERRORS + 1
    assert failed_rows(found)[f"{FAILED_ENDING}.csv"].count(b"\n") == count + 1


def test_without_errors_there_are_no_failed_rows(tmp_path: Path) -> None:
    assert failed_rows(loaded(dropped(tmp_path, "sku\na\n"))) == {}


def test_failed_rows_are_as_they_were_with_all_reasons(tmp_path: Path) -> None:
    text = 'sku;name;status;Price\na;"x ""y""\nz";gone;1,5\nb;Mug;live;2\nc;;live;""\n'
    data = failed_file(dropped(tmp_path, text))
    assert data.startswith(codecs.BOM_UTF8)
    header, first, second = cells(data, ";")
    assert header == ["sku", "name", "status", "Price", "_reason"]
    assert first[:4] == ["a", 'x "y"\nz', "gone", "1,5"]
    assert first[4] == ("status: 'gone' is none of draft and live. Price: '1,5' is no number.")
    assert second == ["c", "", "live", "", "name must not be empty."]
    assert data.decode().endswith('c;;live;"";name must not be empty.\n')


@settings(max_examples=60)
@given(data=st.data())
def test_failed_rows_are_read_as_they_were(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["csv", "jsonl"]))
    sanitized = kind == "csv" and data.draw(st.booleans())
    names = ["sku", "description"]
    values = {name: st.none() | TEXTS for name in names}
    optional = values if kind == "jsonl" else {}
    required = {} if kind == "jsonl" else values
    records = st.fixed_dictionaries({**required, "status": st.just("x")}, optional=optional)
    rows = data.draw(st.lists(records, min_size=1, max_size=4))
    if kind == "csv":
        frame = pl.DataFrame(rows, schema=dict.fromkeys([*names, "status"], pl.String))
        content = frame.write_csv(separator=data.draw(st.sampled_from(",;\t|"))).encode()
    else:
        content = "\n".join(map(json.dumps, [{**row, "id": "a"} for row in rows])).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = dropped(Path(folder), content)
        again = dropped(Path(folder), failed_file(path, sanitized=sanitized), "again")
        assert rows_in(again, sanitized=sanitized) == rows_in(path, sanitized=sanitized)


def rows_in(path: Path, **request: Any) -> list[dict[str, Any]]:
    """Return the rows of a file without their numbers and reasons."""
    extract = read(path, **request)
    assert extract.refused is None, extract.refused
    frames = list(read_spool(extract.spool))
    assert len(frames) == 1
    return [
        {name: cell for name, cell in row.items() if name not in (ROW, "_reason")}
        for row in frames[0].to_dicts()
    ]


@pytest.mark.parametrize(
    ("encoding", "codec"), [("latin-1", "cp1252"), ("utf-16", "utf-16"), ("utf-8", "utf-8-sig")]
)
def test_failed_rows_keep_the_encoding(tmp_path: Path, encoding: str, codec: str) -> None:
    path = dropped(tmp_path, "sku,name,status\nGröße €,„x“,…\n".encode(codec))
    data = failed_file(path, encoding=encoding)
    assert "Größe €,„x“,…," in data.decode(codec)
    again = dropped(tmp_path, data, "again.csv")
    assert rows_in(again, encoding=encoding) == rows_in(path, encoding=encoding)


def test_every_byte_of_latin_1_stays(tmp_path: Path) -> None:
    letters = bytes(range(0x80, 0x100))
    data = failed_file(dropped(tmp_path, b"sku,name\n" + letters + b",\n"), encoding="latin-1")
    assert b"\n" + letters + b",,name must not be empty.\n" in data


def test_json_stays_without_the_members_that_it_lacks(tmp_path: Path) -> None:
    text = '[{"sku":"a","weight":1.50,"status":null,"x":1},{"id":"b","status":"x","tags":["é"]}]'
    path = dropped(tmp_path, text.replace(',"x":1', ""))
    files = failed_rows(loaded(path))
    assert list(files) == [f"{FAILED_ENDING}.jsonl"]
    lines = [json.loads(line) for line in files[f"{FAILED_ENDING}.jsonl"].splitlines()]
    assert [list(line) for line in lines] == [
        ["sku", "weight", "status", "_reason"],
        ["status", "id", "tags", "_reason"],
    ]
    assert lines[0] | {"_reason": ""} == {
        "sku": "a",
        "weight": "1.50",
        "status": None,
        "_reason": "",
    }
    again = dropped(tmp_path, files[f"{FAILED_ENDING}.jsonl"], "again.jsonl")
    assert failed_rows(loaded(again)) == files


def test_rows_that_do_not_match_the_headers_come_last_as_they_were(tmp_path: Path) -> None:
    path = dropped(tmp_path, 'sku,name,status\na,b\nc,d,gone\ne,"f,f",live,g\nh,,live\n')
    header, *rows = cells(failed_file(path))
    assert header == ["sku", "name", "status", "_reason"]
    assert [row[:-1] for row in rows] == [
        ["c", "d", "gone"],
        ["h", "", "live"],
        ["a", "b"],
        ["e", "f,f", "live", "g"],
    ]
    assert rows[2][-1].startswith("Row 2 has 2 fields, and there are 3 headers.")


def test_broken_rows_are_never_whole_by_their_reasons(tmp_path: Path) -> None:
    path = dropped(tmp_path, "sku,name\na\nb,c,d\n")
    for attempt in range(4):
        extract = read(path)
        assert (extract.broken.rows, extract.spool.rows) == (2, 0), attempt
        path = dropped(tmp_path, failed_file(path), f"again-{attempt}.csv")


def test_all_rows_may_be_broken(tmp_path: Path) -> None:
    data = failed_file(dropped(tmp_path, "sku,name\na\n"))
    header, row = cells(data)
    assert (header, row[0]) == (["sku", "name", "_reason"], "a")


def test_json_that_is_no_object_is_told_with_its_reason(tmp_path: Path) -> None:
    data = failed_file(dropped(tmp_path, '{"id":"a"}\n[1,"é"]\n{"id":"b","name":null}', "a.jsonl"))
    lines = [json.loads(line) for line in data.splitlines()]
    assert lines == [
        {"id": "b", "name": None, "_reason": "name must not be empty."},
        {"_reason": 'Row 2 is no JSON object. It was: [1,"é"]'},
    ]
    again = validate(dropped(tmp_path, data, "again.jsonl"))
    [errors] = read_spool(again.errors)
    assert errors["code"].to_list() == ["required", "no_key"]


def test_formulas_are_guarded_as_in_the_file(tmp_path: Path) -> None:
    text = "sku,name,status,weight\n'=a,'-5x,gone,-5\n"
    data = failed_file(dropped(tmp_path, text), sanitized=True)
    assert cells(data)[1][:4] == ["'=a", "'-5x", "gone", "-5"]
    plain = dropped(tmp_path, "sku,name,status\n=a,'=b,gone\n")
    assert cells(failed_file(plain))[1][:3] == ["=a", "'=b", "gone"]


def test_a_reason_is_given_once_to_a_row(tmp_path: Path) -> None:
    found = loaded(dropped(tmp_path, "sku,name\na,Mug\nb,Cup\n"))
    errors = spooled(tmp_path / "errors", [error(3, "One."), error(3, "Two."), error(3, "One.")])
    data = failed_rows(replace(found, errors=errors))[f"{FAILED_ENDING}.csv"]
    assert cells(data)[1:] == [["b", "Cup", "One. Two."]]


def test_headers_of_any_form_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAPPINGS", str(tmp_path))
    headers = ["a,b", 'c "d"', "e\nf"]
    columns = dict(zip(("sku", "name", "status"), headers, strict=True))
    (tmp_path / "odd.yaml").write_text(json.dumps({"columns": columns}))
    target = StringIO(newline="")
    csv.writer(target).writerows([headers, ["1", "2", "gone"]])
    data = failed_file(dropped(tmp_path, target.getvalue()), mapping="odd")
    assert cells(data)[0] == [*headers, "_reason"]
    assert cells(data)[1][:3] == ["1", "2", "gone"]
