"""Requests that callers have named, so that one that is sent twice is carried out once."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import delete
from sqlalchemy.orm import Session

from export_pipelines.clock import now, written
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import IdempotencyRow

KEPT_HOURS = 24


@dataclass(frozen=True)
class Earlier:
    """The same name, given before.

    Attributes:
        digest: of the request that it was given to.
        run_id: what came of that; empty as long as it is being carried out.
        since: when that was, ISO 8601 in UTC.
    """

    digest: str
    run_id: str
    since: str


def claim(organization: str, key: str, digest: str) -> Earlier | None:
    """Note a request, and return the earlier one of that name; None if it is the first.

    Names are forgotten after 24 hours.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        oldest = written(datetime.now(timezone.utc) - timedelta(hours=KEPT_HOURS))
        session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < oldest))
        row = _find(session, organization, key)
        if row:
            return Earlier(row.digest, row.run_id, row.created_at)
        session.add(
            IdempotencyRow(
                organization=organization, key=key, digest=digest, run_id="", created_at=now()
            )
        )
        return None


def settle(organization: str, key: str, run_id: str) -> None:
    """Note what came of a request.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        row = _find(session, organization, key)
        if row:
            row.run_id = run_id


def forget(organization: str, key: str) -> None:
    """Free the name of a request that came to nothing.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        row = _find(session, organization, key)
        if row:
            session.delete(row)


def _find(session: Session, organization: str, key: str) -> IdempotencyRow | None:
    return session.get(IdempotencyRow, (organization, key))
