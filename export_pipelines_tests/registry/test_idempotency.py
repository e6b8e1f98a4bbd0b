import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from export_pipelines.clock import written
from export_pipelines.registry.database import writing
from export_pipelines.registry.idempotency import claim, forget, settle, take_over
from export_pipelines.registry.models import IdempotencyRow


def test_a_name_is_claimed_once_by_each_organization() -> None:
    first = claim("acme", "monday", "a")
    assert (first.is_new, first.digest, first.run_id) == (True, "a", "")
    assert claim("acme", "monday", "b") == replace(first, is_new=False)
    assert claim("globex", "monday", "c").is_new
    settle(first, "run")
    assert claim("acme", "monday", "a") == replace(first, is_new=False, run_id="run")
    forget(first)
    assert claim("acme", "monday", "d").is_new


def test_names_are_forgotten_after_a_day() -> None:
    claim("acme", "old", "a")
    claim("acme", "new", "a")
    with writing() as session:
        row = session.get(IdempotencyRow, ("acme", "old"))
        assert row
        row.created_at = written(datetime.now(timezone.utc) - timedelta(hours=25))
    assert claim("acme", "old", "b").is_new
    assert not claim("acme", "new", "b").is_new


def test_a_claim_is_taken_over_once_and_its_first_holder_has_lost_it() -> None:
    first = claim("acme", "monday", "a")
    time.sleep(0.002)
    second = take_over(first)
    assert second
    assert take_over(first) is None
    settle(first, "run")
    forget(first)
    assert claim("acme", "monday", "a") == replace(second, is_new=False)
    settle(second, "run")
    assert take_over(second) is None
