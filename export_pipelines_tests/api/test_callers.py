import asyncio
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest

from export_pipelines.api import callers
from export_pipelines.api.callers import (
    ApiKeyRefused,
    Caller,
    Remembered,
    ScopeMissing,
    anybody,
    authenticate,
    note,
    require,
    with_key,
)
from export_pipelines.clock import now, written
from export_pipelines.errors import ExportPipelinesError, RegistryUnavailable, RequestError
from export_pipelines.registry.api_keys import SCOPES, all_keys, new_key
from export_pipelines.registry.models import ApiKeyRow
from export_pipelines_tests.api.keys import change_key, lose_registry, make_key, revoke_key

REFUSED = (
    "This API key is not valid: it is unknown, revoked or expired. Ask the people who run this "
    "server for another."
)


def whose(text: str) -> Caller:
    return asyncio.run(authenticate(text))


def seconds_until(happens: Callable[[], object]) -> float:
    began = time.monotonic()
    while not happens():
        assert time.monotonic() < began + 10
        time.sleep(0.02)
    return time.monotonic() - began


def is_refused(text: str) -> bool:
    try:
        whose(text)
    except ApiKeyRefused:
        return True
    return False


def test_a_key_names_its_caller() -> None:
    text = make_key("shop", ["exports:write"], "acme")
    row = change_key("shop", "acme")
    caller = Caller(row.id, "shop", "acme", frozenset({"exports:write", "exports:read"}))
    assert whose(text) == caller
    assert asyncio.run(with_key(row.id)) == caller


def test_all_that_are_refused_hear_the_same() -> None:
    texts = {name: make_key(name) for name in ("good", "revoked", "expired", "removed")}
    revoke_key("revoked")
    change_key("expired", expires_at=now())
    [start, good] = texts["good"].rsplit("_", 1)
    tried = [
        "",
        "Bearer",
        new_key(),
        texts["revoked"],
        texts["expired"],
        texts["good"][:-1],
        texts["good"] + "x",
        f"{start}_{good[:-1]}{'a' if good[-1] != 'a' else 'b'}",
        f"{start}_{good.swapcase()}",
    ]
    for text in tried:
        with pytest.raises(ApiKeyRefused) as refused:
            whose(text)
        assert (str(refused.value), refused.value.code) == (REFUSED, "invalid_api_key")
    assert whose(texts["good"]).name == "good"
    with pytest.raises(ApiKeyRefused):
        asyncio.run(with_key("nobody"))


def test_a_new_key_is_good_at_once() -> None:
    for name in ("first", "second", "third"):
        assert whose(make_key(name)).name == name


def test_a_revoked_key_is_refused_within_two_seconds() -> None:
    text = make_key("shop")
    whose(text)
    revoke_key("shop")
    assert not is_refused(text)
    assert 1 < seconds_until(lambda: is_refused(text)) < 2.5


def test_an_expired_key_is_refused_at_its_moment() -> None:
    text = make_key("shop")
    soon = datetime.now(timezone.utc) + timedelta(seconds=1)
    change_key("shop", expires_at=written(soon))
    assert whose(text).name == "shop"
    seconds_until(lambda: is_refused(text))
    assert timedelta(0) <= datetime.now(timezone.utc) - soon < timedelta(seconds=0.5)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list of the moments at which keys are read, which grows."""
    moments: list[float] = []

    def counted() -> list[ApiKeyRow]:
        moments.append(time.monotonic())
        return all_keys()

    monkeypatch.setattr(callers, "all_keys", counted)
    return moments


def test_requests_cost_no_database(reads: list[float]) -> None:
    text = make_key("shop")

    async def ask() -> None:
        for _ in range(300):
            await authenticate(text)
        await asyncio.gather(*(authenticate(text) for _ in range(50)))

    asyncio.run(ask())
    assert len(reads) <= 2


def test_unknown_keys_are_looked_up_ten_times_a_second(reads: list[float]) -> None:
    make_key("shop")

    async def ask() -> None:
        found = [authenticate(new_key()) for _ in range(100)]
        assert all(
            isinstance(error, ApiKeyRefused)
            for error in await asyncio.gather(*found, return_exceptions=True)
        )

    asyncio.run(ask())
    asyncio.run(ask())
    assert 1 < len(reads) <= 5
    assert all(later - earlier > 0.09 for earlier, later in pairwise(reads))


def test_a_registry_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = make_key("shop")
    lose_registry(monkeypatch)
    for _ in range(2):
        with pytest.raises(RegistryUnavailable, match=r"^The folder of the registry, /"):
            whose(text)
    with pytest.raises(ApiKeyRefused):
        whose("ep_")
    monkeypatch.delenv("EXPORT_PIPELINES_REGISTRY_URL")
    assert whose(text).name == "shop"


def test_what_failed_is_read_again_a_moment_later() -> None:
    answers: list[ExportPipelinesError | str] = [RegistryUnavailable("Down."), "up"]

    def read() -> str:
        answer = answers.pop(0)
        if isinstance(answer, ExportPipelinesError):
            raise answer
        return answer

    remembered = Remembered(read)

    async def ask() -> None:
        for _ in range(3):
            with pytest.raises(RegistryUnavailable, match=r"^Down\.$"):
                await remembered.recent()
        assert await remembered.current() == "up"
        assert await remembered.recent() == "up"

    asyncio.run(ask())
    assert answers == []


def test_a_use_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(callers, "note_use", noted.append)
    caller = whose(make_key("shop"))

    async def use() -> None:
        for each in (caller, caller, anybody()):
            await note(each)

    asyncio.run(use())
    assert noted == [caller.key_id]


def test_a_use_that_cannot_be_noted_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    caller = whose(make_key("shop"))
    lose_registry(monkeypatch)
    asyncio.run(note(caller))
    monkeypatch.delenv("EXPORT_PIPELINES_REGISTRY_URL")
    asyncio.run(note(caller))
    assert change_key("shop").last_used_at is None


@pytest.mark.parametrize(
    ("held", "allowed"),
    [
        (["exports:read"], {"exports:read"}),
        (["exports:write"], {"exports:read", "exports:write"}),
        (["imports:write"], {"imports:write"}),
        (["platforms:write", "exports:read"], {"platforms:write", "exports:read"}),
        (["admin"], set(SCOPES)),
    ],
)
def test_scopes_are_required(held: list[str], allowed: set[str]) -> None:
    caller = whose(make_key("shop", held))
    for scope in SCOPES:
        if scope in allowed:
            require(caller, scope)
            continue
        sentence = f"The API key 'shop' does not have the scope {scope}, which this needs: "
        with pytest.raises(ScopeMissing, match=f"^{re.escape(sentence)}") as refused:
            require(caller, scope)
        assert refused.value.code == "permission_denied"


def test_anybody_may_do_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")
    assert anybody() == Caller("", "anybody", "acme", frozenset(SCOPES))
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "x" * 101)
    with pytest.raises(RequestError):
        anybody()
