"""Sending one request to a receiver, and what comes back."""

import http.client
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, cast

from export_pipelines.errors import RequestError, shown
from export_pipelines.webhooks.addresses import Address, Target, parse, resolve
from export_pipelines.webhooks.connections import Deadline, connect

CONNECT_SECONDS = 5.0
SECONDS = 10.0
MESSAGE_CHARACTERS = 200

_READ_BYTES = 1_000
_REASONS: dict[type[Exception], str] = {
    TimeoutError: f"It did not answer within {SECONDS:.0f} seconds.",
    ConnectionRefusedError: "It refuses connections.",
    ConnectionError: "It closed the connection without an answer.",
}


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        code: the status of the answer; None if there was none.
        message: what the receiver says, or why there is no answer; 200 characters at most.
        seconds: how long it took.
    """

    code: int | None
    message: str
    seconds: float

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken it: 2xx."""
        return self.code is not None and self.code // 100 == 2

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more: 410."""
        return self.code == http.client.GONE

    @property
    def sentence(self) -> str:
        """What became of it, without what the receiver has written."""
        if self.code is None or self.code // 100 == 3:
            return self.message
        return f"It answered {self.code}."


def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send a body to a URL, and return what came back within 10 seconds; follow no redirects.

    Args:
        url: the webhook's.
        headers: further ones.
        body: what is sent.
    """
    began = time.monotonic()
    try:
        code, message = _post(url, headers, body)
    except RequestError as error:
        code, message = None, str(error)
    except (OSError, http.client.HTTPException) as error:
        code, message = None, _reason(error)
    return Answer(code, _short(message), round(time.monotonic() - began, 3))


def _post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    whole = Deadline(SECONDS)
    target = parse(url)
    addresses = _addresses(target, whole)
    connecting = Deadline(min(CONNECT_SECONDS, whole.left()))
    with connect(target, addresses, connecting, whole) as connection:
        client = http.client.HTTPConnection(target.host, target.port)
        client.sock = cast(Any, connection)
        own = {"Host": target.authority, "Connection": "close"}
        # Who does not want the body may have answered before it was sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            client.request("POST", target.path, body, {**own, **headers})
        return _answer(target, client.getresponse())


def _addresses(target: Target, whole: Deadline) -> list[Address]:
    """Return where a target is; who looks it up cannot be stopped, and is not waited for."""
    found: Future[list[Address]] = Future()

    def look_up() -> None:
        try:
            found.set_result(resolve(target))
        except Exception as error:
            found.set_exception(error)

    Thread(target=look_up, name=f"address of {target.host}", daemon=True).start()
    return found.result(whole.left())


def _answer(target: Target, response: http.client.HTTPResponse) -> tuple[int, str]:
    code = response.status
    if code // 100 == 2:
        return code, response.reason
    if code // 100 == 3:
        where = shown(response.headers.get("Location", "")[:MESSAGE_CHARACTERS])
        return code, f"It answered {code} and redirects to {where}, which is not followed."
    try:
        said = response.read(_READ_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        said = ""
    return code, f"{response.reason}: {said}" if said.strip() else response.reason


def _reason(error: Exception) -> str:
    """Return why there is no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Its certificate is not valid: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"There is no TLS with it: {error.reason or error}."
    for kind, sentence in _REASONS.items():
        if isinstance(error, kind):
            return sentence
    if isinstance(error, OSError):
        return f"It cannot be reached: {error.strerror or error}."
    return "It does not answer as HTTP does."


def _short(message: str) -> str:
    words = " ".join(message.split())
    return "".join(each for each in words if each.isprintable())[:MESSAGE_CHARACTERS]
