import pytest

from export_pipelines_tests.api.server import API, Server


def test_a_key_is_made_used_and_revoked(server: Server) -> None:
    asked = {"name": "reader", "scopes": ["exports:read"], "expires_at": "2099-01-01"}
    answer = server.ask("POST", "/keys", json=asked)
    made = answer.json()
    assert answer.status_code == 201, made
    assert answer.headers["location"] == f"http://testserver{API}/keys/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    key = made.pop("key")
    assert key.startswith(made["prefix"])
    assert (made["organization"], made["expires_at"]) == ("default", "2099-01-01T00:00:00.000Z")
    assert server.get("/exports/jobs", key=key)["items"] == []
    assert server.get("/keys", 403, key=key)["error_code"] == "PERMISSION_DENIED"
    assert server.get("/keys/reader")["name"] == "reader"
    assert key not in server.ask("GET", "/keys").text

    assert server.post("/keys/reader/revoke", 200)["is_active"] is False
    assert server.ask("DELETE", "/keys/reader").status_code == 204
    assert "reader" not in [each["name"] for each in server.get("/keys")["items"]]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"scopes": ["exports:delete"]}, "exports:read"),
        ({"scopes": []}, "scopes"),
        ({"expires_at": "yesterday"}, "expires_at"),
        ({"expires_at": ""}, "expires_at"),
        ({"expires_at": "2020-01-01"}, "2020"),
        ({"name": " "}, "name"),
    ],
)
def test_what_is_wrong_is_named(server: Server, changes: dict[str, object], part: str) -> None:
    problem = server.post("/keys", 422, {"name": "wrong", "scopes": ["admin"], **changes})
    assert part in problem["detail"], problem
