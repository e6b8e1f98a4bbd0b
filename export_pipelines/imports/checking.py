"""From rows of texts on disk to rows in the catalogue's types on disk, through a mapping file."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import entity
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.imports.artifacts import Extract, Refusal, Validated
from export_pipelines.imports.errors import placed
from export_pipelines.imports.headers import REASON_HEADER, Target, resolve_headers
from export_pipelines.imports.row_rules import Rules
from export_pipelines.imports.spooling import SpoolWriter, joined, read_spool
from export_pipelines.imports.validation import check_rows
from export_pipelines.imports.values import Times
from export_pipelines.mapping import (
    ColumnMapping,
    map_rows,
    mapped_headers,
    mapping_path,
    read_mapping,
)
from export_pipelines.readers.base import ABSENT, ROW
from export_pipelines.readers.excel import ExcelReader


def check_file(
    extract: Extract,
    folder: Path,
    custom: Sequence[ExtensionField],
    *,
    currency: str,
    time_zone: str,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Validated:
    """Return a file's rows in their types, spooled below `folder`; or why it is refused.

    Args:
        extract: the file's rows as texts.
        folder: where the rows go.
        custom: the custom fields of products.
        currency: the shop's.
        time_zone: the shop's, for times that do not say theirs.
        on_rows: told the rows checked so far.
    """
    if extract.refused or not (extract.headers or extract.rows):
        # A JSON array without records has no headers, and nothing to import.
        return Validated(extract, refused=extract.refused)
    try:
        rules, mapping = _rules(extract, custom, currency, time_zone)
    except ExportPipelinesError as error:
        return Validated(extract, refused=Refusal(str(error), error.code))
    return _check(extract, folder, rules, mapping, on_rows)


def _rules(
    extract: Extract, custom: Sequence[ExtensionField], currency: str, time_zone: str
) -> tuple[Rules, ColumnMapping | None]:
    request = extract.claim.request
    headers = own_headers(extract.headers)
    mapping = read_mapping(mapping_path(request.mapping)) if request.mapping else None
    if mapping:
        mapping.check_resource_type(request.resource_type)
        headers = mapped_headers(mapping, headers)
    found = entity(request.resource_type)
    targets = resolve_headers(found, headers, custom)
    times = Times(time_zone, request.locale)
    may_be_cut = extract.format == ExcelReader.name
    return Rules(found, targets, times, currency, _file_headers(mapping), may_be_cut), mapping


def _file_headers(mapping: ColumnMapping | None) -> Mapping[str, str]:
    """Return the headers of the columns that fill a field alone, by the field."""
    rules = mapping.columns.items() if mapping else ()
    return {to: rule.sources[0] for to, rule in rules if len(rule.sources) == 1}


def own_headers(headers: Sequence[str]) -> tuple[str, ...]:
    """Return headers without the one that a file of failed rows has besides its own."""
    return tuple(header for header in headers if header.strip().casefold() != REASON_HEADER)


def _check(
    extract: Extract,
    folder: Path,
    rules: Rules,
    mapping: ColumnMapping | None,
    on_rows: Callable[[int], None],
) -> Validated:
    rows, custom = SpoolWriter(folder, "rows"), SpoolWriter(folder, "custom")
    errors = SpoolWriter(folder, "errors")
    absent: set[str] = set()
    cut: Counter[str] = Counter()
    failed = extract.errors.rows
    done = 0
    for texts in aligned(extract):
        done += len(texts)
        wrong = None
        if mapping:
            texts, wrong = map_rows(mapping, texts)
            wrong = placed(wrong)
        checked = check_rows(rules, texts, wrong)
        rows.write(checked.rows)
        custom.write(checked.custom)
        errors.write(checked.errors)
        absent |= checked.absent
        cut.update(checked.cut)
        failed += checked.failed
        on_rows(done)
    return Validated(
        extract,
        rules.columns,
        "id" in rules.given,
        rules.custom_ids,
        frozenset(absent),
        frozenset(set(rules.made) - rules.given),
        frozenset(rules.made),
        rules.assumed_currency,
        {target.column: rules.file_header(target) for target in rules.targets if target.column},
        rows.done(),
        custom.done(),
        joined(extract.errors, errors.done()),
        failed,
        _warnings(rules.targets, cut),
    )


def aligned(extract: Extract) -> Iterator[pl.DataFrame]:
    """Yield a file's rows with all of its columns; of JSON each batch has only those it met."""
    headers = own_headers(extract.headers)
    for texts in read_spool(extract.spool):
        missing = [name for name in headers if name not in texts.columns]
        whole = texts.with_columns(pl.lit(ABSENT).alias(name) for name in missing)
        yield whole.select(ROW, *headers)


def _warnings(targets: Sequence[Target], cut: Mapping[str, int]) -> tuple[str, ...]:
    notes = [target.note for target in targets if target.note]
    notes += [
        f"{column}: {cells:,} cells are as long as Excel's can be, and may be cut. Only new rows "
        "got their texts; those of others were left as they are."
        for column, cells in cut.items()
    ]
    return tuple(notes)
