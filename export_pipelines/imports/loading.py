"""From checked rows to the catalogue: one transaction, a few statements, whatever their number.

Rows go into a temporary table. The database itself finds out which of them are new, which are
changed, and which cannot be: it alone knows, and nobody can write in between. Then all are written
by one `INSERT … ON CONFLICT` a table, or none.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from export_pipelines.catalog.adbc import WritingConnection
from export_pipelines.catalog.arrow import insert_schema, sqlite_schema
from export_pipelines.errors import CatalogUnavailable, FileRefused, one_of, shown
from export_pipelines.imports.artifacts import Counts, Errors
from export_pipelines.imports.custom_statements import VALUES
from export_pipelines.imports.shape import Shape
from export_pipelines.imports.statements import FAILED, ROWS, Statements
from export_pipelines.imports.validation import ABSENT_COLUMN
from export_pipelines.readers.base import ROW

if TYPE_CHECKING:
    import pyarrow as pa

_NAMED_ROWS = 5
_BROKEN_RULES = ("22", "23", "54")
"""The classes of SQL states that say that a row's values, or their lengths, cannot be."""

_SAID = re.compile(r"ERROR:\s*(.*?)\s*(?:(?:DETAIL|HINT|CONTEXT|LINE \d+):|\.? SQLSTATE:|$)")
"""What Postgres says, without the statement before and the values of rows behind it."""


class Load:
    """The rows of one file in temporary tables beside the catalogue."""

    def __init__(self, connection: WritingConnection, shape: Shape) -> None:
        """Load over `connection`, which stays the caller's; nothing is written before `write`."""
        self._connection = connection
        self._shape = shape
        self._statements = Statements(shape)
        self._times_left_out = 0
        self._digests: dict[tuple[str, ...], list[pl.Series]] = defaultdict(list)

    def stage(self, rows: Iterable[pl.DataFrame], custom: Iterable[pl.DataFrame]) -> None:
        """Put rows, and values of custom fields, into temporary tables.

        Raises:
            CatalogUnavailable: the database fails.
        """
        schema = self._row_schema()
        stored = sqlite_schema(schema) if self._shape.backend == "sqlite" else schema
        self._ingest(ROWS, stored, _batches(self._digested(rows), schema, stored))
        if self._shape.custom:
            schema = _value_schema()
            self._ingest(VALUES, schema, _batches(custom, schema, schema))
            self._run(self._statements.custom.index())

    def lock(self) -> None:
        """Begin the transaction in which nobody else writes the table.

        Raises:
            CatalogUnavailable: the database fails, or somebody else keeps the table locked.
        """
        if self._shape.backend != "sqlite":
            self._run("BEGIN")
        self._run(self._statements.lock())

    def compare(self) -> Errors:
        """Find out what each row is, and return what is wrong with rows.

        Raises:
            CatalogUnavailable: the database fails.
        """
        statements = self._statements
        self._run(statements.plan())
        if self._shape.custom:
            for sql in statements.custom.plan():
                self._run(sql)
        counts = self.counts()
        errors = [*self._repeated_keys()]
        if counts.created or counts.updated:
            errors += self._unresolved()
        if counts.created:
            errors += self._incomplete()
        if counts.updated:
            errors += [*self._taken(), *self._in_other_currencies()]
        return errors

    def _digested(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield frames, and keep eight bytes for each key in them.

        Keys with different digests are different: mostly the database need not look for equal ones.
        """
        for frame in frames:
            for key in self._statements.usable_keys:
                found = frame.select(key).drop_nulls()
                self._digests[key].append(found.hash_rows())
            yield frame

    def leave_out(self, rows: Iterable[int]) -> Errors:
        """Take rows out; return what is wrong with rows that refer to them."""
        import pyarrow as pa

        self._times_left_out += 1
        name = f"{FAILED}_{self._times_left_out}"
        schema = pa.schema([("row_number", pa.int64())])
        numbers = pa.record_batch([pa.array(sorted(rows), pa.int64())], schema=schema)
        self._ingest(name, schema, iter([numbers]))
        self._run(self._statements.leave_out(name))
        itself = [name for name in self._statements.references if self._refers_to_itself(name)]
        return [error for name in itself for error in self._unresolved_by(name)]

    def counts(self) -> Counts:
        """Return how many rows are new, changed and the same as before."""
        [(total, created, updated)] = self._rows(self._statements.counts())
        return Counts(created, updated, total - created - updated)

    def write(self) -> None:
        """Create the new rows and update the changed ones.

        Raises:
            FileRefused: a row breaks a rule of the table that only the table knows.
            CatalogUnavailable: the database fails.
        """
        self._run(self._statements.write())
        if self._shape.custom:
            for sql in self._statements.custom.write():
                self._run(sql)

    def commit(self) -> None:
        """Make what was written last.

        Raises:
            CatalogUnavailable: the database fails, and whether it was is not known.
        """
        self._run("COMMIT")

    def _repeated_keys(self) -> Iterator[dict[str, Any]]:
        keys = self._statements.usable_keys
        for key in keys:
            digests = pl.concat([pl.Series(dtype=pl.UInt64), *self._digests[key]])
            if digests.n_unique() < len(digests):
                found = self._rows(self._statements.repeated(key))
                yield from _repeated(" and ".join(key), key[0], found)
        if len(keys) > 1:
            found = self._rows(self._statements.repeated_matches())
            yield from _repeated("", keys[0][0], found)

    def _taken(self) -> Iterator[dict[str, Any]]:
        for key in self._statements.usable_keys:
            if key != ("id",):
                for row, *values in self._rows(self._statements.taken(key)):
                    name = " and ".join(key)
                    yield _error(
                        row,
                        key[0],
                        values[0],
                        "taken",
                        f"{name}: {_joined(values)} belongs to another of the "
                        f"{self._shape.entity.name} than the one that the row is about.",
                    )

    def _unresolved(self) -> Iterator[dict[str, Any]]:
        for name in self._statements.references:
            yield from self._unresolved_by(name)

    def _refers_to_itself(self, name: str) -> bool:
        return self._statements.refers_to_itself(name)

    def _unresolved_by(self, name: str) -> Iterator[dict[str, Any]]:
        target = self._statements.references[name].table.name
        for row, value in self._rows(self._statements.unresolved(name)):
            reason = f"{name}: there is none of the {target} with the id {shown(value)}."
            yield _error(row, name, value, "not_found", reason)

    def _incomplete(self) -> Iterator[dict[str, Any]]:
        for name in self._statements.required:
            for (row,) in self._rows(self._statements.incomplete(name)):
                reason = (
                    f"{name} is missing: none of the {self._shape.entity.name} is known by what "
                    "the row says, and a new one needs it."
                )
                yield _error(row, name, None, "required", reason)

    def _in_other_currencies(self) -> Iterator[dict[str, Any]]:
        if self._shape.currency:
            for row, currency in self._rows(self._statements.other_currency()):
                reason = (
                    f"Amounts were read in {self._shape.currency}, but this is in {currency}: say "
                    "so in the column currency_code."
                )
                yield _error(row, "currency_code", None, "currency_differs", reason)

    def _row_schema(self) -> "pa.Schema":
        import pyarrow as pa

        columns = insert_schema(self._shape.entity.table, list(self._shape.columns))
        return pa.schema(
            [pa.field(ROW, pa.int64()), *columns, pa.field(ABSENT_COLUMN, pa.string())]
        )

    def _ingest(self, table: str, schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]") -> None:
        import pyarrow as pa

        others = {ROW: "row_number", ABSENT_COLUMN: "absent"}
        names = [others.get(field.name, field.name) for field in schema]
        renamed = pa.schema(list(zip(names, schema.types, strict=True)))
        failures: list[BaseException] = []

        def each() -> "Iterator[pa.RecordBatch]":
            try:
                for batch in batches:
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=renamed)
            except BaseException as error:
                failures.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(renamed, each())
        with explained(failures):
            self._connection.ingest(table, reader)

    def _run(self, sql: str) -> None:
        with explained():
            self._connection.execute(sql)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with explained(), self._connection.query(sql) as reader:
            return [
                row
                for batch in reader
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
            ]


def _batches(
    frames: Iterable[pl.DataFrame], schema: "pa.Schema", stored: "pa.Schema"
) -> "Iterator[pa.RecordBatch]":
    for frame in frames:
        table = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        table = table.cast(schema)
        yield from (table if stored == schema else table.cast(stored)).to_batches()


def _value_schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([(ROW, pa.int64()), ("field_id", pa.string()), ("value", pa.string())])


def _repeated(name: str, column: str, found: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, *values in found:
        groups[tuple(values)].append(row)
    for key, rows in groups.items():
        for row in rows:
            others = [f"{other:,}" for other in rows if other != row][:_NAMED_ROWS]
            where = f"{'row' if len(rows) == 2 else 'rows'} {one_of(others)}"
            reason = (
                f"{name}: {_joined(key)} is in {where} too."
                if name
                else f"The row is about the same as {where}, by another key."
            )
            yield _error(row, column, key[0] if name else None, "repeated", reason)


def _joined(values: Sequence[Any]) -> str:
    return " and ".join(shown(value) for value in values)


def _error(row: int, column: str, value: Any, code: str, reason: str) -> dict[str, Any]:
    return {"row": row, "column": column, "value": value, "code": code, "reason": reason}


@contextmanager
def explained(failures: Sequence[BaseException] = ()) -> Iterator[None]:
    """Turn the drivers' errors into ours; of failures that a driver hides, raise the first."""
    from adbc_driver_manager import Error

    try:
        yield
    except Error as error:
        if failures:
            raise failures[0] from None
        text = " ".join(str(error).split())
        found = _SAID.search(text)
        text = found[1] if found else text.removeprefix("INTEGRITY: ")
        state = getattr(error, "sqlstate", None) or ""
        if state[:2] in _BROKEN_RULES or "constraint failed" in text:
            raise FileRefused(
                "The database refuses a row, so none was imported: correct it, and import the file "
                f"again. It said: {text}"
            ) from None
        if "locked" in text or state == "55P03":
            raise CatalogUnavailable(
                "Somebody else has been writing to the table for 30 seconds, so nothing was "
                "imported: import the file again."
            ) from None
        raise CatalogUnavailable(f"The database failed, and nothing was imported: {text}") from None
