import logging
import math
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from export_pipelines.artifacts import (
    Column,
    Derivation,
    ExportPlan,
    FieldType,
    Part,
    Segment,
    Sheet,
    StagedFile,
    Statement,
)
from export_pipelines.clock import now
from export_pipelines.errors import DataError, ExportPipelinesError, NoRecords, PlatformUnavailable
from export_pipelines.ops.reporting import (
    duration,
    explained,
    file_metadata,
    preview,
    progress,
    rate,
    spooled_bytes,
    sql_metadata,
)
from export_pipelines_tests.contracts.frames import plan_of


@dg.job
def nothing() -> None:
    """Is only there to have a run."""


@pytest.fixture
def context() -> Iterator[Any]:
    """Return what an op's context says of its run; those that Dagster builds have none."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(nothing)
        log = logging.getLogger("test")
        yield SimpleNamespace(instance=instance, run_id=run.run_id, retry_number=0, log=log)


def tags(context: Any) -> dict[str, str]:
    run = context.instance.get_run_by_id(context.run_id)
    return {name: text for name, text in run.tags.items() if name.startswith("export/")}


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (NoRecords("Nothing there."), "no_records", "Nothing there."),
        (DataError("Odd."), "data_invalid", "Odd."),
        (ExportPipelinesError("Hm."), "failed", "Hm."),
        (OSError(28, "words", "/x"), "storage_unavailable", "The disk is full at /x: make room"),
        (
            PermissionError(13, "No", "/x"),
            "storage_unavailable",
            "Files cannot be written at /x: No",
        ),
    ],
)
def test_errors_become_tags_and_a_failure_without_retries(
    context: Any, tmp_path: Path, error: Exception, code: str, sentence: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "half").touch()
    with pytest.raises(dg.Failure) as caught, explained(context, remove=tmp_path / "work"):
        raise error
    found = tags(context)
    assert found["export/error_code"] == code
    assert found["export/error"].startswith(sentence)
    assert caught.value.description == found["export/error"]
    assert not caught.value.allow_retries
    assert caught.value.__suppress_context__
    assert not (tmp_path / "work").exists()


def test_other_errors_stay_as_they_are_but_leave_no_work(context: Any, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with pytest.raises(ZeroDivisionError), explained(context, remove=tmp_path / "work"):
        raise ZeroDivisionError("bug")
    assert tags(context) == {}
    assert not (tmp_path / "work").exists()


def test_other_errors_are_not_tried_again(context: Any) -> None:
    with pytest.raises(dg.Failure) as caught, explained(context, retries=5):
        raise ZeroDivisionError("bug")
    assert caught.value.description == "Unexpected: ZeroDivisionError."
    assert not caught.value.allow_retries
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_error_worth_it_is_tried_again_without_tags(context: Any) -> None:
    with pytest.raises(dg.Failure) as caught, explained(context, retries=1, about="partner"):
        raise PlatformUnavailable("Gone.")
    assert caught.value.allow_retries
    assert caught.value.description == "partner: Gone."
    assert tags(context) == {}


def test_the_last_try_says_why_it_failed(context: Any) -> None:
    with pytest.raises(dg.Failure) as caught, explained(context, retries=0, about="partner"):
        raise PlatformUnavailable("Gone.")
    assert not caught.value.allow_retries
    assert tags(context) == {
        "export/error": "partner: Gone.",
        "export/error_code": "platform_unavailable",
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt(), dg.DagsterExecutionInterruptedError()])
def test_interruptions_stay_what_they_are_and_are_named(
    context: Any, tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "work").mkdir()
    with pytest.raises(type(error)), explained(context, remove=tmp_path / "work"):
        raise error
    assert tags(context) == {
        "export/error": "Interrupted: the export is not finished.",
        "export/error_code": "interrupted",
    }
    assert not (tmp_path / "work").exists()


def test_work_that_succeeds_is_kept(context: Any, tmp_path: Path) -> None:
    with explained(context, remove=tmp_path):
        (tmp_path / "file").touch()
    assert (tmp_path / "file").exists()
    assert tags(context) == {}


def test_endless_sentences_are_cut_in_tags(context: Any) -> None:
    with pytest.raises(dg.Failure), explained(context):
        raise DataError("x" * 10_000)
    assert tags(context)["export/error"] == "x" * 4_000 + "…"


def test_progress_is_published_on_the_run(context: Any) -> None:
    progress(context, "deliver", 1).report(1, "3/3")
    assert tags(context) == {
        "export/stage": "deliver",
        "export/progress": "99",
        "export/parts": "3/3",
    }


def test_times() -> None:
    first = now()
    assert datetime.fromisoformat(first.replace("Z", "+00:00")).tzinfo
    assert len(first) == len("2026-01-31T09:00:00.000Z")
    assert duration("2026-01-31T09:00:00.250Z", "2026-01-31T09:01:00.000Z") == 59.75
    assert 0 <= duration(first, now()) < 5


def test_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 14.0)
    assert rate(1_000, 10.0) == {"rows": 1_000, "seconds": 4.0, "rows_per_second": 250}
    assert rate(0, 14.0)["rows_per_second"] == 0


def test_files_are_listed() -> None:
    found = file_metadata([StagedFile("/x/a", "a", 1_000, 2_000), StagedFile("/x/b", "b", 1, 1)])
    assert (found["files"], found["bytes"]) == (2, 2_001)
    assert found["file_list"].value == ["a: 1,000 rows, 2,000 bytes", "b: 1 rows, 1 bytes"]


def spooled(folder: Path, values: list[Any]) -> tuple[ExportPlan, tuple[Part, ...]]:
    """Write one segment of amounts, and return the plan that derives a number from them."""
    cents = Column("amount_cents", FieldType.INTEGER)
    currency = Column("currency_code", FieldType.STRING)
    others = (
        Column("name", FieldType.STRING),
        Column("weight", FieldType.NUMBER),
        Column("at", FieldType.DATETIME),
    )
    amount = Column(
        "amount", FieldType.NUMBER, Derivation("decimal", "amount_cents", "currency_code")
    )
    statement = Statement("SELECT :p", (("p", "s3cr3t"),))
    sheet = Sheet("things", (amount, *others), (), (cents, currency, *others), statement)
    table = pa.table(
        {
            "amount_cents": pa.array([1250] * len(values), pa.int64()),
            "currency_code": ["EUR"] * len(values),
            "name": values,
            "weight": [math.inf] * len(values),
            "at": pa.array([datetime(2026, 1, 31, tzinfo=timezone.utc)] * len(values)),
        }
    )
    path = folder / "0.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    plan = plan_of("csv", sheet)
    return plan, (Part(1, (Segment(str(path), 0, 0, len(values)),)),)


def test_previews_show_ten_rows_as_they_are_written(tmp_path: Path) -> None:
    plan, parts = spooled(tmp_path, ["x" * 81, "y" * 80, None, *("z" * 9)])
    table = preview(plan, parts)
    assert [column.name for column in table.schema.columns] == ["amount", "name", "weight", "at"]
    assert [column.type for column in table.schema.columns] == [
        "number", "string", "number", "datetime",
    ]  # fmt: skip
    assert [record.data["name"] for record in table.records[:4]] == [
        "x" * 80 + "…", "y" * 80, None, "z",
    ]  # fmt: skip
    assert len(table.records) == 10
    assert table.records[0].data["amount"] == 12.5
    assert table.records[0].data["weight"] == "inf"
    assert table.records[0].data["at"] == "2026-01-31T00:00:00+00:00"


def test_sql_is_shown_without_values(tmp_path: Path) -> None:
    plan, parts = spooled(tmp_path, ["a"])
    assert sql_metadata(plan).value == "```sql\nSELECT :p\n```"
    assert spooled_bytes(parts) == (tmp_path / "0.arrow").stat().st_size
