import json
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from export_pipelines_tests.api.server import API, Server
from export_pipelines_tests.servers.receiver import Receiver, start_receiver


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
