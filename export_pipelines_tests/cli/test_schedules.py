import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.scheduler.instigation import (
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)

from export_pipelines.cli import main
from export_pipelines.records import open_instance
from export_pipelines.registry.database import schedules_revision
from export_pipelines.schedule_states import last_ticks

KEY = "mondays_schedule"

pytestmark = pytest.mark.usefixtures("records")


def schedules(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schedules", *arguments])


def done(*arguments: str) -> str:
    result = schedules(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def shown(name: str = "Mondays") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done("show", name, "--json"))
    return found


def listed() -> list[str]:
    return done("list").splitlines()


def states() -> dict[str, str]:
    with open_instance() as instance:
        return {
            state.instigator_name: state.status.value for state in instance.all_instigator_state()
        }


def add(*arguments: str) -> str:
    options = ["--cron", "0 9 * * 1", "--timezone", "Europe/Paris", *arguments]
    return done("add", "Mondays", *options)


def add_tick(instance: dg.DagsterInstance, moment: float, status: TickStatus, **said: Any) -> None:
    [state] = instance.all_instigator_state()
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            KEY,
            InstigatorType.SCHEDULE,
            status,
            moment,
            selector_id=state.selector_id,
            **said,
        )
    )


def test_a_new_schedule_tells_its_next_times() -> None:
    head, title, *times = add().splitlines()
    assert head == "Registered Mondays, which exports the profile default."
    assert title == "Next:"
    assert len(times) == 5
    for line in times:
        assert line.startswith("  Mon 20")
        assert line.endswith((" 09:00 CET", " 09:00 CEST"))
    assert states() == {KEY: "RUNNING"}


def test_all_that_a_schedule_can_say(tmp_path: Path) -> None:
    command = ["platforms", "add", "nas", "local", "--set", f"folder={tmp_path}"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert CliRunner().invoke(main, ["profiles", "add", "json", "weekly"]).exit_code == 0
    text = add("--profile", "weekly", "--platform", "nas", "--alert-after", "5", "--disabled")
    assert text == (
        "Registered Mondays, which exports the profile weekly.\n"
        "It is disabled: 'export-pipelines schedules enable' starts it.\n"
    )
    found = shown()
    assert len(found.pop("id")) == 36
    assert found.pop("created_at") == found.pop("updated_at")
    assert found == {
        "schedule_name": "Mondays",
        "cron_expression": "0 9 * * 1",
        "timezone": "Europe/Paris",
        "profile": "weekly",
        "platforms": ["nas"],
        "alert_after_minutes": 5,
        "is_active": False,
        "dagster_name": KEY,
        "next": [],
        "last": [],
    }
    assert states() == {KEY: "STOPPED"}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["add", "A", "--cron", "* * * *"], 2, "The cron expression '* * * *' has 4 fields"),
        (["add", "A", "--cron", "60 * * * *"], 2, "The minute '60' of the cron expression is wr"),
        (["add", "A", "--cron", "@daily", "--timezone", "Paris"], 2, "'Paris' is no time zone: "),
        (["add", "A", "--cron", "@daily", "--profile", "x"], 2, "There is no profile 'x'. Choose"),
        (["add", "A", "--cron", "@daily", "--platform", "x"], 9, "There is no platform 'x'"),
        (["add", "", "--cron", "@daily"], 2, "'' cannot be a schedule's name"),
        (["add", "Mondays", "--cron", "@daily"], 2, "There is already a schedule 'Mondays': "),
        (["set", "Mondayz", "--cron", "@daily"], 2, "There is no schedule 'Mondayz'. Did you me"),
        (["set", "Mondays", "--cron", "@dayly"], 2, "'@dayly' is not one of @hourly"),
        (["set", "Mondays", "--profile", "x"], 2, "There is no profile 'x'. Choose from default"),
        (["set", "Mondays", "--platform", "x"], 9, "There is no platform 'x'"),
        (["show", "Mondayz"], 2, "There is no schedule 'Mondayz'. Did you mean Mondays?"),
        (["enable", "Mondayz"], 2, "There is no schedule 'Mondayz'. Did you mean Mondays?"),
        (["disable", "Mondayz"], 2, "There is no schedule 'Mondayz'. Did you mean Mondays?"),
        (["remove", "Mondayz"], 2, "There is no schedule 'Mondayz'. Did you mean Mondays?"),
    ],
)
def test_what_is_refused_changes_nothing(arguments: list[str], code: int, sentence: str) -> None:
    add()
    before = (shown(), states(), listed(), schedules_revision())
    result = schedules(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert (shown(), states(), listed(), schedules_revision()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "A"],
        ["add", "A", "--cron", "@daily", "--alert-after", "0"],
        ["add", "A", "--cron", "@daily", "--alert-after", "soon"],
        ["add", "A", "--cron", "@daily", "--platform", "a", "--no-platforms"],
        ["set", "A", "--no-platforms", "--profile-platforms"],
        ["set", "A", "--disabled"],
    ],
)
def test_arguments_that_are_wrong_write_nothing(records: Path, arguments: list[str]) -> None:
    result = schedules(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not (records / "registry.db").exists()
    assert states() == {}


def test_a_change_keeps_what_is_not_named() -> None:
    add("--no-platforms", "--alert-after", "5", "--disabled")
    before = shown()
    text = done("set", "Mondays", "--cron", "0 10 * * 1")
    assert text.splitlines()[0] == "Mondays was changed."
    after = shown()
    differing = {name for name in after if after[name] != before[name]}
    assert differing - {"updated_at"} == {"cron_expression"}
    assert after["platforms"] == []
    done("set", "Mondays", "--profile-platforms", "--timezone", "UTC")
    assert (shown()["platforms"], shown()["timezone"]) == (None, "UTC")
    same = shown()
    assert done("set", "Mondays", "--timezone", "UTC").startswith("Mondays is so already.\n")
    assert shown() == same


def test_a_schedule_is_switched_and_removed() -> None:
    add()
    assert done("disable", "Mondays") == (
        "Mondays is disabled.\nIt is disabled: 'export-pipelines schedules enable' starts it.\n"
    )
    assert states() == {KEY: "STOPPED"}
    assert listed()[0].split()[-1] == "disabled"
    assert done("disable", "Mondays").startswith("Mondays is disabled already.\n")
    assert done("enable", shown()["id"]).startswith("Mondays is enabled.\nNext:\n")
    assert done("enable", "Mondays").startswith("Mondays is enabled already.\nNext:\n")
    assert states() == {KEY: "RUNNING"}
    assert done("remove", "Mondays") == "Removed Mondays.\n"
    assert states() == {}
    assert listed() == ["No schedule is registered. See: export-pipelines schedules add --help"]


def test_the_switch_of_the_ui_is_seen() -> None:
    add()
    with open_instance() as instance:
        [state] = instance.all_instigator_state()
        instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    assert not shown()["is_active"]
    assert listed()[0].split()[-1] == "disabled"
    assert done("disable", "Mondays").startswith("Mondays is disabled already.\n")
    assert done("enable", "Mondays").startswith("Mondays is enabled.\n")
    assert states() == {KEY: "RUNNING"}


def test_a_list_tells_each_schedules_next_time() -> None:
    add()
    done("add", "Yearly", "--cron", "@yearly")
    first, second = listed()
    assert first.split()[:8] == ["Mondays", *["0", "9", "*", "*", "1", "Europe/Paris", "default"]]
    assert first.split()[-4] == "Mon"
    assert second.split()[:4] == ["Yearly", "@yearly", "UTC", "default"]
    assert second.split()[-2:] == ["00:00", "UTC"]


def test_what_became_of_the_last_ticks_is_shown() -> None:
    add()
    moments = [float(1_790_000_000 + 60 * number) for number in range(7)]
    with open_instance() as instance:
        for moment in moments[:5]:
            add_tick(instance, moment, TickStatus.SKIPPED, skip_reason="The run before goes on.")
        add_tick(instance, moments[5], TickStatus.SUCCESS, run_ids=["run-1"])
        add_tick(instance, moments[6], TickStatus.STARTED)
        assert len(last_ticks(instance, KEY, 10)) == 7
    due = [
        datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds")[:23] + "Z"
        for moment in moments
    ]
    assert shown()["last"] == [
        f"{due[6]} STARTED",
        f"{due[5]} SUCCESS run run-1",
        *(f"{each} SKIPPED The run before goes on." for each in reversed(due[2:5])),
    ]
    lines = [line.split(maxsplit=1) for line in done("show", "Mondays").splitlines()]
    assert [value for title, value in lines if title == "last"] == shown()["last"]
    assert [value for title, value in lines if title == "next"] == shown()["next"]


def test_late_schedules_are_named() -> None:
    add("--alert-after", "1")
    with open_instance() as instance:
        [state] = instance.all_instigator_state()
        began = ScheduleInstigatorData("0 9 * * 1", time.time() - 30 * 86_400)
        instance.update_instigator_state(state.with_data(began))
    result = schedules("list")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert result.stderr.startswith("Mondays is late: it was due at ")
    assert "it has never succeeded. There is no run of it: is the daemon running?" in result.stderr


def test_schedules_of_other_organizations_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    add()
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")
    assert listed() == ["No schedule is registered. See: export-pipelines schedules add --help"]
    result = schedules("remove", "Mondays")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: There is no schedule 'Mondays': none is registered.\n"
    add()
    assert states() == {KEY: "RUNNING", "mondays_2_schedule": "RUNNING"}
