from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from export_pipelines.limits import FORMAT_TAG, IMPORT_TAG, ORGANIZATION_TAG
from export_pipelines.webhooks.changes import Change
from export_pipelines.webhooks.events import Event
from export_pipelines.webhooks.jobs import event_ids, job_events

NOW = 2_000_000_000.0
EXPORT = {FORMAT_TAG: "csv", ORGANIZATION_TAG: "north"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def add_run(instance: dg.DagsterInstance, status: str, **tags: str) -> str:
    run = instance.create_run_for_job(
        dg.GraphDefinition("none").to_job(), tags=tags, status=dg.DagsterRunStatus(status)
    )
    return run.run_id


def events(
    instance: dg.DagsterInstance, run_id: str, *words: str, age: float = 60, **options: Any
) -> list[Event]:
    """Return the events that changes of a run make, which were so many seconds ago."""
    changes = [Change(number, run_id, word, NOW - age) for number, word in enumerate(words)]
    fixed: dict[str, Any] = {"known": set(), "wants": lambda organization, topic: True}
    return job_events(instance, changes, moment=NOW, **{**fixed, **options})


def test_an_export(instance: dg.DagsterInstance) -> None:
    run_id = add_run(instance, "SUCCESS", **EXPORT)
    found = events(instance, run_id, "created", "completed")
    assert [(each.id, each.topic, each.organization) for each in found] == [
        (f"{run_id}:created", "export.created", "north"),
        (f"{run_id}:completed", "export.completed", "north"),
    ]
    assert {each.at for each in found} == {"2033-05-18T03:32:20.000Z"}
    assert found[1].data["id"] == run_id
    assert found[1].data["status"] == "completed"


def test_an_import(instance: dg.DagsterInstance) -> None:
    run_id = add_run(instance, "FAILURE", **{IMPORT_TAG: "products"})
    [found] = events(instance, run_id, "failed")
    assert (found.topic, found.organization) == ("import.failed", "default")


def test_one_that_was_never_queued_was_created_all_the_same(instance: dg.DagsterInstance) -> None:
    run_id = add_run(instance, "STARTED", **EXPORT)
    created, started = events(instance, run_id, "started")
    assert (created.topic, started.topic) == ("export.created", "export.started")
    assert created.at <= started.at
    assert event_ids([Change(1, run_id, "started", NOW)]) == [created.id, started.id]
    [only] = events(instance, run_id, "started", known={created.id})
    assert only.topic == "export.started"
    assert events(instance, run_id, "started", known={created.id, started.id}) == []


def test_what_is_no_job(instance: dg.DagsterInstance) -> None:
    assert events(instance, add_run(instance, "SUCCESS"), "completed") == []
    assert events(instance, "deleted", "completed") == []


@pytest.mark.parametrize(
    ("status", "word", "follows"),
    [
        ("STARTED", "completed", False),
        ("STARTED", "failed", False),
        ("CANCELING", "cancelled", False),
        ("SUCCESS", "completed", True),
        ("STARTING", "started", False),
        ("STARTED", "started", True),
        ("NOT_STARTED", "created", True),
    ],
)
def test_the_status_of_the_run_has_to_follow(
    instance: dg.DagsterInstance, status: str, word: str, follows: bool
) -> None:
    run_id = add_run(instance, status, **EXPORT)
    assert bool(events(instance, run_id, word, age=1)) is follows
    assert events(instance, run_id, word, age=6)


def test_only_what_somebody_wants(instance: dg.DagsterInstance) -> None:
    run_id = add_run(instance, "SUCCESS", **EXPORT)
    asked = []

    def wants(organization: str, topic: str) -> bool:
        asked.append((organization, topic))
        return topic == "export.created"

    [found] = events(instance, run_id, "created", "completed", wants=wants)
    assert found.topic == "export.created"
    assert asked == [("north", "export.created"), ("north", "export.completed")]
