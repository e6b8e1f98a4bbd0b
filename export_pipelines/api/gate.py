"""The gate in front of the whole web server: who comes in, and to what.

Dagster's pages and its GraphQL know nothing of keys and show what all organizations do, so they are
for those with the scope `admin`. Routes of the API look at the scopes of the caller themselves.
"""

import hmac
import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from export_pipelines import settings
from export_pipelines.api import login
from export_pipelines.api.callers import (
    ApiKeyRefused,
    Caller,
    ScopeMissing,
    anybody,
    authenticate,
    note,
    require,
)
from export_pipelines.api.problems import RETRY_SECONDS, explained, problem
from export_pipelines.api.rate_limits import Allowance, RateLimits, TooManyRequests
from export_pipelines.api.sockets import Watched
from export_pipelines.errors import ExportPipelinesError, NotRegistered

API = "/api/v1"
_OPEN = re.compile(
    r"/(healthz|readyz)|/favicon[\w-]*\.(ico|png|svg)|/api/v1/(openapi\.json|docs(/.*)?|exports/files/[^/]+)",
    re.ASCII | re.DOTALL,
)
_LOCAL = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_READING = ("GET", "HEAD")
_OTHER_SITES = ("cross-site", "same-site")
_UNAUTHORIZED, _UNAVAILABLE = 401, 503
_PRIVATE_CLOSE_CODES = 4_000


class AuthenticationRequired(ExportPipelinesError):
    """A request says by no key who makes it."""

    code = "authentication_required"

    def __init__(self) -> None:
        super().__init__(
            "An API key is needed: send it in a header, as in 'Authorization: Bearer ep_...'. "
            "'export-pipelines keys add' makes one."
        )


class OriginRefused(ExportPipelinesError):
    """A browser asks on behalf of another website."""

    code = "permission_denied"


_STATUSES: Mapping[type[ExportPipelinesError], int] = {
    AuthenticationRequired: _UNAUTHORIZED,
    ApiKeyRefused: _UNAUTHORIZED,
    ScopeMissing: 403,
    OriginRefused: 403,
    TooManyRequests: 429,
}


class Gate:
    """Lets through who may, and tells `scope["state"]["caller"]` who that is.

    Args:
        app: what is behind it.
        authenticates: whether keys are asked for; without, everybody on this machine may do
            everything, but no other website through their browsers.
        internal_token: that of the program which has started the server; empty for none.
    """

    def __init__(self, app: ASGIApp, *, authenticates: bool, internal_token: str = "") -> None:
        self._app = app
        self._authenticates = authenticates
        self._internal_token = internal_token.encode()
        self._limits = RateLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        answer = self._app
        if scope["type"] in ("http", "websocket"):
            connection = HTTPConnection(scope)
            try:
                answer = await self._answer(connection, receive)
            except ExportPipelinesError as error:
                answer = _refusal(connection, error)
        await answer(scope, receive, send)

    async def _answer(self, connection: HTTPConnection, receive: Receive) -> ASGIApp:
        """Return what answers a request: a page of the gate itself, or what is behind it."""
        # Routes match no line break, and would leave it to a plain text to say so.
        if "\n" in connection.scope["path"]:
            raise NotRegistered("There is nothing at this path.")
        if not self._authenticates:
            _require_local(connection)
            return _LetIn(self._app, anybody(), None)
        path = connection.scope["path"]
        if path in (login.LOGIN, login.LOGOUT) and connection.scope["type"] == "http":
            return await _session_page(Request(connection.scope, receive))
        if connection.scope.get("method") in _READING and _OPEN.fullmatch(path):
            return self._app
        return await self._let_in(connection)

    async def _let_in(self, connection: HTTPConnection) -> ASGIApp:
        path = connection.scope["path"]
        key = _bearer(connection)

        async def look() -> Caller:
            found = await (self._key_caller(key) if key else _session_caller(connection))
            if not _is_api(path):
                require(found, "admin")
            return found

        caller = await look()
        allowance = None
        if key and caller.key_id and (_is_api(path) or path == "/graphql"):
            allowance = self._limits.take(caller.key_id)
        app = self._app
        if connection.scope["type"] == "websocket":
            app = Watched(app, look, partial(_refusal, connection))
        return _LetIn(app, caller, allowance)

    async def _key_caller(self, key: str) -> Caller:
        if self._internal_token and hmac.compare_digest(key.encode(), self._internal_token):
            return anybody("this server")
        return await authenticate(key)


class _LetIn:
    """What is behind the gate, with the caller and, in answers of the API, what is left to it."""

    def __init__(self, app: ASGIApp, caller: Caller, allowance: Allowance | None) -> None:
        self._app = app
        self._caller = caller
        self._allowance = allowance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def telling(message: Message) -> None:
            if self._allowance and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_rate_headers(self._allowance))
            await send(message)

        state = {**scope.get("state", {}), "caller": self._caller}
        is_told = self._allowance is not None and _is_api(scope["path"])
        await self._app({**scope, "state": state}, receive, telling if is_told else send)
        await note(self._caller)


async def _session_page(request: Request) -> Response:
    if request.method not in _READING:
        _require_own_site(request)
    return await (
        login.login(request) if request.url.path == login.LOGIN else login.logout(request)
    )


def _bearer(connection: HTTPConnection) -> str | None:
    """Return what is sent as a key; None without. Proxies may use another scheme for themselves.

    Raises:
        ApiKeyRefused: there are several.
    """
    found = [
        key.strip()
        for scheme, _, key in (
            header.partition(" ") for header in connection.headers.getlist("authorization")
        )
        if scheme.lower() == "bearer"
    ]
    if len(found) > 1:
        raise ApiKeyRefused
    return found[0] if found else None


async def _session_caller(connection: HTTPConnection) -> Caller:
    cookie = connection.cookies.get(login.COOKIE)
    scope = connection.scope
    # Only a request that no other website can make may change something by a session.
    is_allowed = not _is_api(scope["path"]) or scope.get("method") in _READING
    caller = await login.session_caller(cookie) if cookie and is_allowed else None
    if caller is None:
        raise AuthenticationRequired
    _require_own_site(connection)
    return caller


def _is_api(path: str) -> bool:
    return path == API or path.startswith(f"{API}/")


def _require_local(connection: HTTPConnection) -> None:
    """Refuse what a browser asks on behalf of another website, whose name may lead here.

    Raises:
        OriginRefused: it does so.
    """
    hosts = connection.headers.getlist("host")
    if len(hosts) != 1 or not _LOCAL.fullmatch(hosts[0]):
        raise OriginRefused(
            "Without API keys this server answers at localhost and 127.0.0.1 only: use one of "
            "these addresses, or start it with keys."
        )
    _require_own_site(connection)


def _require_own_site(connection: HTTPConnection) -> None:
    """Refuse what another website has a browser ask, but for a link that somebody follows.

    Raises:
        OriginRefused: it does so.
    """
    headers = connection.headers
    origins = {_netloc(origin) for origin in headers.getlist("origin")}
    # Without an origin are links and pictures, by which GraphQL would run what their query says.
    is_link = headers.get("sec-fetch-dest") == "document"
    if origins - _own_places(connection) or (
        headers.get("sec-fetch-site") in _OTHER_SITES and not is_link
    ):
        raise OriginRefused(
            "Another website asks for this through your browser, which it may not: open this "
            "server's own address."
        )


def _own_places(connection: HTTPConnection) -> set[str]:
    """Return the hosts, with their ports, that are this server's own.

    A proxy may pass on requests to another host than that which the browser has asked. On this
    machine, where a page of any other program is on the same host, it may not.
    """
    public = urlsplit(settings.public_url()).netloc.lower()
    asked = connection.headers.get("host", "").lower()
    return {asked} if _LOCAL.fullmatch(public) else {asked, public}


def _netloc(origin: str) -> str:
    """Return the host and port of an origin; `null` for one that is hidden."""
    return origin.rpartition("//")[2].lower()


def _rate_headers(allowance: Allowance) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(allowance.limit),
        "x-ratelimit-remaining": str(allowance.remaining),
    }


def _refusal(connection: HTTPConnection, error: ExportPipelinesError) -> ASGIApp:
    """Return the answer to a request that does not come in: to a person's browser a page."""
    status = _STATUSES.get(type(error), _UNAVAILABLE)
    if isinstance(error, NotRegistered) and connection.scope["type"] == "http":
        return explained(error)
    if connection.scope["type"] == "websocket":
        return WebSocketClose(_PRIVATE_CLOSE_CODES + status, error.code)
    if isinstance(error, AuthenticationRequired) and _is_page(connection):
        address = login.form_address(connection)
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    if isinstance(error, ScopeMissing) and _is_page(connection):
        return login.form(connection.scope["path"], str(error), status)
    kind = "SERVICE_UNAVAILABLE" if status == _UNAVAILABLE else error.code.upper()
    return problem(
        status, str(error), error_code=kind, code=error.code, headers=_headers(error, status)
    )


def _is_page(connection: HTTPConnection) -> bool:
    is_get = connection.scope["method"] == "GET"
    return is_get and "text/html" in connection.headers.get("accept", "")


def _headers(error: ExportPipelinesError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == _UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooManyRequests):
        headers |= {"Retry-After": str(error.seconds), **_rate_headers(error.allowance)}
    return headers
