from collections.abc import Iterator

import dagster as dg
import pytest

from export_pipelines.errors import RequestError, TooManyExports
from export_pipelines.limits import active_exports, organization_of, require_slot
from export_pipelines_tests.recorded_runs import record_run

ACTIVE = ["NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING"]
ENDED = ["SUCCESS", "FAILURE", "CANCELED"]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def test_exports_that_have_not_ended_are_active(instance: dg.DagsterInstance) -> None:
    for status in [*ACTIVE, *ENDED]:
        record_run(instance, status=status, organization="acme")

    assert active_exports(instance, "acme") == len(ACTIVE)


def test_other_organizations_and_other_jobs_do_not_count(instance: dg.DagsterInstance) -> None:
    record_run(instance, organization="acme")
    record_run(instance, "export_zip", organization="acme")
    record_run(instance, organization="globex")
    record_run(instance, "import_prices", organization="acme")

    assert active_exports(instance, "acme") == 2
    assert active_exports(instance, "globex") == 1
    assert active_exports(instance, "initech") == 0


def test_runs_that_do_not_say_are_of_the_own_organization(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record_run(instance)
    record_run(instance, organization="")
    assert organization_of(run) == "default"
    assert active_exports(instance, "default") == 2

    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")
    assert organization_of(run) == "acme"
    assert active_exports(instance, "acme") == 2
    assert active_exports(instance, "default") == 0


def test_a_run_counts_those_recorded_before_it(instance: dg.DagsterInstance) -> None:
    runs = [
        record_run(instance, status=status)
        for status in ("QUEUED", "SUCCESS", "NOT_STARTED", "STARTED")
    ]

    assert [active_exports(instance, "default", before=run) for run in runs] == [0, 1, 1, 2]


def test_the_eleventh_export_is_refused(instance: dg.DagsterInstance) -> None:
    for _ in range(9):
        record_run(instance)
    require_slot(instance, "default")
    tenth = record_run(instance)

    with pytest.raises(TooManyExports) as refused:
        require_slot(instance, "default")

    assert str(refused.value) == (
        "Exports pending or running in the organization 'default': 10, and 10 at once is the "
        "limit. Wait for one to end or cancel one, then export again; "
        "EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS raises the limit."
    )
    require_slot(instance, "acme")
    require_slot(instance, "default", run=tenth)
    with pytest.raises(TooManyExports):
        require_slot(instance, "default", run=record_run(instance))


def test_one_that_ends_makes_room(instance: dg.DagsterInstance) -> None:
    first, *_, last = [record_run(instance) for _ in range(11)]
    with pytest.raises(TooManyExports):
        require_slot(instance, "default", run=last)

    instance.report_run_canceled(first)

    require_slot(instance, "default", run=last)


def test_a_variable_sets_the_limit(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_run(instance)
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "2")
    require_slot(instance, "default")
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "1")
    with pytest.raises(TooManyExports, match="'default': 1, and 1 at once is the limit"):
        require_slot(instance, "default")
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "many")
    with pytest.raises(RequestError, match="whole number"):
        require_slot(instance, "default")


def test_an_organization_is_quoted_safely(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", "1")
    name = "a\n" + "x" * 5_000
    record_run(instance, organization=name)
    with pytest.raises(TooManyExports) as refused:
        require_slot(instance, name)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400
