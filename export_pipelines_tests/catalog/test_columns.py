import polars as pl
import pyarrow as pa

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
