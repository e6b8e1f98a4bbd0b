from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines.errors import NotRegistered, RequestError
from export_pipelines.runs.listing import Wanted, find, page
from export_pipelines_tests.recorded_runs import record_run

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def shared() -> Iterator[dg.DagsterInstance]:
    """Open one instance for all tests: to open one for each would take most of their time."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def instance(shared: dg.DagsterInstance) -> dg.DagsterInstance:
    shared.run_storage.wipe()
    return shared


def record_import(instance: dg.DagsterInstance, organization: str = "") -> str:
    tags = {"import/resource_type": "products"}
    if organization:
        tags["export/organization"] = organization
    return instance.add_run(dg.DagsterRun(job_name="import_products", tags=tags)).run_id


def record_at(instance: dg.DagsterInstance, moment: datetime) -> str:
    run = dg.DagsterRun(job_name="export_csv", tags={"export/format": "csv"})
    return instance.run_storage.add_historical_run(run, moment).run_id


def all_pages(instance: dg.DagsterInstance, wanted: Wanted, limit: int) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        records, cursor = page(instance, wanted, limit, cursor)
        pages.append([record.dagster_run.run_id for record in records])
        if cursor is None:
            return pages


def listed(instance: dg.DagsterInstance, wanted: Wanted) -> list[str]:
    (found,) = all_pages(instance, wanted, 100)
    return found


KINDS = ["export", "import", "import of north", "of north", "of default", "of nobody", "no job"]


def record(instance: dg.DagsterInstance, what: str) -> str:
    if what.startswith("import"):
        return record_import(instance, "north" if what.endswith("north") else "")
    if what == "no job":
        return record_run(instance, "prune").run_id
    names = {"of north": "north", "of default": "default", "of nobody": ""}
    if what in names:
        return record_run(instance, organization=names[what]).run_id
    return record_run(instance).run_id


@settings(max_examples=25)
@given(
    runs=st.lists(st.sampled_from(KINDS), max_size=15),
    limit=st.integers(1, 5),
    organization=st.sampled_from(["default", "north", "south", None]),
    kind=st.sampled_from(["export", "import"]),
)
def test_pages_join_to_the_whole_list(
    shared: dg.DagsterInstance, runs: Sequence[str], limit: int, organization: str | None, kind: str
) -> None:
    owners = {"import of north": "north", "of north": "north"}
    shared.run_storage.wipe()
    recorded = [(record(shared, what), what) for what in runs]
    wanted = [
        run_id
        for run_id, what in reversed(recorded)
        if what != "no job"
        and what.startswith("import") is (kind == "import")
        and organization in (None, owners.get(what, "default"))
    ]

    pages = all_pages(shared, Wanted(organization, kind, {}), limit)

    assert [run_id for each in pages for run_id in each] == wanted
    assert all(len(each) == limit for each in pages[:-1])
    assert len(pages) == max(1, -(-len(wanted) // limit))


def test_a_page_goes_on_behind_many_runs_of_others(instance: dg.DagsterInstance) -> None:
    first = record_run(instance).run_id
    for _ in range(20):
        record_run(instance, organization="north")
        record_import(instance)
    last = record_run(instance).run_id

    assert all_pages(instance, Wanted("default", "export", {}), 1) == [[last], [first]]


def test_runs_that_begin_meanwhile_do_not_move_pages(instance: dg.DagsterInstance) -> None:
    runs = [record_run(instance).run_id for _ in range(4)]
    wanted = Wanted("default", "export", {})
    first, cursor = page(instance, wanted, 2, None)
    record_run(instance)
    second, end = page(instance, wanted, 2, cursor)

    found = [each.dagster_run.run_id for each in (*first, *second)]
    assert (found, end) == (runs[::-1], None)


def test_a_cursor_of_nobody_or_somebody_else_is_refused(instance: dg.DagsterInstance) -> None:
    foreign = record_run(instance, organization="north").run_id
    imported = record_import(instance)

    for cursor in ("none", "", "\x00", foreign, imported):
        with pytest.raises(RequestError, match=r"cursor .* is not that of a page of exports"):
            page(instance, Wanted("default", "export", {}), 5, cursor)


def test_statuses_and_tags_choose(instance: dg.DagsterInstance) -> None:
    done = record_run(instance, status="SUCCESS", resource_type="orders").run_id
    failed = record_run(instance, "export_json", status="FAILURE", resource_type="orders").run_id
    waiting = record_run(instance, status="QUEUED").run_id
    status = dg.DagsterRunStatus

    def chosen(*statuses: dg.DagsterRunStatus, **tags: str) -> list[str]:
        named = {f"export/{tag}": value for tag, value in tags.items()}
        return listed(instance, Wanted("default", "export", named, statuses))

    assert chosen() == [waiting, failed, done]
    assert chosen(status.SUCCESS, status.QUEUED) == [waiting, done]
    assert chosen(format="json") == [failed]
    assert chosen(resource_type="orders") == [failed, done]
    assert chosen(status.SUCCESS, format="json") == []


@pytest.mark.parametrize("zone", [0, 5, -9])
def test_dates_are_inclusive_to_the_millisecond_in_any_zone(
    instance: dg.DagsterInstance, zone: int
) -> None:
    times = [EPOCH + timedelta(milliseconds=each, microseconds=7) for each in range(4)]
    runs = [record_at(instance, moment) for moment in times]
    here = timezone(timedelta(hours=zone))

    def chosen(first: int | None, last: int | None) -> list[str]:
        between = [
            None if each is None else (EPOCH + timedelta(milliseconds=each)).astimezone(here)
            for each in (first, last)
        ]
        wanted = Wanted(None, "export", {}, (), between[0], between[1])
        return listed(instance, wanted)[::-1]

    assert chosen(1, 2) == runs[1:3]
    assert chosen(1, None) == runs[1:]
    assert chosen(None, 2) == runs[:3]
    assert chosen(0, 0) == runs[:1]
    assert chosen(4, None) == []
    assert chosen(2, 1) == []


def test_a_run_of_exactly_the_first_moment_is_found(instance: dg.DagsterInstance) -> None:
    run_id = record_at(instance, EPOCH)

    assert listed(instance, Wanted(None, "export", {}, (), EPOCH, EPOCH)) == [run_id]


def test_dates_at_the_ends_of_time_are_no_error(instance: dg.DagsterInstance) -> None:
    run_id = record_run(instance).run_id
    east, west = (timezone(timedelta(hours=hours)) for hours in (12, -12))
    first, last = datetime.min.replace(tzinfo=east), datetime.max.replace(tzinfo=west)

    assert listed(instance, Wanted(None, "export", {}, (), first, last)) == [run_id]
    assert listed(instance, Wanted(None, "export", {}, (), last, None)) == []
    assert listed(instance, Wanted(None, "export", {}, (), None, first)) == []


def test_a_job_is_found_by_those_whose_it_is(instance: dg.DagsterInstance) -> None:
    own = record_run(instance).run_id
    foreign = record_run(instance, organization="north").run_id
    imported = record_import(instance)
    pruned = record_run(instance, "prune").run_id

    assert find(instance, own, "default").dagster_run.run_id == own
    assert find(instance, foreign, None, "export").dagster_run.run_id == foreign
    assert find(instance, imported, "default", "import").dagster_run.run_id == imported
    for run_id, organization, kind in (
        (foreign, "default", None),
        (imported, "default", "export"),
        (own, "default", "import"),
        (pruned, None, None),
        ("missing", None, None),
    ):
        with pytest.raises(NotRegistered, match=f"There is no {kind or 'job'} '{run_id}'."):
            find(instance, run_id, organization, kind)
