"""What is said of connections that cannot be made or break off, whatever they speak."""

import errno
import socket

from export_pipelines.errors import PlatformError, PlatformMisconfigured, PlatformUnavailable

_BROKEN = {
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
}


def network_error(error: Exception, host: str, port: int, seconds: int) -> PlatformError | None:
    """Return what an error of a connection means; None for one that is not of the network.

    Args:
        error: what the system or a library raised.
        host: the server's name.
        port: its port.
        seconds: how long it may be silent.
    """
    if isinstance(error, socket.gaierror | UnicodeError):
        return _name_error(error, host)
    where = f"{host}:{port}"
    if isinstance(error, TimeoutError):
        return PlatformUnavailable(
            f"{where} has not answered for {seconds} seconds: it is down, a firewall drops what is "
            "sent to it, or timeout_seconds is too short."
        )
    if isinstance(error, ConnectionRefusedError):
        return PlatformUnavailable(
            f"Nothing listens at {where}: the server is not running, or the port is another."
        )
    if isinstance(error, ConnectionError | EOFError):
        return PlatformUnavailable(f"The connection to {where} broke off.")
    if isinstance(error, OSError) and error.errno in _BROKEN:
        return PlatformUnavailable(f"There is no way to {where}: {error.strerror}.")
    return None


def _name_error(error: Exception, host: str) -> PlatformError:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return PlatformUnavailable(
            f"The address of {host} cannot be looked up now: the name server does not answer."
        )
    return PlatformMisconfigured(f"host: there is no host named {host}.", field="host")
