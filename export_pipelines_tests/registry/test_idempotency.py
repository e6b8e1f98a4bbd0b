from datetime import datetime, timedelta, timezone

from export_pipelines.clock import written
from export_pipelines.registry.database import writing
from export_pipelines.registry.idempotency import Earlier, claim, forget, settle
from export_pipelines.registry.models import IdempotencyRow


def test_a_name_is_claimed_once_by_each_organization() -> None:
    assert claim("acme", "monday", "a") is None
    earlier = claim("acme", "monday", "b")
    assert earlier == Earlier("a", "", earlier.since if earlier else "")
    assert claim("globex", "monday", "c") is None
    settle("acme", "monday", "run")
    again = claim("acme", "monday", "a")
    assert again
    assert (again.digest, again.run_id) == ("a", "run")
    forget("acme", "monday")
    assert claim("acme", "monday", "d") is None


def test_names_are_forgotten_after_a_day() -> None:
    claim("acme", "old", "a")
    claim("acme", "new", "a")
    with writing() as session:
        row = session.get(IdempotencyRow, ("acme", "old"))
        assert row
        row.created_at = written(datetime.now(timezone.utc) - timedelta(hours=25))
    assert claim("acme", "old", "b") is None
    assert claim("acme", "new", "b") is not None


def test_what_is_not_there_is_neither_settled_nor_forgotten() -> None:
    settle("acme", "none", "run")
    forget("acme", "none")
    assert claim("acme", "none", "a") is None
