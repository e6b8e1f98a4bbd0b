"""Registering webhooks: where they go is checked, and their secret is shown once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from sqlalchemy.orm import Session

from export_pipelines.clock import now
from export_pipelines.registry import deliveries, rows
from export_pipelines.registry.models import WebhookRow
from export_pipelines.registry.secrets import decrypt, encrypt
from export_pipelines.webhooks.addresses import parse, resolve
from export_pipelines.webhooks.signatures import new_secret, replaced
from export_pipelines.webhooks.topics import check_topics


@dataclass(frozen=True)
class Webhook:
    """What is registered as a webhook.

    Attributes:
        name: what people call it.
        url: where events are sent.
        topics: what it is told of; `export.*`, `import.*` and `*` stand for several.
        is_active: whether anything is sent there.
    """

    name: str
    url: str
    topics: Sequence[str] = ("*",)
    is_active: bool = True


def check(asked: Webhook) -> Webhook:
    """Return a webhook with each of its topics once. Its host is looked up.

    Raises:
        RequestError: its name is none, a topic is unknown, or its URL may not be sent to.
    """
    rows.check_name("webhook", asked.name)
    topics = check_topics(asked.topics)
    resolve(parse(asked.url))
    return replace(asked, topics=topics)


def add(session: Session, organization: str, asked: Webhook) -> tuple[WebhookRow, str]:
    """Store a checked webhook, and return it with its secret, which is not shown again.

    Raises:
        NameTaken: the organization has one of that name.
        KeyUnavailable: the secret cannot be encrypted, as the key of those before is gone.
    """
    rows.require_free(session, WebhookRow, organization, asked.name)
    secret = new_secret()
    row = WebhookRow(
        organization=organization,
        name=asked.name,
        url=asked.url,
        topics=list(asked.topics),
        is_active=asked.is_active,
        secrets=encrypt(session, {"secret": secret}),
        failures=0,
        paused_until=None,
        disabled_reason="",
    )
    rows.add(session, row)
    return row, secret


def change(row: WebhookRow, asked: Webhook) -> bool:
    """Store what a checked webhook is now, and return whether anything differs."""
    if asked == registered(row):
        return False
    if asked.url != row.url or asked.is_active != row.is_active:
        _begin_anew(row)
    row.url = asked.url
    row.topics = list(asked.topics)
    row.is_active = asked.is_active
    row.updated_at = now()
    return True


def switch(row: WebhookRow, *, is_active: bool) -> bool:
    """Enable or disable a webhook, and return whether it was not so before.

    What waits is sent when it is enabled again. To enable one that is paused ends the pause.
    """
    if is_active or row.is_active:
        _begin_anew(row)
    return rows.switch(row, is_active=is_active)


def remove(session: Session, row: WebhookRow) -> None:
    """Take a webhook out of the registry, with its secret and its deliveries."""
    deliveries.forget(session, row.id)
    session.delete(row)


def rotate(session: Session, row: WebhookRow) -> str:
    """Give a webhook another secret, and return it; it is not shown again.

    For a day both sign, so that the receiver can follow.

    Raises:
        KeyUnavailable: the one before cannot be read, or the new one not be encrypted.
    """
    secret = new_secret()
    stored = replaced(decrypt(row), secret, datetime.now(timezone.utc))
    row.secrets = encrypt(session, stored)
    row.updated_at = now()
    return secret


def registered(row: WebhookRow) -> Webhook:
    """Return a stored webhook."""
    return Webhook(row.name, row.url, row.topics, row.is_active)


def _begin_anew(row: WebhookRow) -> None:
    row.failures = 0
    row.paused_until = None
    row.disabled_reason = ""
