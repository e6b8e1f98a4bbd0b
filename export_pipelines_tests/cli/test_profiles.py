import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from export_pipelines import settings
from export_pipelines.cli import main
from export_pipelines.formats import FORMATS
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading
from export_pipelines.registry.models import ProfileRow

DEFAULT = ["default", "products", "as", "csv", "to", "automatic", "(built", "in)"]


@pytest.fixture(autouse=True)
def _shop(sqlite_shop: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    monkeypatch.chdir(tmp_path)


def profiles(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["profiles", *arguments])


def done(*arguments: str) -> str:
    result = profiles(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def shown(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done("show", name))
    return found


def listed() -> list[list[str]]:
    return [line.split() for line in done("list").splitlines()]


def stored() -> list[ProfileRow]:
    with reading() as session:
        return rows.all_of(session, ProfileRow, "default")


def test_a_profile_is_what_an_export_can_say(tmp_path: Path) -> None:
    folder = str(tmp_path)
    CliRunner().invoke(main, ["platforms", "add", "nas", "local", "--set", f"folder={folder}"])
    assert done(
        "add", "csv", "catalogue", "orders", "--field", "number", "--rename", "number=No",
        "--fixed", "channel=web", "--filter", "status_in=placed,approved", "--delimiter", ";",
        "--file-name", "orders-{date:%Y%m%d}", "--max-rows-per-file", "700", "--platform", "nas",
    ) == "Registered catalogue.\n"  # fmt: skip
    found = shown("catalogue")
    assert found["request"] == {
        "resource_type": "orders",
        "fields": ["number"],
        "rename": {"number": "No"},
        "fixed_columns": {"channel": "web"},
        "filters": {"status_in": "placed,approved"},
        "delimiter": ";",
        "file_name": "orders-{date:%Y%m%d}",
        "max_rows_per_file": 700,
    }
    assert (found["format"], found["platforms"], found["is_active"]) == ("csv", ["nas"], True)
    assert listed() == [["catalogue", "orders", "as", "csv", "to", "nas"], DEFAULT]


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_every_format_makes_profiles(format_name: str) -> None:
    done("add", format_name, "any")
    done("set", format_name, "any", "suppliers", "--no-platforms")
    assert listed()[0] == ["any", "suppliers", "as", format_name, "to", "nowhere"]


def test_the_built_in_profile() -> None:
    assert listed() == [DEFAULT]
    assert shown("default") == {
        "name": "default",
        "format": "csv",
        "request": {"resource_type": "products", "filters": {"is_active": True}},
        "platforms": None,
        "is_active": True,
        "id": None,
        "created_at": None,
        "updated_at": None,
    }
    done("add", "json", "default", "suppliers")
    assert listed() == [["default", "suppliers", "as", "json", "to", "automatic"]]
    done("remove", "default")
    assert listed() == [DEFAULT]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["add", "csv", "a", "product"], 2, "There is no resource type 'product'. Did you mean"),
        (
            ["add", "csv", "a", "--field", "colour"],
            2,
            "fields: There is no products field 'colour'",
        ),
        (["add", "csv", "a", "--filter", "is_active=yes"], 2, "Filter 'is_active': 'yes' is not"),
        (["add", "csv", "a", "--platform", "nas"], 9, "There is no platform 'nas'"),
        (["add", "csv", " a"], 2, "' a' cannot be a profile's name"),
        (["add", "csv", "weekly"], 2, "There is already a profile 'weekly': choose another name"),
        (["set", "csv", "weakly"], 2, "There is no profile 'weakly'. Did you mean weekly?"),
        (["set", "csv", "weekly", "--field", "colour"], 2, "fields: There is no products field"),
        (["set", "csv", "weekly", "--file-name", "a/b"], 2, "file_name 'a/b' cannot be a file's"),
        (["show", "weakly"], 2, "There is no profile 'weakly'. Did you mean weekly? Choose from"),
        (["run", "weakly"], 2, "There is no profile 'weakly'. Did you mean weekly? Choose from"),
        (["enable", "weakly"], 2, "There is no profile 'weakly'. Did you mean weekly?"),
        (["disable", "default"], 2, "There is no profile 'default'. Choose from weekly."),
        (["remove", "weakly"], 2, "There is no profile 'weakly'. Did you mean weekly?"),
    ],
)
def test_what_is_refused_changes_nothing(arguments: list[str], code: int, sentence: str) -> None:
    done("add", "csv", "weekly", "--field", "sku")
    before = (shown("weekly"), listed())
    result = profiles(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert (shown("weekly"), listed()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "xml", "a"],
        ["add", "csv"],
        ["add", "csv", "a", "--platform", "nas", "--no-platforms"],
        ["add", "csv", "a", "--rename", "sku"],
        ["add", "json", "a", "--utf8-bom"],
        ["enable"],
        ["show"],
    ],
)
def test_arguments_that_are_wrong_write_nothing(arguments: list[str]) -> None:
    result = profiles(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not settings.home_folder().exists()


def test_a_changed_profile_is_another_request_and_the_same_switch() -> None:
    done("add", "csv", "weekly", "--field", "sku", "--delimiter", ";")
    done("disable", "weekly")
    before = shown("weekly")
    assert done("set", "json", "weekly", "--filter", "sku_start=A") == "weekly was changed.\n"
    after = shown("weekly")
    assert after["format"] == "json"
    assert {key for key, value in after["request"].items() if value} == {"resource_type", "filters"}
    assert (after["id"], after["is_active"]) == (before["id"], False)
    assert done("set", "json", "weekly", "--filter", "sku_start=A") == "weekly is so already.\n"
    assert shown("weekly") == after


def test_a_profile_is_switched() -> None:
    done("add", "csv", "weekly")
    assert done("disable", "weekly") == "weekly is disabled.\n"
    assert listed()[0][-1] == "disabled"
    assert done("disable", "weekly") == "weekly is disabled already.\n"
    assert done("enable", "weekly") == "weekly is enabled.\n"
    assert done("enable", shown("weekly")["id"]) == "weekly is enabled already.\n"
    assert done("remove", "weekly") == "Removed weekly.\n"
    assert stored() == []


def test_without_a_catalogue_a_note_says_what_was_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/shop.db")
    result = profiles("add", "csv", "weekly", "--field", "colour")
    assert (result.exit_code, result.stdout) == (0, "Registered weekly.\n")
    assert result.stderr.startswith("Note: Names of fields were not checked: There is no SQLite da")
    assert [row.name for row in stored()] == ["weekly"]


def test_a_profile_is_run(records: Path) -> None:
    done(
        "add", "csv", "some", "--field", "sku", "--rename", "sku=Number", "--filter",
        "sku_start=OUT-000", "--no-utf8-bom",
    )  # fmt: skip
    answer = json.loads(done("run", "some", "--json"))
    assert (answer["status"], answer["deliveries"]) == ("SUCCESS", [])
    [file] = answer["files"]
    content = (records / "exports" / answer["run_id"] / file["name"]).read_text(encoding="utf-8")
    head, *lines = content.splitlines()
    assert head == "Number"
    assert len(lines) == answer["records_count"] > 0
    assert all(line.startswith("OUT-000") for line in lines)


def test_a_run_goes_where_the_profile_says(records: Path, tmp_path: Path) -> None:
    for name, switch in (("auto", "--auto-upload"), ("asked", "--no-auto-upload")):
        (tmp_path / name).mkdir()
        added = CliRunner().invoke(
            main, ["platforms", "add", name, "local", "--set", f"folder={tmp_path / name}", switch]
        )
        assert added.exit_code == 0
    done("add", "csv", "by-itself", "suppliers")
    done("add", "csv", "named", "suppliers", "--platform", "asked")
    done("add", "csv", "nowhere", "suppliers", "--no-platforms")
    delivered = {
        name: [each["platform"] for each in json.loads(done("run", name, "--json"))["deliveries"]]
        for name in ("by-itself", "named", "nowhere")
    }
    assert delivered == {"by-itself": ["auto"], "named": ["asked"], "nowhere": []}


def test_a_disabled_profile_is_not_run() -> None:
    done("add", "csv", "weekly")
    done("disable", "weekly")
    result = profiles("run", "weekly")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: The profile 'weekly' is disabled: enable it first.\n"
    assert not settings.exports_folder().exists()


def test_a_profile_that_a_schedule_runs_is_not_removed(records: Path) -> None:
    done("add", "csv", "weekly")
    command = ["schedules", "add", "Mondays", "--cron", "@weekly", "--profile", "weekly"]
    assert CliRunner().invoke(main, command).exit_code == 0
    result = profiles("remove", "weekly")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: The profile 'weekly' is run by the schedules 'Mondays': change or remove those "
        "first.\n"
    )
    assert [row.name for row in stored()] == ["weekly"]
