"""What goes wrong, as the API says it: Pixee's shape (features 1.7), a field and a stable code."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Route

from export_pipelines.api.callers import ApiKeyRefused, ScopeMissing
from export_pipelines.api.outward import TooManyCalls
from export_pipelines.clock import now
from export_pipelines.errors import (
    BeingResumed,
    ExportPipelinesError,
    FileRefused,
    Interrupted,
    NameTaken,
    NotRegistered,
    PlatformError,
    PlatformMisconfigured,
    RequestError,
    TooManyExports,
    shown,
)
from export_pipelines.runs.files import FilesRemoved, NoFiles, NotCompleted
from export_pipelines.runs.links import LinkRefused

RETRY_SECONDS = 5
_METHOD_NOT_ALLOWED = 405


class Conflict(ExportPipelinesError):
    """What is asked for does not go together with what is there, or is going on."""

    code = "conflict"


class InProgress(Conflict):
    """The same is being done: ask again in a few seconds."""

    code = "in_progress"


class Problem(BaseModel):
    """Why a request was not answered as it asked."""

    detail: str = Field(description="What is wrong, where, and what to do.")
    error_code: str = Field(description="One of a few kinds, such as VALIDATION_ERROR.")
    code: str = Field(description="A stable name of just this, such as no_records.")
    field: str | None = Field(default=None, description="The field of the request that is wrong.")
    timestamp: str


_KINDS: tuple[tuple[type[ExportPipelinesError], int, str], ...] = (
    (NotRegistered, 404, "NOT_FOUND"),
    (NameTaken, 409, "CONFLICT"),
    (BeingResumed, 409, "CONFLICT"),
    (Conflict, 409, "CONFLICT"),
    (NotCompleted, 409, "CONFLICT"),
    (NoFiles, 409, "CONFLICT"),
    (FilesRemoved, 410, "GONE"),
    (PlatformMisconfigured, 422, "VALIDATION_ERROR"),
    (RequestError, 422, "VALIDATION_ERROR"),
    (FileRefused, 422, "VALIDATION_ERROR"),
    (LinkRefused, 403, "PERMISSION_DENIED"),
    (ScopeMissing, 403, "PERMISSION_DENIED"),
    (ApiKeyRefused, 401, "INVALID_API_KEY"),
    (TooManyExports, 429, "TOO_MANY_EXPORTS"),
    (TooManyCalls, 429, "RATE_LIMIT_EXCEEDED"),
    (PlatformError, 502, "PLATFORM_FAILED"),
    (Interrupted, 409, "CONFLICT"),
)
_BY_STATUS = {
    400: "VALIDATION_ERROR",
    401: "AUTHENTICATION_REQUIRED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "TOO_LARGE",
    415: "VALIDATION_ERROR",
    422: "VALIDATION_ERROR",
}
_DESCRIPTIONS = {
    400: "The body cannot be read.",
    401: "There is no key, or it is not good.",
    403: "The key may not do that.",
    404: "There is nothing of that name or id.",
    409: "It does not go together with what is there, or with what is going on.",
    410: "It was there, and was removed.",
    413: "The request is too large.",
    422: "Something in the request is wrong.",
    429: "Too many exports at once, or too many requests.",
    502: "A platform failed.",
    503: "A database or a disk does not answer.",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text} for status, text in _DESCRIPTIONS.items()
}
"""What any operation may answer besides what it says itself."""


def problem(
    status: int,
    detail: str,
    *,
    error_code: str = "",
    code: str = "",
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an answer that says what is wrong.

    Args:
        status: of HTTP.
        detail: sentences for a person.
        error_code: the kind; by the status if it is empty.
        code: the stable name; as the kind if it is empty.
        field: the field of the request that it is about.
        headers: more of the answer's.
    """
    kind = error_code or _BY_STATUS.get(status, "REQUEST_FAILED")
    body = Problem(
        detail=detail, error_code=kind, code=code or kind.lower(), field=field, timestamp=now()
    )
    return JSONResponse(body.model_dump(), status, dict(headers or {}))


def explained(error: ExportPipelinesError) -> JSONResponse:
    """Return the answer for an error that this project can explain."""
    status, kind = next(
        ((status, kind) for each, status, kind in _KINDS if isinstance(error, each)),
        (503, "SERVICE_UNAVAILABLE"),
    )
    passes = status in (429, 503) or isinstance(error, InProgress)
    headers = {"Retry-After": str(RETRY_SECONDS)} if passes else {}
    field = error.field if isinstance(error, PlatformMisconfigured) else None
    return problem(
        status, str(error), error_code=kind, code=error.code, field=field, headers=headers
    )


def require_unchanged(stored: object, read: object) -> None:
    """Refuse to change what somebody else has changed since it was read and checked.

    Raises:
        Conflict: it is another by now.
    """
    if stored != read:
        raise Conflict("Somebody else has just changed it: read it, and send your change again.")


def explain_all(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have an application answer every error in this shape.

    Args:
        app: the application.
        routes: its operations.
    """

    @app.exception_handler(ExportPipelinesError)
    def known(request: Request, error: ExportPipelinesError) -> JSONResponse:
        return explained(error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _invalid(error.errors()[0])

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> JSONResponse:
        headers = error.headers
        if error.status_code == _METHOD_NOT_ALLOWED:
            headers = {"Allow": _allowed(request, routes)}
        return problem(error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        return problem(
            500,
            f"An unexpected error ({type(error).__name__}): the server's log has it. Tell the "
            "people who run this server.",
            error_code="INTERNAL_ERROR",
        )


def _allowed(request: Request, routes: Sequence[BaseRoute]) -> str:
    """Return the methods that a path has: each route knows only its own."""
    found: set[str] = set()
    for route in (*request.app.routes, *routes):
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return ", ".join(sorted(found))


def _invalid(first: Mapping[str, Any]) -> JSONResponse:
    """Return what a request is refused with that does not fit its description."""
    place, *names = first["loc"]
    if first["type"] == "json_invalid":
        return problem(400, f"The body is not JSON: {first['ctx']['error']}.", code="json_invalid")
    field = ".".join(map(str, names)) or str(place)
    if first["type"] == "extra_forbidden":
        return problem(422, f"There is no field {field} here.", code="unknown_field", field=field)
    detail = f"{field}: {first['msg']}, not {shown(first['input'])}."
    if first["type"] == "missing":
        detail = f"{field} is missing: give it in the {place}."
    return problem(422, detail, code="request_invalid", field=field)
