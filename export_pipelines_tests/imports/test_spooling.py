from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.imports.artifacts import RowSpool
from export_pipelines.imports.spooling import SpoolWriter, joined, read_spool


@given(batches=st.lists(st.lists(st.none() | st.text(max_size=3), max_size=4), max_size=4))
def test_rows_come_back_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[str | None]]
) -> None:
    writer = SpoolWriter(tmp_path_factory.mktemp("spool") / "not there yet", "rows")
    for batch in batches:
        writer.write(pl.DataFrame({"a": batch}, schema={"a": pl.String}))
    spool = writer.done()
    found = list(read_spool(spool))
    assert [frame["a"].to_list() for frame in found] == [batch for batch in batches if batch]
    assert spool.rows == sum(map(len, batches))


def test_no_rows_make_no_files(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "rows")
    writer.write(pl.DataFrame(schema={"a": pl.String}))
    assert writer.done() == RowSpool()
    assert list(tmp_path.iterdir()) == []


def test_spools_are_joined_in_their_order(tmp_path: Path) -> None:
    spools = []
    for name in ("one", "other"):
        writer = SpoolWriter(tmp_path, name)
        writer.write(pl.DataFrame({"a": [name]}))
        spools.append(writer.done())
    both = joined(*spools, RowSpool())
    assert both.rows == 2
    assert [frame["a"][0] for frame in read_spool(both)] == ["one", "other"]
    assert joined() == RowSpool()


def test_a_step_that_is_tried_again_leaves_nothing_of_the_first_try(tmp_path: Path) -> None:
    for text in ("first", "second"):
        writer = SpoolWriter(tmp_path, "rows")
        writer.write(pl.DataFrame({"a": [text]}))
    [frame] = read_spool(writer.done())
    assert frame["a"].to_list() == ["second"]
