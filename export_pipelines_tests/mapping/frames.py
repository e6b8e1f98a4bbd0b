"""Mappings and rows written out in tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

from export_pipelines.mapping.form import ColumnMapping, MappingForm
from export_pipelines.mapping.rows import map_rows
from export_pipelines.readers.base import ABSENT, ROW
from export_pipelines_tests.contracts.frames import TEXTS

CELLS = st.none() | st.just(ABSENT) | TEXTS


def mapping_of(
    columns: Mapping[str, Any], ignore: Sequence[str] = (), path: str = "shop.yaml"
) -> ColumnMapping:
    form = MappingForm.model_validate({"columns": columns, "ignore": ignore})
    return ColumnMapping(path, "", {}, form.columns, form.ignore)


def rows_of(**columns: Sequence[str | None]) -> pl.DataFrame:
    height = max(map(len, columns.values()), default=0)
    numbers = pl.Series(ROW, range(2, height + 2), pl.UInt32)
    return pl.DataFrame([numbers, *(pl.Series(n, v, pl.String) for n, v in columns.items())])


def cast(rule: Mapping[str, Any], cells: Sequence[str | None]) -> list[str | None]:
    """Return what a rule makes of cells, which must all be castable."""
    mapped, errors = map_rows(
        mapping_of({"to": {"column": "from", **rule}}), rows_of(**{"from": cells})
    )
    assert errors.is_empty()
    return mapped["to"].to_list()


def refused(rule: Mapping[str, Any], cells: Sequence[str | None]) -> list[tuple[str, str]]:
    """Return the values that a rule cannot cast, with the codes; these cells become empty."""
    rows = rows_of(**{"from": cells})
    mapped, errors = map_rows(mapping_of({"to": {"column": "from", **rule}}), rows)
    empty = mapped.filter(pl.col(ROW).is_in(errors["row"].to_list()))["to"]
    assert empty.null_count() == len(empty) == len(errors)
    named = errors.join(rows, left_on="row", right_on=ROW)
    assert named["value"].equals(named["from"])
    assert set(errors["column"]) <= {"from"}
    return list(zip(errors["value"], errors["code"], strict=True))
