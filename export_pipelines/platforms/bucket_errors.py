"""What can go wrong on the way to a server of the S3 protocol, in sentences that say what to do."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from export_pipelines.errors import ExportPipelinesError, PlatformError, PlatformUnavailable
from export_pipelines.platforms.bucket_refusals import Place, refusal


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Raise what a bucket's client raises as an error of this project."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise refusal(error, place) from None
    except BotoCoreError as error:
        raise _failure(error, place) from None
    except ResponseParserError:
        raise place.without_protocol() from None


def is_hopeless(error: BaseException | None) -> bool:
    """Return whether another try at once would only double the wait."""
    from urllib3.util.ssl_match_hostname import CertificateError

    hopeless = (TimeoutError, ssl.SSLCertVerificationError, CertificateError, socket.gaierror)
    return _cause(error, hopeless) is not None


def _failure(error: Exception, place: Place) -> PlatformError:
    from botocore import exceptions as sdk

    if _cause(error, TimeoutError) is not None:
        return PlatformUnavailable(
            f"{place.server} does not answer: it is down, a firewall drops what is sent to it, or "
            "timeout_seconds is too short."
        )
    explanations: tuple[tuple[Any, Callable[[Exception, Place], PlatformError]], ...] = (
        (sdk.SSLError, _tls_failure),
        (sdk.EndpointConnectionError, _not_reached),
        ((sdk.ConnectionError, sdk.HTTPClientError), _broken_off),
        ((sdk.IncompleteReadError, sdk.FlexibleChecksumError), _broken_off),
        ((sdk.ProfileNotFound, sdk.ConfigParseError), _no_profile),
        ((sdk.ParamValidationError, sdk.InvalidDNSNameError), _invalid_name),
        ((sdk.NoRegionError, sdk.EndpointProviderError, sdk.InvalidRegionError), _no_endpoint),
        (sdk.BotoCoreError, _no_credentials),
    )
    explain = next(found for kind, found in explanations if isinstance(error, kind))
    return explain(error, place)


def _tls_failure(error: Exception, place: Place) -> PlatformError:
    from urllib3.util.ssl_match_hostname import CertificateError

    refused = _cause(error, ssl.SSLCertVerificationError)
    if _cause(error, CertificateError) or (refused and "mismatch" in refused.verify_message):
        return place.misconfigured(
            "{host}", "The certificate of {server} is for another host name: correct {host}."
        )
    if refused:
        return _certificate(refused, place)
    failed = _cause(error, ssl.SSLError)
    if failed is not None and failed.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return place.misconfigured(
            "{host}", "{server} answers without TLS: correct {host}, perhaps to http://."
        )
    return _broken_off(error, place)


def _certificate(refused: ssl.SSLCertVerificationError, place: Place) -> PlatformError:
    if "expired" in refused.verify_message:
        return place.misconfigured(
            "{host}", "The certificate of {server} has expired: renew it there."
        )
    return place.misconfigured(
        "ca_file",
        f"The certificate of {{server}} cannot be trusted ({refused.verify_message}): name the "
        "file of its authority in ca_file.",
    )


def _not_reached(error: Exception, place: Place) -> PlatformError:
    unresolved = _cause(error, socket.gaierror)
    if unresolved is None:
        return PlatformUnavailable(
            f"Nothing listens at {place.server}: the server is not running, or the address is "
            "another."
        )
    if unresolved.errno == socket.EAI_AGAIN:
        return PlatformUnavailable(f"The name of {place.server} cannot be looked up just now.")
    return place.misconfigured(
        "{host}", "The host of {server} is not known to anybody: correct {host}."
    )


def _broken_off(error: Exception, place: Place) -> PlatformError:
    return PlatformUnavailable(f"The connection to {place.server} broke off.")


def _no_profile(error: Exception, place: Place) -> PlatformError:
    return place.misconfigured(
        "profile_name",
        "The profile cannot be read from the AWS settings of this machine: correct profile_name.",
    )


def _invalid_name(error: Exception, place: Place) -> PlatformError:
    if "Role" in str(error) or "ExternalId" in str(error):
        return place.misconfigured("role_arn", "role_arn or external_id is too short: correct it.")
    return place.without_name()


def _no_endpoint(error: Exception, place: Place) -> PlatformError:
    return place.misconfigured(
        "{host}", "There is no address of {server} that could be used: correct {host}."
    )


def _no_credentials(error: Exception, place: Place) -> PlatformError:
    return place.misconfigured(
        "{access_key}",
        f"There are no usable credentials for {{server}} ({type(error).__name__}): set "
        "{access_key} and {secret_key}.",
    )


def _cause(error: BaseException | None, kind: type | tuple[type, ...]) -> Any:
    """Return the first error of a kind among those that led to this one."""
    while error is not None and not isinstance(error, kind):
        # What comes before one of ours was an earlier try's.
        ours = isinstance(error, ExportPipelinesError)
        error = None if ours else error.__cause__ or error.__context__
    return error
