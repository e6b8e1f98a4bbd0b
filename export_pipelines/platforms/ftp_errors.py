"""What the errors of an FTP session mean."""

import ftplib
import re
import ssl

from export_pipelines.errors import (
    PlatformError,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
    shown,
)
from export_pipelines.platforms.ftp_session import TlsRefused
from export_pipelines.platforms.network import network_error

_FULL = re.compile(r"no space|quota|disk full|storage|too large|writing to local file", re.I)
_FULL_CODES = {"452", "552"}
_LOGIN_CODES = {"430", "530", "532"}
_TLS_CODES = {"521", "522", "533", "534", "536"}
_ONCE_SILENT = "timed out object"
"""So Python says when a connection that was silent for too long is asked once more."""

_WRONG_NAME = {62, 64}
"""OpenSSL's numbers for a certificate of another host name or IP address."""


def ftp_error(
    error: Exception, host: str, port: int, seconds: int, *, encrypted: bool
) -> PlatformError | None:
    """Return what an error means; None for one of this machine.

    Args:
        error: what a session raised.
        host: the server's name.
        port: its port.
        seconds: how long it may be silent.
        encrypted: whether TLS is configured.
    """
    where = f"{host}:{port}"
    if isinstance(error, TlsRefused):
        return PlatformMisconfigured(
            f"tls: {where} does not encrypt (AUTH TLS). Ask its owner to switch that on; only in a "
            "network that you trust, set tls to none.",
            field="tls",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, host, where)
    if isinstance(error, ssl.SSLError):
        return PlatformUnavailable(
            f"The encrypted connection to {where} broke off: {error.reason}."
        )
    if isinstance(error, UnicodeDecodeError):
        return PlatformRefused(f"{where} answers in another encoding than UTF-8.")
    if isinstance(error, ftplib.Error):
        return _answer_error(str(error), where, encrypted=encrypted)
    if isinstance(error, OSError) and _ONCE_SILENT in str(error):
        error = TimeoutError()
    return network_error(error, host, port, seconds)


def says_full(answer: str) -> bool:
    """Return whether a server says that its disk or somebody's quota is full."""
    return answer[:3] in _FULL_CODES or _FULL.search(answer) is not None


def _certificate_error(
    error: ssl.SSLCertVerificationError, host: str, where: str
) -> PlatformMisconfigured:
    if error.verify_code in _WRONG_NAME:
        return PlatformMisconfigured(
            f"host: the certificate of {where} is not for {host}. Use the name that it is for.",
            field="host",
        )
    return PlatformMisconfigured(
        f"ca_file: the certificate of {where} is not accepted: {error.verify_message}. If its "
        "owner vouches for it, put the certificate of who issued it into ca_file; if it has "
        "expired, its owner must renew it.",
        field="ca_file",
    )


def _answer_error(answer: str, where: str, *, encrypted: bool) -> PlatformError:
    code, says = answer[:3], f"The server says {shown(answer)}."
    if says_full(answer):
        return PlatformRefused(f"The disk or the quota at {where} is full: make room there. {says}")
    if not encrypted and re.search(r"\b(ssl|tls|encrypt\w*)\b", answer, re.I):
        return PlatformMisconfigured(
            f"tls: {where} takes only encrypted connections: set tls to explicit.", field="tls"
        )
    if code in _LOGIN_CODES:
        return PlatformMisconfigured(
            f"password: {where} does not let the account log in. Correct the password or the "
            f"username. {says}",
            field="password",
        )
    if code in _TLS_CODES:
        return PlatformMisconfigured(
            f"tls: {where} does not encrypt as it is asked to. {says}", field="tls"
        )
    if code.startswith("4"):
        return PlatformUnavailable(f"{where} cannot do it now. {says}")
    return PlatformRefused(
        f"{where} does not let the account do this: give it permission to write, rename and delete "
        f"there. {says}"
    )
