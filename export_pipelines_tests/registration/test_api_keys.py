from datetime import datetime, timedelta, timezone

import pytest

from export_pipelines.clock import written
from export_pipelines.errors import NameTaken, RequestError
from export_pipelines.registration import api_keys
from export_pipelines.registration.api_keys import ApiKey, in_days
from export_pipelines.registry import rows
from export_pipelines.registry.api_keys import digest_of, prefix_of
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import ApiKeyRow

SHOP = ApiKey("shop", ["exports:write", "exports:read"])
TOMORROW = datetime.now(timezone.utc) + timedelta(days=1)


def add(asked: ApiKey = SHOP, organization: str = "default") -> tuple[ApiKeyRow, str]:
    with writing() as session:
        return api_keys.add(session, organization, asked)


def stored(organization: str = "default") -> list[ApiKeyRow]:
    with reading() as session:
        return rows.all_of(session, ApiKeyRow, organization)


def test_a_key_is_kept_as_a_digest_only() -> None:
    made, text = add()
    [row] = stored()
    assert (row.id, row.name, row.organization, row.is_active) == (made.id, "shop", "default", True)
    assert (row.prefix, row.digest) == (prefix_of(text), digest_of(text))
    assert row.scopes == ["exports:read", "exports:write"]
    assert (row.expires_at, row.last_used_at) == (None, None)
    secret = text.rpartition("_")[2]
    assert not any(secret in str(value) for value in vars(row).values())


def test_a_key_may_expire() -> None:
    row, _ = add(ApiKey("shop", ["admin"], TOMORROW))
    assert row.expires_at == written(TOMORROW)
    elsewhere = TOMORROW.astimezone(timezone(timedelta(hours=5)))
    assert add(ApiKey("far", ["admin"], elsewhere))[0].expires_at == written(TOMORROW)


def test_days_are_counted_from_now() -> None:
    until = in_days(30) - datetime.now(timezone.utc)
    assert timedelta(days=29, hours=23) < until <= timedelta(days=30)
    assert in_days(36_500).year > 2100
    for days in (-1, 0, 36_501, 10**12):
        with pytest.raises(RequestError, match=rf"^A key cannot expire in {days} days: choose 1 t"):
            in_days(days)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (ApiKey("", ["admin"]), "'' cannot be a key's name: use 1 to 100 characters"),
        (ApiKey("shop", []), "A key needs a scope: choose from exports:read, exports:write, "),
        (
            ApiKey("shop", ["export:read"]),
            "There is no scope 'export:read'. Did you mean exports:r",
        ),
        (ApiKey("shop", ["admin", ""]), "There is no scope ''. Choose from exports:read, "),
        (
            ApiKey("shop", ["admin"], datetime(2020, 1, 1, tzinfo=timezone.utc)),
            "The key would have expired at 2020-01-01T00:00:00.000Z: choose a time that is still ",
        ),
        (
            ApiKey("shop", ["admin"], TOMORROW.replace(year=2150, tzinfo=None)),
            "The key's end 2150-",
        ),
    ],
)
def test_a_key_that_cannot_be_is_refused(asked: ApiKey, sentence: str) -> None:
    with pytest.raises(RequestError) as refused:
        add(asked)
    assert str(refused.value).startswith(sentence)
    assert stored() == []


@pytest.mark.parametrize("organization", ["", "x" * 101, "a\nb"])
def test_an_organization_has_a_name(organization: str) -> None:
    with pytest.raises(RequestError, match="cannot be an organization: use 1 to 100 characters"):
        add(organization=organization)


def test_a_name_is_taken_in_its_organization_only() -> None:
    add()
    with pytest.raises(NameTaken, match="API key 'shop': choose another name"):
        add()
    _, other = add(organization="acme")
    assert [row.prefix for row in stored("acme")] == [prefix_of(other)]
    assert len(stored()) == 1


def test_a_key_is_revoked_once_and_keeps_its_name() -> None:
    add()
    for changed in (True, False):
        with writing() as session:
            row = rows.require(session, ApiKeyRow, "default", "shop")
            assert api_keys.revoke(row) is changed
        assert [row.is_active for row in stored()] == [False]
    with pytest.raises(NameTaken):
        add()


def test_a_key_is_removed_and_its_name_free_again() -> None:
    _, before = add()
    with writing() as session:
        api_keys.remove(session, rows.require(session, ApiKeyRow, "default", "shop"))
    assert stored() == []
    assert add()[1] != before
