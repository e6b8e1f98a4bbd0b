import pytest

from export_pipelines.clock import seconds_of
from export_pipelines.errors import RegistryUnavailable
from export_pipelines.limits import SCHEDULE_ID_TAG
from export_pipelines.registration import schedules
from export_pipelines.registration.transactions import registering
from export_pipelines.registry import rows
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.registry.schedules import Schedule
from export_pipelines.retention.scheduled import last_successes
from export_pipelines.staleness import DUE_TAG, late_schedules
from export_pipelines_tests.retention.past import DAY, EXPORT, Past, Status

DUE = "2099-11-30T09:00:00.000Z"


@pytest.fixture
def yearly(past: Past) -> ScheduleRow:
    return register(past, "Every year")


def register(past: Past, name: str) -> ScheduleRow:
    with registering(past.instance) as session:
        return schedules.add(session, "default", Schedule(name, "0 9 30 11 *"))


def run_of(past: Past, row: ScheduleRow, days: float, due: str, status: str = "SUCCESS") -> str:
    tags = {SCHEDULE_ID_TAG: row.id, DUE_TAG: due}
    return past.record(days, Status(status), tags=tags)


def test_pruning_never_makes_a_schedule_late(past: Past, yearly: ScheduleRow) -> None:
    run_of(past, yearly, 91, DUE)
    moment = seconds_of(DUE) + 100 * DAY
    assert late_schedules(past.instance, [yearly], moment) == []
    assert past.removed("runs") == []
    assert late_schedules(past.instance, [yearly], moment) == []


def test_one_success_of_each_schedule_stays(past: Past, yearly: ScheduleRow) -> None:
    other = register(past, "Every other year")
    old = [
        run_of(past, yearly, 900, "2097-11-30T09:00:00.000Z"),
        run_of(past, yearly, 91, DUE, "FAILURE"),
        run_of(past, other, 500, "2098-11-30T09:00:00.000Z"),
        past.record(91),
    ]
    of_yearly = run_of(past, yearly, 500, "2098-11-30T09:00:00.000Z")
    before = run_of(past, other, 91, DUE)
    assert past.removed("runs", dry_run=True) == sorted(old)
    assert past.removed("runs") == sorted(old)
    assert past.run_ids() == {of_yearly, before}
    young = run_of(past, other, 1, "2100-11-30T09:00:00.000Z")
    assert past.removed("runs") == [before]
    assert past.run_ids() == {of_yearly, young}


def test_it_is_the_last_time_that_counts_and_not_the_last_run(
    past: Past, yearly: ScheduleRow
) -> None:
    """A run that is executed again is for the same time as before."""
    latest = run_of(past, yearly, 200, DUE)
    again = run_of(past, yearly, 100, "2098-11-30T09:00:00.000Z")
    assert past.removed("runs") == [again]
    assert past.run_ids() == {latest}


def test_its_files_go_though_its_record_stays(past: Past, yearly: ScheduleRow) -> None:
    export = past.stored(91)
    past.instance.add_run_tags(export.run_id, {SCHEDULE_ID_TAG: yearly.id, DUE_TAG: DUE, **EXPORT})
    done = past.prune()
    assert (done["exports"].count, done["runs"].count) == (1, 0)
    assert not export.folder.exists()
    assert past.run_ids() == {export.run_id}


def test_a_schedule_that_was_removed_keeps_nothing(past: Past, yearly: ScheduleRow) -> None:
    run_id = run_of(past, yearly, 91, DUE)
    with registering(past.instance) as session:
        schedules.remove(session, rows.require(session, ScheduleRow, "default", yearly.name))
    assert past.removed("runs") == [run_id]


def test_while_the_registry_does_not_answer_all_runs_of_schedules_stay(
    past: Past, yearly: ScheduleRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled = {run_of(past, yearly, 91, DUE), run_of(past, yearly, 400, DUE, "FAILURE")}
    other = past.record(91)
    with monkeypatch.context() as patched:
        patched.setenv("EXPORT_PIPELINES_REGISTRY_URL", "postgresql://shop:pw@127.0.0.1:1/none")
        done = past.prune()["runs"]
        assert past.prune()["ticks"].failed == 0
    assert [name for name, _ in done.listed] == [other]
    assert (done.failed, done.code) == (1, RegistryUnavailable.code)
    assert done.reason.startswith("runs: The registry's database does not answer: ")
    assert past.run_ids() == scheduled
    assert past.prune()["runs"].count == 1


def test_the_registry_is_not_asked_without_runs_of_schedules(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", "postgresql://shop:pw@127.0.0.1:1/none")
    past.record(91)
    assert last_successes(past.instance, past.instance.get_runs()) == set()
    assert past.prune()["runs"].failed == 0
