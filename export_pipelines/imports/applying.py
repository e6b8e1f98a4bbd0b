"""What is done with checked rows: the policy on errors, the transaction, and its receipt."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Text, cast, delete, func, insert, literal, literal_column, select, text
from sqlalchemy.schema import CreateTable

from export_pipelines.catalog.adbc import WritingConnection
from export_pipelines.catalog.database import adbc_write, backend_of
from export_pipelines.catalog.entities import entity
from export_pipelines.catalog.models import Base
from export_pipelines.catalog.models.imports import ImportReceipt
from export_pipelines.catalog.models.types import compact_json
from export_pipelines.errors import CatalogUnavailable, ExportPipelinesError, FileRefused
from export_pipelines.imports.artifacts import Counts, Errors, Loaded, Refusal, RowSpool, Validated
from export_pipelines.imports.errors import error_frame
from export_pipelines.imports.loading import Load, explained
from export_pipelines.imports.shape import Shape, sql_text
from export_pipelines.imports.spooling import SpoolWriter, joined, read_spool

_RECEIPT_DAYS = 30
_RECEIPTS = Base.metadata.tables[ImportReceipt.__tablename__]


def apply_file(
    url: str, validated: Validated, folder: Path, *, defaults: Mapping[str, Any], now: datetime
) -> Loaded:
    """Write a file's rows into the catalogue, all of them in one transaction, or say why not.

    A file is applied once: if it was, by a run that was killed before it could say so, what it did
    is told again.

    Args:
        url: the catalogue's database.
        validated: the rows.
        folder: where errors go.
        defaults: what new rows get in columns that they say nothing about.
        now: the time of the import.

    Raises:
        CatalogUnavailable: the database fails.
    """
    if validated.refused:
        failed, errors = validated.failed, validated.errors
        return Loaded(validated, Counts(), failed, errors, refused=validated.refused)
    if not validated.columns:
        return Loaded(validated, applied=not validated.extract.claim.request.dry_run)
    found = SpoolWriter(folder, "load-errors")
    try:
        with adbc_write(url) as connection:
            backend = backend_of(url)
            receipts = _Receipts(connection, backend)
            if not validated.extract.claim.request.dry_run:
                receipts.prepare()
            load = Load(connection, _shape(validated, backend, defaults, now))
            load.stage(read_spool(validated.spool), read_spool(validated.custom))
            load.lock()
            # Not before: a killed run's last statement may have been on its way until now.
            earlier = receipts.find(validated.extract.claim.key)
            if earlier is not None:
                return _told_again(validated, earlier, found)
            return _Application(validated, load, found, receipts, now).done()
    except CatalogUnavailable:
        raise
    except ExportPipelinesError as error:
        errors = joined(validated.errors, found.done())
        refused = Refusal(str(error), error.code)
        return Loaded(validated, Counts(), validated.failed, errors, refused=refused)


def was_applied(url: str, claim: str) -> bool:
    """Return whether a file's rows are in the catalogue.

    Raises:
        CatalogUnavailable: the database fails.
    """
    with adbc_write(url) as connection:
        return _Receipts(connection, backend_of(url)).find(claim) is not None


def _shape(validated: Validated, backend: str, defaults: Mapping[str, Any], now: datetime) -> Shape:
    return Shape(
        entity(validated.extract.claim.request.resource_type),
        backend,
        validated.columns,
        validated.given_id,
        validated.absent,
        validated.create_only,
        validated.made,
        defaults,
        validated.custom_ids,
        now,
        validated.assumed_currency,
    )


class _Application:
    """One file's rows, from the first comparison to the commit."""

    def __init__(
        self,
        validated: Validated,
        load: Load,
        errors: SpoolWriter,
        receipts: "_Receipts",
        now: datetime,
    ) -> None:
        self._validated = validated
        self._request = validated.extract.claim.request
        self._load = load
        self._errors = errors
        self._receipts = receipts
        self._now = now
        self._found: Errors = []
        self._bad: set[int] = set()

    def done(self) -> Loaded:
        self._note(self._load.compare())
        refused = self._refusal()
        if refused:
            return self._loaded(Counts(), refused=refused)
        new = self._bad
        while new:
            before = set(self._bad)
            self._note(self._load.leave_out(new))
            new = self._bad - before
        refused = self._refusal()
        if refused:
            return self._loaded(Counts(), refused=refused)
        counts = self._load.counts()
        if self._request.dry_run:
            return self._loaded(counts)
        self._load.write()
        outcome = {**vars(counts), "failed": self._failed, "errors": self._found}
        self._receipts.add(self._validated.extract.claim.key, outcome, self._now)
        self._load.commit()
        return self._loaded(counts, applied=True)

    @property
    def _failed(self) -> int:
        return self._validated.failed + len(self._bad)

    def _note(self, errors: Iterable[Mapping[str, Any]]) -> None:
        headers = self._validated.headers
        found = [
            {**error, "column": headers.get(error["column"], error["column"])} for error in errors
        ]
        self._found += found
        self._bad |= {error["row"] for error in found}
        self._errors.write(error_frame(found))

    def _refusal(self) -> Refusal | None:
        rows, failed = self._validated.extract.rows, self._failed
        if not failed:
            return None
        wrong = f"{failed:,} of {rows:,} rows {'is' if failed == 1 else 'are'} wrong"
        if self._request.on_error == "abort":
            said = f"{wrong}, so nothing was imported: correct them, or import with on_error skip."
            return Refusal(said, FileRefused.code)
        if failed / rows > self._request.max_error_ratio:
            said = (
                f"{wrong}, more than the {self._request.max_error_ratio * 100:g}% that may be left "
                "out (max_error_ratio), so nothing was imported."
            )
            return Refusal(said, FileRefused.code)
        return None

    def _loaded(
        self, counts: Counts, *, applied: bool = False, refused: Refusal | None = None
    ) -> Loaded:
        errors = joined(self._validated.errors, self._errors.done())
        return Loaded(self._validated, counts, self._failed, errors, applied, refused)


class _Receipts:
    """What was applied, in the catalogue itself."""

    def __init__(self, connection: WritingConnection, backend: str) -> None:
        self._connection = connection
        self._backend = backend

    def prepare(self) -> None:
        """Make the table: a catalogue that is older than imports has none."""
        # To create what is there already takes a right that writing does not need.
        if not self._exists():
            self._run(CreateTable(_RECEIPTS, if_not_exists=True))

    def _exists(self) -> bool:
        name = literal(str(_RECEIPTS.name))
        if self._backend == "sqlite":
            tables = select(func.count()).select_from(text("sqlite_master"))
            found = tables.where(literal_column("name") == name)
        else:
            found = select(func.count(func.to_regclass(name)))
        return bool(self._values(found)[0])

    def find(self, claim: str) -> dict[str, Any] | None:
        """Return what was done with a file, None if nothing was."""
        if not self._exists():
            return None
        found = self._values(select(_RECEIPTS.c.outcome).where(_RECEIPTS.c.claim == claim))
        return json.loads(found[0]) if found else None

    def _values(self, statement: Any) -> list[Any]:
        sql = sql_text(statement, self._backend)
        with explained(), self._connection.query(sql) as reader:
            return [value for batch in reader for value in batch.column(0).to_pylist()]

    def add(self, claim: str, outcome: Mapping[str, Any], now: datetime) -> None:
        old = now - timedelta(days=_RECEIPT_DAYS)
        self._run(delete(_RECEIPTS).where(_RECEIPTS.c.applied_at < old))
        said = cast(literal(compact_json(dict(outcome)), Text()), _RECEIPTS.c.outcome.type)
        self._run(insert(_RECEIPTS).values(claim=claim, applied_at=now, outcome=said))

    def _run(self, statement: Any) -> None:
        with explained():
            self._connection.execute(sql_text(statement, self._backend))


def _told_again(validated: Validated, outcome: Mapping[str, Any], errors: SpoolWriter) -> Loaded:
    counts = Counts(*(outcome[name] for name in ("created", "updated", "unchanged")))
    errors.write(error_frame(outcome["errors"]))
    found: RowSpool = joined(validated.errors, errors.done())
    return Loaded(validated, counts, outcome["failed"], found, applied=True, earlier=True)
