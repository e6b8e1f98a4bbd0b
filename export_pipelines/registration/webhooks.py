"""Registering webhooks: where they go is checked, and their secret is shown once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from sqlalchemy.orm import Session

from export_pipelines.clock import now
from export_pipelines.errors import RequestError
from export_pipelines.registry import deliveries, rows
from export_pipelines.registry.models import WebhookRow
from export_pipelines.registry.secrets import decrypt, encrypt
from export_pipelines.webhooks.addresses import parse, resolve
from export_pipelines.webhooks.signatures import new_secret, replaced
from export_pipelines.webhooks.topics import check_topics

MOST_OF_ONE = 50
"""So many webhooks of an organization."""


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
    """Return a new webhook with each of its topics once. Its host is looked up.

    Raises:
        RequestError: its name is none, a topic is unknown, or its URL may not be sent to.
    """
    rows.check_name("webhook", asked.name)
    topics = check_topics(asked.topics)
    check_url(asked.url)
    return replace(asked, topics=topics)


def check_url(url: str) -> None:
    """Look up whether webhooks may go to a URL; it may take seconds.

    Raises:
        RequestError: it is none, its host has no address, or it may not be sent to.
    """
    resolve(parse(url))


def add(session: Session, organization: str, asked: Webhook) -> tuple[WebhookRow, str]:
    """Store a checked webhook, and return it with its secret, which is not shown again.

    Raises:
        NameTaken: the organization has one of that name.
        RequestError: it has as many webhooks as it may have.
        KeyUnavailable: the secret cannot be encrypted, as the key of those before is gone.
    """
    rows.require_free(session, WebhookRow, organization, asked.name)
    if len(rows.all_of(session, WebhookRow, organization)) >= MOST_OF_ONE:
        raise RequestError(
            f"An organization may have {MOST_OF_ONE} webhooks, and this one has them: remove one, "
            "or give one that there is more topics."
        )
    secret = new_secret()
    row = WebhookRow(
        organization=organization,
        name=asked.name,
        url=asked.url,
        topics=list(asked.topics),
        is_active=asked.is_active,
        enabled_at=now(),
        secrets=encrypt(session, {"secret": secret}),
        failures=0,
        paused_until=None,
        disabled_reason="",
    )
    rows.add(session, row)
    return row, secret


def change(session: Session, row: WebhookRow, *, url: str, topics: Sequence[str]) -> None:
    """Store another checked URL or other topics of a webhook. What waits goes to the new URL.

    Raises:
        RequestError: a topic is unknown, or there is none.
    """
    chosen = check_topics(topics)
    if url != row.url:
        _begin_anew(session, row)
    if (url, chosen) != (row.url, row.topics):
        row.url, row.topics, row.updated_at = url, chosen, now()


def switch(session: Session, row: WebhookRow, *, is_active: bool) -> bool:
    """Enable or disable a webhook, and return whether it was not so before.

    What waits is sent at once when it is enabled again, and what has happened meanwhile is not
    told. To enable one that is paused ends the pause.
    """
    if is_active or row.is_active:
        _begin_anew(session, row)
    changed = rows.switch(row, is_active=is_active)
    if changed and is_active:
        row.enabled_at = row.updated_at
    return changed


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


def _begin_anew(session: Session, row: WebhookRow) -> None:
    deliveries.hurry(session, row.id, datetime.now(timezone.utc))
    row.failures = 0
    row.paused_until = None
    row.disabled_reason = ""
