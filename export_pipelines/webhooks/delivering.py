"""Delivering what is due, and recording what came back.

It is sent before it is recorded: who crashes between sends it again.
"""

import json
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from export_pipelines import settings
from export_pipelines.registry import deliveries
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.registry.secrets import decrypt
from export_pipelines.runs.links import with_links
from export_pipelines.runs.views import ExportJob
from export_pipelines.webhooks import outcomes
from export_pipelines.webhooks.events import trial_event
from export_pipelines.webhooks.sending import Answer, post
from export_pipelines.webhooks.signatures import headers

TURN_SECONDS = 15.0
"""How long a webhook is served before it is another's turn."""

_LEASE = timedelta(seconds=60)


@dataclass
class Tally:
    """What became of deliveries.

    Attributes:
        delivered: how many arrived.
        failed: how many attempts did not succeed.
        reason: why the first one did not.
    """

    delivered: int = 0
    failed: int = 0
    reason: str = ""

    def count(self, webhook: WebhookRow, answer: Answer) -> None:
        """Count an attempt."""
        if answer.is_delivered:
            self.delivered += 1
        else:
            self.failed += 1
            self.reason = self.reason or f"{webhook.name}: {answer.sentence}"


@dataclass(frozen=True)
class Claimed:
    """A delivery that nobody else sends for a while."""

    webhook: WebhookRow
    row: DeliveryRow = field(repr=False)


def deliver_due(webhook_id: str, tally: Tally, *, only_first: bool) -> None:
    """Send what is due to a webhook, the oldest first, for some seconds or until nothing is left.

    It ends with an attempt to which there is no answer: others may be waiting for the place.

    Args:
        webhook_id: whose.
        tally: counts what becomes of it.
        only_first: whether only what was never tried is sent, unless the webhook is paused.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: secrets cannot be read.
        RequestError: the settings name no right address of the web server.
    """
    end = time.monotonic() + TURN_SECONDS
    with writing() as session:
        claimed = claim(session, webhook_id, only_first=only_first)
    while claimed:
        answer = send(claimed)
        with writing() as session:
            record(session, claimed, answer)
            tally.count(claimed.webhook, answer)
            goes_on = answer.code is not None and time.monotonic() < end
            claimed = claim(session, webhook_id, only_first=only_first) if goes_on else None


def claim(session: Session, webhook_id: str, *, only_first: bool) -> Claimed | None:
    """Return what is to be sent to a webhook next; None if nothing is."""
    moment = _now()
    found = deliveries.claim(session, webhook_id, moment, moment + _LEASE, only_first=only_first)
    return Claimed(*found) if found else None


def send(claimed: Claimed) -> Answer:
    """Send a delivery, with links that work when it arrives.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: secrets cannot be read.
        RequestError: the settings name no right address of the web server.
    """
    return _post(claimed.webhook, claimed.row.event_id, _with_links(claimed.row.payload))


def record(session: Session, claimed: Claimed, answer: Answer) -> None:
    """Record what came back."""
    chance = random.random()  # noqa: S311 - spreads attempts
    url = claimed.webhook.url
    outcomes.record(session, claimed.row.id, url, answer, _now(), chance)


def send_test(webhook: WebhookRow) -> Answer:
    """Send an event that tells nothing, and return what came back; it is not recorded.

    Args:
        webhook: to whom, be it disabled or paused.

    Raises:
        KeyUnavailable: its secret cannot be read.
    """
    event = trial_event(webhook)
    return _post(webhook, event.id, event.payload)


def _post(webhook: WebhookRow, event_id: str, body: str) -> Answer:
    signed = headers(decrypt(webhook), event_id, _now(), body)
    return post(webhook.url, signed, body.encode())


def _with_links(payload: str) -> str:
    body: dict[str, Any] = json.loads(payload)
    if not body["data"].get("files"):
        return payload
    try:
        stored = ExportJob.model_validate(body["data"])
    except ValidationError:
        # It was recorded by another version: the event arrives, and the API has the links.
        return payload
    job = with_links(stored, f"{settings.public_url()}/api/v1")
    return json.dumps({**body, "data": job.model_dump(mode="json")}, ensure_ascii=False)


def _now() -> datetime:
    return datetime.now(timezone.utc)
