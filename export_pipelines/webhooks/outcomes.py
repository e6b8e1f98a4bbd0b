"""What follows from an attempt: for its delivery, and for the webhook (circuit breaker, 410)."""

from datetime import datetime, timezone

from sqlalchemy.orm import Session

from export_pipelines.clock import seconds_of, written
from export_pipelines.registry import deliveries
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.webhooks.patience import FAILURES_BEFORE_PAUSE, TRYING, delay, pause
from export_pipelines.webhooks.sending import Answer

KEPT_ATTEMPTS = 10


def record(
    session: Session,
    delivery_id: str,
    url: str,
    answer: Answer,
    moment: datetime,
    chance: float,
) -> None:
    """Record an attempt, unless its webhook or its delivery was removed meanwhile.

    Args:
        session: of `writing`.
        delivery_id: the delivery's.
        url: where it was sent.
        answer: what came back.
        moment: now.
        chance: from 0 to 1, at random.
    """
    row = session.get(DeliveryRow, delivery_id)
    webhook = session.get(WebhookRow, row.webhook_id) if row else None
    if row is None or webhook is None:
        return
    _add_attempt(row, answer, moment)
    if answer.is_delivered:
        _end(row, deliveries.DELIVERED, moment)
    elif row.status == deliveries.PENDING:
        _try_again(row, moment, chance)
    # A webhook that was given another URL meanwhile is not judged by the one before.
    if webhook.url == url and webhook.is_active:
        _judge(session, webhook, row, answer, moment)


def _add_attempt(row: DeliveryRow, answer: Answer, moment: datetime) -> None:
    attempt = {
        "at": written(moment),
        "response_code": answer.code,
        "response_message": answer.message,
        "seconds": answer.seconds,
    }
    row.attempts = [*row.attempts, attempt][-KEPT_ATTEMPTS:]
    row.attempts_count += 1


def _end(row: DeliveryRow, status: str, moment: datetime) -> None:
    row.status = status
    row.ended_at = written(moment)


def _try_again(row: DeliveryRow, moment: datetime, chance: float) -> None:
    last = datetime.fromtimestamp(seconds_of(row.created_at), timezone.utc) + TRYING
    if moment >= last:
        _end(row, deliveries.FAILED, moment)
    else:
        row.next_attempt_at = written(min(moment + delay(row.attempts_count, chance), last))


def _judge(
    session: Session, webhook: WebhookRow, row: DeliveryRow, answer: Answer, moment: datetime
) -> None:
    if answer.is_delivered:
        if webhook.paused_until:
            deliveries.hurry(session, webhook.id, moment)
        webhook.failures = 0
        webhook.paused_until = None
        return
    webhook.failures += 1
    waiting = pause(webhook.failures)
    webhook.paused_until = written(moment + waiting) if waiting else None
    if answer.is_gone:
        _disable(session, webhook, "It answered 410: it is gone, and wants no more events.", moment)
    elif _is_hopeless(session, webhook, row):
        reason = f"Nothing could be delivered for {TRYING.days} days. {answer.sentence}"
        _disable(session, webhook, reason, moment)


def _is_hopeless(session: Session, webhook: WebhookRow, row: DeliveryRow) -> bool:
    """Return whether a webhook took nothing for as long as the event was tried that is given up."""
    return (
        row.status == deliveries.FAILED
        and webhook.failures >= FAILURES_BEFORE_PAUSE
        and webhook.updated_at < row.created_at
        and not deliveries.was_told_since(session, webhook.id, row.created_at)
    )


def _disable(session: Session, webhook: WebhookRow, reason: str, moment: datetime) -> None:
    webhook.is_active = False
    webhook.disabled_reason = reason
    webhook.paused_until = None
    webhook.updated_at = written(moment)
    deliveries.give_up(session, webhook.id, moment)
