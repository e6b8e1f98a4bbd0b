"""Webhooks: addresses that are told of what becomes of jobs, and what each was told (C56-C61)."""

from collections.abc import Collection
from datetime import datetime, timezone
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from export_pipelines.api.bodies import Body
from export_pipelines.api.callers import Caller, ScopeMissing
from export_pipelines.api.dependencies import (
    Address,
    Cursor,
    ExportsReader,
    ExportsWriter,
    Limit,
)
from export_pipelines.api.operations import Operation
from export_pipelines.api.outward import asking
from export_pipelines.errors import shown
from export_pipelines.registration import webhooks as registration
from export_pipelines.registration.webhooks import Webhook
from export_pipelines.registry import deliveries, rows
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.webhooks.delivering import send_test
from export_pipelines.webhooks.topics import SUBSCRIPTIONS

router = APIRouter(tags=["webhooks"], route_class=Operation)
Id = Annotated[str, Path(description="Its id or name.", max_length=100)]
EventId = Annotated[str, Path(description="The event's id or the delivery's.", max_length=200)]
_TOPICS: dict[str, Any] = {"items": {"type": "string", "enum": list(SUBSCRIPTIONS)}}


class WebhookBody(Body):
    """A new webhook."""

    name: str
    url: str = Field(description="An https or http address that others can reach.")
    topics: list[str] = Field(default=["*"], json_schema_extra=_TOPICS)
    is_active: bool = True


class WebhookChanges(Body):
    """What changes of a webhook; what is not named stays."""

    url: str | None = None
    topics: list[str] | None = Field(
        default=None,
        json_schema_extra={"anyOf": [{"type": "array", **_TOPICS}, {"type": "null"}]},
    )
    is_active: bool | None = None


class WebhookView(BaseModel):
    """A webhook without its secret."""

    id: str
    name: str
    url: str
    topics: list[str]
    is_active: bool
    failures: int = Field(description="Attempts that have failed since one succeeded.")
    paused_until: str | None = Field(description="Until when nothing is sent, as it fails.")
    disabled_reason: str = Field(description="Why it was disabled by itself; empty otherwise.")
    created_at: str
    updated_at: str


class NewWebhook(WebhookView):
    """A webhook that was just registered, or got a new secret."""

    secret: str = Field(
        description="By which signatures are verified (Standard Webhooks): it is shown only now."
    )


class Webhooks(BaseModel):
    """All webhooks of an organization."""

    items: list[WebhookView]


class DeliveryView(BaseModel):
    """An event that a webhook is, or was, told of."""

    id: str
    event_id: str
    topic: str
    status: Literal["pending", "delivered", "failed"]
    attempts_count: int
    attempts: list[dict[str, Any]] = Field(description="The latest ten, and what they answered.")
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


class Deliveries(BaseModel):
    """Some deliveries, the newest first."""

    items: list[DeliveryView]
    next_cursor: str | None


class TestAnswer(BaseModel):
    """What a webhook answered to a test."""

    __test__ = False

    delivered: bool
    response_code: int | None
    response_message: str
    seconds: float


def _shown(row: WebhookRow) -> WebhookView:
    return WebhookView.model_validate(row, from_attributes=True)


def _shown_delivery(row: DeliveryRow) -> DeliveryView:
    view = DeliveryView.model_validate(row, from_attributes=True)
    return (
        view
        if row.status == deliveries.PENDING
        else view.model_copy(update={"next_attempt_at": None})
    )


def _require_rights(caller: Caller, topics: Collection[str]) -> None:
    """Keep imports from those who may not read them.

    Raises:
        ScopeMissing: the key has no right to what the topics tell of.
    """
    shows_imports = any(topic == "*" or topic.startswith("import.") for topic in topics)
    if shows_imports and "imports:write" not in caller.scopes:
        raise ScopeMissing(
            "Webhooks with the topic *, or one of imports, show imports, for which the API key "
            f"{shown(caller.name)} lacks the scope imports:write: choose other topics, or use "
            "another key."
        )


@router.post("/webhooks", status_code=201)
async def create_webhook(
    body: WebhookBody, caller: ExportsWriter, address: Address, response: Response
) -> NewWebhook:
    """Registers a webhook, and shows its secret this once."""
    # Its host is looked up, which may take long.
    create = partial(_created, body, caller, address, response)
    return await asking(caller.organization, create)


def _created(body: WebhookBody, caller: Caller, address: str, response: Response) -> NewWebhook:
    _require_rights(caller, body.topics)
    asked = registration.check(Webhook(body.name, body.url, body.topics, body.is_active))
    with writing() as session:
        row, secret = registration.add(session, caller.organization, asked)
    response.headers["Location"] = f"{address}/webhooks/{row.id}"
    response.headers["Cache-Control"] = "no-store"
    return NewWebhook(**_shown(row).model_dump(), secret=secret)


@router.get("/webhooks")
def list_webhooks(caller: ExportsReader) -> Webhooks:
    """Lists webhooks by name."""
    with reading() as session:
        stored = rows.all_of(session, WebhookRow, caller.organization)
    return Webhooks(items=[_shown(row) for row in stored])


@router.get("/webhooks/{id}")
def get_webhook(id: Id, caller: ExportsReader) -> WebhookView:
    """Returns a webhook."""
    with reading() as session:
        return _shown(rows.require(session, WebhookRow, caller.organization, id))


@router.patch("/webhooks/{id}")
async def update_webhook(id: Id, body: WebhookChanges, caller: ExportsWriter) -> WebhookView:
    """Changes a webhook; to enable one that is paused or disabled itself, set `is_active`."""
    return await asking(caller.organization, partial(_changed, id, body, caller))


def _changed(name_or_id: str, body: WebhookChanges, caller: Caller) -> WebhookView:
    if body.url is not None:
        registration.check_url(body.url)
    with writing() as session:
        row = rows.require(session, WebhookRow, caller.organization, name_or_id)
        url = row.url if body.url is None else body.url
        topics = row.topics if body.topics is None else body.topics
        if (url, topics) != (row.url, row.topics):
            _require_rights(caller, topics)
        registration.change(session, row, url=url, topics=topics)
        if body.is_active is not None:
            registration.switch(session, row, is_active=body.is_active)
        return _shown(row)


@router.delete("/webhooks/{id}", status_code=204)
def delete_webhook(id: Id, caller: ExportsWriter) -> None:
    """Takes a webhook out of the registry, with what it was told."""
    with writing() as session:
        registration.remove(session, rows.require(session, WebhookRow, caller.organization, id))


@router.post("/webhooks/{id}/rotate-secret")
def rotate_webhook_secret(id: Id, caller: ExportsWriter, response: Response) -> NewWebhook:
    """Gives a webhook another secret; for a day both sign."""
    with writing() as session:
        row = rows.require(session, WebhookRow, caller.organization, id)
        secret = registration.rotate(session, row)
        response.headers["Cache-Control"] = "no-store"
        return NewWebhook(**_shown(row).model_dump(), secret=secret)


@router.post("/webhooks/{id}/test")
async def test_webhook(id: Id, caller: ExportsWriter) -> TestAnswer:
    """Sends a `webhook.test` event now, and says what came back."""
    return await asking(caller.organization, partial(_tested, id, caller.organization))


def _tested(name_or_id: str, organization: str) -> TestAnswer:
    with reading() as session:
        row = rows.require(session, WebhookRow, organization, name_or_id)
    answer = send_test(row)
    return TestAnswer(
        delivered=answer.is_delivered,
        response_code=answer.code,
        response_message=answer.message,
        seconds=round(answer.seconds, 3),
    )


@router.get("/webhooks/{id}/deliveries")
def list_webhook_deliveries(
    id: Id,
    caller: ExportsReader,
    status: Annotated[
        Literal["pending", "delivered", "failed"] | None,
        Query(description="Only those that are so."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Deliveries:
    """Lists what a webhook is, or was, told of, and how that went."""
    with reading() as session:
        row = rows.require(session, WebhookRow, caller.organization, id)
        found, following = deliveries.page(session, row, status=status, limit=limit, cursor=cursor)
    return Deliveries(items=[_shown_delivery(each) for each in found], next_cursor=following)


@router.post("/webhooks/{id}/deliveries/{event_id}/redeliver", status_code=202)
def redeliver_webhook_event(id: Id, event_id: EventId, caller: ExportsWriter) -> DeliveryView:
    """Has an event sent to a webhook again."""
    with writing() as session:
        row = rows.require(session, WebhookRow, caller.organization, id)
        moment = datetime.now(timezone.utc)
        return _shown_delivery(deliveries.redeliver(session, row, event_id, moment))
