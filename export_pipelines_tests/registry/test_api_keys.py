import string
import threading
from datetime import datetime, timedelta, timezone

import pytest

from export_pipelines.clock import now, seconds_of, written
from export_pipelines.registry import rows
from export_pipelines.registry.api_keys import (
    SCOPES,
    all_keys,
    digest_of,
    granted,
    is_good,
    new_key,
    note_use,
    prefix_of,
)
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import ApiKeyRow

LONG_AGO = "2020-01-01T00:00:00.000Z"


def put(name: str = "shop", organization: str = "default", **fields: object) -> ApiKeyRow:
    text = new_key()
    row = ApiKeyRow(
        organization=organization,
        name=name,
        is_active=True,
        prefix=prefix_of(text),
        digest=digest_of(text),
        scopes=["exports:read"],
    )
    for field, value in fields.items():
        setattr(row, field, value)
    with writing() as session:
        rows.add(session, row)
    return row


def last_used(row: ApiKeyRow) -> str | None:
    with reading() as session:
        return session.get_one(ApiKeyRow, row.id).last_used_at


def test_keys_are_made_of_a_prefix_and_what_nobody_can_guess() -> None:
    texts = [new_key() for _ in range(100)]
    random = set()
    for text in texts:
        start, visible, rest = text.split("_", 2)
        assert (start, len(visible), len(rest)) == ("ep", 8, 43)
        assert set(visible) <= set(string.ascii_letters + string.digits)
        assert set(rest) <= set(string.ascii_letters + string.digits + "-_")
        assert prefix_of(text) == f"ep_{visible}"
        random.add(rest)
    assert len(random) == len({prefix_of(text) for text in texts}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ep_",
        "ep_abcdefgh",
        "ep_abcdefgh_" + "x" * 42,
        "ep_abcdefgh_" + "x" * 44,
        "ep_abcdefg_" + "x" * 43,
        "ep_abcdefgé_" + "x" * 43,
        "EP_abcdefgh_" + "x" * 43,
        " ep_abcdefgh_" + "x" * 43,
        "ep_abcdefgh_" + "x" * 43 + "\n",
        "ep_abcdefgh_" + "x" * 42 + "%",
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert prefix_of("ep_abcdefgh_" + "x" * 43) == "ep_abcdefgh"
    assert prefix_of(text) is None


def test_a_digest_is_that_of_the_whole_key() -> None:
    assert digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_scopes_imply_others() -> None:
    assert granted([]) == frozenset()
    assert granted(["exports:read"]) == {"exports:read"}
    assert granted(["exports:write"]) == {"exports:write", "exports:read"}
    assert granted(["imports:write", "platforms:write"]) == {"imports:write", "platforms:write"}
    assert granted(["admin"]) == set(SCOPES)


def test_keys_of_all_organizations_are_read(url: str) -> None:
    assert all_keys() == []
    put("a", "one")
    put("b", "two", is_active=False)
    assert sorted((row.organization, row.name) for row in all_keys()) == [
        ("one", "a"),
        ("two", "b"),
    ]


def test_a_key_is_good_until_it_is_revoked_or_expires() -> None:
    soon = written(datetime.now(timezone.utc) + timedelta(seconds=60))
    assert is_good(put("never"))
    assert is_good(put("soon", expires_at=soon))
    assert not is_good(put("late", expires_at=now()))
    assert not is_good(put("revoked", is_active=False))


def test_the_last_use_is_written_once_a_minute(url: str) -> None:
    row = put()
    assert last_used(row) is None
    note_use(row.id)
    first = last_used(row)
    assert first
    assert abs(seconds_of(first) - seconds_of(now())) < 30
    note_use(row.id)
    assert last_used(row) == first
    with writing() as session:
        session.get_one(ApiKeyRow, row.id).last_used_at = LONG_AGO
    note_use(row.id)
    assert str(last_used(row)) >= first
    note_use("gone")


def test_uses_at_the_same_moment_do_not_fail_each_other() -> None:
    row = put()
    threads = [threading.Thread(target=note_use, args=(row.id,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert last_used(row)
