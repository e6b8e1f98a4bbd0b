"""Jobs of a server, over its HTTP API."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from ssl import SSLError
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, build_opener

from export_pipelines.cli.job_downloads import Job, copy_rest, fetched_bytes
from export_pipelines.cli.job_places import ServerUnavailable
from export_pipelines.cli.terminal import exit_code
from export_pipelines.errors import (
    ExportPipelinesError,
    NotRegistered,
    RequestError,
    shown,
)

_SECONDS = 60
_TRIES = 5
_MOST_WAIT_SECONDS = 60
_PAGE = 100
_BUSY = (429, 503)
_PARTIAL = 206


class ServerJobs:
    """Jobs of a server, as one key sees them."""

    def __init__(self, server: str, key: str) -> None:
        """Name a server.

        Args:
            server: its address, such as `https://shop.example`.
            key: an API key, which is sent to that address only; empty for none.

        Raises:
            RequestError: either cannot be one.
        """
        if "@" in server:
            raise RequestError(
                "--server has a user or a password in it: give the server's address only, and the "
                "API key in another way."
            )
        if not server.startswith(("http://", "https://")):
            raise RequestError(
                f"--server: {shown(server)} is no address: write it as https://shop.example."
            )
        if not (key.isascii() and key.isprintable()):
            raise RequestError(
                "The API key has characters that none has: copy it again, without line breaks."
            )
        self._server = server.rstrip("/").removesuffix("/api/v1")
        self._key = key
        self._opener = build_opener()

    def listed(
        self, kind: str, filters: Mapping[str, str], limit: int | None
    ) -> Iterator[dict[str, Any]]:
        """Yield jobs of a kind, the newest first, a page at a time; None for no limit."""
        cursor = ""
        while True:
            query = {**filters, "limit": str(min(limit or _PAGE, _PAGE))}
            if cursor:
                query["cursor"] = cursor
            page = self._answer("GET", f"{kind}s/jobs?{urlencode(query)}")
            yield from page["items"]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return

    def find(self, job_id: str) -> dict[str, Any]:
        """Return a job, an export or an import.

        Raises:
            NotRegistered: the server has none of that id.
            ServerUnavailable: it does not answer.
            ExportPipelinesError: it refuses.
        """
        for kind in ("exports", "imports"):
            with suppress(_NotThereError):
                return self._answer("GET", f"{kind}/jobs/{quote(job_id, safe='')}")
        raise NotRegistered(
            f"There is no job {shown(job_id)} on {self._server}, or the key's organization does "
            "not have it: give its whole id, as 'jobs list' shows it."
        )

    def cancel(self, job: Job) -> dict[str, Any]:
        """Cancel a job, and return it as it is then: one at work ends a moment later."""
        return self._answer("POST", f"{_place(job)}/cancel")

    def resume(self, job: Job) -> dict[str, Any]:
        """Go on with a job that failed, and return the new one."""
        return self._answer("POST", f"{_place(job)}/resume")

    def fetch(self, job: Job, file: Mapping[str, Any], partial: Path) -> None:
        """Write a file of an export; what is there already of the same one stays.

        Args:
            job: the export.
            file: one of its files.
            partial: where it grows. What names its version is kept beside it.

        Raises:
            ServerUnavailable: the server does not answer, or broke off.
            ExportPipelinesError: it refuses.
        """
        note = partial.with_name(f"{partial.name}.etag")
        have = fetched_bytes(partial, file) if note.exists() else 0
        if have == file["bytes"]:
            return
        version = note.read_text(encoding="ascii") if have else ""
        headers = {"Range": f"bytes={have}-", "If-Range": version} if version else {}
        place = f"{_place(job)}/download?{urlencode({'part': file['name']})}"
        reason = "the connection ended"
        try:
            with self._open("GET", place, headers) as answer:
                given = answer.headers.get("ETag", "")
                # Of a version that is only alike in meaning, bytes may differ.
                is_exact = given.startswith('"') and given.isascii()
                note.write_text(given if is_exact else "", encoding="ascii")
                copy_rest(answer, partial, file, goes_on=answer.status == _PARTIAL)
        except _NotSatisfiableError:
            partial.unlink()
        except (HTTPException, TimeoutError, ConnectionError, SSLError) as error:
            reason = _reason(error)
        if not partial.exists() or partial.stat().st_size < file["bytes"]:
            raise ServerUnavailable(
                f"{self._server} broke off {file['name']}: {reason}. What has come so far is kept: "
                "download it again, and it goes on from there."
            )

    def _answer(self, method: str, place: str) -> dict[str, Any]:
        try:
            with self._open(method, place) as answer:
                found = json.loads(answer.read())
        except (HTTPException, ValueError, OSError) as error:
            raise ServerUnavailable(
                f"{self._server} does not answer as it should: {_reason(error)}. Is --server right?"
            ) from None
        if not isinstance(found, dict):
            raise ServerUnavailable(
                f"{self._server} answers something else than jobs. Is --server right?"
            )
        return found

    @contextmanager
    def _open(
        self, method: str, place: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[HTTPResponse]:
        """Ask, and again where the server says when."""
        for attempt in range(_TRIES):
            try:
                answer = self._ask(method, place, headers or {})
                break
            except HTTPError as error:
                with error:
                    seconds = _wait_seconds(error) if method == "GET" else None
                    if seconds is None or attempt + 1 == _TRIES:
                        raise self._refusal(error) from None
                time.sleep(seconds)
            except (HTTPException, OSError) as error:
                raise ServerUnavailable(
                    f"{self._server} does not answer: {_reason(error)}. Look whether it is up, and "
                    "whether --server is right."
                ) from None
        with answer:
            yield answer

    def _ask(self, method: str, place: str, headers: Mapping[str, str]) -> HTTPResponse:
        address = f"{self._server}/api/v1/{place}"
        request = Request(address, method=method, headers=dict(headers))  # noqa: S310 - see __init__
        if self._key:
            # A store to which the server redirects must not get the key.
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        answer: HTTPResponse = self._opener.open(request, timeout=_SECONDS)
        return answer

    def _refusal(self, error: HTTPError) -> ExportPipelinesError:
        """Return what the server says is wrong, with the code and the exit code of that."""
        try:
            said = json.loads(error.read())
            sentence, code = said["detail"], said.get("code") or said["error_code"]
        except (HTTPException, OSError, ValueError, KeyError, TypeError, AttributeError):
            sentence, code = f"{self._server} answers HTTP {error.code} {error.reason}.", ""
        refusal = _KINDS.get(error.code, ExportPipelinesError)(str(sentence))
        if code:
            refusal.code = str(code)
            refusal.exit_code = exit_code(refusal.code)
        return refusal


class _NotThereError(ExportPipelinesError):
    """The server has nothing of that id."""


class _NotSatisfiableError(ExportPipelinesError):
    """The server has a shorter file than is there already."""


_KINDS = {
    404: _NotThereError,
    416: _NotSatisfiableError,
    # Those of a proxy before a server that is away, and of one that is starting.
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}


def _place(job: Job) -> str:
    return f"{job['kind']}s/jobs/{quote(str(job['id']), safe='')}"


def _wait_seconds(error: HTTPError) -> int | None:
    """Return how long a busy server says to wait; None if it does not, or too long."""
    text = error.headers.get("Retry-After", "")
    seconds = int(text) if text.isdecimal() and len(text) <= len(str(_MOST_WAIT_SECONDS)) else None
    is_soon = seconds is not None and seconds <= _MOST_WAIT_SECONDS
    return seconds if error.code in _BUSY and is_soon else None


def _reason(error: Exception) -> str:
    """Return what went wrong, without what was sent."""
    cause = getattr(error, "reason", None)
    found = cause if isinstance(cause, Exception) else error
    return getattr(found, "strerror", None) or str(found) or type(found).__name__
