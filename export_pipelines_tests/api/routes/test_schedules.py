from typing import Any

import pytest

from export_pipelines.registration import profiles, schedules
from export_pipelines_tests.api.server import API, Server

NAME = "Weekly Products Export"


@pytest.fixture(scope="module")
def platform(server: Server) -> str:
    asked = {
        "name": "drive",
        "platform_type": "gdrive",
        "config": {"credentials": "...", "folder_id": "f"},
        "auto_upload": False,
    }
    return str(server.post("/exports/platforms", 201, asked)["id"])


def test_a_schedule_is_registered_changed_and_deleted(server: Server, platform: str) -> None:
    asked = {
        "platform_id": platform,
        "schedule_name": NAME,
        "cron_expression": "0 9 * * 1",
        "timezone": "Europe/Paris",
    }
    answer = server.ask("POST", "/exports/schedules", json=asked)
    made = answer.json()
    assert answer.status_code == 201, made
    assert answer.headers["location"] == f"http://testserver{API}/exports/schedules/{made['id']}"
    shown = {name: made[name] for name in ("schedule_name", "cron_expression", "timezone")}
    assert shown == {name: asked[name] for name in shown}
    assert (made["is_active"], made["platforms"], made["profile"]) == (True, ["drive"], "default")
    assert len(made["next_runs"]) == 5
    assert server.get(f"/exports/schedules/{made['id']}") == made

    path = f"/exports/schedules/{made['id']}"
    changed = server.ask("PATCH", path, json={"is_active": False, "timezone": "UTC"}).json()
    assert (changed["is_active"], changed["timezone"], changed["next_runs"]) == (False, "UTC", [])
    assert server.get("/exports/schedules")["items"] == [changed]
    assert server.ask("PATCH", path, json={"platforms": None}).json()["platforms"] is None
    assert server.ask("DELETE", path).status_code == 204
    assert server.get("/exports/schedules")["items"] == []


@pytest.mark.parametrize(
    ("changes", "status", "part"),
    [
        ({"cron_expression": "0 25 * * *"}, 422, "25"),
        ({"timezone": "Europe/Pari"}, 422, "Europe/Paris"),
        ({"platform_id": "nowhere"}, 422, "nowhere"),
        ({"platform_id": "drive", "platforms": ["drive"]}, 422, "only one"),
        ({"profile": "unknown"}, 404, "unknown"),
        ({"alert_after_minutes": 0}, 422, "alert_after_minutes"),
        ({"schedule_name": ""}, 422, "name"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_registered(
    server: Server, platform: str, changes: dict[str, object], status: int, part: str
) -> None:
    asked = {"schedule_name": NAME, "cron_expression": "@daily", **changes}
    assert part in server.post("/exports/schedules", status, asked)["detail"]
    assert server.get("/exports/schedules")["items"] == []


def test_a_change_since_it_was_read_is_not_undone(
    server: Server, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = {"schedule_name": NAME, "cron_expression": "@daily"}
    profile = {"name": "names", "format": "csv"}
    for kind, asked, module in (
        ("schedules", schedule, schedules),
        ("profiles", profile, profiles),
    ):
        made = server.post(f"/exports/{kind}", 201, asked)
        path = f"/exports/{kind}/{made['id']}"

        def change_first(*arguments: Any, path: str = path, module: Any = module) -> Any:
            monkeypatch.undo()
            assert server.ask("PATCH", path, json={"is_active": False}).status_code == 200
            return module.check(*arguments)

        monkeypatch.setattr(module, "check", change_first)
        answer = server.ask("PATCH", path, json={"platforms": ["drive"]})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        changed = server.ask("PATCH", path, json={"platforms": ["drive"]}).json()
        assert (changed["is_active"], changed["platforms"]) == (False, ["drive"])
        assert server.ask("DELETE", path).status_code == 204


def test_a_profile_is_registered_changed_and_deleted(server: Server, platform: str) -> None:
    request = {"resource_type": "suppliers", "fields": ["name"]}
    asked = {"name": "names", "format": "csv", "request": request, "platforms": ["drive"]}
    made = server.post("/exports/profiles", 201, asked)
    assert {name: made[name] for name in asked} == asked
    changed = server.ask("PATCH", "/exports/profiles/names", json={"format": "json"}).json()
    assert (changed["format"], changed["request"]) == ("json", request)
    wrong = server.ask("PATCH", "/exports/profiles/names", json={"request": {"colour": 1}})
    assert (wrong.status_code, "colour" in wrong.json()["detail"]) == (422, True)
    schedule = {"schedule_name": "Daily", "cron_expression": "@daily", "profile": "names"}
    server.post("/exports/schedules", 201, schedule)
    assert server.ask("DELETE", "/exports/profiles/names").status_code == 422
    assert server.ask("DELETE", "/exports/schedules/Daily").status_code == 204
    assert server.ask("DELETE", "/exports/profiles/names").status_code == 204
    assert server.get("/exports/profiles")["items"] == []
