import json
from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner, Result

from export_pipelines.cli.keys import keys
from export_pipelines.clock import now, seconds_of
from export_pipelines.registry import rows
from export_pipelines.registry.api_keys import digest_of
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import ApiKeyRow


def run(*arguments: str) -> Result:
    return CliRunner().invoke(keys, arguments)


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def stored(organization: str = "default") -> list[ApiKeyRow]:
    with reading() as session:
        return rows.all_of(session, ApiKeyRow, organization)


def test_a_key_is_printed_once() -> None:
    result = run("add", "shop", "--scope", "exports:read", "--scope", "imports:write")
    assert result.exit_code == 0
    [text] = result.stdout.split()
    assert "It is not shown again" in result.stderr
    assert text not in result.stderr
    [row] = stored()
    assert row.digest == digest_of(text)
    assert row.scopes == ["exports:read", "imports:write"]
    assert row.expires_at is None
    listed = done("list")
    assert row.prefix in listed
    assert text.rpartition("_")[2] not in listed


def test_a_key_as_json() -> None:
    made = json.loads(done("add", "shop", "--scope", "admin", "--expires-in", "30", "--json"))
    [row] = stored()
    assert digest_of(made.pop("key")) == row.digest
    assert made == {
        "id": row.id,
        "name": "shop",
        "organization": "default",
        "prefix": row.prefix,
        "scopes": ["admin"],
        "expires_at": row.expires_at,
        "created_at": row.created_at,
    }
    days = (seconds_of(made["expires_at"]) - seconds_of(now())) / 86_400
    assert 29.9 < days <= 30


def test_keys_are_those_of_an_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", "shop", "--scope", "admin", "--organization", "acme")
    assert done("list") == "default has no key. See: export-pipelines keys add --help\n"
    assert done("list", "--organization", "acme").startswith("shop ")
    assert "There is no API key 'shop'" in refused("revoke", "shop")
    assert "There is no API key 'shop'" in refused("remove", "shop")
    assert done("revoke", "shop", "--organization", "acme") == "shop is revoked.\n"
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")
    assert done("revoke", "shop") == "shop is revoked already.\n"
    assert done("remove", "shop") == "Removed shop.\n"
    assert stored("acme") == []


def test_the_list_says_what_is_good_and_what_was_used() -> None:
    for name in ("fresh", "old", "revoked", "used"):
        run("add", name, "--scope", "exports:write", "--expires-in", "1")
    with writing() as session:
        found = {row.name: row for row in rows.all_of(session, ApiKeyRow, "default")}
        past = datetime.now(timezone.utc) - timedelta(days=1)
        found["old"].expires_at = past.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        found["revoked"].is_active = False
        found["used"].last_used_at = found["used"].created_at
    lines = {line.split()[0]: line for line in done("list").splitlines()}
    assert list(lines) == ["fresh", "old", "revoked", "used"]
    assert f" expires {found['fresh'].expires_at} " in lines["fresh"]
    assert " never used " in lines["fresh"]
    assert " expired " in lines["old"]
    assert " revoked " in lines["revoked"].removeprefix("revoked")
    assert f" last used {found['used'].created_at} " in lines["used"]
    assert all(line.endswith(" exports:write") for line in lines.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["shop"], "Missing option '--scope'"),
        (["shop", "--scope", "all"], "Error: There is no scope 'all'. Choose from exports:read, "),
        (["shop", "--scope", "admin", "--expires-in", "0"], "Error: A key cannot expire in 0 days"),
        (["shop", "--scope", "admin", "--organization", ""], "Error: '' cannot be an organization"),
        (["", "--scope", "admin"], "Error: '' cannot be a key's name"),
    ],
)
def test_a_key_that_cannot_be_is_refused(arguments: list[str], sentence: str) -> None:
    assert sentence in refused("add", *arguments)
    assert stored() == []


def test_a_name_that_is_taken_is_refused() -> None:
    run("add", "shop", "--scope", "admin")
    assert "'shop': choose another name" in refused("add", "shop", "--scope", "admin")
