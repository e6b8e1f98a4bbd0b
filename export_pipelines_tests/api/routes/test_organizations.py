"""A key of one organization tries everything of another: nothing is shown, nothing changes."""

import json
from typing import Any

import pytest

from export_pipelines.execution import run_import
from export_pipelines_tests.api.server import API, Server

SCOPES = ("exports:write", "imports:write", "platforms:write")
THEIRS = "theirs only"


@pytest.fixture(scope="module")
def theirs(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the ids of what the other organization has, by the name that paths have for it."""
    key = server.key("globex", "admin")
    ids = {"export": server.export("csv", "globex", resource_type="suppliers", file_name=THEIRS)}
    ids["queued"] = server.post("/exports/csv/suppliers", 202, key=key)["id"]
    made = {
        "platform": ("/exports/platforms", platform(THEIRS)),
        "profile": ("/exports/profiles", {"name": THEIRS, "format": "csv"}),
        "schedule": (
            "/exports/schedules",
            {"schedule_name": THEIRS, "cron_expression": "@yearly"},
        ),
        "webhook": ("/webhooks", {"name": THEIRS, "url": "https://1.1.1.1/theirs"}),
        "key": ("/keys", {"name": THEIRS, "scopes": ["exports:read"]}),
    }
    for name, (path, body) in made.items():
        ids[name] = server.post(path, 201, body, key=key)["id"]
    file = tmp_path_factory.mktemp("import") / "theirs.csv"
    file.write_text("name\nA name\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT_PIPELINES_ORGANIZATION", "globex")
        config = {"files": [str(file)]}
        ids["import"] = run_import(server.instance, "suppliers", config, lambda tags: None)[
            0
        ].run_id
    return ids


def platform(name: str) -> dict[str, Any]:
    config = {"host": "ftp.example.com", "username": "u", "password": "theirs password"}
    return {"name": name, "platform_type": "ftp", "config": config, "auto_upload": False}


BY_ID = [
    ("GET", "/exports/jobs/{export}", None),
    ("GET", "/exports/jobs/{export}/download", None),
    ("DELETE", "/exports/jobs/{export}", None),
    ("POST", "/exports/jobs/{queued}/cancel", None),
    ("POST", "/exports/jobs/{export}/resume", None),
    ("GET", "/imports/jobs/{import}", None),
    ("GET", "/imports/jobs/{import}/report", None),
    ("GET", "/imports/jobs/{import}/failed-rows", None),
    ("POST", "/imports/jobs/{import}/cancel", None),
    ("POST", "/imports/jobs/{import}/resume", None),
    ("GET", "/exports/platforms/{platform}", None),
    ("PATCH", "/exports/platforms/{platform}", {"is_active": False}),
    ("POST", "/exports/platforms/{platform}/check", None),
    ("DELETE", "/exports/platforms/{platform}", None),
    ("GET", "/exports/profiles/{profile}", None),
    ("PATCH", "/exports/profiles/{profile}", {"format": "json"}),
    ("DELETE", "/exports/profiles/{profile}", None),
    ("GET", "/exports/schedules/{schedule}", None),
    ("PATCH", "/exports/schedules/{schedule}", {"is_active": False}),
    ("DELETE", "/exports/schedules/{schedule}", None),
    ("GET", "/webhooks/{webhook}", None),
    ("PATCH", "/webhooks/{webhook}", {"is_active": False}),
    ("POST", "/webhooks/{webhook}/rotate-secret", None),
    ("POST", "/webhooks/{webhook}/test", None),
    ("GET", "/webhooks/{webhook}/deliveries", None),
    ("POST", "/webhooks/{webhook}/deliveries/{export}:completed/redeliver", None),
    ("DELETE", "/webhooks/{webhook}", None),
]
OF_KEYS = [
    ("GET", "/keys/{key}", None),
    ("POST", "/keys/{key}/revoke", None),
    ("DELETE", "/keys/{key}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), [*BY_ID, *OF_KEYS])
def test_what_another_has_is_as_though_it_were_not_there(
    server: Server, theirs: dict[str, str], method: str, path: str, body: Any
) -> None:
    before = everything(server)
    is_of_keys = path.startswith("/keys")
    key = server.key("acme", *(("admin",) if is_of_keys else SCOPES))
    options = {"json": body} if body else {}
    unknown = dict.fromkeys(theirs, "00000000-0000-0000-0000-000000000000")
    found = server.ask(method, path.format(**theirs), key=key, **options)
    nothing = server.ask(method, path.format(**unknown), key=key, **options)
    assert (found.status_code, found.json()["error_code"]) == (404, "NOT_FOUND"), found.text
    assert shape(found.json(), theirs) == shape(nothing.json(), unknown)
    assert everything(server) == before


def shape(problem: dict[str, Any], ids: dict[str, str]) -> str:
    """Return an answer without its time and the ids that were asked for."""
    text = json.dumps({**problem, "timestamp": ""})
    for each in ids.values():
        text = text.replace(each, "ID")
    return text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/exports/csv/suppliers", {"platforms": [THEIRS]}),
        ("/exports/csv/suppliers", {"platforms": ["{platform}"]}),
        ("/exports/schedules", {"platform_id": "{platform}"}),
        ("/exports/schedules", {"profile": "{profile}"}),
        ("/exports/schedules", {"profile": THEIRS}),
        ("/exports/profiles", {"name": "mine", "format": "csv", "platforms": ["{platform}"]}),
    ],
)
def test_what_another_has_cannot_be_used(
    server: Server, theirs: dict[str, str], path: str, body: dict[str, Any]
) -> None:
    given = json.loads(
        json.dumps(body)
        .replace("{platform}", theirs["platform"])
        .replace("{profile}", theirs["profile"])
    )
    if path == "/exports/schedules":
        given = {"schedule_name": "mine", "cron_expression": "@yearly", **given}
    answer = server.ask("POST", path, json=given, key=server.key("acme", *SCOPES))
    assert answer.status_code in (404, 422), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/exports/jobs",
        "/exports/jobs?schedule=theirs only",
        "/exports/jobs?cursor={export}",
        "/imports/jobs",
        "/exports/platforms",
        "/exports/profiles",
        "/exports/schedules",
        "/webhooks",
    ],
)
def test_lists_show_nothing_of_another(server: Server, theirs: dict[str, str], path: str) -> None:
    answer = server.ask("GET", path.format(**theirs), key=server.key("acme", *SCOPES))
    assert answer.status_code == (422 if "cursor" in path else 200)
    said = answer.text.replace(f"cursor {theirs['export']!r}", "")
    for each in (*theirs.values(), THEIRS, "globex"):
        assert each not in said


@pytest.mark.parametrize(
    "path", ["/graphql", "/runs", "/", "/metrics", "/logs/x", "/download_debug/x"]
)
def test_what_shows_all_organizations_is_for_those_who_run_the_server(
    server: Server, theirs: dict[str, str], path: str
) -> None:
    for key, status in ((server.key("acme", *SCOPES), 403), (None, 401)):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = server.client.get(path, headers=headers)
        assert answer.status_code == status, (path, key)
        assert THEIRS not in answer.text


def test_a_link_of_another_is_good_only_as_it_was_signed(
    server: Server, theirs: dict[str, str]
) -> None:
    job = server.get(f"/exports/jobs/{theirs['export']}", key=server.key("globex", "admin"))
    mine = server.export("csv", "acme", resource_type="suppliers")
    link = job["file_url"]
    own = server.get(f"/exports/jobs/{mine}", key=server.key("acme", *SCOPES))["file_url"]
    assert server.client.get(link).status_code == 200
    bad = [
        link.replace(theirs["export"], mine),
        own.replace(mine, theirs["export"]),
        link + "&part=manifest.json",
        link.replace("expires=", "expires=1"),
        link[:-10],
        link.partition("&signature")[0],
        link.partition("?")[0],
    ]
    for each in bad:
        answer = server.client.get(each)
        assert (answer.status_code, answer.json()["code"]) == (403, "link_refused"), each


@pytest.mark.parametrize("scope", ["exports:read", "imports:write", "platforms:write"])
def test_a_scope_allows_no_more_than_it_says(server: Server, scope: str) -> None:
    key = server.key("acme", scope)
    document = server.client.get(f"{API}/openapi.json").json()
    for path, operations in document["paths"].items():
        if path == "/exports/files/{id}":
            continue
        for method in operations:
            place = path.replace("{", "").replace("}", "")
            answer = server.ask(method.upper(), place, key=key)
            allowed = is_allowed(scope, method, path)
            assert (answer.status_code != 403) is allowed, (scope, method, path, answer.text)


def is_allowed(scope: str, method: str, path: str) -> bool:
    if path.startswith("/keys"):
        return False
    if path.startswith("/imports"):
        return scope == "imports:write"
    if path.startswith("/exports/platforms") and method != "get":
        return scope == "platforms:write"
    return scope == "exports:read" and method == "get"


def everything(server: Server) -> dict[str, Any]:
    """Return all that the other organization has."""
    key = server.key("globex", "admin")
    paths = ("/exports/jobs", "/exports/platforms", "/exports/schedules", "/webhooks", "/keys")
    found = {path: server.get(path, key=key)["items"] for path in paths}
    for job in found["/exports/jobs"]:
        job["file_url"] = None
        for file in job["files"]:
            file["url"] = None
    for each in found["/keys"]:
        each["last_used_at"] = None
    return found
