"""What becomes of a request whose server died over it, and of two at the same moment."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier

import dagster as dg
import pytest

from export_pipelines.api.idempotency import once
from export_pipelines.api.problems import InProgress, explained
from export_pipelines.clock import written
from export_pipelines.errors import RequestError, StorageUnavailable
from export_pipelines.registry import idempotency as registry
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
    moment = written(datetime.now(timezone.utc) - timedelta(seconds=seconds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "now", lambda: moment)
        patch.setattr(registry, "settle", lambda *_: None)
        once(instance, "acme", "key", REQUEST, start)


def test_without_a_key_each_is_carried_out(instance: dg.DagsterInstance) -> None:
    start = Starting(instance)
    for _ in range(2):
        once(instance, "acme", None, REQUEST, start)
    assert len(set(start.started)) == 2


@pytest.mark.parametrize("seconds", [0, 1_000])
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
    died(instance, start, seconds=300)
    instance.delete_run(start.started[0])
    with pytest.raises(InProgress, match="being carried out") as caught:
        once(instance, "acme", "key", REQUEST, start)
    assert len(start.started) == 1
    answer = explained(caught.value)
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "5")


def test_one_whose_server_died_before_it_started_a_run_is_carried_out(
    instance: dg.DagsterInstance,
) -> None:
    start = Starting(instance)
    died(instance, start, seconds=1_000)
    instance.delete_run(start.started[0])
    assert once(instance, "acme", "key", REQUEST, start) == start.started[1]


def test_of_many_that_carry_it_out_again_one_does(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        start = Starting(instance)
        died(instance, start, seconds=1_000)
        instance.delete_run(start.started[0])
        together = Barrier(3)

        def ask(_: int) -> str:
            together.wait()
            try:
                return once(instance, "acme", "key", REQUEST, start)
            except InProgress:
                return ""

        with ThreadPoolExecutor(3) as threads:
            answers = set(threads.map(ask, range(3)))
    assert len(start.started) == 2
    assert answers <= {start.started[1], ""}


def test_a_run_of_another_day_or_organization_is_not_its_own(instance: dg.DagsterInstance) -> None:
    start = Starting(instance)
    died(instance, start, seconds=90_000)
    once(instance, "acme:a", "b", REQUEST, start)

    def ask(key: str) -> str:
        def start_slowly(tags: Mapping[str, str]) -> str:
            with pytest.raises(InProgress):
                once(instance, "acme", key, REQUEST, start)
            return start(tags)

        return once(instance, "acme", key, REQUEST, start_slowly)

    assert [ask("key"), ask("a:b")] == start.started[2:]


def test_what_was_started_and_failed_to_be_read_is_found(instance: dg.DagsterInstance) -> None:
    start = Starting(instance)

    def lose(tags: Mapping[str, str]) -> str:
        start(tags)
        raise StorageUnavailable("The database does not answer.")

    with pytest.raises(StorageUnavailable):
        once(instance, "acme", "key", REQUEST, lose)
    assert once(instance, "acme", "key", REQUEST, start) == start.started[0]
    assert len(start.started) == 1


def test_a_run_that_goes_on_with_it_is_another(instance: dg.DagsterInstance) -> None:
    start = Starting(instance)
    died(instance, start, seconds=0)
    first = instance.get_run_by_id(start.started[0])
    assert first
    start(first.tags)
    assert once(instance, "acme", "key", REQUEST, start) == first.run_id


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
