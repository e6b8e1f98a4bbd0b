from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.scheduler.instigation import InstigatorStatus
from hypothesis import given, settings

from export_pipelines import settings as places
from export_pipelines.errors import NotRegistered
from export_pipelines.registration import files, platforms, schedules
from export_pipelines.registration.platforms import Platform
from export_pipelines.registration.transactions import looking, registering
from export_pipelines.registry import rows
from export_pipelines.registry.database import schedules_revision, writing
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.secrets import decrypt
from export_pipelines_tests.registration.registries import registries

SECRET = 'cörrect "horse" ${battery} \\'

FILE = """
platforms:
  partner:
    sftp: {host: files.example, username: "${SHOP_USER}", password: "${SHOP_PASSWORD}"}
    auto_upload: false
  nas:
    local: {folder: /srv/exports}
profiles:
  catalogue:
    format: csv
    resource_type: products
    fields: [sku, name]
    rename: {name: Title}
    platforms: [partner]
  everywhere: {format: json}
schedules:
  Every Monday:
    cron_expression: 0 9 * * 1
    timezone: Europe/Paris
    profile: catalogue
    platforms: [nas]
    alert_after_minutes: 5
  Daily: {cron_expression: "@daily"}
"""
EXPORTED = """\
platforms:
  nas:
    local:
      folder: /srv/exports
    is_active: true
    auto_upload: true
  partner:
    sftp:
      host: files.example
      password: ${SHOP_PASSWORD}
      username: ${SHOP_USER}
    is_active: true
    auto_upload: false
profiles:
  catalogue:
    format: csv
    resource_type: products
    fields:
    - sku
    - name
    rename:
      name: Title
    platforms:
    - partner
    is_active: true
  everywhere:
    format: json
    is_active: true
schedules:
  Daily:
    cron_expression: '@daily'
    timezone: UTC
    profile: default
    alert_after_minutes: 60
    is_active: true
  Every Monday:
    cron_expression: 0 9 * * 1
    timezone: Europe/Paris
    profile: catalogue
    platforms:
    - nas
    alert_after_minutes: 5
    is_active: true
"""


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_USER", "shop")
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    monkeypatch.setenv("EMPTY", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def apply(
    instance: dg.DagsterInstance, path: Path, *, dry_run: bool = False
) -> dict[str, list[str]]:
    """Apply a file, and return what was added, changed and unchanged."""
    contents, _ = files.check("default", files.read_file(path))
    with registering(instance, dry_run=dry_run) as session:
        outcomes = files.apply(session, "default", contents)
    kinds = {outcome.what for outcome in outcomes}
    return {kind: [each.name for each in outcomes if each.what == kind] for kind in kinds}


def written(instance: dg.DagsterInstance) -> str:
    with looking(instance) as session:
        return files.written(session, "default")


def everything(instance: dg.DagsterInstance) -> list[dict[str, Any]]:
    """Return all rows with all their fields, and Dagster's states."""
    with looking(instance) as session:
        found: list[PlatformRow | ProfileRow | ScheduleRow] = [
            *rows.all_of(session, PlatformRow, "default"),
            *rows.all_of(session, ProfileRow, "default"),
            *rows.all_of(session, ScheduleRow, "default"),
        ]
    states = [{state.instigator_name: state} for state in instance.all_instigator_state()]
    columns = (
        {each.key: getattr(row, each.key) for each in row.__table__.columns} for row in found
    )
    return [*columns, *states, {"revision": schedules_revision()}]


def test_a_file_registers_all_that_it_names(instance: dg.DagsterInstance, file: Path) -> None:
    names = ["partner", "nas", "catalogue", "everywhere", "Every Monday", "Daily"]
    assert apply(instance, file) == {"added": names}
    assert written(instance) == EXPORTED
    assert SECRET not in file.read_text() + EXPORTED
    with looking(instance) as session:
        row = rows.require(session, PlatformRow, "default", "partner")
    assert decrypt(row) == {"password": SECRET}
    assert row.fields == {"host": "files.example", "username": "shop"}
    assert row.variables == {"username": "SHOP_USER", "password": "SHOP_PASSWORD"}


def test_a_file_that_is_applied_again_changes_nothing(
    instance: dg.DagsterInstance, file: Path
) -> None:
    names = apply(instance, file)["added"]
    before = everything(instance)
    assert apply(instance, file) == {"unchanged": names}
    assert everything(instance) == before


def test_an_exported_file_is_a_registry_of_its_own(
    instance: dg.DagsterInstance,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply(instance, file)
    exported = tmp_path / "exported.yaml"
    exported.write_text(written(instance), encoding="utf-8")
    assert list(apply(instance, exported)) == ["unchanged"]
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "new"))
    assert written(instance) == "{}\n"
    assert list(apply(instance, exported)) == ["added"]
    assert written(instance) == EXPORTED


def test_a_dry_run_says_the_same_and_changes_nothing(
    instance: dg.DagsterInstance, file: Path
) -> None:
    assert list(apply(instance, file, dry_run=True)) == ["added"]
    assert everything(instance) == [{"revision": 0}]
    apply(instance, file)
    before = everything(instance)
    file.write_text(FILE.replace("@daily", "@weekly"), encoding="utf-8")
    assert apply(instance, file, dry_run=True)["changed"] == ["Daily"]
    assert everything(instance) == before


def test_what_a_file_does_not_name_stays(instance: dg.DagsterInstance, file: Path) -> None:
    apply(instance, file)
    file.write_text("schedules: {Daily: {cron_expression: '@weekly'}}")
    assert apply(instance, file) == {"changed": ["Daily"]}
    assert written(instance) == EXPORTED.replace("@daily", "@weekly")


@pytest.mark.parametrize("text", ["", "{}", "platforms:", "schedules: {}\nprofiles:\n"])
def test_a_file_may_name_nothing(instance: dg.DagsterInstance, file: Path, text: str) -> None:
    file.write_text(text)
    assert apply(instance, file) == {}


def switch_off(instance: dg.DagsterInstance) -> None:
    """Switch off one of each kind, the schedule as the UI does."""
    with writing() as session:
        rows.switch(rows.require(session, PlatformRow, "default", "nas"), is_active=False)
        rows.switch(rows.require(session, ProfileRow, "default", "everywhere"), is_active=False)
    [state] = [
        each for each in instance.all_instigator_state() if each.instigator_name == "daily_schedule"
    ]
    instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))


def test_what_was_switched_stays_so_unless_the_file_says_otherwise(
    instance: dg.DagsterInstance, file: Path
) -> None:
    apply(instance, file)
    switch_off(instance)
    assert list(apply(instance, file)) == ["unchanged"]
    assert written(instance).count("is_active: false") == 3
    file.write_text(EXPORTED)
    assert apply(instance, file)["changed"] == ["nas", "everywhere", "Daily"]
    assert written(instance) == EXPORTED


def test_a_schedule_that_is_changed_stays_switched_off(
    instance: dg.DagsterInstance, file: Path
) -> None:
    apply(instance, file)
    switch_off(instance)
    file.write_text(FILE.replace("@daily", "@weekly"), encoding="utf-8")
    assert apply(instance, file)["changed"] == ["Daily"]
    with looking(instance) as session:
        row = rows.require(session, ScheduleRow, "default", "Daily")
        assert not schedules.current(session, row).is_active


def test_another_value_of_a_variable_is_a_change(
    instance: dg.DagsterInstance, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(instance, file)
    monkeypatch.setenv("SHOP_PASSWORD", "another")
    assert apply(instance, file)["changed"] == ["partner"]
    assert written(instance) == EXPORTED


def test_secrets_of_the_command_line_get_names_of_variables(
    instance: dg.DagsterInstance, file: Path
) -> None:
    apply(instance, file)
    with writing() as session:
        row = rows.require(session, PlatformRow, "default", "partner")
        row.variables = {}
        row.name = "Partner & Söhne"
    assert "password: ${PARTNER_S_HNE_PASSWORD}" in written(instance)
    assert "username: shop" in written(instance)


def put_platform(name: str, fields: dict[str, Any], variables: dict[str, str]) -> None:
    with writing() as session:
        given = {"host": "h", "username": "u", **fields}
        asked = platforms.check(Platform(name, "sftp", given, variables))
        platforms.add(session, "default", asked)


def test_every_secret_gets_a_variable_of_its_own_that_a_shell_takes(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_PASSWORD", "the third")
    names = ["my-shop", "my shop", "東京", "1st", "_", "a", "a b"]
    for name in names:
        put_platform(name, {"password": f"secret of {name}"}, {})
    put_platform("b", {"password": SECRET}, {"password": "A_B_PASSWORD"})
    put_platform("c", {"password": {"env": "A_PASSWORD"}}, {})
    text = written(instance)
    found = {
        name: each["sftp"]["password"] for name, each in yaml.safe_load(text)["platforms"].items()
    }
    assert found == {
        "1st": "${PLATFORM_1ST_PASSWORD}",
        "_": "${PLATFORM_PASSWORD}",
        "a": "${A_2_PASSWORD}",
        "a b": "${A_B_2_PASSWORD}",
        "b": "${A_B_PASSWORD}",
        "c": {"env": "A_PASSWORD"},
        "my shop": "${MY_SHOP_PASSWORD}",
        "my-shop": "${MY_SHOP_2_PASSWORD}",
        "東京": "${PLATFORM_2_PASSWORD}",
    }
    for name in names:
        monkeypatch.setenv(found[name].strip("${}"), f"secret of {name}")
    monkeypatch.setenv("A_B_PASSWORD", SECRET)
    file = tmp_path / "exported.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "new"))
    apply(instance, file)
    with looking(instance) as session:
        again = {row.name: decrypt(row) for row in rows.all_of(session, PlatformRow, "default")}
    assert again == {
        **{name: {"password": f"secret of {name}"} for name in names},
        "b": {"password": SECRET},
        "c": {},
    }


def test_automatic_upload_stays_as_it_is_unless_the_file_says_otherwise(
    instance: dg.DagsterInstance, file: Path
) -> None:
    file.write_text("platforms: {nas: {local: {folder: /srv}}}")
    apply(instance, file)
    assert "auto_upload: true" in written(instance)
    with writing() as session:
        rows.require(session, PlatformRow, "default", "nas").auto_upload = False
    assert apply(instance, file) == {"unchanged": ["nas"]}
    assert "auto_upload: false" in written(instance)
    file.write_text("platforms: {nas: {local: {folder: /srv}, auto_upload: true}}")
    assert apply(instance, file) == {"changed": ["nas"]}
    assert "auto_upload: true" in written(instance)


def test_a_dry_run_makes_no_registry_and_no_key(instance: dg.DagsterInstance, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    second = text.replace(
        "  nas:", "  other: {ftp: {host: h, password: '${SHOP_PASSWORD}'}}\n  nas:"
    )
    file.write_text(second, encoding="utf-8")
    assert len(apply(instance, file, dry_run=True)["added"]) == 7
    assert list(places.home_folder().glob("*")) == []
    file.write_text(text.replace('"@daily"', '"@daily", profile: x'), encoding="utf-8")
    with pytest.raises(NotRegistered):
        apply(instance, file, dry_run=True)
    assert list(places.home_folder().glob("*")) == []


def test_the_last_of_a_file_may_undo_all(instance: dg.DagsterInstance, file: Path) -> None:
    text = FILE + "  Third: {cron_expression: '@daily', profile: nowhere}\n"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(NotRegistered, match="There is no profile 'nowhere'"):
        apply(instance, file)
    assert everything(instance) == [{"revision": 0}]
    file.write_text(FILE, encoding="utf-8")
    apply(instance, file)
    before = everything(instance)
    file.write_text(text.replace("@daily", "@weekly").replace("9", "10"), encoding="utf-8")
    with pytest.raises(NotRegistered):
        apply(instance, file)
    assert everything(instance) == before


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("shared"))) as opened:
        yield opened


def _forget(instance: dg.DagsterInstance) -> None:
    with registering(instance) as session:
        for row in rows.all_of(session, ScheduleRow, "default"):
            schedules.remove(session, row)
        for profile in rows.all_of(session, ProfileRow, "default"):
            session.delete(profile)
        for platform in rows.all_of(session, PlatformRow, "default"):
            session.delete(platform)


@settings(max_examples=25)
@given(registry=registries())
def test_an_exported_registry_is_applied_as_it_was(
    registry: Mapping[str, Any], shared: dg.DagsterInstance
) -> None:
    path = places.platforms_file().with_name("registry.yaml")
    path.write_text(yaml.safe_dump(dict(registry)), encoding="utf-8")
    _forget(shared)
    apply(shared, path)
    exported = written(shared)
    path.write_text(exported, encoding="utf-8")
    assert set(apply(shared, path)) <= {"unchanged"}
    _forget(shared)
    assert written(shared) == "{}\n"
    assert set(apply(shared, path)) <= {"added"}
    assert written(shared) == exported
    assert SECRET not in exported
