"""What goes wrong with Google Drive, in words: from its client's exceptions to ours."""

import json
import ssl
import traceback
from dataclasses import dataclass
from typing import Any

from export_pipelines.errors import (
    PlatformError,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
)

_RATE_LIMITS = {"rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"}
_FULL = {"storageQuotaExceeded", "teamDriveFileLimitExceeded", "numChildrenInNonRootLimitExceeded"}
_DISABLED = {"accessNotConfigured", "SERVICE_DISABLED"}


@dataclass(frozen=True)
class Account:
    """Who asks Google Drive for what.

    Attributes:
        email: the service account.
        subject: the person for whom it acts; empty for none.
        credentials_field: the field that its key came from.
        folder_id: the folder of the platform.
        timeout_seconds: how long Google may be silent.
    """

    email: str
    subject: str
    credentials_field: str
    folder_id: str
    timeout_seconds: int

    @property
    def name(self) -> str:
        """Whom a folder must be shared with."""
        return self.subject or self.email


def client_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions by which Google's client tells of trouble."""
    from http.client import HTTPException

    from google.auth.exceptions import GoogleAuthError
    from googleapiclient.errors import Error
    from httplib2 import HttpLib2Error

    return (OSError, HTTPException, HttpLib2Error, Error, GoogleAuthError)


def let_go(error: BaseException | None) -> None:
    """Close what the client left open in calls that failed, such as the connection to a proxy."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def is_passing(error: Exception) -> bool:
    """Return whether the same request may succeed in some seconds.

    Silence does not count: it has lasted as long as it may.
    """
    from google.auth.exceptions import RefreshError
    from googleapiclient.errors import Error, HttpError

    if isinstance(error, HttpError):
        return _is_busy(error.resp.status, reason_of(error))
    if isinstance(error, (RefreshError, Error, ssl.SSLCertVerificationError)):
        return False
    return not _is_silence(error)


def explained(error: Exception, account: Account) -> PlatformError:
    """Return our exception for one of Google's client."""
    from google.auth.exceptions import RefreshError
    from googleapiclient.errors import HttpError

    if isinstance(error, HttpError):
        return _answer(error.resp.status, reason_of(error), account)
    if isinstance(error, RefreshError):
        return _no_token(error, account)
    if isinstance(error, ssl.SSLCertVerificationError):
        return PlatformMisconfigured(
            "The certificate shown for Google is not from an authority that is trusted here. "
            "Behind a proxy that opens encrypted traffic, let the variable HTTPLIB2_CA_CERTS name "
            "a file with its authority.",
            field="HTTPLIB2_CA_CERTS",
        )
    if _is_silence(error):
        return PlatformUnavailable(
            f"Google Drive was silent for {account.timeout_seconds} seconds: check the network and "
            "the variable HTTPS_PROXY."
        )
    return PlatformUnavailable(
        f"Google Drive cannot be reached, or the connection broke off ({type(error).__name__}): "
        "check the network and the variable HTTPS_PROXY."
    )


def no_folder(account: Account) -> PlatformMisconfigured:
    """Return the exception for a folder that is not there, or not for this account."""
    return PlatformMisconfigured(
        f"Google Drive shows no folder {account.folder_id} to {account.name}: correct folder_id, "
        "or share the folder or its shared drive with this address.",
        field="folder_id",
    )


def reason_of(error: Any) -> str:
    """Return Google's name for what is wrong, empty if the answer gives none."""
    try:
        return str(json.loads(error.content)["error"]["errors"][0]["reason"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def _answer(status: int, reason: str, account: Account) -> PlatformError:
    answer = f"{status} {reason}".rstrip()
    where = f"folder {account.folder_id}"
    if _is_busy(status, reason):
        return PlatformUnavailable(f"Google Drive is busy or out of order ({answer}).")
    if reason in _FULL:
        return _full(where, reason, account)
    if reason in _DISABLED:
        return PlatformMisconfigured(
            f"The Google Drive API is not enabled in the Google Cloud project of {account.email}: "
            "enable it there, or use the key of another project.",
            field=account.credentials_field,
        )
    if status == 401:
        return PlatformMisconfigured(
            f"Google Drive does not accept the key of {account.email} ({answer}): make a new one.",
            field=account.credentials_field,
        )
    if status in (404, 410):
        return PlatformUnavailable(
            f"A file or folder in {where} on Google Drive was removed while it was used."
        )
    return PlatformRefused(
        f"Google Drive does not let {account.name} do this in {where} ({answer}): it must be "
        "Content manager of the shared drive, or Editor of the folder."
    )


def _full(where: str, reason: str, account: Account) -> PlatformRefused:
    if reason == "storageQuotaExceeded":
        return PlatformRefused(
            f"{account.name} has no room for {where} on Google Drive. A service account has no "
            "storage of its own: use a folder in a shared drive, or set subject to a person; else "
            "free space there."
        )
    return PlatformRefused(
        f"{where} on Google Drive holds as many files as it may ({reason}): remove some."
    )


def _no_token(error: Any, account: Account) -> PlatformError:
    text = str(error)
    if error.retryable:
        return PlatformUnavailable("Google's server for access tokens is busy or out of order.")
    if account.subject and ("unauthorized_client" in text or "Invalid email" in text):
        return PlatformMisconfigured(
            f"{account.email} may not act for {account.subject}: correct subject, or let an "
            "administrator of Google Workspace allow it (domain-wide delegation) with the scope "
            "https://www.googleapis.com/auth/drive.",
            field="subject",
        )
    return PlatformMisconfigured(
        f"Google does not accept the key of {account.email}: it was deleted or disabled, so make a "
        "new one; or the clock of this machine is wrong by more than some minutes.",
        field=account.credentials_field,
    )


def _is_busy(status: int, reason: str) -> bool:
    return status in (408, 429) or status >= 500 or reason in _RATE_LIMITS


def _is_silence(error: Any) -> bool:
    # A proxy's silence comes wrapped.
    return isinstance(getattr(error, "socket_err", error), TimeoutError)
