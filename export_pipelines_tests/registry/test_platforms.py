import pytest

from export_pipelines.errors import KeyUnavailable
from export_pipelines.registry import rows
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import PlatformRow
from export_pipelines.registry.platforms import automatic, find, names, put_fields
from export_pipelines.registry.secrets import decrypt
from export_pipelines.settings import secret_key_file


def put_platform(
    name: str,
    organization: str = "default",
    *,
    is_active: bool = True,
    auto_upload: bool = True,
    password: str = "",
) -> None:
    with writing() as session:
        row = PlatformRow(
            organization=organization,
            name=name,
            platform_type="ftp",
            is_active=is_active,
            auto_upload=auto_upload,
            secrets="",
            secret_names=[],
        )
        secrets = {"password": password} if password else {}
        put_fields(session, row, {"host": "h"}, secrets, {})
        rows.add(session, row)


def stored(name: str) -> PlatformRow:
    row = find("default", name)
    assert row is not None
    return row


def change(name: str, fields: dict[str, str], secrets: dict[str, str]) -> None:
    with writing() as session:
        row = rows.require(session, PlatformRow, "default", name)
        put_fields(session, row, fields, secrets, {"host": "HOST"})


def test_without_a_registry_there_are_none(url: str) -> None:
    assert names("default") == []
    assert automatic("default") == []
    assert find("default", "mine") is None


def test_names_are_those_of_the_organization_in_order(url: str) -> None:
    for name in ("c", "a", "b"):
        put_platform(name)
    put_platform("theirs", "other")
    assert names("default") == ["a", "b", "c"]
    assert names("other") == ["theirs"]


def test_a_platform_is_found_by_name_and_by_id(url: str) -> None:
    put_platform("mine")
    put_platform("theirs", "other")
    assert stored("mine").id == stored(stored("mine").id).id
    assert find("default", "theirs") is None


def test_exports_go_by_themselves_to_active_platforms_that_want_it(url: str) -> None:
    put_platform("z")
    put_platform("a")
    put_platform("disabled", is_active=False)
    put_platform("asked for", auto_upload=False)
    put_platform("theirs", "other")
    assert automatic("default") == ["a", "z"]


def test_fields_and_secrets_are_kept_apart(url: str) -> None:
    put_platform("mine", password="s3cret")
    row = stored("mine")
    assert row.fields == {"host": "h"}
    assert row.secret_names == ["password"]
    assert decrypt(row) == {"password": "s3cret"}


def test_secrets_that_stay_the_same_are_not_encrypted_anew(url: str) -> None:
    put_platform("mine", password="s3cret")
    before = stored("mine").secrets
    change("mine", {"host": "another"}, {"password": "s3cret"})
    row = stored("mine")
    assert row.secrets == before
    assert row.fields == {"host": "another"}
    assert row.variables == {"host": "HOST"}
    change("mine", {"host": "another"}, {"password": "new", "key": "k"})
    row = stored("mine")
    assert row.secrets != before
    assert row.secret_names == ["key", "password"]
    assert decrypt(row) == {"password": "new", "key": "k"}


def test_secrets_can_be_taken_away(url: str) -> None:
    put_platform("mine", password="s3cret")
    change("mine", {"host": "h"}, {})
    row = stored("mine")
    assert (row.secrets, row.secret_names) == ("", [])
    assert decrypt(row) == {}


def test_without_the_key_nothing_is_changed(url: str) -> None:
    put_platform("mine", password="s3cret")
    before = stored("mine").secrets
    secret_key_file().unlink()
    with pytest.raises(KeyUnavailable):
        change("mine", {"host": "another"}, {"password": "new"})
    row = stored("mine")
    assert (row.fields, row.secrets) == ({"host": "h"}, before)
