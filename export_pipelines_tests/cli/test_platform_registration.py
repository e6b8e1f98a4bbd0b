import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from export_pipelines import settings
from export_pipelines.cli import main
from export_pipelines.config_types import is_secret
from export_pipelines.platforms import PLATFORMS
from export_pipelines.platforms.local import Local
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading
from export_pipelines.registry.models import PlatformRow
from export_pipelines.registry.secrets import decrypt
from export_pipelines_tests.deliveries import name_platforms

SECRET = 'cörrect "horse" \\ battery'
SFTP = ["--set", "host=files.example", "--set", "username=shop"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def north(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a platform north in the file, and return its folder, which is empty."""
    folder = tmp_path / "north"
    folder.mkdir()
    name_platforms({"north": Local(folder=str(folder))}, monkeypatch)
    return folder


def done(*arguments: str, given: str = "") -> str:
    result = CliRunner().invoke(main, ["platforms", *arguments], input=given)
    assert (result.exit_code, result.stderr) == (0, "")
    assert SECRET not in result.output
    return result.stdout


def shown(name: str = "partner") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done("show", name, "--json"))
    return found


def secrets_of(name: str = "partner") -> dict[str, str]:
    with reading() as session:
        return decrypt(rows.require(session, PlatformRow, "default", name))


def test_a_platform_is_registered_with_secrets_of_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    key.write_text("-----BEGIN KEY-----\nline\n-----END KEY-----\n", encoding="utf-8")
    monkeypatch.setenv("PASSPHRASE", "open sesame")
    text = done(
        "add", "partner", "sftp", *SFTP, "--set", "port=2222", "--set", "folder=a=b", "--secret",
        "password", "--secret-file", f"private_key={key}", "--env", "passphrase=PASSPHRASE",
        "--no-auto-upload", given=f"{SECRET}\n",
    )  # fmt: skip
    assert text == (
        "Registered partner: sftp://shop@files.example:2222/a=b\n"
        "Test it: export-pipelines platforms check 'partner'\n"
    )
    found = shown()
    assert found["fields"] == {
        "host": "files.example",
        "username": "shop",
        "port": 2222,
        "folder": "a=b",
        "passphrase": {"env": "PASSPHRASE"},
    }
    assert found["secrets"] == ["password", "private_key"]
    assert (found["is_active"], found["auto_upload"]) == (True, False)
    assert secrets_of() == {"password": SECRET, "private_key": key.read_text().rstrip("\n")}
    titles = [line.split()[0] for line in done("show", "partner").splitlines()]
    assert titles == list(found)


def test_secrets_are_lines_of_the_standard_input_in_their_order() -> None:
    given = f"AKIA\r\n{SECRET}\nunread\n"
    fields = ["--set", "bucket=b", "--secret", "aws_access_key_id"]
    done("add", "s", "s3", *fields, "--secret", "aws_secret_access_key", given=given)
    assert secrets_of("s") == {"aws_access_key_id": "AKIA", "aws_secret_access_key": SECRET}


@pytest.mark.parametrize("kind", ["add", "set"])
@pytest.mark.parametrize(
    ("platform_type", "field"),
    [
        (platform_type, name)
        for platform_type, platform in PLATFORMS.items()
        for name, field in platform.model_fields.items()
        if is_secret(field)
    ],
)
def test_no_secret_is_taken_from_the_command_line(
    kind: str, platform_type: str, field: str
) -> None:
    required = {"endpoint_url": "http://h", "bucket": "b", "host": "h", "username": "u"}
    needed = {**required, "folder_id": "f", "folder": "/"}
    fields = [
        f"--set={name}={needed[name]}"
        for name, found in PLATFORMS[platform_type].model_fields.items()
        if found.is_required()
    ]
    if kind == "set":
        done("add", "partner", platform_type, *fields)
    arguments = [platform_type, *fields] if kind == "add" else []
    result = invoke("platforms", kind, "partner", *arguments, "--set", f"{field}={SECRET}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {field} is a secret, and a command line is seen by ot")
    assert SECRET not in result.stderr
    assert (settings.home_folder() / "registry.db").exists() is (kind == "set")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["add", "a", "sfpt"], 2, "There is no platform type 'sfpt'. Did you mean sftp"),
        (["add", "a", "sftp"], 9, "a.host is missing."),
        (["add", "a", "sftp", *SFTP, "--set", "port=x"], 9, "a.port: "),
        (["add", "a", "sftp", *SFTP, "--set", "prot=1"], 9, "a: There is no field 'prot'. Did yo"),
        (["add", "a", "sftp", *SFTP, "--secret", "pasword"], 9, "a: There is no field 'pasword'"),
        (["add", "a/b", "local", "--set", "folder=/"], 2, "'a/b' cannot be a platform's name"),
        (["add", "partner", "local", "--set", "folder=/"], 2, "There is already a platform 'partn"),
        (
            ["add", "north", "local", "--set", "folder=/"],
            2,
            "There is already a platform 'north'",
        ),
        (
            ["add", "a", "sftp", *SFTP, "--env", "password=UNSET"],
            9,
            "a.password: the variable UN",
        ),
        (["add", "a", "sftp", "--secret-file", "private_key=/none"], 2, "/none cannot be read: No"),
        (["add", "a", "sftp", "--secret-file", "password=/dev"], 2, "/dev cannot be read: Is a di"),
        (["set", "partner", "--set", "port=x"], 9, "partner.port: "),
        (["set", "partner", "--set", "folder=a\nb"], 9, "partner.folder: it has a line break or"),
        (["set", "partnr", "--set", "port=1"], 2, "There is no platform 'partnr'. Did you mean pa"),
        (["set", "north", "--set", "folder=/"], 2, "There is no platform 'north'. Choose from par"),
        (["show", "partnr"], 2, "There is no platform 'partnr'. Did you mean partner?"),
        (["enable", "partnr"], 2, "There is no platform 'partnr'. Did you mean partner?"),
        (["disable", "partnr"], 2, "There is no platform 'partnr'. Did you mean partner?"),
        (["remove", "partnr"], 2, "There is no platform 'partnr'. Did you mean partner?"),
    ],
)
def test_what_is_refused_changes_nothing(
    north: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done("add", "partner", "sftp", *SFTP, "--secret", "password", given=SECRET)
    before = (shown(), done("list"))
    result = CliRunner().invoke(main, ["platforms", *arguments], input=f"{SECRET}\n")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.stderr
    assert (shown(), done("list")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "a"],
        ["add", "a", "sftp", "--set", "host"],
        ["add", "a", "sftp", "--secret-file", "private_key"],
        ["add", "a", "sftp", "--env", "password"],
        ["set", "a", "--disabled"],
        ["show"],
    ],
)
def test_arguments_that_are_wrong_write_nothing(arguments: list[str]) -> None:
    result = invoke("platforms", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_a_change_keeps_what_is_not_named() -> None:
    done("add", "partner", "sftp", *SFTP, "--secret", "password", "--no-auto-upload", given=SECRET)
    before = shown()
    assert done("set", "partner", "--set", "port=2222") == "partner was changed.\n"
    after = shown()
    assert after["fields"] == {**before["fields"], "port": 2222}
    differing = {name for name in after if after[name] != before[name]}
    assert differing - {"updated_at"} == {"fields"}
    assert secrets_of() == {"password": SECRET}
    assert done("set", "partner", "--set", "port=2222") == "partner is so already.\n"
    assert done("set", "partner", "--auto-upload") == "partner was changed.\n"
    done("set", "partner", "--secret", "password", given="another\n")
    assert secrets_of() == {"password": "another"}


def test_a_secret_may_become_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    done("add", "partner", "sftp", *SFTP, "--secret", "password", given=SECRET)
    monkeypatch.setenv("PARTNER", SECRET)
    done("set", "partner", "--env", "password=PARTNER")
    assert (secrets_of(), shown()["secrets"]) == ({}, [])
    assert shown()["fields"]["password"] == {"env": "PARTNER"}


def test_a_field_that_is_changed_comes_from_no_variable_any_more(
    north: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "files.example")
    monkeypatch.setenv("USER_NAME", "shop")
    file = north / "registry.yaml"
    file.write_text('platforms: {p: {sftp: {host: "${HOST}", username: "${USER_NAME}"}}}')
    assert invoke("registry", "apply", "-f", str(file)).exit_code == 0
    done("set", "p", "--set", "host=other.example")
    exported = invoke("registry", "export").stdout
    assert "host: other.example" in exported
    assert "username: ${USER_NAME}" in exported


def test_a_platform_is_switched_and_removed(north: Path) -> None:
    done("add", "partner", "sftp", *SFTP, "--disabled")
    done("add", "nas", "local", "--set", "folder=/srv", "--no-auto-upload")
    done("add", "auto", "local", "--set", "folder=/srv")
    assert [line.split()[:3] for line in done("list").splitlines()[:3]] == [
        ["auto", "local", "automatic"],
        ["nas", "local", "on"],
        ["partner", "sftp", "disabled"],
    ]
    assert done("enable", "partner") == "partner is enabled.\n"
    assert done("enable", "partner") == "partner is enabled already.\n"
    assert done("disable", shown()["id"]) == "partner is disabled.\n"
    assert not shown()["is_active"]
    assert done("remove", "partner") == "Removed partner.\n"
    assert invoke("platforms", "show", "partner").exit_code == 2


def test_a_disabled_platform_is_delivered_nothing(
    north: Path, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    done("add", "nas", "local", "--set", f"folder={north}", "--disabled")
    named = invoke("export", "csv", "suppliers", "--platform", "nas")
    assert (named.exit_code, named.stdout) == (2, "")
    assert named.stderr == (
        "Error: The platform 'nas' is disabled: enable it, or export without it.\n"
    )
    assert invoke("export", "csv", "suppliers").exit_code == 0
    assert list(north.iterdir()) == []
    done("enable", "nas")
    assert f"Delivered to nas: {north}\n" in invoke("export", "csv", "suppliers").output
    assert (north / "suppliers.csv").exists()


def test_a_platform_whose_key_is_gone_is_listed_with_what_is_wrong() -> None:
    done("add", "partner", "sftp", *SFTP, "--secret", "password", given=SECRET)
    done("add", "nas", "local", "--set", "folder=/srv")
    settings.secret_key_file().unlink()
    first, second = done("list").splitlines()
    assert first.split() == ["nas", "local", "automatic", "/srv"]
    assert second.split()[:3] == ["partner", "sftp", "automatic"]
    assert "The key of the registry's secrets is gone: there is no " in second


@pytest.mark.parametrize("kind", ["add", "set"])
@pytest.mark.parametrize("given", ["", "\n", "\r\n"])
def test_an_empty_secret_is_refused(kind: str, given: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    target = ["add", "new", "sftp", *SFTP]
    if kind == "set":
        done("add", "partner", "sftp", *SFTP, "--secret", "password", given=SECRET)
        target = ["set", "partner"]
    for option, place in (
        (["--secret", "password"], "the standard input"),
        (["--secret-file", f"password={empty}"], str(empty)),
    ):
        result = CliRunner().invoke(main, ["platforms", *target, *option], input=given)
        assert result.exit_code == 2
        said = f"The secret password is empty: write it to {place}, or leave it out."
        assert said in result.stderr
    if kind == "set":
        assert secrets_of() == {"password": SECRET}
    assert "new" not in done("list")


def test_what_is_no_secret_is_not_taken_as_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(SECRET)
    for option in (["--secret", "username"], ["--secret-file", f"username={tmp_path / 'file'}"]):
        arguments = ["platforms", "add", "partner", "sftp", "--set", "host=h", *option]
        result = CliRunner().invoke(main, arguments, input=SECRET)
        assert result.exit_code == 2
        said = "username is no secret, and would be shown: use --set username=VALUE."
        assert said in result.stderr
    assert "partner" not in done("list")


@pytest.mark.parametrize("command", ["disable", "remove"])
def test_the_export_store_stays(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done("add", "archive", "local", "--set", "folder=/srv")
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", "archive")
    result = invoke("platforms", command, "archive")
    assert result.exit_code == 2
    assert "The platform 'archive' is the export store: name another one in " in result.stderr
    assert shown("archive")["is_active"]
