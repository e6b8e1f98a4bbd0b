"""How a request comes to an operation: its caller is looked at, then so much of its body is read.

FastAPI by itself reads all of a body before anything else.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from export_pipelines import settings
from export_pipelines.api.dependencies import Scoped

_MOST_BYTES = 1_000_000
_TOO_LARGE = 413


class Operation(APIRoute):
    """An operation whose body is JSON of a megabyte at most."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()
        callers = [each.call for each in self.dependant.dependencies]
        scoped = [call for call in callers if isinstance(call, Scoped)]

        async def let_in(request: Request) -> Response:
            for require in scoped:
                await require(request)
            return await answer(_limited(request, self.most_bytes()))

        return let_in

    def most_bytes(self) -> int | None:
        """Return how many bytes a body may have; None for any number."""
        return _MOST_BYTES


class Upload(Operation):
    """An operation whose body may have a file that is imported."""

    def most_bytes(self) -> int | None:
        """Return how many bytes a file and what is said of it may have; None for any number."""
        most = settings.max_import_bytes()
        return None if most is None else most + _MOST_BYTES


def _limited(request: Request, most: int | None) -> Request:
    """Return a request whose body is read so far only.

    Raises:
        HTTPException: it says itself that it is larger.
    """
    if most is None:
        return request
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(most)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most:
            raise _too_large(most)
        return message

    return Request(request.scope, receive)


def _too_large(most: int) -> HTTPException:
    sentence = f"The request has more than {most:,} bytes, which is the most: send less at once."
    return HTTPException(_TOO_LARGE, sentence)
