"""Who makes a request, by an API key, and what that allows.

The registry's keys are remembered for two seconds, all of them: a request costs no database, and a
key that is revoked is refused everywhere two seconds later.
"""

import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from anyio import CapacityLimiter, sleep, to_thread

from export_pipelines import settings
from export_pipelines.errors import ExportPipelinesError, RegistryUnavailable, shown
from export_pipelines.registry.api_keys import (
    SCOPES,
    USE_SECONDS,
    all_keys,
    digest_of,
    granted,
    is_good,
    note_use,
    prefix_of,
)
from export_pipelines.registry.models import ApiKeyRow
from export_pipelines.registry.signing import signing_keys

T = TypeVar("T")

_REMEMBERED_SECONDS = 2.0
_BETWEEN_READS_SECONDS = 0.1


class ApiKeyRefused(ExportPipelinesError):
    """A key is none that is good; which of the reasons it is, nobody is told."""

    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__(
            "This API key is not valid: it is unknown, revoked or expired. Ask the people who run "
            "this server for another."
        )


class ScopeMissing(ExportPipelinesError):
    """A key is good, but not for this."""

    code = "permission_denied"


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes:
        key_id: of the API key; empty for somebody without one.
        name: the key's.
        organization: whose jobs and registry it may see.
        scopes: what it allows, with what that implies.
    """

    key_id: str
    name: str
    organization: str
    scopes: frozenset[str]


def anybody(name: str = "anybody") -> Caller:
    """Return who makes a request that needs no key: it may do everything.

    Raises:
        RequestError: the name of the organization in the environment is none.
    """
    return Caller("", name, settings.organization(), frozenset(SCOPES))


def require(caller: Caller, scope: str) -> None:
    """Refuse somebody who may not do this.

    Raises:
        ScopeMissing: the key has not the scope.
    """
    if scope not in caller.scopes:
        raise ScopeMissing(
            f"The API key {shown(caller.name)} does not have the scope {scope}, which this needs: "
            f"use another key, or have one made with 'export-pipelines keys add NAME --scope "
            f"{scope}'."
        )


async def authenticate(text: str) -> Caller:
    """Return whose API key a text is.

    Raises:
        ApiKeyRefused: it is nobody's, or the key is revoked or has expired.
        RegistryUnavailable: the registry does not answer.
    """
    prefix = prefix_of(text)
    if prefix is None:
        raise ApiKeyRefused
    row = await _key(prefix)
    if not hmac.compare_digest(row.digest, digest_of(text)):
        raise ApiKeyRefused
    return _caller(row)


async def with_key(key_id: str) -> Caller:
    """Return who has the API key of an id.

    Raises:
        ApiKeyRefused: there is none, or it is revoked or has expired.
        RegistryUnavailable: the registry does not answer.
    """
    return _caller(await _key(key_id))


async def note(caller: Caller) -> None:
    """Write down that a caller's key is in use, once a minute.

    It is called when a request has been answered, which is not to wait for whoever else writes.
    """
    began = time.monotonic()
    if not caller.key_id or began < _noted.get(caller.key_id, -USE_SECONDS) + USE_SECONDS:
        return
    _noted[caller.key_id] = began
    # The request was answered; the next minute's tries again.
    with suppress(RegistryUnavailable):
        await to_thread.run_sync(note_use, caller.key_id, limiter=_WRITER)


class Remembered(Generic[T]):
    """Something of the registry that is read when it is needed, and at most so often.

    Args:
        read: reads it.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._reader = CapacityLimiter(1)
        self._url = ""
        self._began = 0.0
        self._found: T | ExportPipelinesError | None = None

    async def recent(self) -> T:
        """Return it as it was two seconds ago or later.

        Raises:
            RegistryUnavailable: the registry does not answer, or did not a moment ago.
            KeyUnavailable: a secret cannot be read.
        """
        return await self._since(time.monotonic() - _REMEMBERED_SECONDS)

    async def current(self) -> T:
        """Return it as it is now, or a little later: it is read ten times a second at most.

        Raises:
            RegistryUnavailable: the registry does not answer.
            KeyUnavailable: a secret cannot be read.
        """
        return await self._since(time.monotonic())

    async def _since(self, moment: float) -> T:
        url = settings.registry_url()
        if not self._is_read(url, moment):
            if url == self._url:
                await sleep(max(0, self._began + _BETWEEN_READS_SECONDS - time.monotonic()))
            await to_thread.run_sync(partial(self._read_since, url, moment), limiter=self._reader)
        if isinstance(self._found, ExportPipelinesError):
            raise type(self._found)(*self._found.args)
        return self._found  # type: ignore[return-value]

    def _is_read(self, url: str, moment: float) -> bool:
        return self._url == url and self._began >= moment and self._found is not None

    def _read_since(self, url: str, moment: float) -> None:
        """Read it, unless another has done so while this one waited for its turn."""
        if self._is_read(url, moment):
            return
        began = time.monotonic()
        found: T | ExportPipelinesError
        try:
            found = self._read()
        except ExportPipelinesError as error:
            found = error
        self._url, self._began, self._found = url, began, found


def _read_keys() -> dict[str, ApiKeyRow]:
    """Return keys by prefix and by id, which are never alike."""
    return {name: row for row in all_keys() for name in (row.prefix, row.id)}


SIGNING_KEYS = Remembered(signing_keys)
"""By which links to files and sessions of browsers are signed."""

_KEYS = Remembered(_read_keys)
_WRITER = CapacityLimiter(1)
_noted: dict[str, float] = {}


async def _key(name: str) -> ApiKeyRow:
    """Return the key of a prefix or an id, if it is good; one that was made just now counts."""
    row = (await _KEYS.recent()).get(name) or (await _KEYS.current()).get(name)
    if row is None or not is_good(row):
        raise ApiKeyRefused
    return row


def _caller(row: ApiKeyRow) -> Caller:
    return Caller(row.id, row.name, row.organization, granted(row.scopes))
