"""Websockets, which stay open: whoever opened one must still be let in while it is."""

import time
from collections.abc import Awaitable, Callable

from anyio import move_on_after
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export_pipelines.errors import ExportPipelinesError

_SECONDS = 2.0


class Watched:
    """An application whose websocket is closed as soon as its caller would not be let in again.

    Args:
        app: what talks over it.
        look: raises an error if the caller would not be let in.
        refusal: closes the websocket, and says why.
    """

    def __init__(
        self,
        app: ASGIApp,
        look: Callable[[], Awaitable[object]],
        refusal: Callable[[ExportPipelinesError], ASGIApp],
    ) -> None:
        self._app = app
        self._look = look
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Talk over a websocket."""
        looked_at = time.monotonic()
        is_closed = False

        async def watching() -> Message:
            nonlocal looked_at, is_closed
            message = None
            while message is None:
                with move_on_after(max(0, looked_at + _SECONDS - time.monotonic())):
                    message = await receive()
                if time.monotonic() < looked_at + _SECONDS:
                    continue
                try:
                    await self._look()
                except ExportPipelinesError as error:
                    is_closed = True
                    await self._refusal(error)(scope, receive, send)
                    return {"type": "websocket.disconnect", "code": 1000}
                looked_at = time.monotonic()
            return message

        async def sending(message: Message) -> None:
            if not is_closed:
                await send(message)

        await self._app(scope, watching, sending)
