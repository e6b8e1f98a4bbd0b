"""What routes ask for: who calls, with which rights, and where runs are."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import dagster as dg
from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer

from export_pipelines import settings
from export_pipelines.api.callers import Caller, require
from export_pipelines.api.idempotency import KEY_CHARACTERS
from export_pipelines.api.launching import Launcher

bearer = HTTPBearer(
    auto_error=False, description="An API key: `export-pipelines keys add` makes one."
)


# None of these waits for anything: as coroutines they take no thread each.


async def _launcher(request: Request) -> Launcher:
    launcher: Launcher = request.app.state.launcher
    return launcher


async def _records(request: Request) -> dg.DagsterInstance:
    return (await _launcher(request)).instance


@dataclass(frozen=True)
class Scoped:
    """Who makes a request, if that may be with a scope."""

    scope: str

    async def __call__(self, request: Request) -> Caller:
        """Return the caller.

        Raises:
            ScopeMissing: it may not.
        """
        found: Caller = request.state.caller
        require(found, self.scope)
        return found


async def address(request: Request) -> str:
    """Return where the API is, as its caller reaches it.

    Raises:
        RequestError: the settings name no right address.
    """
    server = settings.public_url("") or f"{request.url.scheme}://{request.url.netloc}"
    return f"{server}{request.scope['root_path']}"


Records: TypeAlias = Annotated[dg.DagsterInstance, Depends(_records)]
Starts: TypeAlias = Annotated[Launcher, Depends(_launcher)]
Address: TypeAlias = Annotated[str, Depends(address)]
ExportsReader: TypeAlias = Annotated[Caller, Depends(Scoped("exports:read"))]
ExportsWriter: TypeAlias = Annotated[Caller, Depends(Scoped("exports:write"))]
ImportsWriter: TypeAlias = Annotated[Caller, Depends(Scoped("imports:write"))]
PlatformsWriter: TypeAlias = Annotated[Caller, Depends(Scoped("platforms:write"))]
Admin: TypeAlias = Annotated[Caller, Depends(Scoped("admin"))]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor: TypeAlias = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the page before.")
]
IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=KEY_CHARACTERS,
        description="Your own name for this request: sent again within 24 hours it is not carried "
        "out again, and answers the same job.",
    ),
]
