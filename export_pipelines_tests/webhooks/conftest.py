from collections.abc import Iterator

import pytest

from export_pipelines_tests.servers.receiver import HOST, Receiver, start_receiver


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let webhooks go to the receivers of tests."""
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", HOST)
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", "https://shop.example")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as started:
        yield started
