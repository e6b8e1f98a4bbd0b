"""API keys: who may use the API, of the caller's organization."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from export_pipelines.api.bodies import Body
from export_pipelines.api.dependencies import Address, Admin
from export_pipelines.api.jobs import moment
from export_pipelines.api.operations import Operation
from export_pipelines.registration import api_keys as registration
from export_pipelines.registration.api_keys import ApiKey
from export_pipelines.registry import rows
from export_pipelines.registry.api_keys import SCOPES
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import ApiKeyRow

router = APIRouter(tags=["keys"], route_class=Operation)
Id = Annotated[str, Path(description="Its id or name.", max_length=100)]


class KeyBody(Body):
    """A new key."""

    name: str
    scopes: list[str] = Field(
        min_length=1, json_schema_extra={"items": {"type": "string", "enum": list(SCOPES)}}
    )
    expires_at: str | None = Field(
        default=None, description="From when on it is refused, as 2027-03-15T09:00:00Z; or never."
    )


class KeyView(BaseModel):
    """A key, of which only the first characters can be seen."""

    id: str
    name: str
    prefix: str
    organization: str
    scopes: list[str]
    is_active: bool
    expires_at: str | None
    last_used_at: str | None
    created_at: str


class NewKey(KeyView):
    """A key that was just made."""

    key: str = Field(description="The whole key: it is shown only now.")


class Keys(BaseModel):
    """All keys of an organization."""

    items: list[KeyView]


def _shown(row: ApiKeyRow) -> KeyView:
    return KeyView.model_validate(row, from_attributes=True)


@router.post("/keys", status_code=201)
def create_key(body: KeyBody, caller: Admin, address: Address, response: Response) -> NewKey:
    """Makes a key, and shows it this once."""
    expires_at: datetime | None = moment("expires_at", body.expires_at)
    asked = ApiKey(body.name, body.scopes, expires_at)
    with writing() as session:
        row, key = registration.add(session, caller.organization, asked)
    response.headers["Location"] = f"{address}/keys/{row.id}"
    response.headers["Cache-Control"] = "no-store"
    return NewKey(**_shown(row).model_dump(), key=key)


@router.get("/keys")
def list_keys(caller: Admin) -> Keys:
    """Lists keys by name."""
    with reading() as session:
        stored = rows.all_of(session, ApiKeyRow, caller.organization)
    return Keys(items=[_shown(row) for row in stored])


@router.get("/keys/{id}")
def get_key(id: Id, caller: Admin) -> KeyView:
    """Returns a key, without the key itself."""
    with reading() as session:
        return _shown(rows.require(session, ApiKeyRow, caller.organization, id))


@router.post("/keys/{id}/revoke")
def revoke_key(id: Id, caller: Admin) -> KeyView:
    """Has a key refused from now on."""
    with writing() as session:
        row = rows.require(session, ApiKeyRow, caller.organization, id)
        registration.revoke(row)
        return _shown(row)


@router.delete("/keys/{id}", status_code=204)
def delete_key(id: Id, caller: Admin) -> None:
    """Takes a key out of the registry; it is refused from now on."""
    with writing() as session:
        registration.remove(session, rows.require(session, ApiKeyRow, caller.organization, id))
