import json
import re
from pathlib import Path
from traceback import format_exception
from typing import Any

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.artifacts import Destination
from export_pipelines.config_types import is_secret
from export_pipelines.definitions import defs
from export_pipelines.errors import (
    KeyUnavailable,
    PlatformMisconfigured,
    RegistryUnavailable,
    RequestError,
)
from export_pipelines.platforms import PLATFORMS
from export_pipelines.platforms.configuration import (
    find_destinations,
    is_disabled,
    open_active,
    open_platform,
    platform_config,
    require_platform,
)
from export_pipelines.platforms.minio import Minio
from export_pipelines.platforms.platforms_file import read_platforms
from export_pipelines.registration.platforms import Platform as Registered
from export_pipelines.registration.platforms import add, check
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import PlatformRow

SECRET = "correct horse battery staple"
MINIO = {
    "endpoint_url": "https://minio.example:9000",
    "bucket": "exports",
    "access_key": {"env": "MINIO_USER"},
    "secret_key": {"env": "MINIO_PASSWORD"},
}


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIO_USER", "shop")
    monkeypatch.setenv("MINIO_PASSWORD", SECRET)
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("WITH_LINE", f"{SECRET}\n")


def write(text: str) -> None:
    settings.platforms_file().write_text(text, encoding="utf-8")


FILE = """
platforms:
  backup:
    minio:
      endpoint_url: https://minio.example:9000
      bucket: {env: BUCKET}
      access_key: {env: MINIO_USER}
      secret_key: {env: MINIO_PASSWORD}
      timeout_seconds: 7
  nas:
    local: {folder: /srv/exports, subfolder: "{resource_type}/{date:%Y}"}
"""


def test_platforms_are_named_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write(FILE)
    monkeypatch.setenv("BUCKET", "exports")
    assert list(read_platforms()) == ["backup", "nas"]
    backup = open_platform("backup")
    assert isinstance(backup, Minio)
    assert (backup.bucket, backup.secret_key, backup.timeout_seconds) == ("exports", SECRET, 7)
    assert SECRET not in f"{backup!r} {backup}"


def test_without_a_file_there_are_none() -> None:
    assert read_platforms() == {}
    with pytest.raises(
        PlatformMisconfigured, match=r"There is no platform 'nas': .*platforms.yaml"
    ):
        open_platform("nas")


@pytest.mark.parametrize("text", ["", "platforms:", "platforms: {}"])
def test_a_file_may_name_none(text: str) -> None:
    write(text)
    assert read_platforms() == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("platforms: [", "is no YAML in line 1: "),
        ("platforms: {a: b: c}", "is no YAML in line 1: "),
        ("- a", "must have one key, platforms"),
        ("platform: {}", "must have one key, platforms"),
        ("platforms: [a]", "must have one key, platforms"),
        ("platforms: {}\nother: 1", "must have one key, platforms"),
        ("platforms: {a b: {}}", "'a b' cannot be a platform's name"),
        ("platforms: {1: {}}", "1 cannot be a platform's name"),
        ("platforms: {\u0000}", "is no YAML"),
        ("!!python/object/apply:os.system [true]", "is no YAML in line 1"),
        ("platforms: {a: 2026-02-31}", "is no YAML"),
        ("[" * 5_000, "is no YAML"),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, sentence: str) -> None:
    write(text)
    with pytest.raises(PlatformMisconfigured) as caught:
        read_platforms()
    assert sentence in str(caught.value)
    assert str(settings.platforms_file()) in str(caught.value)


def test_a_folder_in_the_place_of_the_file() -> None:
    settings.platforms_file().mkdir()
    with pytest.raises(PlatformMisconfigured, match="cannot be read: Is a directory"):
        read_platforms()


@pytest.mark.parametrize(
    ("asked", "field", "sentence"),
    [
        (
            "naz",
            "platforms",
            "There is no platform 'naz'. Did you mean nas? Choose from backup and ",
        ),
        (
            {"mino": {}},
            "platform_type",
            "mino: There is no platform type 'mino'. Did you mean mini",
        ),
        ({}, "platform_type", "platform: write one type of "),
        ({"minio": {}, "local": {}}, "platform_type", "minio: write one type of "),
        (
            {"minio": {**MINIO, "buket": 1}},
            "buket",
            "minio: There is no field 'buket'. Did you mea",
        ),
        ({"local": {}}, "folder", "local.folder is missing."),
        ({"local": "/srv"}, "local", "local: its fields must be names with values."),
        ({"minio": {**MINIO, "bucket": 5}}, "bucket", "minio.bucket: "),
        ({"minio": {**MINIO, "timeout_seconds": 0}}, "timeout_seconds", "minio.timeout_seconds: "),
        (
            {"minio": {**MINIO, "timeout_seconds": SECRET}},
            "timeout_seconds",
            "minio.timeout_second",
        ),
        (
            {"minio": {**MINIO, "secret_key": SECRET}},
            "secret_key",
            "minio.secret_key is a secret: p",
        ),
        (
            {"minio": {**MINIO, "secret_key": {"env": "NOWHERE"}}},
            "secret_key",
            "minio.secret_key: the variable NOWHERE is not set where exports run.",
        ),
        (
            {"minio": {**MINIO, "secret_key": {"env": "EMPTY"}}},
            "secret_key",
            "minio.secret_key: the variable EMPTY is empty where exports run.",
        ),
        (
            {"minio": {**MINIO, "secret_key": {"env": "WITH_LINE"}}},
            "secret_key",
            "minio.secret_key: it has a line break or another character that cannot be seen; ",
        ),
        ({"minio": {**MINIO, "bucket": "a\0b"}}, "bucket", "minio.bucket: it has a line break or"),
        (
            {"minio": {**MINIO, "secret_key": {"file": "x"}}},
            "secret_key",
            "minio.secret_key: write a value, or {env: NAME_OF_A_VARIABLE}.",
        ),
        (
            {"minio": {**MINIO, "secret_key": {"env": ["x"]}}},
            "secret_key",
            "minio.secret_key: write a value, or {env: NAME_OF_A_VARIABLE}.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(asked: Any, field: str, sentence: str) -> None:
    write(FILE)
    with pytest.raises(PlatformMisconfigured) as caught:
        open_platform(asked)
    assert str(caught.value).startswith(sentence)
    assert caught.value.field == field
    assert SECRET not in "".join(format_exception(caught.value))


def test_a_wrong_subfolder_is_found_before_anything_is_exported() -> None:
    with pytest.raises(PlatformMisconfigured, match="local: subfolder: There is no placeholder 'p"):
        open_platform({"local": {"folder": "/srv", "subfolder": "{part}"}})


def test_destinations_have_keys_of_their_own_and_no_secrets() -> None:
    write(FILE.replace("backup", "back-up").replace("{env: BUCKET}", "exports"))
    other = {"minio": {**MINIO, "bucket": "b", "subfolder": "{date:%Y-%m}"}}
    found = find_destinations(["back-up", {"minio": MINIO}, other, "nas"], "default")
    assert found == (
        Destination("back_up", "back-up", "back-up"),
        Destination("minio", "minio", {"minio": MINIO}),
        Destination("minio_2", "minio", other),
        Destination("nas", "nas", "nas"),
    )
    assert SECRET not in str(found)


@pytest.mark.parametrize("asked", [["nas", "nas"], [{"minio": MINIO}, {"minio": dict(MINIO)}]])
def test_a_platform_is_named_once(asked: Any) -> None:
    write(FILE)
    with pytest.raises(RequestError, match="more than once"):
        find_destinations(asked, "default")


@pytest.mark.parametrize("name", list(PLATFORMS))
def test_every_field_of_every_platform_is_offered_and_described(name: str) -> None:
    kind = PLATFORMS[name]
    assert kind.model_fields["platform_type"].default == name
    assert kind.__doc__
    for field, found in kind.model_fields.items():
        if field != "platform_type":
            assert found.description, f"{name}.{field}"
            assert found.repr != is_secret(found), f"{name}.{field}"
    selector = platform_config().non_scalar_type
    offered = selector.fields[name].config_type.fields
    assert all(field.description for field in offered.values())
    assert set(offered) == set(kind.model_fields) - {"platform_type"}


@pytest.mark.parametrize("job", ["export_csv", "check_platform"])
def test_a_secret_in_run_config_is_refused_without_a_run(job: str) -> None:
    platform = {"minio": {**MINIO, "secret_key": SECRET}}
    config = {"platforms": [platform]} if job == "export_csv" else {"platform": platform}
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(dg.DagsterInvalidConfigError) as caught:
            defs.resolve_job_def(job).execute_in_process(run_config=config, instance=instance)
        assert SECRET not in str(caught.value)
        assert "secret_key" in str(caught.value)
        assert instance.get_runs() == []


@pytest.mark.parametrize("name", list(PLATFORMS))
def test_platforms_are_resources_of_dagster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of any platform may be an EnvVar, and is only read when a run starts."""
    kind = PLATFORMS[name]
    values: dict[str, Any] = {
        field: "srv" if found.annotation is str else 1
        for field, found in kind.model_fields.items()
        if found.is_required()
    }
    hidden = [field for field, found in kind.model_fields.items() if is_secret(found)]
    values |= {field: dg.EnvVar("LATER") for field in hidden}
    resource = kind(**values)

    @dg.op(required_resource_keys={"platform"})
    def look(context: dg.OpExecutionContext) -> list[str]:
        return [getattr(context.resources.platform, field) for field in hidden]

    @dg.job(resource_defs={"platform": resource})
    def job() -> None:
        look()

    monkeypatch.setenv("LATER", SECRET)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        assert result.output_for_node("look") == [SECRET] * len(hidden)
        run = instance.get_run_by_id(result.run_id)
        assert run
        assert SECRET not in json.dumps([run.run_config, dict(run.tags)])


def test_the_file_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EXPORT_PIPELINES_PLATFORMS")
    monkeypatch.chdir(tmp_path)
    assert settings.platforms_file() == tmp_path / "platforms.yaml"


def register(name: str, organization: str = "default", **fields: Any) -> PlatformRow:
    """Register a folder under a name, in which an export is told apart by its path."""
    folder = f"/srv/{organization}/{name}"
    asked = check(Registered(name, "local", {"folder": folder}, **fields))
    with writing() as session:
        return add(session, organization, asked)


def labels(asked: Any, organization: str = "default") -> list[str]:
    return [found.label for found in find_destinations(asked, organization)]


def test_a_registered_platform_is_opened_by_its_name_or_id() -> None:
    row = register("north")
    for asked in ("north", row.id):
        assert open_platform(asked).location == "/srv/default/north"


def test_its_secrets_and_variables_are_read_when_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = {**MINIO, "secret_key": SECRET}
    with writing() as session:
        add(session, "default", check(Registered("backup", "minio", fields)))
    monkeypatch.setenv("MINIO_USER", "another")
    backup = open_platform("backup")
    assert isinstance(backup, Minio)
    assert (backup.access_key, backup.secret_key) == ("another", SECRET)
    assert SECRET not in f"{backup!r} {backup} {find_destinations(['backup'], 'default')}"
    monkeypatch.delenv("MINIO_USER")
    with pytest.raises(PlatformMisconfigured, match="the variable MINIO_USER is not set where"):
        open_platform("backup")
    settings.secret_key_file().unlink()
    with pytest.raises(KeyUnavailable, match="The key of the registry's secrets is gone"):
        open_platform("backup")


def test_the_file_comes_before_the_registry() -> None:
    register("nas")
    write(FILE)
    assert open_platform("nas").location == "/srv/exports"
    assert not is_disabled("nas", "default")


def test_what_names_no_platforms_goes_to_those_that_upload_by_themselves() -> None:
    write(FILE)
    assert labels(None) == []
    register("south")
    register("north")
    register("on request", auto_upload=False)
    register("disabled", is_active=False)
    register("of others", "acme")
    assert labels(None) == ["north", "south"]
    assert labels([]) == []
    assert labels(["on request"]) == ["on request"]
    assert labels(None, "acme") == ["of others"]
    assert labels(None, "nobody") == []


def test_a_platform_that_is_named_by_its_id_is_the_same() -> None:
    row = register("north")
    assert labels([row.id]) == ["north"]
    with pytest.raises(RequestError, match="platforms names north more than once"):
        labels(["north", row.id])


def test_the_export_store_gets_no_export_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    row = register("archive")
    register("north")
    register("archive", "acme")
    for name in ("archive", row.id):
        monkeypatch.setenv("EXPORT_PIPELINES_STORE", name)
        assert labels(None) == ["north"]
        assert labels(["archive"]) == ["archive"]
        assert labels(None, "acme") == ["archive"]
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", "elsewhere")
    assert labels(None) == ["archive", "north"]


def test_a_disabled_platform_is_refused_by_name() -> None:
    register("north", is_active=False)
    sentence = "The platform 'north' is disabled: enable it, or export without it."
    for refuse in (lambda: labels(["north"]), lambda: open_active("north", "default")):
        with pytest.raises(RequestError) as caught:
            refuse()
        assert str(caught.value) == sentence
    assert open_platform("north").location == "/srv/default/north"
    assert is_disabled("north", "default")
    assert not is_disabled("north", "acme")


def test_platforms_of_other_organizations_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    row = register("north", "acme")
    register("south")
    for name in ("north", row.id):
        with pytest.raises(PlatformMisconfigured) as caught:
            labels([name])
        assert str(caught.value).startswith(f"There is no platform '{name}'.")
        assert "Choose from south. They are registered, or in" in str(caught.value)
        with pytest.raises(PlatformMisconfigured):
            require_platform(name, "default")
    register("south", "acme")
    assert open_platform("south", "acme").location == "/srv/acme/south"
    assert open_platform("south").location == "/srv/default/south"
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")
    assert open_platform("south").location == "/srv/acme/south"
    assert open_platform("south", "default").location == "/srv/default/south"


def test_names_that_only_look_alike_get_keys_of_their_own() -> None:
    for name in ("Nord & Süd", "Nord + Süd", "Nord___S_d"):
        register(name)
    found = find_destinations(None, "default")
    assert [each.label for each in found] == ["Nord & Süd", "Nord + Süd", "Nord___S_d"]
    assert len({each.key for each in found}) == 3
    assert all(re.fullmatch(r"\w+", each.key, re.ASCII) for each in found)


def test_a_registry_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", "postgresql://u:s3cr3t@127.0.0.1:1/none")
    write(FILE.replace("{env: BUCKET}", "exports"))
    assert labels(["nas", {"minio": MINIO}]) == ["nas", "minio"]
    for asked in (None, ["north"]):
        with pytest.raises(RegistryUnavailable) as caught:
            labels(asked)
        assert "s3cr3t" not in str(caught.value)
