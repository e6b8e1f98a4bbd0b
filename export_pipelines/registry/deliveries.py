"""Deliveries: events that webhooks are, or were, told of."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from export_pipelines.clock import written
from export_pipelines.errors import NotRegistered, RequestError, shown, unknown
from export_pipelines.registry.models import DeliveryRow, WebhookRow

PENDING, DELIVERED, FAILED = STATUSES = ("pending", "delivered", "failed")


def webhooks(session: Session) -> list[WebhookRow]:
    """Return the webhooks of all organizations."""
    return list(session.scalars(select(WebhookRow).order_by(WebhookRow.id)))


def find(session: Session, webhook: WebhookRow, event_id: str) -> DeliveryRow:
    """Return the delivery of an event to a webhook, by the id of either.

    Raises:
        NotRegistered: there is none, or it was so long ago that it was removed.
    """
    found = session.scalars(
        select(DeliveryRow).where(
            DeliveryRow.webhook_id == webhook.id,
            or_(DeliveryRow.event_id == event_id, DeliveryRow.id == event_id),
        )
    ).first()
    if found:
        return found
    raise NotRegistered(
        f"The webhook {shown(webhook.name)} was never told of an event {shown(event_id)}, or it "
        "was long ago."
    )


def page(
    session: Session,
    webhook: WebhookRow,
    *,
    status: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> tuple[list[DeliveryRow], str | None]:
    """Return a webhook's newest deliveries, and the cursor of the next page if there is one.

    Args:
        session: any.
        webhook: whose.
        status: `pending`, `delivered` or `failed`; None for all.
        limit: how many at most.
        cursor: that of a page before; None for the first.

    Raises:
        RequestError: there is no such status, or the cursor is none.
    """
    if status is not None and status not in STATUSES:
        raise RequestError(unknown("status", status, list(STATUSES)))
    chosen = select(DeliveryRow).where(DeliveryRow.webhook_id == webhook.id)
    if status is not None:
        chosen = chosen.where(DeliveryRow.status == status)
    place = tuple_(DeliveryRow.created_at, DeliveryRow.id)
    if cursor is not None:
        at, _, delivery_id = cursor.partition("_")
        if not delivery_id:
            raise RequestError(f"{shown(cursor)} is no cursor: use that of the page before.")
        chosen = chosen.where(place < tuple_(at, delivery_id))
    newest = chosen.order_by(DeliveryRow.created_at.desc(), DeliveryRow.id.desc())
    found = list(session.scalars(newest.limit(limit + 1)))
    rows = found[:limit]
    more = f"{rows[-1].created_at}_{rows[-1].id}" if len(found) > limit else None
    return rows, more


def redeliver(
    session: Session, webhook: WebhookRow, event_id: str, moment: datetime
) -> DeliveryRow:
    """Have an event sent to a webhook again, as soon as anything is.

    Args:
        session: of `writing`.
        webhook: to whom.
        event_id: the event's or the delivery's.
        moment: now.

    Raises:
        NotRegistered: the webhook was not told of it.
        RequestError: the webhook is disabled.
    """
    row = find(session, webhook, event_id)
    if not webhook.is_active:
        raise RequestError(f"The webhook {shown(webhook.name)} is disabled: enable it first.")
    row.status = PENDING
    row.next_attempt_at = written(moment)
    row.ended_at = None
    return row


def recorded(session: Session, event_ids: Collection[str]) -> set[str]:
    """Return the events, of some, that any webhook is or was told of."""
    return {event_id for _, event_id in recorded_pairs(session, event_ids)}


def recorded_pairs(session: Session, event_ids: Collection[str]) -> set[tuple[str, str]]:
    """Return who was told of some events: ids of webhooks and of events."""
    chosen = select(DeliveryRow.webhook_id, DeliveryRow.event_id)
    found = session.execute(chosen.where(DeliveryRow.event_id.in_(event_ids)))
    return {(webhook_id, event_id) for webhook_id, event_id in found}


def due(session: Session, moment: datetime, *, only_first: bool) -> list[WebhookRow]:
    """Return the webhooks that something can be sent to, those that work before those that fail.

    Of those that are alike in that, the one comes first for which something waits longest.

    Args:
        session: any.
        moment: now.
        only_first: whether only what was never tried counts, at webhooks that are not paused.
    """
    at = written(moment)
    chosen = (
        select(WebhookRow)
        .join(DeliveryRow, WebhookRow.id == DeliveryRow.webhook_id)
        .where(DeliveryRow.status == PENDING, DeliveryRow.next_attempt_at <= at)
        .where(WebhookRow.is_active)
        .group_by(WebhookRow.id)
        .order_by(WebhookRow.failures, func.min(DeliveryRow.created_at))
    )
    not_paused = WebhookRow.paused_until.is_(None)
    if only_first:
        chosen = chosen.where(DeliveryRow.attempts_count == 0, not_paused)
    else:
        chosen = chosen.where(or_(not_paused, WebhookRow.paused_until <= at))
    return list(session.scalars(chosen))


def claim(
    session: Session, webhook_id: str, moment: datetime, until: datetime, *, only_first: bool
) -> tuple[WebhookRow, DeliveryRow] | None:
    """Return what is to be sent to a webhook next, which nobody else does for a while; or None.

    After a pause it is only one delivery.

    Args:
        session: of `writing`.
        webhook_id: whose.
        moment: now.
        until: from when on others may send it, if nothing is recorded before.
        only_first: as with `due`.
    """
    at = written(moment)
    webhook = session.get(WebhookRow, webhook_id)
    if webhook is None or not webhook.is_active:
        return None
    if webhook.paused_until and (only_first or webhook.paused_until > at):
        return None
    chosen = select(DeliveryRow).where(
        DeliveryRow.webhook_id == webhook_id,
        DeliveryRow.status == PENDING,
        DeliveryRow.next_attempt_at <= at,
    )
    if only_first:
        chosen = chosen.where(DeliveryRow.attempts_count == 0)
    oldest = chosen.order_by(DeliveryRow.created_at, DeliveryRow.id).limit(1)
    row = session.scalars(oldest).one_or_none()
    if row is None:
        return None
    row.next_attempt_at = written(until)
    if webhook.paused_until:
        webhook.paused_until = written(until)
    return webhook, row


def hurry(session: Session, webhook_id: str, moment: datetime) -> None:
    """Have all that waits for another attempt sent at once."""
    at = written(moment)
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.webhook_id == webhook_id, DeliveryRow.status == PENDING)
        .where(DeliveryRow.next_attempt_at > at)
        .values(next_attempt_at=at)
    )


def give_up(session: Session, webhook_id: str, moment: datetime) -> None:
    """Have nothing sent that waits; it can be redelivered."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.webhook_id == webhook_id, DeliveryRow.status == PENDING)
        .values(status=FAILED, ended_at=written(moment))
    )


def was_told_since(session: Session, webhook_id: str, at: str) -> bool:
    """Return whether a webhook has taken anything since a time."""
    chosen = select(DeliveryRow.id).where(
        DeliveryRow.webhook_id == webhook_id,
        DeliveryRow.status == DELIVERED,
        DeliveryRow.ended_at >= at,
    )
    return session.scalars(chosen.limit(1)).one_or_none() is not None


def forget(session: Session, webhook_id: str) -> None:
    """Remove all deliveries to a webhook."""
    session.execute(delete(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id))


def prune(session: Session, before: datetime) -> None:
    """Remove what ended before a moment."""
    session.execute(
        delete(DeliveryRow).where(
            DeliveryRow.status != PENDING, DeliveryRow.ended_at < written(before)
        )
    )
