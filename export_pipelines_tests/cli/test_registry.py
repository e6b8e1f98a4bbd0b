from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from export_pipelines import settings
from export_pipelines.cli import main
from export_pipelines.platforms.configuration import open_platform
from export_pipelines.records import open_instance
from export_pipelines.registry.database import schedules_revision

SECRET = 'cörrect "horse" \\ battery'
FILE = """
platforms:
  partner:
    sftp: {host: files.example, username: shop, password: "${SHOP_PASSWORD}"}
  nas: {local: {folder: /srv/exports}, auto_upload: false}
profiles:
  weekly: {format: csv, resource_type: suppliers, platforms: [partner]}
schedules:
  Mondays: {cron_expression: 0 9 * * 1, timezone: Europe/Paris, profile: weekly}
  Daily: {cron_expression: "@daily", platforms: [nas]}
"""

pytestmark = pytest.mark.usefixtures("records")


@pytest.fixture(autouse=True)
def _variables(sqlite_shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def registry(*arguments: str | Path) -> str:
    result = invoke("registry", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert SECRET not in result.output
    return result.stdout


def states() -> dict[str, tuple[str, Any]]:
    with open_instance() as instance:
        return {
            state.instigator_name: (state.status.value, state.instigator_data)
            for state in instance.all_instigator_state()
        }


def everything() -> tuple[Any, ...]:
    """Return all that is shown of what is registered, and what Dagster knows of it."""
    shown = [
        invoke(kind, "show", name, *options).output
        for kind, name, *options in (
            ("platforms", "partner", "--json"),
            ("platforms", "nas", "--json"),
            ("profiles", "weekly"),
            ("schedules", "Mondays", "--json"),
            ("schedules", "Daily", "--json"),
        )
    ]
    return (shown, registry("export"), states(), schedules_revision())


def outcomes(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


NAMES = [
    ["platform", "partner"],
    ["platform", "nas"],
    ["profile", "weekly"],
    ["schedule", "Mondays"],
    ["schedule", "Daily"],
]


def test_a_file_is_applied_as_often_as_one_likes(file: Path) -> None:
    assert outcomes(registry("apply", "-f", file)) == [[*name, "added"] for name in NAMES]
    before = everything()
    assert sorted(states()) == ["daily_schedule", "mondays_schedule"]
    assert {status for status, _ in states().values()} == {"RUNNING"}
    assert outcomes(registry("apply", "--file", file)) == [[*name, "unchanged"] for name in NAMES]
    assert everything() == before


def test_what_was_switched_stays_switched(file: Path) -> None:
    registry("apply", "-f", file)
    for kind, name in (("platforms", "nas"), ("profiles", "weekly"), ("schedules", "Daily")):
        assert invoke(kind, "disable", name).exit_code == 0
    before = everything()
    assert outcomes(registry("apply", "-f", file)) == [[*name, "unchanged"] for name in NAMES]
    assert everything() == before
    file.write_text(FILE.replace("[nas]", "[nas], is_active: true"), encoding="utf-8")
    assert outcomes(registry("apply", "-f", file))[-1] == ["schedule", "Daily", "changed"]
    assert states()["daily_schedule"][0] == "RUNNING"


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("cron_expression: '@dayly'", 2, "'@dayly' is not one of @hourly"),
        (
            "cron_expression: '@daily', profile: x",
            2,
            "There is no profile 'x'. Choose from weekly",
        ),
        ("cron_expression: '@daily', platforms: [x]", 9, "There is no platform 'x'"),
        ("cron_expression: '@daily', timezone: x", 2, "'x' is no time zone"),
        ("cron: '@daily'", 2, "schedules.Third: There is no field 'cron'"),
    ],
)
def test_a_wrong_third_schedule_leaves_nothing(
    file: Path, line: str, code: int, sentence: str
) -> None:
    wrong = f"{FILE}  Third: {{{line}}}\n"
    file.write_text(wrong, encoding="utf-8")
    result = invoke("registry", "apply", "-f", file)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert registry("export") == "{}\n"
    assert states() == {}
    file.write_text(FILE, encoding="utf-8")
    registry("apply", "-f", file)
    before = everything()
    file.write_text(wrong.replace("0 9 *", "0 10 *").replace("/srv", "/opt"), encoding="utf-8")
    assert invoke("registry", "apply", "-f", file).exit_code == code
    assert everything() == before


def test_a_dry_run_changes_nothing(file: Path) -> None:
    text = registry("apply", "-f", file, "--dry-run")
    assert outcomes(text)[:-1] == [[*name, "added"] for name in NAMES]
    assert text.endswith("\nNothing was changed.\n")
    assert registry("export") == "{}\n"
    assert states() == {}
    registry("apply", "-f", file)
    before = everything()
    file.write_text(FILE.replace("0 9 *", "0 10 *").replace("/srv", "/opt"), encoding="utf-8")
    found = {
        name: what for _, name, what in outcomes(registry("apply", "-f", file, "--dry-run"))[:-1]
    }
    assert [name for name, what in found.items() if what == "changed"] == ["nas", "Mondays"]
    assert everything() == before


def test_a_registry_moves_to_another_home_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry("apply", "-f", file)
    exported = tmp_path / "exported.yaml"
    assert registry("export", "-f", exported) == f"Wrote {exported}.\n"
    text = registry("export")
    assert exported.read_text(encoding="utf-8") == text
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "other"))
    assert {what for *_, what in outcomes(registry("apply", "-f", exported))} == {"added"}
    assert registry("export") == text
    assert getattr(open_platform("partner"), "password") == SECRET  # noqa: B009
    assert [status for status, _ in states().values()] == ["RUNNING", "RUNNING"]


def test_a_note_says_what_was_not_checked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/shop.db")
    result = invoke("registry", "apply", "-f", file)
    assert result.exit_code == 0
    assert result.stderr.startswith("Note: weekly: Names of fields were not checked: There is no S")
    assert outcomes(result.stdout) == [[*name, "added"] for name in NAMES]


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("platforms: [", 2, "is no YAML in line 1: "),
        (FILE.replace('"${SHOP_PASSWORD}"', "hunter2"), 2, "platforms.partner.password is a secre"),
        (FILE.replace('"${SHOP_PASSWORD}"', "12345"), 9, "partner.password is a secret: put it in"),
        (FILE.replace("SHOP_PASSWORD", "UNSET"), 2, "platforms.partner.password: the variable UNS"),
        (FILE.replace("/srv/exports", "[/srv]"), 9, "nas.folder: "),
    ],
)
def test_a_refused_file_makes_no_registry(
    file: Path, records: Path, text: str, code: int, sentence: str
) -> None:
    file.write_text(text, encoding="utf-8")
    result = invoke("registry", "apply", "-f", file)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.removeprefix("Error: ").removeprefix(f"{file} ").startswith(sentence)
    assert "hunter2" not in result.stderr
    assert "12345" not in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (records / "registry.db").exists()
    assert not (records / "registry.key").exists()


def test_an_export_that_cannot_be_written(tmp_path: Path) -> None:
    result = invoke("registry", "export", "-f", tmp_path)
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr.startswith(f"Error: Files cannot be written at {tmp_path}: Is a directory")


def test_a_made_key_is_one(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    key = registry("make-key").strip()
    Fernet(key)
    assert registry("make-key").strip() != key
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", key)
    registry("apply", "-f", file)
    assert not settings.secret_key_file().exists()
    assert getattr(open_platform("partner"), "password") == SECRET  # noqa: B009
    new = registry("make-key").strip()
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", f"{new},{key}")
    assert registry("rotate-key") == "Encrypted anew: the secrets of 1 platform or webhook.\n"
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", new)
    assert getattr(open_platform("partner"), "password") == SECRET  # noqa: B009
    monkeypatch.setenv("EXPORT_PIPELINES_SECRET_KEY", key)
    result = invoke("platforms", "check", "partner")
    assert (result.exit_code, result.stdout) == (14, "")


def test_a_rotation_replaces_the_key_file(file: Path) -> None:
    assert registry("rotate-key") == "Encrypted anew: the secrets of 0 platforms and webhooks.\n"
    registry("apply", "-f", file)
    before = settings.secret_key_file().read_text()
    assert registry("rotate-key") == "Encrypted anew: the secrets of 1 platform or webhook.\n"
    assert settings.secret_key_file().read_text() != before
    assert settings.secret_key_file().stat().st_mode & 0o777 == 0o600
    assert getattr(open_platform("partner"), "password") == SECRET  # noqa: B009
    settings.secret_key_file().write_text(before)
    assert invoke("registry", "rotate-key").exit_code == 14


@pytest.mark.parametrize("arguments", [["apply"], ["apply", "-f"], ["export", "x"], ["rotate"]])
def test_arguments_that_are_wrong(arguments: list[str]) -> None:
    result = invoke("registry", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
