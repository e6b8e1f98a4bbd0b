import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from export_pipelines_tests.api.server import API, Server

GDRIVE = {
    "name": "Google Drive \u2013 Exports",
    "platform_type": "gdrive",
    "config": {"credentials": "...", "folder_id": "1abc123xyz"},
}
FTP = {"host": "ftp.example.com", "username": "shop", "password": "hunter2 hunter2"}


def test_a_platform_is_registered_and_its_secrets_are_not_shown(server: Server) -> None:
    answer = server.ask("POST", "/exports/platforms", json=GDRIVE)
    made = answer.json()
    assert answer.status_code == 201, made
    assert (made["name"], made["platform_type"]) == (GDRIVE["name"], "gdrive")
    assert made["is_active"] is True
    assert made["config"] == {"folder_id": "1abc123xyz"}
    assert made["secrets"] == ["credentials"]
    assert answer.headers["location"] == f"http://testserver{API}/exports/platforms/{made['id']}"
    assert server.get(f"/exports/platforms/{made['id']}") == made
    assert made in server.get("/exports/platforms")["items"]
    assert server.post("/exports/platforms", 409, GDRIVE)["code"] == "name_taken"
    assert server.ask("DELETE", f"/exports/platforms/{made['id']}").status_code == 204
    assert server.get(f"/exports/platforms/{made['id']}", 404)["error_code"] == "NOT_FOUND"


def test_a_platform_is_changed(server: Server) -> None:
    asked = {"name": "partner", "platform_type": "ftp", "config": FTP, "auto_upload": False}
    made = server.post("/exports/platforms", 201, asked)
    changes = {
        "config": {"port": 2121, "username": None, "password": "hunter2 again"},
        "is_active": False,
    }
    changed = server.ask("PATCH", "/exports/platforms/partner", json=changes)
    assert changed.status_code == 200, changed.text
    assert changed.json()["config"] == {"host": "ftp.example.com", "port": 2121}
    assert changed.json()["secrets"] == ["password"]
    assert changed.json()["is_active"] is False
    assert "hunter2" not in changed.text
    wrong = server.ask("PATCH", "/exports/platforms/partner", json={"config": {"port": "x"}})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "port")
    assert server.get(f"/exports/platforms/{made['id']}")["config"]["port"] == 2121


def test_a_wrong_field_is_named(server: Server) -> None:
    asked = {"name": "wrong", "platform_type": "ftp", "config": {**FTP, "prot": 21}}
    problem = server.post("/exports/platforms", 422, asked)
    assert (problem["field"], problem["code"]) == ("prot", "platform_misconfigured")
    assert "hunter2" not in problem["detail"]


S3_KEYS = {"aws_access_key_id": "AKIATENANT", "aws_secret_access_key": "hunter2"}
SFTP = {"host": "files.example.com", "username": "shop", "password": "hunter2"}
OF_THE_SERVER: list[tuple[str, dict[str, Any]]] = [
    ("local", {"folder": "/tmp"}),
    ("ftp", {**FTP, "password": {"env": "AWS_SECRET_ACCESS_KEY"}}),
    ("ftp", {**FTP, "ca_file": "/etc/passwd"}),
    ("minio", {"endpoint_url": "https://m.example", "bucket": "b", "ca_file": "/etc/passwd"}),
    ("s3", {"bucket": "shop"}),
    ("s3", {"bucket": "shop", "aws_access_key_id": ""}),
    ("s3", {"bucket": "shop", **S3_KEYS, "profile_name": "default"}),
    ("s3", {"bucket": "shop", **S3_KEYS, "ca_file": "/etc/passwd"}),
    ("sftp", {**SFTP, "private_key_file": "/root/.ssh/id_ed25519"}),
    ("sftp", {**SFTP, "known_hosts_file": "/etc/ssh/ssh_known_hosts"}),
    ("gdrive", {"credentials_file": "/etc/passwd", "folder_id": "1abc123xyz"}),
]


@pytest.mark.parametrize(("platform_type", "config"), OF_THE_SERVER)
def test_what_is_of_the_server_is_for_those_who_run_it(
    server: Server, platform_type: str, config: dict[str, Any]
) -> None:
    asked = {"name": "inside", "platform_type": platform_type, "config": config}
    key = server.key("default", "platforms:write", "exports:read")
    problem = server.post("/exports/platforms", 403, asked, key=key)
    assert problem["error_code"] == "PERMISSION_DENIED"
    assert "admin" in problem["detail"]


def test_what_is_of_the_server_is_not_changed_by_others(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTNER_PASSWORD", "hunter2")
    config = {**FTP, "password": {"env": "PARTNER_PASSWORD"}}
    asked = {"name": "by variable", "platform_type": "ftp", "config": config}
    path = f"/exports/platforms/{server.post('/exports/platforms', 201, asked)['id']}"
    key = server.key("default", "platforms:write", "exports:read")
    for changes in ({"config": {"host": "evil.example"}}, {"is_active": False}):
        answer = server.ask("PATCH", path, json=changes, key=key)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    own = {"config": {"password": "another"}}
    assert server.ask("PATCH", path, json=own, key=key).status_code == 200
    variable = {"config": {"password": {"env": "PARTNER_PASSWORD"}}}
    assert server.ask("PATCH", path, json=variable, key=key).status_code == 403
    server.ask("DELETE", path)


@pytest.mark.parametrize(
    ("platform_type", "config", "changes"),
    [
        ("ftp", FTP, {"host": "evil.example"}),
        ("ftp", FTP, {"port": 2121}),
        ("ftp", FTP, {"tls": "none"}),
        ("sftp", {**SFTP, "host_key": "SHA256:a"}, {"host_key": "SHA256:b"}),
        ("sftp", {**SFTP, "passphrase": "x"}, {"host": "evil.example", "password": "new"}),
        ("s3", {"bucket": "b", **S3_KEYS}, {"endpoint_url": "https://evil.example"}),
    ],
)
def test_secrets_are_not_sent_elsewhere_than_they_were_given_for(
    server: Server, platform_type: str, config: dict[str, str], changes: dict[str, str]
) -> None:
    asked = {"name": "moved", "platform_type": platform_type, "config": config}
    made = server.post("/exports/platforms", 201, asked)
    path = f"/exports/platforms/{made['id']}"
    for scope in ("platforms:write", "admin"):
        key = server.key("default", scope, *(["exports:read"] if scope != "admin" else []))
        answer = server.ask("PATCH", path, json={"config": changes}, key=key)
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"] in made["secrets"]
        assert "give it again" in answer.json()["detail"]
        assert "hunter2" not in answer.text
    assert server.get(path) == made
    for again in ({**dict.fromkeys(made["secrets"], "new"), **changes}, {"subfolder": "in"}):
        answer = server.ask("PATCH", path, json={"config": again})
        assert answer.status_code == 200, answer.text
    server.ask("DELETE", path)


def test_a_platform_is_checked(server: Server, tmp_path: Path) -> None:
    asked = {"name": "nas", "platform_type": "local", "config": {"folder": str(tmp_path)}}
    server.post("/exports/platforms", 201, asked)
    found = server.post("/exports/platforms/nas/check", 200)
    assert found["passed"], found
    assert found["location"] == str(tmp_path)
    assert [step["name"] for step in found["steps"]][:1] == ["connect"]
    assert list(tmp_path.iterdir()) == []
    server.ask("PATCH", "/exports/platforms/nas", json={"auto_upload": False})


@pytest.fixture
def silent(server: Server) -> Iterator[str]:
    """Register a platform that takes connections and says nothing, and return the way to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = {"host": "127.0.0.1", "port": listener.getsockname()[1], "timeout_seconds": 1}
        asked = {"name": "silent", "platform_type": "ftp", "config": config}
        path = f"/exports/platforms/{server.post('/exports/platforms', 201, asked)['id']}"
        yield path
        server.ask("DELETE", path)


def test_of_silent_platforms_only_some_are_waited_for(server: Server, silent: str) -> None:
    with ThreadPoolExecutor(7) as threads:
        answers = list(threads.map(lambda _: server.ask("POST", f"{silent}/check"), range(7)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 3
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["code"] == "too_many_calls"
            assert int(answer.headers["retry-after"]) > 0
    assert server.post(f"{silent}/check", 200)["passed"] is False
