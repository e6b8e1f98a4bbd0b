import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines import settings as places
from export_pipelines.config_types import (
    is_address,
    is_else_of_machine,
    is_of_machine,
    is_secret,
    may_have_lines,
)
from export_pipelines.errors import (
    ExportPipelinesError,
    KeyUnavailable,
    NameTaken,
    PlatformMisconfigured,
    RequestError,
)
from export_pipelines.platforms import PLATFORMS
from export_pipelines.registration import platforms, profiles
from export_pipelines.registration.platforms import Platform
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import PlatformRow, ScheduleRow
from export_pipelines.registry.profiles import Profile

SECRET = 'cörrect "horse" \\ battery'
PARTNER = Platform(
    "partner",
    "sftp",
    {"host": "files.example", "port": "2222", "username": "shop", "password": SECRET},
)


def add(asked: Platform, organization: str = "default") -> PlatformRow:
    checked = platforms.check(asked)
    with writing() as session:
        return platforms.add(session, organization, checked)


def change(asked: Platform) -> bool:
    checked = platforms.check(asked)
    with writing() as session:
        row = rows.require(session, PlatformRow, "default", asked.name)
        return platforms.change(session, row, checked)


def stored(name: str = "partner", organization: str = "default") -> PlatformRow:
    with reading() as session:
        return rows.require(session, PlatformRow, organization, name)


def fields_of(row: PlatformRow) -> dict[str, Any]:
    return {column.name: getattr(row, column.key) for column in row.__table__.columns}


def test_values_get_the_types_of_their_fields() -> None:
    checked = platforms.check(PARTNER)
    assert checked.fields == {**PARTNER.fields, "port": 2222}
    referenced = replace(PARTNER, fields={**PARTNER.fields, "host": {"env": "PATH"}})
    assert platforms.check(referenced).fields["host"] == {"env": "PATH"}
    assert platforms.check(checked) == checked


def test_secrets_are_stored_apart_and_encrypted() -> None:
    row = add(PARTNER)
    assert row.fields == {"host": "files.example", "port": 2222, "username": "shop"}
    assert row.secret_names == ["password"]
    assert SECRET not in json.dumps(fields_of(row), ensure_ascii=False)
    assert platforms.registered(stored()) == platforms.check(PARTNER)
    assert SECRET not in repr(platforms.registered(row))


def test_an_empty_secret_is_none() -> None:
    row = add(replace(PARTNER, fields={**PARTNER.fields, "password": ""}))
    assert (row.secrets, row.secret_names) == ("", [])
    assert not places.secret_key_file().exists()


@pytest.mark.parametrize("name", ["", " partner", "partner ", "a/b", "a\nb", "a\0b", "x" * 101])
def test_a_name_that_cannot_be_typed_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="cannot be a platform's name"):
        platforms.check(replace(PARTNER, name=name))


@pytest.mark.parametrize(
    ("platform_type", "fields", "sentence"),
    [
        ("sfpt", {}, "There is no platform type 'sfpt'. Did you mean sftp"),
        ("local", {}, "partner.folder is missing."),
        ("local", {"folder": "/", "fodler": "x"}, "partner: There is no field 'fodler'. Did you"),
        ("sftp", {**PARTNER.fields, "port": "many"}, "partner.port: "),
        ("sftp", {**PARTNER.fields, "port": 70_000}, "partner.port: "),
        ("sftp", {**PARTNER.fields, "password": f"{SECRET}\n"}, "partner.password: it has a line"),
        ("sftp", {**PARTNER.fields, "password": {"env": "UNSET"}}, "partner.password: the variabl"),
        ("sftp", {**PARTNER.fields, "password": 5}, "partner.password is a secret: put it into"),
        ("sftp", {**PARTNER.fields, "password": [SECRET]}, "partner.password is a secret: put it"),
        ("local", {"folder": "/", "subfolder": "{part}"}, "partner: subfolder: There is no placeh"),
    ],
)
def test_a_wrong_field_is_named_without_secrets(
    platform_type: str, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ExportPipelinesError) as caught:
        platforms.check(Platform("partner", platform_type, fields))
    assert isinstance(caught.value, RequestError | PlatformMisconfigured)
    assert str(caught.value).startswith(sentence)
    assert SECRET not in str(caught.value)


def test_names_are_those_of_one_organization() -> None:
    add(PARTNER)
    with pytest.raises(NameTaken, match="There is already a platform 'partner'"):
        add(replace(PARTNER, fields={**PARTNER.fields, "host": "other.example"}))
    assert stored().fields["host"] == "files.example"
    other = add(replace(PARTNER, fields={**PARTNER.fields, "host": "other.example"}), "acme")
    assert other.id != stored().id
    assert stored("partner", "acme").fields["host"] == "other.example"


def test_a_name_of_the_file_is_taken() -> None:
    places.platforms_file().write_text("platforms: {partner: {local: {folder: /}}}")
    with pytest.raises(NameTaken, match="There is already a platform 'partner' in "):
        platforms.check(PARTNER)


def test_what_is_the_same_stays_untouched() -> None:
    before = fields_of(add(PARTNER))
    assert not change(PARTNER)
    assert fields_of(stored()) == before


@pytest.mark.parametrize(
    "fields",
    [{"is_active": False}, {"auto_upload": False}, {"variables": {"password": "PARTNER"}}],
)
def test_what_is_no_secret_changes_without_new_ciphertext(fields: dict[str, Any]) -> None:
    before = fields_of(add(PARTNER))
    assert change(replace(PARTNER, **fields))
    after = fields_of(stored())
    assert after["updated_at"] >= before["updated_at"]
    differing = {name for name in after if after[name] != before[name]}
    assert differing - {"updated_at"} == set(fields)


def test_a_secret_is_replaced_or_taken_away() -> None:
    add(PARTNER)
    assert change(replace(PARTNER, fields={**PARTNER.fields, "password": "another"}))
    assert platforms.registered(stored()).fields["password"] == "another"
    without = {name: value for name, value in PARTNER.fields.items() if name != "password"}
    assert change(replace(PARTNER, fields=without))
    assert (stored().secrets, stored().secret_names) == ("", [])


def test_a_platform_may_become_another_type() -> None:
    add(PARTNER)
    assert change(Platform("partner", "local", {"folder": "/srv"}))
    row = stored()
    assert (row.platform_type, row.fields, row.secrets) == ("local", {"folder": "/srv"}, "")


def test_without_its_key_a_platform_cannot_be_changed_but_removed() -> None:
    before = fields_of(add(PARTNER))
    places.secret_key_file().unlink()
    with pytest.raises(KeyUnavailable):
        change(replace(PARTNER, auto_upload=False))
    with pytest.raises(KeyUnavailable):
        add(replace(PARTNER, name="second"))
    assert fields_of(stored()) == before
    with writing() as session:
        platforms.remove(session, rows.require(session, PlatformRow, "default", "partner"))
        assert rows.all_of(session, PlatformRow, "default") == []


def test_a_platform_in_use_is_not_removed() -> None:
    add(PARTNER)
    add(PARTNER, "acme")
    with writing() as session:
        profiles.add(session, "default", Profile("weekly", "csv", platforms=["partner"]))
        profiles.add(session, "acme", Profile("of others", "csv", platforms=["partner"]))
        profiles.add(session, "default", Profile("everywhere", "csv"))
        schedule = ScheduleRow(organization="default", name="Mondays", key="mondays_schedule")
        schedule.cron_expression, schedule.timezone, schedule.profile = "@weekly", "UTC", "weekly"
        schedule.platforms, schedule.alert_after_minutes, schedule.is_active = ["partner"], 60, True
        rows.add(session, schedule)
    sentence = "is used by the profile 'weekly' and the schedule 'Mondays': change those first"
    with pytest.raises(RequestError, match=sentence), writing() as session:
        platforms.remove(session, rows.require(session, PlatformRow, "default", "partner"))
    assert stored().name == "partner"


SECRETS = [
    (kind, name, field)
    for kind, platform in PLATFORMS.items()
    for name, field in platform.model_fields.items()
    if is_secret(field)
]
REQUIRED: dict[str, dict[str, Any]] = {
    "gdrive": {"folder_id": "abc"},
    "minio": {"endpoint_url": "https://minio.example", "bucket": "exports"},
    "ftp": {"host": "ftp.example"},
    "sftp": {"host": "files.example", "username": "shop"},
    "s3": {"bucket": "exports"},
    "local": {"folder": "/srv"},
}
CHARACTERS = st.characters(exclude_categories=["Cs"]).filter(lambda one: one.isprintable())


@pytest.mark.parametrize(("kind", "name", "field"), SECRETS, ids=lambda part: str(part)[:12])
@settings(max_examples=5)
@given(st.data())
def test_any_secret_of_any_type_comes_back_as_it_was(
    kind: str, name: str, field: Any, data: st.DataObject
) -> None:
    lines = st.text(CHARACTERS, min_size=8, max_size=40)
    value = data.draw(lines)
    if may_have_lines(field):
        value = "\n".join([value, *data.draw(st.lists(lines, max_size=3))])
    asked = Platform("any", kind, {**REQUIRED[kind], name: value})
    with writing() as session:
        row = rows.find(session, PlatformRow, "default", "any")
        if row:
            platforms.remove(session, row)
            session.flush()
        platforms.add(session, "default", platforms.check(asked))
    row = stored("any")
    assert platforms.registered(row).fields == asked.fields
    assert value.encode() not in (places.home_folder() / "registry.db").read_bytes()


def test_every_type_was_tried() -> None:
    assert set(REQUIRED) == set(PLATFORMS)
    assert {kind for kind, _, _ in SECRETS} == set(PLATFORMS) - {"local"}
    assert len(SECRETS) == 10


@pytest.mark.parametrize("by_id", [False, True])
def test_the_export_store_is_neither_removed_nor_disabled(
    *, by_id: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, other = add(PARTNER), add(PARTNER, "acme")
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", row.id if by_id else row.name)
    for act in (
        lambda session, row: platforms.remove(session, row),
        lambda session, row: platforms.switch(row, is_active=False),
        lambda session, row: platforms.change(
            session, row, replace(platforms.registered(row), is_active=False)
        ),
    ):
        with pytest.raises(RequestError) as caught, writing() as session:
            act(session, rows.require(session, PlatformRow, "default", "partner"))
        assert str(caught.value) == (
            "The platform 'partner' is the export store: name another one in "
            "EXPORT_PIPELINES_STORE first."
        )
    assert stored().is_active
    with writing() as session:
        platforms.remove(session, rows.require(session, PlatformRow, "acme", other.name))
    monkeypatch.delenv("EXPORT_PIPELINES_STORE")
    with writing() as session:
        kept = rows.require(session, PlatformRow, "default", "partner")
        assert platforms.switch(kept, is_active=False)
        assert platforms.switch(kept, is_active=True)
        platforms.remove(session, kept)


NEITHER = {
    "folder", "subfolder", "timeout_seconds", "platform_type", "username", "verify", "bucket",
    "region_name", "role_arn", "external_id", "storage_class", "server_side_encryption",
    "kms_key_id", "folder_id", "subject",
}  # fmt: skip
"""Fields that are nobody's secret, lead to no other server, and to nothing of this machine."""


@pytest.mark.parametrize("platform_type", PLATFORMS)
def test_every_field_says_whether_it_may_lead_to_what_is_not_its_owners(platform_type: str) -> None:
    known = PLATFORMS[platform_type].model_fields
    marks = (is_address, is_else_of_machine, is_of_machine, is_secret)
    unmarked = {name for name, field in known.items() if not any(is_(field) for is_ in marks)}
    expected = NEITHER - ({"folder"} if platform_type == "local" else set())
    assert unmarked <= expected
    of_machine = {name for name, field in known.items() if is_of_machine(field)}
    assert {name for name in known if name.endswith("_file")} <= of_machine
