import socket
from typing import Any

import pytest

from export_pipelines.errors import RequestError
from export_pipelines.webhooks.addresses import Target, parse, resolve


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", raising=False)


def name_host(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name mean some addresses: what is public cannot be asked for in tests."""

    def answer(_host: str, port: int, **_options: Any) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://Shop.Example/hooks?a=1", Target("https", "shop.example", 443, "/hooks?a=1")),
        ("http://shop.example", Target("http", "shop.example", 80, "/")),
        ("http://[2606:4700::1]:8080/", Target("http", "2606:4700::1", 8080, "/")),
        ("https://shop.example.:443", Target("https", "shop.example", 443, "/")),
    ],
)
def test_urls(url: str, target: Target) -> None:
    assert parse(url) == target


def test_the_host_as_a_header_has_it() -> None:
    assert parse("https://shop.example:443").authority == "shop.example"
    assert parse("http://shop.example:443").authority == "shop.example:443"
    assert parse("http://[2606:4700::1]:8080/").authority == "[2606:4700::1]:8080"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example",
        "file:///etc/passwd",
        "https:///hooks",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://shop.example:x/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://user@shop.example/",
        "https://user:password@shop.example/",
        "https://@shop.example/",
        "https://shop.example/#top",
        "https://shop.example/#",
        "https://shop.example/a b",
        "https://shop.example/\r\nX-Other: 1",
        "https://shop.example\t/",
        "https://evil.example\\@shop.example/",
        "https://möbel.example/",
        "https://shop.example/" + "x" * 2_000,
    ],
)
def test_what_is_no_url_of_a_webhook(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(url)
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:1::1",
        "3fff::1",
        "5f00::1",
        "2001:db8::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    name_host(monkeypatch, address)
    with pytest.raises(RequestError, match="no public address"):
        resolve(parse("https://shop.example/"))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:200::1"],
)
def test_public_addresses(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    name_host(monkeypatch, address)
    [found] = resolve(parse("https://shop.example/"))
    assert found.place[:2] == (address, 443)


def test_one_private_address_among_public_ones_is_one_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name_host(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(RequestError, match=r"127\.0\.0\.1"):
        resolve(parse("https://shop.example/"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost", "[::1]"]
)
def test_other_spellings_of_this_machine(host: str) -> None:
    with pytest.raises(RequestError, match="no public address"):
        resolve(parse(f"http://{host}/"))


def test_a_host_without_an_address() -> None:
    with pytest.raises(RequestError, match="has no address"):
        resolve(parse("http://nowhere.invalid/"))
    with pytest.raises(RequestError, match="has no address"):
        resolve(parse(f"http://{'x' * 70}.example/"))


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("shop.example", "10.0.0.5"),
        ("other.example, SHOP.example", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.0/8", "10.0.0.5"),
        ("10.9.9.9/8", "10.0.0.5"),
        ("10.0.0.0/8", "::ffff:10.0.0.5"),
        ("fd00::/8", "fd12::1"),
    ],
)
def test_what_the_settings_allow(
    monkeypatch: pytest.MonkeyPatch, setting: str, address: str
) -> None:
    name_host(monkeypatch, address)
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", setting)
    assert len(resolve(parse("https://shop.example/"))) == 1


@pytest.mark.parametrize("setting", ["example", "shop.example.org", "10.0.0.4", "11.0.0.0/8", "*"])
def test_what_they_do_not(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    name_host(monkeypatch, "10.0.0.5")
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", setting)
    with pytest.raises(RequestError):
        resolve(parse("https://shop.example/"))
