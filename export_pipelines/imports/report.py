"""What is said about an imported file: a report, and its failed rows ready to be corrected."""

import codecs
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from itertools import islice
from typing import Any

import polars as pl

from export_pipelines.imports.artifacts import Extract, Loaded, RowSpool
from export_pipelines.imports.checking import aligned, own_headers
from export_pipelines.imports.headers import REASON_HEADER
from export_pipelines.imports.reading import SANITIZED
from export_pipelines.imports.spooling import read_spool
from export_pipelines.readers.base import ABSENT, ROW

REPORTED_ERRORS = 10_000
"""Most errors of a report; the file of failed rows has them all."""

REPORT_ENDING = ".report.json"
FAILED_ENDING = ".failed_rows"
_BOM = b"\xef\xbb\xbf"
_JSON_KINDS = ("json", "jsonl")
_FORMULA = r"^([=+\-@\t\r])"
# Windows-1252, as the reader reads what is called Latin-1: five bytes have no character there.
_LATIN_1 = codecs.charmap_build(
    "".join(bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(256))
)


def report_content(loaded: Loaded, run_id: str, finished_at: str) -> dict[str, Any]:
    """Return what a report says, in the order in which it says it."""
    extract, request = loaded.extract, loaded.claim.request
    errors = list(islice(row_errors(loaded.errors), REPORTED_ERRORS))
    return {
        "report_version": 1,
        "run_id": run_id,
        "file": loaded.claim.name,
        "resource_type": request.resource_type,
        "status": status(loaded),
        "reason": loaded.refused.reason if loaded.refused else "",
        "code": loaded.refused.code if loaded.refused else "",
        "dry_run": request.dry_run,
        "applied": loaded.applied,
        "format": extract.format,
        **({"details": dict(extract.details)} if extract.details else {}),
        "mapping": request.mapping,
        "on_error": request.on_error,
        "rows": extract.rows,
        "created": loaded.counts.created,
        "updated": loaded.counts.updated,
        "unchanged": loaded.counts.unchanged,
        "failed": loaded.failed,
        "errors_count": loaded.errors.rows,
        "errors": errors,
        "warnings": list(loaded.validated.warnings),
        "bytes": extract.bytes,
        "sha256": extract.sha256,
        "started_at": extract.started_at,
        "finished_at": finished_at,
    }


def status(loaded: Loaded) -> str:
    """Return `failed` if nothing could be imported, otherwise `done`."""
    return "failed" if loaded.refused else "done"


def row_errors(spool: RowSpool) -> Iterator[dict[str, Any]]:
    """Yield errors in the order of the rows."""
    frames = list(read_spool(spool))
    if frames:
        yield from pl.concat(frames).sort("row", maintain_order=True).iter_rows(named=True)


def report_files(loaded: Loaded, run_id: str, finished_at: str) -> Mapping[str, bytes]:
    """Return what is written beside a file: contents by what follows its name."""
    content = report_content(loaded, run_id, finished_at)
    # Names of files can have bytes that are no characters.
    report = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors="replace")
    return {REPORT_ENDING: report, **failed_rows(loaded)}


def failed_rows(loaded: Loaded) -> Mapping[str, bytes]:
    """Return the rows that have an error, as they were, each with its reasons; nothing without.

    They are CSV, with the delimiter and the encoding of the file, so that what imports the file
    imports them too; of JSON they are JSON Lines, where a row may lack members. Those that do not
    match the headers come last, with the fields that they have.
    """
    extract = loaded.extract
    reasons = _reasons(loaded.errors)
    if not reasons:
        return {}
    rows = _whole_rows(extract, reasons)
    broken = _broken_rows(extract)
    if extract.format in _JSON_KINDS:
        lines = _json_lines(rows, broken, reasons)
        return {f"{FAILED_ENDING}.jsonl": _encoded(lines, extract.details)}
    content = _csv(rows, broken, reasons, extract.details)
    mark = _BOM if extract.details.get("encoding", "utf-8") == "utf-8" else b""
    return {f"{FAILED_ENDING}.csv": mark + _encoded(content, extract.details)}


def _reasons(errors: RowSpool) -> dict[int, str]:
    found: dict[int, list[str]] = defaultdict(list)
    for error in row_errors(errors):
        if error["reason"] not in found[error["row"]]:
            found[error["row"]].append(error["reason"])
    return {row: " ".join(reasons) for row, reasons in found.items()}


def _whole_rows(extract: Extract, reasons: Mapping[int, str]) -> pl.DataFrame:
    """Return the rows that match the headers, with their reasons, in their order."""
    wanted = pl.Series(list(reasons), dtype=pl.UInt32).implode()
    found = [rows.filter(pl.col(ROW).is_in(wanted)) for rows in aligned(extract)]
    headers = own_headers(extract.headers)
    schema = {ROW: pl.UInt32(), **dict.fromkeys(headers, pl.String())}
    rows = pl.concat([pl.DataFrame(schema=schema), *found]).sort(ROW)
    said = [reasons[row] for row in rows.get_column(ROW)]
    return rows.drop(ROW).with_columns(pl.Series(REASON_HEADER, said, pl.String))


def _broken_rows(extract: Extract) -> dict[int, list[str]]:
    """Return the cells of the rows that do not match the headers, by their numbers."""
    return {
        row[0]: [cell for cell in row[1:] if cell is not None]
        for cells in read_spool(extract.broken)
        for row in cells.iter_rows()
    }


def _csv(
    rows: pl.DataFrame,
    broken: Mapping[int, list[str]],
    reasons: Mapping[int, str],
    details: Mapping[str, str],
) -> str:
    delimiter = details.get("delimiter", ",")
    if SANITIZED in details:
        rows = rows.with_columns(_guarded(pl.all().exclude(REASON_HEADER)))
    target = StringIO(newline="")
    # Polars quotes cells where it must, but not headers.
    headers = pl.DataFrame({name: [name] for name in rows.columns})
    target.write(headers.write_csv(include_header=False, separator=delimiter))
    target.write(rows.write_csv(include_header=False, separator=delimiter))
    lines = csv.writer(target, delimiter=delimiter, lineterminator="\n")
    for row, cells in broken.items():
        # With its reason it must not happen to have as many fields as there are headers.
        gap = [""] if len(cells) + 1 == rows.width else []
        lines.writerow([*cells, *gap, reasons[row]])
    return target.getvalue()


def _guarded(texts: pl.Expr) -> pl.Expr:
    """Return texts with the `'` before formulas that is taken off when they are read."""
    is_number = texts.cast(pl.Float64, strict=False).is_not_null()
    return pl.when(is_number).then(texts).otherwise(texts.str.replace(_FORMULA, "'$1")).name.keep()


def _json_lines(
    rows: pl.DataFrame, broken: Mapping[int, list[str]], reasons: Mapping[int, str]
) -> str:
    objects: list[dict[str, Any]] = [
        {name: cell for name, cell in row.items() if cell != ABSENT}
        for row in rows.iter_rows(named=True)
    ]
    for row, cells in broken.items():
        objects.append({REASON_HEADER: f"{reasons[row]} It was: {' '.join(cells)}"})
    return "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in objects)


def _encoded(text: str, details: Mapping[str, str]) -> bytes:
    """Return a text in a file's encoding; only reasons can have characters that it lacks."""
    encoding = details.get("encoding", "utf-8")
    if encoding == "latin-1":
        return codecs.charmap_encode(text, "replace", _LATIN_1)[0]
    return text.encode(encoding)
