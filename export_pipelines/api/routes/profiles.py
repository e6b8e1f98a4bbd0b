"""Export profiles: requests that are saved under a name, and run by schedules (F04)."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from export_pipelines.api.bodies import Body, PlatformNames
from export_pipelines.api.dependencies import Address, ExportsReader, ExportsWriter
from export_pipelines.api.operations import Operation
from export_pipelines.api.problems import require_unchanged
from export_pipelines.formats import FORMATS
from export_pipelines.registration import profiles as registration
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import ProfileRow
from export_pipelines.registry.profiles import Profile, registered

router = APIRouter(tags=["profiles"], route_class=Operation)
Id = Annotated[str, Path(description="Its id or name.", max_length=100)]
_REQUEST = (
    "The export, as the body of POST /exports/{format}/{resource_type} has it, with its "
    "`resource_type`."
)
_PLATFORMS = "Names or ids of platforms; null: all that upload automatically. []: none."


class ProfileBody(Body):
    """A new profile."""

    name: str
    format: str = Field(json_schema_extra={"enum": list(FORMATS)})
    request: dict[str, Any] = Field(default={}, description=_REQUEST)
    platforms: PlatformNames | None = Field(default=None, description=_PLATFORMS)
    is_active: bool = Field(default=True, description="Whether schedules may run it.")


class ProfileChanges(Body):
    """What changes of a profile; what is not named stays."""

    format: str | None = Field(default=None, json_schema_extra={"enum": [*FORMATS, None]})
    request: dict[str, Any] | None = Field(default=None, description=_REQUEST)
    platforms: PlatformNames | None = Field(default=None, description=_PLATFORMS)
    is_active: bool | None = None


class ProfileView(BaseModel):
    """A profile."""

    id: str
    name: str
    format: str
    request: dict[str, Any]
    platforms: list[str] | None
    is_active: bool
    created_at: str
    updated_at: str


class Profiles(BaseModel):
    """All profiles of an organization."""

    items: list[ProfileView]


def _shown(row: ProfileRow) -> ProfileView:
    return ProfileView.model_validate(row, from_attributes=True)


@router.post("/exports/profiles", status_code=201)
def create_profile(
    body: ProfileBody, caller: ExportsWriter, address: Address, response: Response
) -> ProfileView:
    """Registers a profile."""
    asked, _ = registration.check(caller.organization, Profile(**body.model_dump()))
    with writing() as session:
        row = registration.add(session, caller.organization, asked)
    response.headers["Location"] = f"{address}/exports/profiles/{row.id}"
    return _shown(row)


@router.get("/exports/profiles")
def list_profiles(caller: ExportsReader) -> Profiles:
    """Lists profiles by name."""
    with reading() as session:
        stored = rows.all_of(session, ProfileRow, caller.organization)
    return Profiles(items=[_shown(row) for row in stored])


@router.get("/exports/profiles/{id}")
def get_profile(id: Id, caller: ExportsReader) -> ProfileView:
    """Returns a profile."""
    with reading() as session:
        return _shown(rows.require(session, ProfileRow, caller.organization, id))


@router.patch("/exports/profiles/{id}")
def update_profile(id: Id, body: ProfileChanges, caller: ExportsWriter) -> ProfileView:
    """Changes a profile; schedules that run it follow."""
    changes = body.model_dump(exclude_unset=True)
    given = {
        name: value for name, value in changes.items() if value is not None or name == "platforms"
    }
    with reading() as session:
        before = registered(rows.require(session, ProfileRow, caller.organization, id))
    asked, _ = registration.check(caller.organization, replace(before, **given))
    with writing() as session:
        row = rows.require(session, ProfileRow, caller.organization, id)
        require_unchanged(registered(row), before)
        registration.change(session, row, asked)
        return _shown(row)


@router.delete("/exports/profiles/{id}", status_code=204)
def delete_profile(id: Id, caller: ExportsWriter) -> None:
    """Takes a profile out of the registry, unless schedules run it."""
    with writing() as session:
        registration.remove(session, rows.require(session, ProfileRow, caller.organization, id))
