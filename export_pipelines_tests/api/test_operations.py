import json
from typing import Any

import anyio
import dagster as dg
import pytest
from fastapi import FastAPI

from export_pipelines.api.application import build_api
from export_pipelines.api.callers import Caller
from export_pipelines.api.launching import Launcher
from export_pipelines_tests.api.clients import TestClient

MEGABYTE = 1_000_000


class Nothing:
    def execute(self, query: str, variables: Any) -> Any:
        raise AssertionError(query)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return build_api(Launcher(dg.DagsterInstance.ephemeral(), Nothing()))


def client(app: FastAPI, *scopes: str) -> TestClient:
    """Return what asks the API as the gate lets it in, with scopes."""
    caller = Caller("", "key", "default", frozenset(scopes))

    async def let_in(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {**scope["state"], "caller": caller}}, receive, send)

    return TestClient(let_in)


def test_a_body_is_not_read_for_who_may_not_send_it(app: FastAPI) -> None:
    documented = app.openapi()["paths"]
    asked = 0
    for path, operations in documented.items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue

            async def receive() -> Any:
                raise AssertionError("It is read.")

            status = status_of(app, method, path, receive)
            assert status == 403, (method, path)
            asked += 1
    assert asked > 10


def status_of(app: FastAPI, method: str, path: str, receive: Any, *scopes: str) -> int:
    """Return the status of an answer to somebody with scopes, whose body comes by `receive`."""
    caller = Caller("", "key", "default", frozenset(scopes))
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": method.upper(), "path": path, "raw_path": path.encode(),
        "root_path": "", "query_string": b"", "scheme": "http", "server": ("testserver", 80),
        "headers": [(b"content-type", b"application/json")], "state": {"caller": caller},
    }  # fmt: skip
    anyio.run(app, scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize("path", ["/exports/csv/products", "/exports/platforms", "/keys"])
def test_a_body_that_is_too_large_is_not_read_to_its_end(app: FastAPI, path: str) -> None:
    scopes = ("exports:write", "platforms:write", "admin")
    headers = {"Content-Type": "application/json"}
    body = b" " * (MEGABYTE + 1)
    answer = client(app, *scopes).post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "TOO_LARGE")
    assert "1,000,000 bytes" in answer.json()["detail"]
    received = 0

    async def receive() -> Any:
        nonlocal received
        received += MEGABYTE // 10
        return {"type": "http.request", "body": b" " * (MEGABYTE // 10), "more_body": True}

    assert status_of(app, "POST", path, receive, *scopes) == 413
    assert received <= 2 * MEGABYTE


def test_a_file_may_be_as_large_as_imports_may(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", "2000000")
    asker = client(app, "imports:write")
    small, large = (
        asker.post(
            "/imports/jobs",
            files={"file": ("a.csv", b" " * size)},
            data={"resource_type": "nothing"},
        )
        for size in (2 * MEGABYTE, 3 * MEGABYTE)
    )
    assert (small.status_code, small.json()["code"]) == (422, "request_invalid")
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", "none")
    assert asker.post("/imports/jobs", content=b" " * 3 * MEGABYTE).status_code == 422


HALF = "\ud800"
BODIES = [
    ("POST", "/exports/csv/products", {"platforms": [HALF]}),
    ("POST", "/exports/csv/products", {"filters": {"name_in": ["a", {HALF: 1}]}}),
    ("POST", "/exports/csv/products", {HALF: 1}),
    ("POST", "/exports/profiles", {"name": "a", "format": "csv", "platforms": [HALF]}),
    ("PATCH", "/exports/profiles/a", {"platforms": [HALF]}),
    ("POST", "/exports/schedules", {"schedule_name": "a", "platform_id": HALF}),
    ("PATCH", "/exports/schedules/a", {"profile": HALF}),
    ("POST", "/exports/platforms", {"name": "a", "platform_type": "ftp", "config": {HALF: 1}}),
    ("PATCH", "/exports/platforms/a", {"config": {HALF: 1}}),
    ("POST", "/webhooks", {"name": HALF, "url": "https://1.1.1.1"}),
    ("POST", "/keys", {"name": HALF, "scopes": ["admin"]}),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_half_a_character_is_refused(app: FastAPI, method: str, path: str, body: Any) -> None:
    asker = client(app, "exports:write", "platforms:write", "admin")
    headers = {"Content-Type": "application/json"}
    answer = asker.request(method, path, content=json.dumps(body), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert "half a character" in answer.json()["detail"]
