from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from export_pipelines.artifacts import Column, Derivation, FieldType, Sheet, Statement
from export_pipelines.catalog.columns import NESTING, spool_schema, written_frame

CENTS = Column("cents", FieldType.INTEGER)
CURRENCY = Column("currency", FieldType.STRING)
AMOUNT = Column("amount", FieldType.NUMBER, Derivation("decimal", "cents", "currency"))
SHOWN = Column("shown", FieldType.STRING, Derivation("formatted", "cents", "currency"))


def sheet(columns: tuple[Column, ...]) -> Sheet:
    return Sheet("things", columns, (), (CENTS, CURRENCY), Statement("SELECT"))


def table() -> pa.Table:
    rows = [{"cents": -123456, "currency": "EUR"}, {"cents": 5, "currency": "JPY"}, {}]
    return pa.Table.from_pylist(rows, spool_schema([CENTS, CURRENCY]))


def test_rows_travel_in_types_of_no_database() -> None:
    schema = spool_schema([Column(kind.value, kind) for kind in FieldType if kind not in NESTING])
    assert {field.name: str(field.type) for field in schema} == {
        "string": "string",
        "integer": "int64",
        "number": "double",
        "boolean": "bool",
        "datetime": "timestamp[ms, tz=UTC]",
        "json": "string",
        "list": "string",
    }
    inner = (CENTS, Column("lines", FieldType.ARRAY, columns=(CURRENCY,)))
    (nested,) = spool_schema([Column("owner", FieldType.OBJECT, columns=inner)])
    assert str(nested.type) == (
        "struct<cents: int64, lines: large_list<item: struct<currency: string>>>"
    )


def test_stored_columns_are_written_as_they_are() -> None:
    frame = written_frame(table(), sheet((CENTS, CURRENCY)))
    assert frame.rows() == [(-123456, "EUR"), (5, "JPY"), (None, None)]


def test_derived_columns_are_computed_and_ordered() -> None:
    frame = written_frame(table(), sheet((SHOWN, AMOUNT, CENTS)))
    assert frame.columns == ["shown", "amount", "cents"]
    assert frame.rows() == [("-€1.234,56", -1234.56, -123456), ("¥5", 5.0, 5), (None, None, None)]
    assert frame.dtypes == [pl.String, pl.Float64, pl.Int64]


def test_columns_that_are_only_sources_are_not_written() -> None:
    assert written_frame(table(), sheet((AMOUNT,))).columns == ["amount"]
    assert written_frame(table(), sheet((CURRENCY, CENTS))).columns == ["currency", "cents"]


@pytest.mark.parametrize(
    ("kind", "value", "dtype"),
    [
        (FieldType.STRING, "cents", pl.String),
        (FieldType.STRING, None, pl.String),
        (FieldType.INTEGER, -(2**63), pl.Int64),
        (FieldType.NUMBER, 0.1, pl.Float64),
        (FieldType.BOOLEAN, False, pl.Boolean),
    ],
)
def test_fixed_columns_hold_their_value_in_each_row(
    kind: FieldType, value: Any, dtype: type[pl.DataType]
) -> None:
    fixed = Column("fixed", kind, Derivation("fixed", value=value))
    frame = written_frame(table(), sheet((CENTS, fixed)))
    assert frame.schema == {"cents": pl.Int64, "fixed": dtype}
    assert frame.get_column("fixed").to_list() == [value] * 3
    assert written_frame(table().slice(0, 0), sheet((fixed, CENTS))).schema == {
        "fixed": dtype,
        "cents": pl.Int64,
    }


def test_nested_columns_may_be_all_that_is_stored() -> None:
    inner = Column("^c.*$", FieldType.INTEGER, source="owner.cents")
    owner = Column("*", FieldType.OBJECT, None, "owner.id", (inner,))
    fixed = Column("^f.*$", FieldType.INTEGER, Derivation("fixed", value=7))
    stored = (Column("owner.id", FieldType.STRING), Column("owner.cents", FieldType.INTEGER))
    rows = [{"owner.id": "a", "owner.cents": 1}, {"owner.id": None, "owner.cents": None}]
    spooled = pa.Table.from_pylist(rows, spool_schema(stored))
    objects = [{"^c.*$": 1}, None]
    assert written_frame(spooled, sheet((owner,))).to_dict(as_series=False) == {"*": objects}
    assert written_frame(spooled, sheet((fixed, owner))).to_dict(as_series=False) == {
        "^f.*$": [7, 7],
        "*": objects,
    }
