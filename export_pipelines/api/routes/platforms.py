"""Platforms: where exports are delivered (P24-P29, made whole: P38)."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from export_pipelines.api.bodies import Body
from export_pipelines.api.callers import Caller, require
from export_pipelines.api.dependencies import Address, ExportsReader, PlatformsWriter
from export_pipelines.api.operations import Operation
from export_pipelines.api.outward import asking
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.platforms import PLATFORMS
from export_pipelines.platforms.configuration import open_platform
from export_pipelines.registration import platforms as registration
from export_pipelines.registration.platforms import Platform
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import PlatformRow

router = APIRouter(tags=["platforms"], route_class=Operation)
Id = Annotated[str, Path(description="Its id or name.", max_length=100)]
_CONFIG = (
    "Its fields, secrets included, which are encrypted and never shown again. "
    "docs/platforms.md has those of each type."
)


class PlatformBody(Body):
    """A new platform (P25-P28)."""

    name: str
    platform_type: str = Field(json_schema_extra={"enum": list(PLATFORMS)})
    config: dict[str, Any] = Field(default={}, description=_CONFIG)
    is_active: bool = Field(default=True, description="Whether anything is delivered to it.")
    auto_upload: bool = Field(
        default=True, description="Whether exports go there that name no platforms."
    )


class PlatformChanges(Body):
    """What changes of a platform; what is not named stays."""

    config: dict[str, Any] = Field(default={}, description=_CONFIG + " null takes a field away.")
    is_active: bool | None = None
    auto_upload: bool | None = None


class PlatformView(BaseModel):
    """A platform without its secrets (P29)."""

    id: str
    name: str
    platform_type: str
    is_active: bool
    auto_upload: bool
    config: dict[str, Any] = Field(description="Its fields but for secrets.")
    secrets: list[str] = Field(description="The names of the fields that are secrets.")
    created_at: str
    updated_at: str


class Platforms(BaseModel):
    """All platforms of an organization."""

    items: list[PlatformView]


class CheckedStepView(BaseModel):
    """One step of the check of a platform."""

    name: str
    error: str | None
    seconds: float


class PlatformCheck(BaseModel):
    """Whether a platform works: a small file was written, listed, read and deleted there."""

    location: str
    passed: bool
    steps: list[CheckedStepView]


def shown_platform(row: PlatformRow) -> PlatformView:
    """Return a platform as the API shows it."""
    return PlatformView(
        id=row.id,
        name=row.name,
        platform_type=row.platform_type,
        is_active=row.is_active,
        auto_upload=row.auto_upload,
        config=row.fields,
        secrets=row.secret_names,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@router.post("/exports/platforms", status_code=201)
def create_platform(
    body: PlatformBody, caller: PlatformsWriter, address: Address, response: Response
) -> PlatformView:
    """Registers a platform."""
    asked = Platform(
        body.name,
        body.platform_type,
        body.config,
        is_active=body.is_active,
        auto_upload=body.auto_upload,
    )
    _require_rights(caller, asked)
    checked = registration.check(asked)
    with writing() as session:
        row = registration.add(session, caller.organization, checked)
    response.headers["Location"] = f"{address}/exports/platforms/{row.id}"
    return shown_platform(row)


@router.get("/exports/platforms")
def list_platforms(caller: ExportsReader) -> Platforms:
    """Lists platforms by name."""
    with reading() as session:
        stored = rows.all_of(session, PlatformRow, caller.organization)
    return Platforms(items=[shown_platform(row) for row in stored])


@router.get("/exports/platforms/{id}")
def get_platform(id: Id, caller: ExportsReader) -> PlatformView:
    """Returns a platform."""
    with reading() as session:
        return shown_platform(rows.require(session, PlatformRow, caller.organization, id))


@router.patch("/exports/platforms/{id}")
def update_platform(id: Id, body: PlatformChanges, caller: PlatformsWriter) -> PlatformView:
    """Changes a platform."""
    with writing() as session:
        row = rows.require(session, PlatformRow, caller.organization, id)
        before = registration.registered(row)
        merged = {**before.fields, **body.config}
        asked = replace(
            before,
            fields={name: value for name, value in merged.items() if value is not None},
            variables={
                name: each for name, each in before.variables.items() if name not in body.config
            },
            is_active=before.is_active if body.is_active is None else body.is_active,
            auto_upload=before.auto_upload if body.auto_upload is None else body.auto_upload,
        )
        _require_rights(caller, asked)
        checked = registration.check(asked)
        registration.require_secrets(before, checked, body.config)
        registration.change(session, row, checked)
        return shown_platform(row)


@router.delete("/exports/platforms/{id}", status_code=204)
def delete_platform(id: Id, caller: PlatformsWriter) -> None:
    """Takes a platform and its secrets out of the registry; what is there stays there."""
    with writing() as session:
        registration.remove(session, rows.require(session, PlatformRow, caller.organization, id))


@router.post("/exports/platforms/{id}/check")
async def check_platform(id: Id, caller: PlatformsWriter) -> PlatformCheck:
    """Writes, lists, reads and deletes a small file on a platform, and says what fails."""
    return await asking(caller.organization, partial(_checked, id, caller.organization))


def _checked(name_or_id: str, organization: str) -> PlatformCheck:
    with reading() as session:
        name = rows.require(session, PlatformRow, organization, name_or_id).name
    platform = open_platform(name, organization)
    steps = [
        CheckedStepView(name=each.name, error=_sentence(each.error), seconds=round(each.seconds, 3))
        for each in platform.check()
    ]
    return PlatformCheck(
        location=platform.location, passed=not any(each.error for each in steps), steps=steps
    )


def _sentence(error: ExportPipelinesError | None) -> str | None:
    return str(error) if error else None


def _require_rights(caller: Caller, asked: Platform) -> None:
    """Keep the server's own files, credentials and variables from all but those who run it.

    Raises:
        ScopeMissing: the key has no right to them.
    """
    if registration.uses_machine(asked):
        require(caller, "admin")
