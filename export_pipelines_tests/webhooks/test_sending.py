import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from export_pipelines.webhooks import sending
from export_pipelines.webhooks.sending import post
from export_pipelines_tests.servers.receiver import HOST, Receiver, start_receiver

SENT = {"webhook-id": "run:completed", "Content-Type": "application/json"}
NAME = "shop.example"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.4)
    monkeypatch.setattr(sending, "CONNECT_SECONDS", 0.3)


def send(receiver: Receiver) -> sending.Answer:
    return post(receiver.url, SENT, b'{"a": 1}')


def test_a_request(receiver: Receiver) -> None:
    receiver.status = 202
    answer = send(receiver)
    assert (answer.code, answer.message, answer.is_delivered) == (202, "Accepted", True)
    [got] = receiver.received
    assert (got.path, got.body) == ("/hooks?shop=1", b'{"a": 1}')
    assert got.headers["webhook-id"] == "run:completed"
    assert got.headers["host"] == f"{HOST}:{receiver.port}"
    assert got.headers["content-length"] == "8"
    assert not answer.is_gone


def test_answers_that_are_failures(receiver: Receiver) -> None:
    receiver.text = f"no  such\nhook \x1b[31m{'x' * 3_000}"
    for status in (400, 404, 410, 500, 503):
        receiver.status = status
        answer = send(receiver)
        assert (answer.code, answer.is_delivered, answer.is_gone) == (status, False, status == 410)
        assert answer.message.partition(": ")[2].startswith("no such hook [31mxxx")
        assert len(answer.message) == 200
        assert answer.sentence == f"It answered {status}."


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.status = 307
    receiver.headers = {"Location": f"http://{HOST}:{receiver.port}/other"}
    answer = send(receiver)
    assert answer.code == 307
    assert not answer.is_delivered
    assert answer.sentence == (
        f"It answered 307 and redirects to 'http://{HOST}:{receiver.port}/other', which is not "
        "followed."
    )
    assert len(receiver.received) == 1


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_receiver_that_takes_too_long(receiver: Receiver, behaviour: Any) -> None:
    receiver.behaviour = behaviour
    began = time.monotonic()
    answer = send(receiver)
    assert time.monotonic() - began < 2
    assert 0.3 < answer.seconds < 2
    assert (answer.code, answer.message) == (None, "It did not answer within 10 seconds.")


def test_a_slow_one_is_waited_for(receiver: Receiver) -> None:
    receiver.seconds = 0.3
    answer = send(receiver)
    assert answer.is_delivered
    assert answer.seconds >= 0.3


def test_a_body_that_does_not_end_is_not_waited_for(receiver: Receiver) -> None:
    receiver.headers = {"Transfer-Encoding": "chunked"}
    assert send(receiver).is_delivered
    receiver.status = 500
    assert send(receiver).message == "Internal Server Error"


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("close", "It closed the connection without an answer."),
        ("babble", "It does not answer as HTTP does."),
    ],
)
def test_no_answer(receiver: Receiver, behaviour: Any, message: str) -> None:
    receiver.behaviour = behaviour
    assert (send(receiver).code, send(receiver).message) == (None, message)


def test_nobody_is_there() -> None:
    with start_receiver() as receiver:
        pass
    assert send(receiver).message == "It refuses connections."


@pytest.mark.usefixtures("hurried")
def test_nobody_accepts() -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            answer = post(f"http://{HOST}:{full.getsockname()[1]}/", SENT, b"{}")
    assert (answer.code, answer.message) == (None, "It did not answer within 10 seconds.")


@pytest.mark.usefixtures("hurried")
def test_a_host_that_takes_too_long_to_look_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "resolve", lambda _: time.sleep(2))
    answer = send(receiver)
    assert (answer.seconds < 1, answer.message) == (True, "It did not answer within 10 seconds.")


@pytest.mark.usefixtures("hurried")
def test_one_of_two_addresses_is_silent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        places = [full.getsockname(), (HOST, receiver.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        with socket.create_connection(full.getsockname()):
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            assert send(receiver).is_delivered


def test_private_addresses_are_refused_at_each_sending(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", "10.0.0.0/8")
    answer = send(receiver)
    assert answer.code is None
    assert "no public address" in answer.message
    assert receiver.received == []


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Have a name mean this machine once, and another one afterwards."""
    asked: list[str] = []

    def answer(host: str, port: int, **_options: Any) -> list[Any]:
        asked.append(host)
        address = HOST if len(asked) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    yield asked
    assert asked == [NAME]


@pytest.mark.usefixtures("dns")
def test_it_goes_to_the_address_that_was_checked(receiver: Receiver) -> None:
    assert post(f"http://{NAME}:{receiver.port}/", SENT, b"{}").is_delivered
    assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Have another authority be trusted, and no other."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return made


def certificate(authority: trustme.CA, name: str, folder: Path) -> Path:
    path = folder / "receiver.pem"
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.mark.usefixtures("dns")
def test_tls_by_the_name_of_the_host(authority: trustme.CA, tmp_path: Path) -> None:
    with start_receiver(certificate(authority, NAME, tmp_path)) as receiver:
        answer = post(f"https://{NAME}:{receiver.port}/", SENT, b"{}")
        assert answer.is_delivered, answer
        assert receiver.server_names == [NAME]


@pytest.mark.usefixtures("dns")
def test_a_certificate_of_another_name(authority: trustme.CA, tmp_path: Path) -> None:
    with start_receiver(certificate(authority, "other.example", tmp_path)) as receiver:
        answer = post(f"https://{NAME}:{receiver.port}/", SENT, b"{}")
        assert answer.code is None
        assert answer.message.startswith("Its certificate is not valid: Hostname mismatch")
        assert receiver.received == []


def test_a_certificate_that_nobody_knows(authority: trustme.CA, tmp_path: Path) -> None:
    with start_receiver(certificate(trustme.CA(), HOST, tmp_path)) as receiver:
        answer = send(receiver)
        assert answer.message.startswith("Its certificate is not valid: unable to get local")


def test_no_tls_at_all(receiver: Receiver) -> None:
    answer = post(receiver.url.replace("http:", "https:"), SENT, b"{}")
    assert answer.message.startswith("There is no TLS with it: ")


@pytest.mark.usefixtures("hurried")
def test_a_handshake_that_does_not_come() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        answer = post(f"https://{HOST}:{silent.getsockname()[1]}/", SENT, b"{}")
    assert answer.message == "It did not answer within 10 seconds."
