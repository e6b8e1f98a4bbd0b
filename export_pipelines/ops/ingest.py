"""The steps of an import. Each calls one plain function and reports.

What is wrong with a file or its rows is an outcome that the next step is told; only the last one
fails the run, when the file is where it ends and its report beside it.
"""

import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from export_pipelines import settings
from export_pipelines.artifacts import ExtensionField
from export_pipelines.catalog.entities import EXTENDED, entity
from export_pipelines.catalog.extensions import read_extension_fields
from export_pipelines.clock import now
from export_pipelines.config import import_request
from export_pipelines.errors import FileRefused, one_of
from export_pipelines.imports import drop_folder
from export_pipelines.imports.applying import apply_file
from export_pipelines.imports.artifacts import Claim, Extract, ImportRequest, Loaded, Validated
from export_pipelines.imports.checking import check_file
from export_pipelines.imports.claiming import (
    Reported,
    claim_file,
    report_file,
    require_claim,
)
from export_pipelines.imports.file_names import plain_name
from export_pipelines.imports.reading import Limits, read_file, require_settings
from export_pipelines.imports.report import row_errors
from export_pipelines.imports.validation import shop_defaults
from export_pipelines.ops.reporting import (
    explained,
    progress,
    publish_error,
    publish_tags,
    rate,
)
from export_pipelines.resources import Catalog, Staging

_PREVIEWED_ERRORS = 50
_NAMED_FILES = 3


class ClaimConfig(dg.Config):
    """What the job's own config becomes for its first op."""

    resource_type: str = Field(description="What the files hold.")
    request: Any = Field(description="The job's run config.")


@dg.op(out=dg.DynamicOut(Claim))
def claim(context: dg.OpExecutionContext, config: ClaimConfig) -> Iterator[dg.DynamicOutput[Claim]]:
    """Takes the files: each is imported by one run, whoever else wants it."""
    with explained(context, kind="import"):
        drop_folder.begin_work(context.run_id)
        request = import_request(config.resource_type, config.request)
        require_settings()
        moment = datetime.now(timezone.utc)
        numbered = list(enumerate(request.files, start=1))
        found = [
            (number, file, claim_file(request, file, context.run_id, number, moment))
            for number, file in numbered
        ]
        if not any(taken for *_, taken in found) and _is_asked_for(context):
            names = one_of([plain_name(file) for file in request.files[:_NAMED_FILES]])
            raise FileRefused(f"There is no file {names} to take: another run may have it.")
    for number, file, taken in found:
        if taken is None:
            context.log.info(f"{file} is gone: another run has taken it.")
            continue
        context.log.info(f"Importing {plain_name(taken.name)}.")
        yield dg.DynamicOutput(taken, f"file_{number}")


def _is_asked_for(context: dg.OpExecutionContext) -> bool:
    """Return whether a person or a program named the files, not a sensor."""
    run = context.instance.get_run_by_id(context.run_id)
    return run is None or "import/source" not in run.tags


@dg.op
def read(context: dg.OpExecutionContext, claim: Claim, staging: Staging) -> Extract:
    """Reads a file: its kind, encoding and delimiter from its content, its rows as texts."""
    began = time.monotonic()
    with explained(context, kind="import", about=plain_name(claim.name)):
        limits = Limits(settings.max_import_rows(), settings.max_import_bytes())
        report = progress(context, "read", limits.rows or 1_000_000, "import")
        require_claim(claim, context.run_id)
        folder = _folder(staging, claim) / "texts"
        extract = read_file(claim, folder, limits, now(), report.report)
    said = {"format": extract.format, "bytes": extract.bytes, **extract.details}
    context.add_output_metadata({**said, **_refusal(extract), **rate(extract.rows, began)})
    return extract


@dg.op
def validate(
    context: dg.OpExecutionContext, extract: Extract, catalog: Catalog, staging: Staging
) -> Validated:
    """Checks every row by itself: types, required fields, choices, lengths, amounts."""
    began = time.monotonic()
    report = progress(context, "validate", extract.rows, "import")
    with explained(context, kind="import", about=plain_name(extract.claim.name)):
        require_claim(extract.claim, context.run_id)
        validated = check_file(
            extract,
            _folder(staging, extract.claim) / "rows",
            _custom_fields(extract.claim.request, catalog),
            currency=settings.currency(),
            time_zone=settings.time_zone(),
            on_rows=report.report,
        )
    said = {"failed": validated.failed, "columns": list(validated.columns)}
    context.add_output_metadata({**said, **_refusal(validated), **rate(extract.rows, began)})
    return validated


@dg.op(tags={"dagster/kind/sql": ""})
def load(
    context: dg.OpExecutionContext, validated: Validated, catalog: Catalog, staging: Staging
) -> Loaded:
    """Compares rows with the catalogue, and creates and updates them in one transaction."""
    began = time.monotonic()
    extract = validated.extract
    progress(context, "load", 1, "import")
    with explained(context, kind="import", about=plain_name(extract.claim.name)):
        require_claim(extract.claim, context.run_id)
        loaded = apply_file(
            catalog.url,
            validated,
            _folder(staging, extract.claim) / "rows",
            defaults=shop_defaults(
                entity(extract.claim.request.resource_type), settings.currency()
            ),
            now=datetime.now(timezone.utc),
        )
    said = {**vars(loaded.counts), "failed": loaded.failed, "applied": loaded.applied}
    context.add_output_metadata({**said, **_refusal(loaded), **rate(extract.rows, began)})
    return loaded


@dg.op
def report(context: dg.OpExecutionContext, loaded: Loaded, staging: Staging) -> dict[str, Any]:
    """Writes the report and the failed rows, and moves a dropped file to done or failed."""
    name = plain_name(loaded.claim.name)
    with explained(context, kind="import", about=name):
        require_claim(loaded.claim, context.run_id)
        reported = report_file(loaded, context.run_id, now())
    counts = {"rows": loaded.extract.rows, **vars(loaded.counts), "failed": loaded.failed}
    metadata = _metadata(loaded, counts, reported)
    shutil.rmtree(_folder(staging, loaded.claim), ignore_errors=True)
    _add_counts(context, counts)
    for warning in loaded.validated.warnings:
        context.log.warning(f"{name}: {warning}")
    context.log.info(f"{name}: {summary(loaded)}")
    if loaded.refused:
        sentence = f"{name}: {loaded.refused.reason}"
        publish_error(context, sentence, loaded.refused.code, "import")
        raise dg.Failure(sentence, metadata, allow_retries=False)
    publish_tags(context, {"import/progress": "100"})
    context.add_output_metadata(metadata)
    return {"file": name, **counts, **vars(reported)}


def _metadata(loaded: Loaded, counts: dict[str, int], reported: Reported) -> dict[str, Any]:
    """Return what the UI shows of an import: counts, places, and the first errors."""
    errors = list(islice(row_errors(loaded.errors), _PREVIEWED_ERRORS))
    places = {name: dg.MetadataValue.path(path) for name, path in vars(reported).items() if path}
    return {**counts, **places, "errors": _table(errors)}


def summary(loaded: Loaded) -> str:
    """Return what became of a file, in one sentence."""
    counts = loaded.counts
    if loaded.refused:
        return loaded.refused.reason
    would = "would be " if loaded.claim.request.dry_run else ""
    again = " They had been applied before the run before this one ended." if loaded.earlier else ""
    return (
        f"{counts.created:,} {would}created, {counts.updated:,} {would}updated, "
        f"{counts.unchanged:,} unchanged, {loaded.failed:,} failed.{again}"
    )


def _folder(staging: Staging, claim: Claim) -> Path:
    """Return where the rows of one file are worked on, the same for all ops of the run."""
    name = sha256(claim.key.encode()).hexdigest()[:16]
    return staging.run_folder(f"import-{name}")


def _refusal(found: Extract | Validated | Loaded) -> dict[str, str]:
    return {"refused": found.refused.reason} if found.refused else {}


def _custom_fields(request: ImportRequest, catalog: Catalog) -> tuple[ExtensionField, ...]:
    if request.resource_type != EXTENDED:
        return ()
    with catalog.snapshots() as (snapshot,):
        return read_extension_fields(snapshot, catalog.backend)


def _add_counts(context: dg.OpExecutionContext, counts: dict[str, int]) -> None:
    """Add a file's counts to those of the run's files before it."""
    run = context.instance.get_run_by_id(context.run_id)
    tags = run.tags if run else {}
    sums = {
        f"import/{name}": int(tags.get(f"import/{name}") or 0) + n for name, n in counts.items()
    }
    publish_tags(context, {name: str(total) for name, total in sums.items()})


def _table(errors: list[dict[str, Any]]) -> dg.TableMetadataValue:
    columns = [dg.TableColumn("row", "integer")]
    columns += [dg.TableColumn(name, "string") for name in ("column", "value", "code", "reason")]
    records = [dg.TableRecord({name: _cell(value) for name, value in e.items()}) for e in errors]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _cell(value: Any) -> Any:
    return "" if value is None else value
