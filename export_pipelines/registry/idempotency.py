"""Requests that callers have named, so that one that is sent twice is carried out once."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from sqlalchemy import delete
from sqlalchemy.orm import Session

from export_pipelines.clock import now, written
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import IdempotencyRow

KEPT_HOURS = 24


@dataclass(frozen=True)
class Claim:
    """A name of a request.

    Attributes:
        organization: whose it is.
        key: the name.
        digest: of the request that it was given to.
        run_id: what came of that; empty as long as it is being carried out.
        since: when that was begun, ISO 8601 in UTC. It tells one claim of a name from another.
        is_new: whether it is the first of that name.
    """

    organization: str
    key: str
    digest: str
    run_id: str
    since: str
    is_new: bool


def claim(organization: str, key: str, digest: str) -> Claim:
    """Note a request, or return the earlier one of that name.

    Names are forgotten after 24 hours.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        oldest = written(datetime.now(timezone.utc) - timedelta(hours=KEPT_HOURS))
        session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < oldest))
        row = session.get(IdempotencyRow, (organization, key))
        if row:
            return Claim(organization, key, row.digest, row.run_id, row.created_at, is_new=False)
        made = Claim(organization, key, digest, "", now(), is_new=True)
        session.add(
            IdempotencyRow(
                organization=organization, key=key, digest=digest, run_id="", created_at=made.since
            )
        )
        return made


def take_over(lost: Claim) -> Claim | None:
    """Begin a request anew that nobody carries out any more; None if somebody else does by now.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        row = _find(session, lost)
        if row is None or row.run_id:
            return None
        row.created_at = now()
        return replace(lost, since=row.created_at)


def settle(claimed: Claim, run_id: str) -> None:
    """Note what came of a request.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        row = _find(session, claimed)
        if row:
            row.run_id = run_id


def forget(claimed: Claim) -> None:
    """Free the name of a request that came to nothing.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with writing() as session:
        row = _find(session, claimed)
        if row:
            session.delete(row)


def _find(session: Session, claimed: Claim) -> IdempotencyRow | None:
    """Return the row of a claim; none if it is another's by now."""
    row = session.get(IdempotencyRow, (claimed.organization, claimed.key))
    return row if row and row.created_at == claimed.since else None
