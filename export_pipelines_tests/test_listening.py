import socket

import pytest

from export_pipelines.errors import RequestError
from export_pipelines.listening import Place, check_free, free_port, require_safe
from export_pipelines.registration import api_keys
from export_pipelines.registration.api_keys import ApiKey
from export_pipelines.registry.database import writing


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1"])
@pytest.mark.parametrize("authenticates", [True, False])
def test_this_machine_may_listen_to_itself(host: str, authenticates: bool) -> None:
    require_safe(host, authenticates=authenticates)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_others_may_come_in_only_with_a_key(host: str) -> None:
    with pytest.raises(RequestError, match="--no-auth lets everybody in"):
        require_safe(host, authenticates=False)
    with pytest.raises(RequestError, match="There is no API key"):
        require_safe(host, authenticates=True)
    with writing() as session:
        row, _ = api_keys.add(session, "default", ApiKey("me", ["admin"]))
    require_safe(host, authenticates=True)
    with writing() as session:
        api_keys.revoke(session.merge(row))
    with pytest.raises(RequestError, match="There is no API key"):
        require_safe(host, authenticates=True)


def test_a_host_that_is_no_address_is_refused() -> None:
    with pytest.raises(RequestError, match=r"--host 'example\.com'"):
        require_safe("example.com", authenticates=True)


@pytest.mark.parametrize(
    ("host", "address", "own"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("::", "http://[::]:80", "http://[::1]:80"),
        ("192.0.2.7", "http://192.0.2.7:80", "http://192.0.2.7:80"),
    ],
)
def test_a_place_has_an_address(host: str, address: str, own: str) -> None:
    place = Place(host, 80, authenticates=True, token="secret token")
    assert (place.address, place.own_address) == (address, own)
    assert "secret token" not in repr(place)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RequestError, match=f"Port {port} is taken"):
            check_free(Place("127.0.0.1", port, authenticates=False, token=""))
    with pytest.raises(RequestError, match=r"of 192\.0\.2\.7 cannot be listened on"):
        check_free(Place("192.0.2.7", 1025, authenticates=True, token=""))
    assert free_port("127.0.0.1") > 0
