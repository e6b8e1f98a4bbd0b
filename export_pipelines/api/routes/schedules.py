"""Scheduled exports (P30-P36, made whole: P37, P38)."""

import time
from dataclasses import replace
from typing import Annotated, Any

import dagster as dg
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from export_pipelines.api.bodies import Body, PlatformNames
from export_pipelines.api.dependencies import Address, ExportsReader, ExportsWriter, Records
from export_pipelines.api.operations import Operation
from export_pipelines.api.problems import require_unchanged
from export_pipelines.clock import written
from export_pipelines.cron import next_times
from export_pipelines.errors import RequestError
from export_pipelines.registration import schedules as registration
from export_pipelines.registration.transactions import looking, registering
from export_pipelines.registry import rows
from export_pipelines.registry.models import ScheduleRow
from export_pipelines.registry.profiles import DEFAULT
from export_pipelines.registry.schedules import ALERT_MINUTES, Schedule
from export_pipelines.staleness import late_schedules

router = APIRouter(tags=["schedules"], route_class=Operation)
Id = Annotated[str, Path(description="Its id or name.", max_length=100)]
_NEXT_TIMES = 5
_CRON = "When it is due, such as 0 9 * * 1 for Mondays at 9:00; or @daily, @weekly, ..."
_PLATFORMS = "Names or ids of platforms to deliver to; null: where its profile says. []: nowhere."


class ScheduleBody(Body):
    """A new schedule (P31-P35)."""

    schedule_name: str
    cron_expression: str = Field(description=_CRON)
    timezone: str = Field(default="UTC", description="An IANA time zone, such as Europe/Paris.")
    platform_id: str | None = Field(
        default=None, description="The only platform that it delivers to, by id or name."
    )
    platforms: PlatformNames | None = Field(default=None, description=_PLATFORMS)
    profile: str = Field(
        default=DEFAULT,
        description="What it exports, by name or id; all active products as CSV by default.",
    )
    alert_after_minutes: int = Field(
        default=ALERT_MINUTES, description="How long after it was due it must have succeeded."
    )
    is_active: bool = Field(default=True, description="Whether it is due at all.")


class ScheduleChanges(Body):
    """What changes of a schedule; what is not named stays."""

    cron_expression: str | None = Field(default=None, description=_CRON)
    timezone: str | None = None
    platform_id: str | None = None
    platforms: PlatformNames | None = Field(default=None, description=_PLATFORMS)
    profile: str | None = None
    alert_after_minutes: int | None = None
    is_active: bool | None = None


class ScheduleView(BaseModel):
    """A schedule (P36)."""

    id: str
    schedule_name: str
    cron_expression: str
    timezone: str
    profile: str
    platforms: list[str] | None
    alert_after_minutes: int
    is_active: bool = Field(description="As it is now, whoever has switched it.")
    next_runs: list[str] = Field(description="The next five times; none if it is not active.")
    late: str | None = Field(description="What is wrong, if it has not succeeded in time.")
    dagster_name: str = Field(description="Its name in the web UI and in GraphQL.")
    created_at: str
    updated_at: str


class Schedules(BaseModel):
    """All schedules of an organization."""

    items: list[ScheduleView]


@router.post("/exports/schedules", status_code=201)
def create_schedule(
    body: ScheduleBody,
    caller: ExportsWriter,
    records: Records,
    address: Address,
    response: Response,
) -> ScheduleView:
    """Registers a schedule, which is due from now on."""
    asked = Schedule(
        body.schedule_name,
        body.cron_expression,
        body.timezone,
        body.profile,
        _platforms(body.platform_id, body.platforms),
        body.alert_after_minutes,
        body.is_active,
    )
    asked = registration.check(caller.organization, asked)
    with registering(records) as session:
        row = registration.add(session, caller.organization, asked)
    response.headers["Location"] = f"{address}/exports/schedules/{row.id}"
    return _view(records, row, is_active=asked.is_active)


@router.get("/exports/schedules")
def list_schedules(caller: ExportsReader, records: Records) -> Schedules:
    """Lists schedules by name."""
    with looking(records) as session:
        stored = rows.all_of(session, ScheduleRow, caller.organization)
        return Schedules(items=[_shown(session, records, row) for row in stored])


@router.get("/exports/schedules/{id}")
def get_schedule(id: Id, caller: ExportsReader, records: Records) -> ScheduleView:
    """Returns a schedule."""
    with looking(records) as session:
        row = rows.require(session, ScheduleRow, caller.organization, id)
        return _shown(session, records, row)


@router.patch("/exports/schedules/{id}")
def update_schedule(
    id: Id, body: ScheduleChanges, caller: ExportsWriter, records: Records
) -> ScheduleView:
    """Changes a schedule, or switches it on or off; it takes effect at once."""
    changes = body.model_dump(exclude_unset=True)
    given = {
        name: value for name, value in changes.items() if value is not None or name == "platforms"
    }
    platform_id = given.pop("platform_id", None)
    if platform_id is not None:
        given["platforms"] = _platforms(platform_id, given.get("platforms"))
    with looking(records) as session:
        row = rows.require(session, ScheduleRow, caller.organization, id)
        before = registration.current(session, row)
    asked = registration.check(caller.organization, replace(before, **given))
    with registering(records) as session:
        row = rows.require(session, ScheduleRow, caller.organization, id)
        require_unchanged(registration.current(session, row), before)
        registration.change(session, row, asked)
    return _view(records, row, is_active=asked.is_active)


@router.delete("/exports/schedules/{id}", status_code=204)
def delete_schedule(id: Id, caller: ExportsWriter, records: Records) -> None:
    """Takes a schedule out of the registry; its jobs stay."""
    with registering(records) as session:
        registration.remove(session, rows.require(session, ScheduleRow, caller.organization, id))


def _platforms(platform_id: str | None, platforms: list[str] | None) -> list[str] | None:
    if platform_id is None:
        return platforms
    if platforms is not None:
        raise RequestError("platform_id and platforms say the same: give only one of them.")
    return [platform_id]


def _shown(session: Session, records: dg.DagsterInstance, row: ScheduleRow) -> ScheduleView:
    return _view(records, row, is_active=registration.current(session, row).is_active)


def _view(records: dg.DagsterInstance, row: ScheduleRow, *, is_active: bool) -> ScheduleView:
    moment = time.time()
    times: list[Any] = []
    if is_active:
        times = next_times(row.cron_expression, row.timezone, moment, _NEXT_TIMES)
    late = late_schedules(records, [row], moment)
    return ScheduleView(
        id=row.id,
        schedule_name=row.name,
        cron_expression=row.cron_expression,
        timezone=row.timezone,
        profile=row.profile,
        platforms=row.platforms,
        alert_after_minutes=row.alert_after_minutes,
        is_active=is_active,
        next_runs=[written(each) for each in times],
        late=late[0].sentence if late else None,
        dagster_name=row.key,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
