"""The login of a browser by an API key: a form, and a cookie that is good for half a day.

The cookie holds the id of the key and its own end, both signed. The key is looked up at each
request: what it may see is decided there, and a revoked one ends its sessions.
"""

import base64
import hashlib
import hmac
import html
import re
import time
from collections.abc import Sequence
from functools import partial
from string import Template
from urllib.parse import parse_qs, quote

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from export_pipelines import settings
from export_pipelines.api.callers import (
    SIGNING_KEYS,
    ApiKeyRefused,
    Caller,
    authenticate,
    with_key,
)
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.registry.signing import LONGEST_SECONDS

COOKIE = "export_pipelines_session"
LOGIN, LOGOUT = "/login", "/logout"

_LONGEST_FORM = 4_096
_END = re.compile(r"[0-9]{1,12}")

_STYLE = """
:root { color-scheme: light dark; --page: #f3f4f8; --card: #fff; --text: #1c2030; --faint: #5d6479;
  --line: #c9cdda; --accent: #3d39d6; --wrong: #b3261e }
@media (prefers-color-scheme: dark) { :root { --page: #14161f; --card: #1e212d; --text: #eceef5;
  --faint: #a0a6ba; --line: #434960; --accent: #7b78ff; --wrong: #ff9d95 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; padding: 2.25rem; background: var(--card);
  border-radius: 14px; box-shadow: 0 1px 2px #0002, 0 12px 40px #0001 }
h1 { margin: 0 0 .25rem; font-size: 1.375rem; letter-spacing: -.01em }
p { margin: 0 0 1.5rem; color: var(--faint) }
p[role=alert] { color: var(--wrong) }
label { display: block; margin-bottom: .375rem; font-weight: 600; font-size: .875rem }
input, button { width: 100%; padding: .6875rem .8125rem; border-radius: 8px; font: inherit }
input { border: 1px solid var(--line); background: transparent; color: inherit }
button { margin-top: 1.125rem; border: 0; background: var(--accent); color: #fff;
  font-weight: 600; cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
@media (prefers-color-scheme: dark) { button { color: #14161f } }
"""
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - export-pipelines</title>
<style>$style</style>
</head>
<body>
<main>
<h1>export-pipelines</h1>
$sentence
<form method="post" action="/login">
<input type="hidden" name="next" value="$next">
<label for="key">API key</label>
<input id="key" name="key" type="password" required autofocus autocomplete="current-password"
  spellcheck="false" placeholder="ep_&hellip;">
<button type="submit">Log in</button>
</form>
</main>
</body>
</html>
""")
_WELCOME = "<p>Log in with an API key.</p>"
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# Without a referrer policy of its own origin, a browser would not say where the form comes from.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def form(destination: str, sentence: str = "", status: int = 200) -> Response:
    """Return the page on which somebody logs in.

    Args:
        destination: the path of this server to go on to.
        sentence: what went wrong.
        status: of the answer.
    """
    page = _PAGE.substitute(
        style=_STYLE,
        sentence=f'<p role="alert">{html.escape(sentence)}</p>' if sentence else _WELCOME,
        next=html.escape(own_path(destination)),
    )
    return HTMLResponse(page, status, _HEADERS)


def own_path(text: str) -> str:
    """Return a path of this server with its query, as it is; `/` for anything else."""
    is_path = text.startswith("/") and not text.startswith("//") and "\\" not in text
    is_plain = text.isascii() and text.isprintable() and " " not in text
    is_session = text.partition("?")[0] in (LOGIN, LOGOUT)
    return text if is_path and is_plain and not is_session else "/"


def form_address(connection: HTTPConnection) -> str:
    """Return where to log in, and to go on to what was asked for."""
    query = connection.scope["query_string"].decode("latin-1")
    asked = quote(connection.scope["path"]) + (f"?{query}" if query else "")
    return f"{LOGIN}?next={quote(own_path(asked), safe='')}"


async def login(request: Request) -> Response:
    """Show the form, or begin the session of the key that was filled in."""
    if request.method in ("GET", "HEAD"):
        return form(request.query_params.get("next", "/"))
    if request.method != "POST":
        return Response(status_code=405, headers={"Allow": "GET, HEAD, POST"})
    filled = await _filled(request)
    destination = own_path(filled.get("next", "/"))
    try:
        caller = await authenticate(filled.get("key", "").strip())
        value = await _session(caller)
    except ApiKeyRefused as error:
        return form(destination, str(error), 401)
    except ExportPipelinesError as error:
        return form(destination, str(error), 503)
    response = RedirectResponse(destination, 303, {"Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        value,
        max_age=LONGEST_SECONDS,
        secure=_is_safe(request),
        httponly=True,
        samesite="strict",
    )
    return response


async def logout(request: Request) -> Response:
    """End the session of a browser."""
    response = RedirectResponse(LOGIN, 303, {"Cache-Control": "no-store"})
    response.delete_cookie(COOKIE, secure=_is_safe(request), httponly=True, samesite="strict")
    return response


async def session_caller(cookie: str) -> Caller | None:
    """Return who has begun a session; None if it has ended, or never begun.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: the keys by which sessions are signed cannot be read.
    """
    key_id, _, rest = cookie.partition(".")
    end, _, signature = rest.partition(".")
    if not (_END.fullmatch(end) and signature.isascii()) or int(end) <= time.time():
        return None
    if not await _is_signed(key_id, end, signature):
        return None
    try:
        return await with_key(key_id)
    except ApiKeyRefused:
        return None


def _is_safe(request: Request) -> bool:
    """Return whether browsers reach this server over TLS, perhaps by a proxy."""
    return (settings.public_url("") or str(request.url)).startswith("https:")


async def _filled(request: Request) -> dict[str, str]:
    """Return what was filled in; nothing of more than a form can hold."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_FORM:
                return {}
    except ClientDisconnect:
        return {}
    return {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}


async def _session(caller: Caller) -> str:
    end = str(int(time.time()) + LONGEST_SECONDS)
    key = (await SIGNING_KEYS.current())[0]
    return f"{caller.key_id}.{end}.{_signature(key, caller.key_id, end)}"


async def _is_signed(key_id: str, end: str, signature: str) -> bool:
    """Return whether one of the keys has signed it; one that was made just now counts."""
    signed = partial(_has_signed, key_id, end, signature)
    return signed(await SIGNING_KEYS.recent()) or signed(await SIGNING_KEYS.current())


def _has_signed(key_id: str, end: str, signature: str, keys: Sequence[bytes]) -> bool:
    return any(hmac.compare_digest(_signature(key, key_id, end), signature) for key in keys)


def _signature(key: bytes, key_id: str, end: str) -> str:
    text = "\n".join(("session", key_id, end))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
