"""Clients of the S3 protocol: bound to a time, silent in logs, and not led astray."""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from export_pipelines.errors import PlatformMisconfigured
from export_pipelines.platforms.bucket_errors import is_hopeless
from export_pipelines.platforms.bucket_refusals import Place

_ATTEMPTS = 3


@dataclass(frozen=True)
class Bucket:
    """A folder of a bucket, as a platform describes it.

    Attributes:
        place: its name, its server, and the fields that errors blame.
        folder: what the names of its files begin with; empty for all of the bucket.
        endpoint_url: the server's address; empty for Amazon S3.
        ca_file: the authorities to trust; empty for those of this machine.
        timeout_seconds: how long the server may be silent.
        options: storage class and encryption of new files, as the protocol calls them.
    """

    place: Place
    folder: str
    endpoint_url: str
    ca_file: str
    timeout_seconds: int
    options: Mapping[str, str]

    @property
    def prefix(self) -> str:
        """What the keys of all its files begin with."""
        folder = self.folder.strip("/")
        return f"{folder}/" if folder else ""

    @property
    def location(self) -> str:
        """Its address without secrets."""
        path = f"{self.place.bucket}/{self.prefix}".rstrip("/")
        return f"{self.place.server}/{path}" if self.endpoint_url else f"s3://{path}"


def server_address(endpoint_url: str) -> str:
    """Return a server's address as messages show it, without what may stand before an @."""
    scheme, separator, rest = endpoint_url.rpartition("://")
    return f"{scheme}{separator}{rest.partition('/')[0].rpartition('@')[2]}"


def keep_secrets_out_of_logs() -> None:
    """Botocore writes the headers of requests to its debug log, with the token of a session."""
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


def _check_authorities(ca_file: str) -> None:
    if not ca_file:
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise PlatformMisconfigured(
            f"ca_file: {ca_file} is no file of certificates in PEM format.", field="ca_file"
        ) from None


def client_config(bucket: Bucket) -> Any:
    """Return the options of all clients that serve a bucket."""
    from botocore.config import Config

    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if bucket.endpoint_url else "auto"},
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=bucket.timeout_seconds,
        read_timeout=bucket.timeout_seconds,
        tcp_keepalive=True,
    )


def open_s3(session: Any, bucket: Bucket, config: Any) -> Any:
    """Return a client for a bucket."""
    _check_authorities(bucket.ca_file)
    try:
        client = open_client(
            session,
            "s3",
            config,
            endpoint_url=bucket.endpoint_url or None,
            verify=bucket.ca_file or None,
        )
    except ValueError:
        place = bucket.place
        raise place.misconfigured(
            "{host}", "{server} is no address of a server: write {host} as https://host:port."
        ) from None
    client.meta.events.register_first("needs-retry.s3.HeadBucket", _end_redirection)
    return client


def open_client(session: Any, service: str, config: Any, **options: Any) -> Any:
    """Return a session's client that waits for a silent server only once."""
    client = session.client(service, config=config, **options)
    client.meta.events.register_first("needs-retry", _give_up)
    return client


def _give_up(caught_exception: Exception | None, **event: Any) -> None:
    if caught_exception is not None and is_hopeless(caught_exception):
        raise caught_exception


def _end_redirection(response: tuple[Any, Any] | None, **event: Any) -> None:
    """Botocore asks so for a bucket's region; refused, it would ask because of that, for ever."""
    from botocore.exceptions import ClientError

    if response is not None and response[0].status_code >= 300:
        raise ClientError(response[1], "HeadBucket")
