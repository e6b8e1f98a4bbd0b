import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from export_pipelines import settings
from export_pipelines.api import login, sockets
from export_pipelines.api.callers import Remembered
from export_pipelines.api.gate import Gate
from export_pipelines.api.login import COOKIE
from export_pipelines.errors import RegistryUnavailable
from export_pipelines.registry.api_keys import new_key
from export_pipelines.registry.signing import rotate_signing_key, signing_keys
from export_pipelines_tests.api.clients import TestClient
from export_pipelines_tests.api.keys import change_key, lose_registry, make_key, revoke_key
from export_pipelines_tests.registry.processes import register_platform

TOKEN = "token of the server's own process"
PAGE = {"Accept": "text/html,application/xhtml+xml"}
SITE = "http://testserver"


def _caller(connection: Request | WebSocket) -> str | None:
    caller = connection.scope.get("state", {}).get("caller")
    return f"{caller.name} of {caller.organization}" if caller else None


async def _answer(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "caller": _caller(request)})


async def _talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"caller": _caller(websocket)})
    await websocket.close()


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
    await websocket.send_text("It is closed.")


APP = Starlette(
    routes=[
        WebSocketRoute("/echo", _echo),
        WebSocketRoute("/{path:path}", _talk),
        Route("/{path:path}", _answer, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
    ]
)
GATE = Gate(APP, authenticates=True, internal_token=TOKEN)
OPEN_GATE = Gate(APP, authenticates=False)


@contextmanager
def client(gate: Gate = GATE, address: str = SITE) -> Iterator[TestClient]:
    with TestClient(gate, base_url=address, follow_redirects=False) as made:
        yield made


@pytest.fixture
def browser() -> Iterator[TestClient]:
    with client() as made:
        yield made


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def log_in(browser: TestClient, key: str, **more: Any) -> Any:
    return browser.post("/login", data={"key": key}, headers={"Origin": SITE}, **more)


def call(browser: TestClient, path: str, headers: dict[str, str]) -> int:
    """Return the status of a request or, of a websocket, how it is closed."""
    if not path.startswith("ws "):
        method, path = path.split(" ")
        return int(browser.request(method, path, headers=headers).status_code)
    try:
        with browser.websocket_connect(path[3:], headers=headers) as talk:
            talk.receive_json()
    except WebSocketDisconnect as refused:
        return refused.code
    return 101


CREDENTIALS = ("none", "wrong", "revoked", "reader", "admin", "token", "reader's", "admin's")
OPEN = (200,) * 8
TABLE = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /favicon.png": OPEN,
    "GET /favicon-run-failed.svg": OPEN,
    "GET /api/v1/openapi.json": OPEN,
    "GET /api/v1/docs": OPEN,
    "GET /api/v1/docs/swagger-ui.css": OPEN,
    "GET /api/v1/exports/files/0a1b?signature=x": OPEN,
    "HEAD /api/v1/exports/files/0a1b?signature=x": OPEN,
    "POST /api/v1/exports/files/0a1b": (401, 401, 401, 200, 200, 200, 401, 401),
    "GET /api/v1/exports/files/0a1b/more": (401, 401, 401, 200, 200, 200, 200, 200),
    "POST /healthz": (401, 401, 401, 403, 200, 200, 403, 200),
    "ws /healthz": (4401, 4401, 4401, 4403, 101, 101, 4403, 101),
    "GET /login": OPEN,
    "GET /logout": (303,) * 8,
    "GET /api/v1/exports/jobs": (401, 401, 401, 200, 200, 200, 200, 200),
    "GET /api/v1": (401, 401, 401, 200, 200, 200, 200, 200),
    "POST /api/v1/exports/csv/products": (401, 401, 401, 200, 200, 200, 401, 401),
    "DELETE /api/v1/keys/1": (401, 401, 401, 200, 200, 200, 401, 401),
    "GET /metrics": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /runs/1": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /dagit_info": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /_next/static/main.js": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /graphql": (401, 401, 401, 403, 200, 200, 403, 200),
    "POST /graphql": (401, 401, 401, 403, 200, 200, 403, 200),
    "OPTIONS /graphql": (401, 401, 401, 403, 200, 200, 403, 200),
    "POST /report_asset_check/a": (401, 401, 401, 403, 200, 200, 403, 200),
    "ws /graphql": (4401, 4401, 4401, 4403, 101, 101, 4403, 101),
    "ws /login": (4401, 4401, 4401, 4403, 101, 101, 4403, 101),
    "ws /api/v1/any": (4401, 4401, 4401, 101, 101, 101, 4401, 4401),
    "GET /api/v1x": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /api/v1/docsx": (401, 401, 401, 200, 200, 200, 200, 200),
    "GET /api/v1/exports/files": (401, 401, 401, 200, 200, 200, 200, 200),
    "GET //healthz": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /healthz/": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /favicon": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /favicon.png/runs": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /login/": (401, 401, 401, 403, 200, 200, 403, 200),
    "GET /HEALTHZ": (401, 401, 401, 403, 200, 200, 403, 200),
}


def test_who_comes_in_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REQUESTS_PER_MINUTE", "none")
    keys = {name: make_key(name) for name in ("revoked", "admin")}
    keys |= {"wrong": new_key(), "token": TOKEN, "reader": make_key("reader", ["exports:read"])}
    revoke_key("revoked")
    with client() as reader, client() as admin, client() as nobody:
        assert log_in(reader, keys["reader"]).status_code == 303
        assert log_in(admin, keys["admin"]).status_code == 303
        cookies = {"reader's": reader.cookies[COOKIE], "admin's": admin.cookies[COOKIE]}
        found = {}
        for path in TABLE:
            statuses = []
            for credential in CREDENTIALS:
                headers = {"Cookie": f"{COOKIE}={cookies.get(credential, '')}"}
                if credential in keys:
                    headers = bearer(keys[credential])
                statuses.append(call(nobody, path, headers))
            found[path] = tuple(statuses)
    assert found == TABLE


def test_the_caller_is_told_behind_the_gate(browser: TestClient) -> None:
    key = make_key("shop", ["exports:read"], "acme")
    answer = browser.get("/api/v1/exports/jobs", headers=bearer(key)).json()
    assert answer == {"path": "/api/v1/exports/jobs", "caller": "shop of acme"}
    admin = bearer(make_key("root"))
    assert browser.get("/runs", headers=admin).json()["caller"] == "root of default"
    with browser.websocket_connect("/graphql", headers=admin) as talk:
        assert talk.receive_json() == {"caller": "root of default"}
    own = browser.get("/", headers=bearer(TOKEN)).json()
    assert own["caller"] == "this server of default"
    assert browser.get("/healthz").json()["caller"] is None


def test_a_key_may_be_written_in_other_ways(browser: TestClient) -> None:
    key = make_key("shop")
    for value in (f"bearer {key}", f"BEARER  {key} "):
        assert browser.get("/api/v1", headers={"Authorization": value}).status_code == 200
    for value in (key, f"Token {key}", "Bearer", f"Basic {key}", f"Bearer{key}"):
        answer = browser.get("/api/v1", headers={"Authorization": value})
        assert (answer.status_code, answer.json()["code"]) == (401, "authentication_required")
    two = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {new_key()}")]
    assert browser.get("/api/v1", headers=two).json()["code"] == "invalid_api_key"
    assert browser.get(f"/api/v1?key={key}").status_code == 401


def test_without_a_token_an_empty_one_is_nothing() -> None:
    with client(Gate(APP, authenticates=True)) as browser:
        for value in ("Bearer ", "Bearer", "Bearer \t"):
            assert browser.get("/", headers={"Authorization": value}).status_code == 401


def test_a_refusal_says_why(browser: TestClient) -> None:
    none = browser.get("/api/v1/exports/jobs")
    assert none.headers["www-authenticate"] == "Bearer"
    assert none.json().pop("timestamp").endswith("Z")
    assert none.json()["error_code"] == "AUTHENTICATION_REQUIRED"
    assert none.json()["detail"].startswith("An API key is needed: send it in a header, as in ")
    wrong = browser.get("/api/v1/exports/jobs", headers={**bearer(new_key()), **PAGE})
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
    assert wrong.json()["error_code"] == "INVALID_API_KEY"
    reader = bearer(make_key("reader", ["exports:read"]))
    missing = browser.get("/metrics", headers=reader)
    assert (missing.status_code, missing.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert missing.json()["detail"].startswith(
        "The API key 'reader' does not have the scope admin, which this needs: "
    )


def test_a_key_that_is_in_use_says_when(browser: TestClient) -> None:
    key = make_key("shop")
    assert change_key("shop").last_used_at is None
    browser.get("/healthz", headers=bearer(key))
    assert change_key("shop").last_used_at is None
    browser.get("/api/v1", headers=bearer(key))
    assert change_key("shop").last_used_at


def test_a_registry_that_does_not_answer_is_said(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key("shop")
    log_in(browser, key)
    lose_registry(monkeypatch)
    for headers in (bearer(key), {}):
        answer = browser.get("/api/v1", headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error_code"] == "SERVICE_UNAVAILABLE"
        assert answer.json()["detail"].startswith("The folder of the registry, /")
    assert call(browser, "ws /graphql", bearer(key)) == 4503
    assert browser.get("/healthz").status_code == 200
    answer = log_in(browser, key)
    assert (answer.status_code, "The folder of the registry, /" in answer.text) == (503, True)


def test_a_key_of_secrets_that_is_gone_is_said(browser: TestClient) -> None:
    key = make_key("shop")
    log_in(browser, key)
    register_platform("partner", "a password")
    rotate_signing_key()
    settings.secret_key_file().unlink()
    time.sleep(0.1)
    with client() as other:
        answer = log_in(other, key)
    assert (answer.status_code, "key of the registry" in answer.text) == (503, True)
    assert browser.get("/api/v1", headers=bearer(key)).status_code == 200


def test_a_browser_logs_in_and_goes_on_to_what_it_asked_for(browser: TestClient) -> None:
    asked = browser.get("/runs/a%20b?view=1&x=%2F", headers=PAGE)
    assert asked.status_code == 303
    address = urlsplit(asked.headers["location"])
    assert address.path == "/login"
    assert parse_qs(address.query) == {"next": ["/runs/a%20b?view=1&x=%2F"]}
    page = browser.get(asked.headers["location"])
    assert page.status_code == 200
    assert 'name="next" value="/runs/a%20b?view=1&amp;x=%2F"' in page.text
    data = {"key": f" {make_key('person')}\n", "next": "/runs/a%20b?view=1&x=%2F"}
    answer = browser.post("/login", data=data, headers={"Origin": SITE})
    assert (answer.status_code, answer.headers["location"]) == (303, data["next"])
    assert browser.get("/runs", headers=PAGE).json()["caller"] == "person of default"
    assert browser.get("/logout").headers["location"] == "/login"
    assert COOKIE not in browser.cookies
    assert browser.get("/runs", headers=PAGE).status_code == 303


def test_the_cookie_is_for_this_site_only(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key("person")
    cookie = log_in(browser, key).headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/", "max-age=43200"}
    assert key.rpartition("_")[2] not in cookie
    with client(address="https://testserver") as safe:
        answer = safe.post("/login", data={"key": key})
    assert "; secure" in answer.headers["set-cookie"].lower()
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "https://testserver")
    for answer in (log_in(browser, key), browser.get("/logout")):
        assert "; secure" in answer.headers["set-cookie"].lower()


def test_a_failed_login_shows_the_form_again(browser: TestClient) -> None:
    unknown = new_key()
    for key in ("", "ep_", "x" * 10_000, "<script>alert(1)</script>", "\0", unknown):
        answer = browser.post("/login", data={"next": "/runs", "key": key})
        assert answer.status_code == 401, key
        assert 'role="alert">This API key is not valid: ' in answer.text
        assert "set-cookie" not in answer.headers
        assert unknown not in answer.text
        assert "<script>" not in answer.text


def test_the_form_needs_nothing_from_elsewhere(browser: TestClient) -> None:
    page = browser.get("/login")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|https?:|url\(| style=| on\w+=", page.text)
    assert browser.put("/login").status_code == 405
    assert browser.put("/login").headers["allow"] == "GET, HEAD, POST"


ELSEWHERE = [
    "//evil.example",
    "https://evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "evil.example",
    "/login",
    "/logout?x=1",
    "",
    "/\r\nSet-Cookie: a=b",
    "/é",
]


def test_a_login_leads_nowhere_else(browser: TestClient) -> None:
    key = make_key("person")
    for elsewhere in ELSEWHERE:
        page = browser.get("/login", params={"next": elsewhere})
        assert 'name="next" value="/"' in page.text, elsewhere
        answer = browser.post("/login", data={"key": key, "next": elsewhere})
        assert answer.headers["location"] == "/", elsewhere


def test_a_form_cannot_be_broken_out_of(browser: TestClient) -> None:
    page = browser.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text


def test_a_person_whose_key_is_not_enough_may_use_another(browser: TestClient) -> None:
    log_in(browser, make_key("reader", ["exports:read"]))
    page = browser.get("/runs", headers=PAGE)
    assert page.status_code == 403
    assert "The API key &#x27;reader&#x27; does not have the scope admin" in page.text
    assert 'name="next" value="/runs"' in page.text
    assert browser.get("/runs").json()["error_code"] == "PERMISSION_DENIED"


def test_sessions_that_were_not_begun_here_are_none(browser: TestClient) -> None:
    log_in(browser, make_key("person"))
    good = browser.cookies[COOKIE]
    key_id, end, signature = good.split(".")
    other = change_key("person").id[::-1]
    browser.cookies.clear()
    for cookie in (
        "",
        "x",
        "..",
        f"{key_id}.{end}",
        f"{key_id}.{end}.",
        f"{key_id}.{end}.{signature[:-1]}",
        f"{key_id}.{end}.{signature}0",
        f"{key_id}.{int(end) + 1}.{signature}",
        f"{key_id}.{'9' * 5_000}.{signature}",
        f"{key_id}.-1.{signature}",
        f"{other}.{end}.{signature}",
        f"{key_id}.{int(time.time()) - 1}.{signature}",
    ):
        assert call(browser, "GET /runs", {"Cookie": f"{COOKIE}={cookie}"}) == 401, cookie
    assert call(browser, "GET /runs", {"Cookie": f"{COOKIE}={good}"}) == 200


def test_a_session_ends_after_twelve_hours(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(browser, make_key("person"))
    cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    browser.cookies.clear()
    now = time.time()
    for later, status in ((43_190, 200), (43_201, 401)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        assert call(browser, "GET /runs", cookie) == status


def test_a_session_that_another_process_began_is_known_at_once(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key("person")
    log_in(browser, key)
    rotate_signing_key()
    with monkeypatch.context() as patch, client() as other:
        patch.setattr(login, "SIGNING_KEYS", Remembered(signing_keys))
        log_in(other, key)
        cookie = {"Cookie": f"{COOKIE}={other.cookies[COOKIE]}"}
    browser.cookies.clear()
    assert call(browser, "GET /runs", cookie) == 200


def test_a_session_survives_a_rotation_and_ends_with_its_key(browser: TestClient) -> None:
    log_in(browser, make_key("person"))
    rotate_signing_key()
    with client() as other:
        log_in(other, make_key("another"))
        assert other.get("/runs").status_code == 200
    assert browser.get("/runs").status_code == 200
    revoke_key("person")
    deadline = time.monotonic() + 2.5
    while browser.get("/runs").status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def closing_code(talk: Any, seconds: float, *, is_busy: bool) -> int:
    """Return how a websocket is closed within some seconds; 0 if it stays open."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if is_busy:
                talk.send_text("after")
            talk.receive_text()
            time.sleep(0.02)
    except WebSocketDisconnect as closed:
        return closed.code
    return 0


@pytest.mark.parametrize(("is_busy", "is_session"), [(True, True), (False, False)])
def test_an_open_websocket_ends_with_its_key(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch, is_busy: bool, is_session: bool
) -> None:
    monkeypatch.setattr(sockets, "_SECONDS", 0.1)
    key = make_key("person")
    log_in(browser, key)
    headers = {} if is_session else bearer(key)
    with browser.websocket_connect("/echo", headers=headers) as talk:
        time.sleep(0.3)
        talk.send_text("before")
        assert talk.receive_text() == "before"
        revoke_key("person")
        assert closing_code(talk, 4, is_busy=is_busy) == 4401


FOREIGN = ["http://evil.example", "http://testserver:8080", "http://testserver.evil.example"]


@pytest.mark.parametrize("origin", [*FOREIGN, "null", "http://sub.testserver", "file://"])
def test_another_website_does_nothing_by_a_session(browser: TestClient, origin: str) -> None:
    key = make_key("person")
    log_in(browser, key)
    for path in ("POST /graphql", "GET /graphql", "DELETE /runs", "ws /graphql", "POST /login"):
        status = call(browser, path, {"Origin": origin})
        assert status == (4403 if path.startswith("ws") else 403), path
        if path != "POST /login":
            assert call(browser, path, {"Origin": origin, **bearer(key)}) in (101, 200), path
    for path in ("POST /graphql", "ws /graphql", "GET /graphql"):
        assert call(browser, path, {"Origin": SITE}) in (101, 200)


def test_a_picture_of_another_website_runs_no_query(browser: TestClient) -> None:
    log_in(browser, make_key("person"))
    with client(OPEN_GATE, "http://localhost:3000") as anybody:
        for each in (browser, anybody):
            for site in ("cross-site", "same-site"):
                picture = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "image"}
                assert call(each, "GET /graphql?query=mutation", picture) == 403
                frame = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "iframe"}
                assert call(each, "GET /", frame) == 403
                link = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document"}
                assert call(each, "GET /", link) == 200
            own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"}
            assert call(each, "GET /", own) == 200
            assert call(each, "GET /", {"Sec-Fetch-Site": "none"}) == 200


def test_a_proxy_may_ask_another_host_than_the_browser(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(browser, make_key("person"))
    outside = {"Origin": "https://exports.example"}
    assert call(browser, "POST /graphql", outside) == 403
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "https://exports.example/")
    assert call(browser, "POST /graphql", outside) == 200
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "http://127.0.0.1:3000")
    assert call(browser, "POST /graphql", {"Origin": "http://127.0.0.1:3000"}) == 403


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3000", "127.0.0.1:3000", "127.0.0.5", "[::1]:80", "LOCALHOST"]
)
def test_without_keys_this_machine_comes_in(host: str) -> None:
    with client(OPEN_GATE, f"http://{host}") as browser:
        for path in (
            "GET /",
            "POST /graphql",
            "DELETE /api/v1/keys/1",
            "ws /graphql",
            "GET /login",
        ):
            assert call(browser, path, {"Host": host}) in (101, 200), path
            own = {"Host": host, "Origin": f"http://{host}"}
            assert call(browser, path, own) in (101, 200), path
        answer = browser.get("/api/v1")
        assert answer.json()["caller"] == "anybody of default"
        assert "x-ratelimit-limit" not in answer.headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "localhost:3000@evil.example",
        "localhost:",
        "",
    ],
)
def test_without_keys_a_name_that_leads_here_does_not(host: str) -> None:
    with client(OPEN_GATE, "http://localhost") as browser:
        for path in ("GET /", "POST /graphql", "GET /healthz", "ws /graphql"):
            status = call(browser, path, {"Host": host})
            assert status == (4403 if path.startswith("ws") else 403), path
        answer = browser.get("/", headers={"Host": host, **PAGE})
        assert answer.json()["error_code"] == "PERMISSION_DENIED"
        assert answer.json()["detail"].startswith("Without API keys this server answers at local")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:8080", "http://127.0.0.1:3000", "null"]
)
def test_without_keys_another_website_does_nothing(origin: str) -> None:
    with client(OPEN_GATE, "http://localhost:3000") as browser:
        for path in ("GET /", "POST /graphql", "OPTIONS /graphql", "POST /api/v1/x", "ws /graphql"):
            status = call(browser, path, {"Origin": origin})
            assert status == (4403 if path.startswith("ws") else 403), path


def test_a_key_may_make_so_many_requests(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REQUESTS_PER_MINUTE", "60")
    busy, other = make_key("busy"), make_key("other")
    first = browser.get("/api/v1", headers=bearer(busy))
    assert first.headers["x-ratelimit-limit"] == "60"
    assert first.headers["x-ratelimit-remaining"] == "19"
    statuses = [
        browser.post(path, headers=bearer(busy)).status_code
        for path in ["/api/v1/exports/csv/products", "/graphql"] * 20
    ]
    refused = statuses.count(429)
    assert statuses == [200] * (40 - refused) + [429] * refused
    assert refused >= 15
    answer = browser.get("/api/v1", headers=bearer(busy))
    assert answer.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert call(browser, "ws /graphql", bearer(busy)) == 4429
    assert browser.get("/runs", headers=bearer(busy)).status_code == 200
    assert browser.get("/api/v1", headers=bearer(other)).status_code == 200
    assert "x-ratelimit-limit" not in browser.post("/graphql", headers=bearer(other)).headers
    log_in(browser, busy)
    for headers in ({}, bearer(TOKEN)):
        statuses = [browser.post("/graphql", headers=headers).status_code for _ in range(30)]
        assert statuses == [200] * 30


def test_a_server_without_pages_starts_and_stops_behind_the_gate() -> None:
    happened = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        for step in ("startup", "shutdown"):
            await receive()
            happened.append(step)
            await send({"type": f"lifespan.{step}.complete"})

    with TestClient(Gate(app, authenticates=True)) as browser:
        assert browser.get("/").status_code == 401
    assert happened == ["startup", "shutdown"]


def test_what_fails_behind_the_gate_is_not_answered_twice() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse({}, 500)(scope, receive, send)
        raise RegistryUnavailable("Broken.")

    gate = Gate(broken, authenticates=True, internal_token=TOKEN)
    with pytest.raises(RegistryUnavailable, match=r"^Broken\.$"):
        TestClient(gate).get("/", headers=bearer(TOKEN))
