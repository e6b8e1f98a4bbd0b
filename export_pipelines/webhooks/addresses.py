"""Where webhooks may go: to public addresses, and to those that the settings name.

Whoever registers a webhook must not reach, through this server, what only this server reaches.
"""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from export_pipelines import settings
from export_pipelines.errors import RequestError, shown

_PORTS = {"http": 80, "https": 443}
_MOST_CHARACTERS = 2_000
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_NOT_IN_A_URL = re.compile(r"[^!-~]|[\\<>\"`{}|^]")
_TRANSLATED = ip_network("64:ff9b::/96")
_HIDDEN_BITS = 0xFFFF_FFFF
# The standard library's tables have these only in its latest versions, or not at all.
_RESERVED = [
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # of protocols; once the metadata address of a cloud
        "192.88.99.0/24",  # relays of 6to4
        "64:ff9b:1::/48",  # NAT64 of private networks
        "2001::/23",  # of protocols; Teredo, which hides IPv4 addresses
        "2002::/16",  # 6to4, which hides IPv4 addresses
        "3fff::/20",  # documentation
        "5f00::/16",  # segments of routes
    )
]

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Target:
    """The parts of a webhook's URL.

    Attributes:
        scheme: `http` or `https`.
        host: a name or an address, in small letters.
        port: that of the scheme by default.
        path: with its query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as the header `Host` has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Address:
    """Where to connect to.

    Attributes:
        family: of sockets.
        place: as a socket's `connect` takes it.
    """

    family: int
    place: tuple[Any, ...]


def parse(url: str) -> Target:
    """Return the parts of a URL.

    Raises:
        RequestError: it is no address of a web server, or has a user or a fragment.
    """
    if len(url) > _MOST_CHARACTERS or _NOT_IN_A_URL.search(url):
        raise RequestError(
            f"The URL {shown(url)} is too long, or has blanks or characters that must be written "
            f"as %XX: use {_MOST_CHARACTERS:,} ASCII characters at most, such as "
            "https://shop.example/hooks."
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise RequestError(f"The URL {shown(url)} has a wrong host or port.") from None
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or port == 0:
        raise RequestError(
            f"The URL {shown(url)} is no address of a web server: use http:// or https:// and a "
            "host, such as https://shop.example/hooks."
        )
    if "@" in parts.netloc:
        raise RequestError(
            "The URL has a user or a password in it, which others may read: take them out. "
            "Signatures tell the receiver who is calling."
        )
    if "#" in url:
        raise RequestError("The URL has a # in it, which is never sent: take it out.")
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], f"{parts.path or '/'}{query}")


def resolve(target: Target) -> list[Address]:
    """Return where a target is right now, all of which is allowed.

    Raises:
        RequestError: its host has no address, or one that webhooks may not go to.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RequestError(
            f"The host {target.host} has no address right now: correct the URL, or its DNS."
        ) from None
    allowed = settings.webhook_hosts()
    if target.host not in [each.lower().rstrip(".") for each in allowed]:
        for *_, place in found:
            _require_public(target.host, ip_address(str(place[0]).partition("%")[0]), allowed)
    return [Address(family, place) for family, _, _, _, place in found]


def _require_public(host: str, address: IpAddress, allowed: list[str]) -> None:
    forms = [address, *_hidden(address)]
    if any(_is_within(form, each) for form in forms for each in allowed):
        return
    if not all(map(_is_public, forms)):
        raise RequestError(
            f"Webhooks may not go to {host}, which is {address}: that is no public address. "
            "EXPORT_PIPELINES_WEBHOOK_HOSTS names those of one's own that they may go to."
        )


def _hidden(address: IpAddress) -> list[IpAddress]:
    """Return the IPv4 addresses that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return []
    if address in _TRANSLATED:
        return [IPv4Address(int(address) & _HIDDEN_BITS)]
    return [address.ipv4_mapped] if address.ipv4_mapped else []


def _is_public(address: IpAddress) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return _is_public(address.ipv4_mapped)
    special = (
        address.is_private,
        address.is_loopback,
        address.is_link_local,
        address.is_multicast,
        address.is_reserved and address not in _TRANSLATED,
        address.is_unspecified,
        any(address in network for network in _RESERVED),
        isinstance(address, IPv6Address) and address.is_site_local,
    )
    return address.is_global and not any(special)


def _is_within(address: IpAddress, network: str) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
