"""What is alike for all that has a name in an organization."""

from typing import TypeVar
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from export_pipelines.clock import now
from export_pipelines.errors import NameTaken, NotRegistered, RequestError, shown, unknown
from export_pipelines.registry.database import state
from export_pipelines.registry.models import (
    NAME_CHARACTERS,
    ApiKeyRow,
    PlatformRow,
    ProfileRow,
    ScheduleRow,
    WebhookRow,
)

Row = TypeVar("Row", PlatformRow, ProfileRow, ScheduleRow, ApiKeyRow, WebhookRow)

KINDS = {
    PlatformRow: "platform",
    ProfileRow: "profile",
    ScheduleRow: "schedule",
    ApiKeyRow: "API key",
    WebhookRow: "webhook",
}


def check_name(kind: str, name: str) -> str:
    """Return a name that people can read and type.

    Raises:
        RequestError: it is empty, too long, or has blanks around it or unseen characters in it.
    """
    if name and name == name.strip() and name.isprintable() and len(name) <= NAME_CHARACTERS:
        return name
    raise RequestError(
        f"{shown(name)} cannot be a {kind}'s name: use 1 to {NAME_CHARACTERS} characters that can "
        "be seen, without blanks around them."
    )


def all_of(session: Session, kind: type[Row], organization: str) -> list[Row]:
    """Return what an organization has registered, by name."""
    chosen = select(kind).where(kind.organization == organization).order_by(kind.name)
    return list(session.scalars(chosen))


def find(session: Session, kind: type[Row], organization: str, name: str) -> Row | None:
    """Return what is registered under a name, or under an id; None for nothing."""
    owned = select(kind).where(kind.organization == organization)
    by_name = session.scalars(owned.where(kind.name == name)).one_or_none()
    return by_name or session.scalars(owned.where(kind.id == name)).one_or_none()


def require(session: Session, kind: type[Row], organization: str, name: str) -> Row:
    """Return what is registered under a name, or under an id.

    Raises:
        NotRegistered: there is nothing.
    """
    found = find(session, kind, organization, name)
    if found:
        return found
    known = [row.name for row in all_of(session, kind, organization)]
    if known:
        raise NotRegistered(unknown(KINDS[kind], name, known))
    raise NotRegistered(f"There is no {KINDS[kind]} {shown(name)}: none is registered.")


def require_free(session: Session, kind: type[Row], organization: str, name: str) -> None:
    """Refuse a name that is taken.

    Raises:
        NameTaken: the organization has something of that kind and name.
    """
    if find(session, kind, organization, name):
        noun = f"{_article(KINDS[kind])} {KINDS[kind]}"
        raise NameTaken(
            f"There is already {noun} {shown(name)}: choose another name, or change that one."
        )


def _article(noun: str) -> str:
    return "an" if noun[0] in "AEIOU" else "a"


def add(session: Session, row: Row) -> None:
    """Store a new row with an id and its times."""
    row.id = str(uuid4())
    row.created_at = row.updated_at = now()
    session.add(row)


def switch(row: PlatformRow | ProfileRow | ApiKeyRow | WebhookRow, *, is_active: bool) -> bool:
    """Enable or disable something, and return whether it was not so before."""
    if row.is_active is is_active:
        return False
    row.is_active = is_active
    row.updated_at = now()
    return True


def changed(session: Session) -> None:
    """Note that definitions of schedules have to be made anew."""
    state(session).schedules_revision += 1
