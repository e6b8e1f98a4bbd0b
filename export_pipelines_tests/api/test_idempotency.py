"""What becomes of a request whose server died over it, and of two at the same moment."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest

from export_pipelines.api.idempotency import once
from export_pipelines.api.problems import Conflict
from export_pipelines.clock import written
from export_pipelines.errors import RequestError, StorageUnavailable
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import IdempotencyRow
from export_pipelines_tests.recorded_runs import record_run

REQUEST = {"format": "csv"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


class Starting:
    """Starts runs."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.started: list[str] = []

    def __call__(self, tags: Mapping[str, str]) -> str:
        run = record_run(self.instance)
        self.instance.add_run_tags(run.run_id, dict(tags))
        self.started.append(run.run_id)
        return run.run_id


def died(instance: dg.DagsterInstance, start: Starting, seconds: float) -> None:
    """Have a server die some seconds ago, when a run was started and not noted yet."""
    once(instance, "acme", "key", REQUEST, start)
    with writing() as session:
        row = session.get(IdempotencyRow, ("acme", "key"))
        assert row
        row.run_id = ""
        row.created_at = written(datetime.now(timezone.utc) - timedelta(seconds=seconds))


def test_without_a_key_each_is_carried_out(instance: dg.DagsterInstance) -> None:
    start = Starting(instance)
    for _ in range(2):
        once(instance, "acme", None, REQUEST, start)
    assert len(set(start.started)) == 2


@pytest.mark.parametrize("seconds", [0, 100])
def test_a_run_that_was_started_and_not_noted_is_found(
    instance: dg.DagsterInstance, seconds: float
) -> None:
    start = Starting(instance)
    died(instance, start, seconds)
    assert once(instance, "acme", "key", REQUEST, start) == start.started[0]
    assert len(start.started) == 1


def test_one_that_is_being_carried_out_is_not_carried_out_twice(
    instance: dg.DagsterInstance,
) -> None:
    start = Starting(instance)
    died(instance, start, seconds=5)
    instance.delete_run(start.started[0])
    with pytest.raises(Conflict, match="being carried out"):
        once(instance, "acme", "key", REQUEST, start)
    assert len(start.started) == 1


def test_one_whose_server_died_before_it_started_a_run_is_carried_out(
    instance: dg.DagsterInstance,
) -> None:
    start = Starting(instance)
    died(instance, start, seconds=100)
    instance.delete_run(start.started[0])
    assert once(instance, "acme", "key", REQUEST, start) == start.started[1]


def test_the_name_of_what_was_refused_is_free(instance: dg.DagsterInstance) -> None:
    def refuse(tags: Mapping[str, str]) -> str:
        raise StorageUnavailable("The disk is full.")

    with pytest.raises(StorageUnavailable):
        once(instance, "acme", "key", REQUEST, refuse)
    start = Starting(instance)
    assert once(instance, "acme", "key", {"format": "json"}, start) == start.started[0]


def test_another_request_of_the_same_name_is_refused(instance: dg.DagsterInstance) -> None:
    start = Starting(instance)
    once(instance, "acme", "key", REQUEST, start)
    with pytest.raises(RequestError, match="another request"):
        once(instance, "acme", "key", {"format": "json"}, start)
