"""What the API says about itself holds for whatever is asked of it."""

import json
import re
from typing import Any

import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from export_pipelines.api.routes import (
    exports,
    imports,
    keys,
    platforms,
    profiles,
    schedules,
    webhooks,
)
from export_pipelines_tests.api.server import API, Server

OPEN = "/exports/files/{id}"
"""What needs no key: links that are signed."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_answers_are_as_described(server: Server) -> None:
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", server.client.app)
    headers = {"Authorization": f"Bearer {server.key()}"}
    operations: list[Any] = list(schema.get_all_operations())
    for found in operations:
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=3, suppress_health_check=list(HealthCheck))
        def ask(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        ask()


def test_nothing_is_answered_without_a_key(server: Server) -> None:
    document = server.client.get(f"{API}/openapi.json").json()
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            answer = server.client.request(method, f"{API}{path}")
            expected = (
                (403, "PERMISSION_DENIED") if path == OPEN else (401, "AUTHENTICATION_REQUIRED")
            )
            assert (answer.status_code, answer.json()["error_code"]) == expected, (method, path)
            asked += 1
    assert asked > 40


def test_nothing_that_is_not_documented_is_answered_without_a_key(server: Server) -> None:
    asked = set()
    parts = (exports, imports, keys, platforms, profiles, schedules, webhooks)
    for router in (exports.links, *(part.router for part in parts)):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            assert route.methods
            path = re.sub(r"\{[^}]*\}", "x", route.path)
            for method in {"POST"} | route.methods:
                answer = server.client.request(method, f"{API}{path}")
                is_link = route.path == OPEN and method != "POST"
                assert answer.status_code == (403 if is_link else 401), (method, path)
                asked.add((method, path))
    assert {("HEAD", "/exports/jobs/x/download"), ("POST", "/exports/x/x")} < asked


def test_a_wrong_method_is_told_the_right_ones(server: Server) -> None:
    document = server.client.get(f"{API}/openapi.json").json()
    for path, operations in document["paths"].items():
        right = {method.upper() for method in operations}
        right |= {"HEAD"} if path in (OPEN, "/exports/jobs/{id}/download") else set()
        for method in {"GET", "POST", "PATCH", "DELETE", "PUT"} - right:
            answer = server.ask(method, re.sub(r"\{[^}]*\}", "x", path))
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert answer.headers["allow"] == ", ".join(sorted(right)), (method, path)
    assert server.ask("POST", "/openapi.json").headers["allow"] == "GET, HEAD"


def test_every_operation_says_what_it_does_and_asks_for_a_key(server: Server) -> None:
    document = server.client.get(f"{API}/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            needed: list[Any] = [] if path == OPEN else [{"HTTPBearer": []}]
            assert operation.get("security", []) == needed, (method, path)
            assert {"401", "403", "404", "422", "429", "503"} <= set(operation["responses"])
            for name in operation.get("parameters", []):
                assert name["description"], (method, path, name["name"])
    assert document["info"]["title"] == "export-pipelines"


def test_its_page_needs_nothing_of_another_machine(server: Server) -> None:
    page = server.client.get(f"{API}/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"{API}/docs/static/{name}" in page.text
        assert len(server.client.get(f"{API}/docs/static/{name}").content) > 100_000


def test_each_error_has_the_same_shape(server: Server) -> None:
    for answer in (
        server.ask("GET", "/nothing"),
        server.ask("PUT", "/exports/jobs"),
        server.ask("GET", "/exports/jobs/none"),
        server.ask("POST", "/exports/csv/none"),
        server.client.get(f"{API}/exports/jobs"),
        server.client.get(f"{API}/exports/jobs", headers={"Authorization": "Bearer x"}),
    ):
        assert answer.status_code >= 400
        assert set(json.loads(answer.text)) == {
            "detail",
            "error_code",
            "code",
            "field",
            "timestamp",
        }
