"""Reads what is related to each chunk of an export's records, and joins it to them.

One statement for each kind of related record and chunk, however many records a chunk has.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from export_pipelines.artifacts import FIRST_KEY, LAST_KEY, Joining, Related, Sheet
from export_pipelines.catalog.columns import lists_of, spool_schema
from export_pipelines.catalog.reading import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 5_000
"""Most records whose related ones are read at once; this bounds memory."""

_ROW = " row"
_PLACE = " place"


def joined(
    records: "Generator[pa.RecordBatch, None, None]", sheet: Sheet, snapshot: Snapshot
) -> "Generator[pa.RecordBatch, None, None]":
    """Yield a sheet's rows as they are spooled, from its records as they are read.

    Args:
        records: in the order of their keys.
        sheet: what is related to them.
        snapshot: over which the related records are read. On Postgres it must not be the one that
            yields the records: a connection streams one result at a time.

    Raises:
        CatalogUnavailable: the database fails.
        DataError: a stored value is not of its column's type.
    """
    schema = spool_schema(sheet.stored)
    names = [column.name for column in sheet.stored]
    try:
        for frame in _chunks(records):
            keys = frame.get_column(sheet.key)
            found = _with_related(frame, sheet.related, snapshot, (keys[0], keys[-1]))
            table = found.select(names).to_arrow(compat_level=pl.CompatLevel.oldest())
            yield from table.cast(schema).to_batches()
    finally:
        records.close()


def _chunks(records: "Iterator[pa.RecordBatch]") -> Iterator[pl.DataFrame]:
    import pyarrow as pa

    for batch in records:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield pl.DataFrame(pa.Table.from_batches([batch.slice(start, CHUNK_ROWS)]))


def _with_related(
    frame: pl.DataFrame, related: Sequence[Related], snapshot: Snapshot, keys: tuple[str, str]
) -> pl.DataFrame:
    lines: list[tuple[Related, pl.DataFrame]] = []
    for each in related:
        found = _read(each, snapshot, keys)
        if each.related:
            found = _with_related(found, each.related, snapshot, keys)
        if each.joining is Joining.NESTED:
            frame = _nested(frame, each, found)
        elif each.joining is Joining.PIVOTED:
            frame = _pivoted(frame, each, found)
        else:
            lines.append((each, found))
    return _lines(frame, lines) if lines else frame


def _read(related: Related, snapshot: Snapshot, keys: tuple[str, str]) -> pl.DataFrame:
    import pyarrow as pa

    first, last = keys
    statement = related.statement.having(**{FIRST_KEY: first, LAST_KEY: last})
    batches = snapshot.stream(statement, related.read)
    return pl.DataFrame(pa.Table.from_batches(list(batches), spool_schema(related.read)))


def _nested(frame: pl.DataFrame, related: Related, found: pl.DataFrame) -> pl.DataFrame:
    """Add an array of the related records, in the order of their keys; empty without any."""
    owners = frame.select(related.owner).with_row_index(_ROW)
    owned = found.join(
        owners,
        left_on=related.reference,
        right_on=related.owner,
        how="inner",
        maintain_order="left",
    )
    rows = owned.get_column(_ROW)
    keys = owned.get_column(related.order)
    # Databases mostly yield them in this order, which is cheaper to see than to make.
    if not rows.is_sorted() or ((rows == rows.shift()) & (keys < keys.shift())).any():
        owned = owned.sort(_ROW, related.order)
        rows = owned.get_column(_ROW)
    objects = owned.select(pl.struct([column.name for column in related.stored])).to_series()
    numbers = pl.int_range(frame.height + 1, dtype=pl.UInt32, eager=True)
    starts = rows.cast(pl.UInt32).search_sorted(numbers)
    return frame.with_columns(lists_of(objects, starts).alias(related.name))


def _pivoted(frame: pl.DataFrame, related: Related, found: pl.DataFrame) -> pl.DataFrame:
    """Add a column for each header, with the values of those records that have one."""
    wide = frame.select(pl.col(related.owner).alias(related.reference))
    for which, header in related.headers:
        values = found.filter(pl.col(related.order) == which)
        wide = wide.join(
            values.select(related.reference, pl.col("value").alias(header)),
            on=related.reference,
            how="left",
            maintain_order="left",
        )
    return pl.concat([frame, wide.drop(related.reference)], how="horizontal")


def _lines(frame: pl.DataFrame, lines: Sequence[tuple[Related, pl.DataFrame]]) -> pl.DataFrame:
    """Repeat each row for each of its related records; rows without any stay."""
    numbered = frame.with_row_index(_ROW)
    groups = []
    lonely = numbered
    for place, (related, found) in enumerate(lines):
        prefix = f"{related.name}."
        columns = (pl.col(column.name).alias(prefix + column.name) for column in related.read)
        reference = prefix + related.reference
        mine = found.sort(related.order).select(columns)
        groups.append(
            numbered.join(
                mine,
                left_on=related.owner,
                right_on=reference,
                how="inner",
                coalesce=False,
                maintain_order="left_right",
            ).with_columns(pl.lit(place).alias(_PLACE))
        )
        lonely = lonely.join(mine, left_on=related.owner, right_on=reference, how="anti")
    groups.append(lonely.with_columns(pl.lit(0).alias(_PLACE)))
    stacked = pl.concat(groups, how="diagonal")
    return stacked.sort(_ROW, _PLACE, maintain_order=True)
