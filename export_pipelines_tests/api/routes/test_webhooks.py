import json
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from export_pipelines_tests.api.server import API, Server
from export_pipelines_tests.servers.receiver import Receiver, start_receiver
from export_pipelines_tests.webhooks.registered import register


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", "127.0.0.1")
    with start_receiver() as started:
        yield started


def test_a_webhook_is_registered_tested_changed_and_deleted(
    server: Server, receiver: Receiver
) -> None:
    asked = {"name": "shop", "url": receiver.url, "topics": ["export.completed"]}
    answer = server.ask("POST", "/webhooks", json=asked)
    made = answer.json()
    assert answer.status_code == 201, made
    assert answer.headers["location"] == f"http://testserver{API}/webhooks/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert {name: made[name] for name in asked} == asked
    assert server.get(f"/webhooks/{made['id']}") == made
    assert server.get("/webhooks")["items"] == [made]
    assert secret not in server.ask("GET", "/webhooks").text

    tested = server.post("/webhooks/shop/test", 200)
    assert (tested["delivered"], tested["response_code"]) == (True, 200)
    [got] = receiver.received
    headers = {name.lower(): value for name, value in got.headers.items()}
    Webhook(secret).verify(got.body, headers)
    assert json.loads(got.body)["type"] == "webhook.test"

    changes = {"topics": ["*"], "is_active": False}
    changed = server.ask("PATCH", "/webhooks/shop", json=changes)
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in changes} == changes
    rotated = server.post("/webhooks/shop/rotate-secret", 200)
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != secret
    assert server.get("/webhooks/shop/deliveries") == {"items": [], "next_cursor": None}
    assert server.post("/webhooks/shop/deliveries/x:completed/redeliver", 404)
    assert server.ask("DELETE", "/webhooks/shop").status_code == 204
    assert server.get("/webhooks")["items"] == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"url": "http://127.0.0.1/hook"}, "127.0.0.1"),
        ({"url": "http://169.254.169.254/latest"}, "169.254.169.254"),
        ({"url": "ftp://1.1.1.1/"}, "http"),
        ({"url": "https://u:hunter2@1.1.1.1/"}, "password"),
        ({"topics": ["export.done"]}, "export.completed"),
        ({"topics": []}, "topics"),
        ({"name": ""}, "name"),
    ],
)
def test_what_may_not_be_is_refused(server: Server, changes: dict[str, object], part: str) -> None:
    asked = {"name": "wrong", "url": "https://1.1.1.1/hook", **changes}
    problem = server.post("/webhooks", 422, asked)
    assert part in problem["detail"], problem
    assert "hunter2" not in problem["detail"]
    assert server.get("/webhooks")["items"] == []


def test_one_whose_host_is_gone_can_be_changed(server: Server) -> None:
    register("https://gone.invalid/hook", "export.*", name="gone", failures=7, paused_until="2099")
    try:
        for changes in ({"topics": ["export.failed"]}, {"is_active": False}, {"is_active": True}):
            answer = server.ask("PATCH", "/webhooks/gone", json=changes)
            assert answer.status_code == 200, answer.text
            assert changes.items() <= answer.json().items()
        assert (answer.json()["failures"], answer.json()["paused_until"]) == (0, None)
        answer = server.ask("PATCH", "/webhooks/gone", json={"url": "https://gone.invalid/"})
        assert (answer.status_code, "has no address" in answer.text) == (422, True)
    finally:
        server.ask("DELETE", "/webhooks/gone")


def test_to_enable_one_that_is_paused_ends_the_pause(server: Server) -> None:
    register("https://1.1.1.1/hook", name="paused", failures=7, paused_until="2099")
    answer = server.ask("PATCH", "/webhooks/paused", json={"is_active": True})
    assert (answer.json()["failures"], answer.json()["paused_until"]) == (0, None)
    server.ask("DELETE", "/webhooks/paused")


def test_imports_are_told_of_by_those_who_may_read_them(server: Server) -> None:
    key = server.key("default", "exports:write")
    asked = {"name": "shop", "url": "https://1.1.1.1/hook"}
    for topics in (["*"], ["import.*"], ["export.failed", "import.failed"]):
        problem = server.post("/webhooks", 403, {**asked, "topics": topics}, key=key)
        assert "lacks the scope imports:write" in problem["detail"]
    assert "imports:write" in server.post("/webhooks", 403, asked, key=key)["detail"]
    exports = {"topics": ["export.*", "schedule.stale"]}
    server.post("/webhooks", 201, {**asked, **exports}, key=key)

    def status(changes: object, key: str = key) -> int:
        code: int = server.ask("PATCH", "/webhooks/shop", json=changes, key=key).status_code
        return code

    everything = {"topics": ["*"]}
    assert status(everything) == 403
    assert status(everything, server.key("default", "exports:write", "imports:write")) == 200
    assert status({"url": "https://1.1.1.1/mine"}) == 403
    assert status({"is_active": False}) == 200
    assert status(exports) == 200
    assert server.ask("DELETE", "/webhooks/shop", key=key).status_code == 204
