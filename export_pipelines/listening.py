"""Where the web server listens, and who may come in there."""

import errno
import socket
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from export_pipelines.errors import RequestError, shown
from export_pipelines.registry.api_keys import all_keys, is_good

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Where the web server is, and what it asks of people.

    Attributes:
        host: an address of this machine.
        port: a free one.
        authenticates: whether it asks for a key.
        token: what this process shows instead of one.
    """

    host: str
    port: int
    authenticates: bool
    token: str = field(repr=False)

    @property
    def address(self) -> str:
        """Where people find it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def own_address(self) -> str:
        """Where this process finds it."""
        everywhere = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - it is only compared
        return replace(self, host=everywhere.get(self.host, self.host)).address


def require_safe(host: str, *, authenticates: bool) -> None:
    """Refuse to let everybody on a network in, and to be there for nobody.

    Raises:
        RequestError: the host is not of this machine alone, and there is no key; or no address.
    """
    if _is_loopback(host):
        return
    if not authenticates:
        raise RequestError(
            f"--no-auth lets everybody in who reaches {host}: leave it out, or leave --host at "
            f"{LOOPBACK}."
        )
    if not any(is_good(row) for row in all_keys()):
        raise RequestError(
            f"There is no API key, with which to come in from {host}. Make one: export-pipelines "
            "keys add admin --scope admin"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        raise RequestError(f"--host {shown(host)}: give an IP address of this machine.") from None


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with _probe(host) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_free(place: Place) -> None:
    """Refuse a place where the web server cannot listen.

    Raises:
        RequestError: somebody listens there, or nobody may.
    """
    with _probe(place.host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = f"Port {place.port} is taken: stop what uses it, or choose another"
                raise RequestError(f"{reason} with --port.") from None
            raise RequestError(
                f"Port {place.port} of {place.host} cannot be listened on: {error.strerror}."
            ) from None


def _probe(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
