import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from export_pipelines import settings
from export_pipelines.cli.webhooks import webhooks
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import WebhookRow
from export_pipelines_tests.servers.receiver import HOST, Receiver, start_receiver
from export_pipelines_tests.webhooks import registered
from export_pipelines_tests.webhooks.registered import deliveries, event, record, secret, webhook


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", HOST)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as started:
        yield started


def invoke(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(webhooks, list(arguments))
    assert result.exit_code == code, result.output
    return result


def answer(*arguments: str) -> Any:
    return json.loads(invoke(*arguments, "--json").stdout)


def test_the_secret_is_shown_once() -> None:
    output = invoke("add", "crm", f"http://{HOST}:9/", "--topic", "export.failed").output
    assert output.splitlines() == [
        "Registered crm. Its secret, which is not shown again:",
        secret(),
        "Test it: export-pipelines webhooks test 'crm'",
    ]
    for command in (["show", "crm"], ["show", "crm", "--json"], ["list"]):
        assert "whsec_" not in invoke(*command).output
    added = answer("add", "all", f"http://{HOST}:9/", "--disabled")
    assert added["secret"] == secret("all")
    assert (added["topics"], added["is_active"]) == (["*"], False)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["add", "crm", "http://10.0.0.1/"], "no public address"),
        (["add", "crm", f"http://{HOST}:9/", "--topic", "export.done"], "There is no topic"),
        (["show", "crm"], "There is no webhook 'crm'"),
        (["redeliver", "crm", "1"], "There is no webhook 'crm'"),
        (["test", "crm"], "There is no webhook 'crm'"),
    ],
)
def test_refusals(arguments: list[str], part: str) -> None:
    assert part in invoke(*arguments, code=2).stderr


def test_lists(receiver: Receiver) -> None:
    assert invoke("list").output == (
        "No webhook is registered. See: export-pipelines webhooks add --help\n"
    )
    assert not settings.home_folder().exists()
    registered.register(receiver.url, name="a", paused_until="2099")
    registered.register(receiver.url, "export.*", "import.failed", name="b")
    first, second = invoke("list").output.splitlines()
    assert first.split() == ["a", "paused", receiver.url, "*"]
    assert second.split() == ["b", "enabled", receiver.url, "export.*,import.failed"]


def test_what_it_was_told() -> None:
    registered.register("http://127.0.0.1:9/")
    record(*(event(number) for number in range(7)))
    shown = invoke("show", "crm").output.splitlines()
    assert [line.split()[2] for line in shown[-5:]] == [
        f"run-{n}:completed" for n in range(6, 1, -1)
    ]
    assert answer("show", "crm")["deliveries"][0]["event_id"] == "run-6:completed"
    page = answer("deliveries", "crm", "--limit", "4")
    rest = answer("deliveries", "crm", "--cursor", page["next_cursor"])
    assert [row["event_id"] for row in rest["deliveries"]] == [
        f"run-{number}:completed" for number in (2, 1, 0)
    ]
    assert rest["next_cursor"] is None
    last = invoke("deliveries", "crm", "--limit", "4").output.splitlines()[-1]
    assert last == f"There are more: --cursor {page['next_cursor']}"
    assert invoke("deliveries", "crm", "--status", "failed").output == (
        "There are no failed deliveries to crm.\n"
    )
    assert "There is no status" in invoke("deliveries", "crm", "--status", "x", code=2).stderr


def test_a_failure_is_shown_and_sent_again() -> None:
    registered.register("http://127.0.0.1:9/")
    record(event())
    attempt = {"at": "", "response_code": 500, "response_message": "Oops", "seconds": 0.1}
    registered.put(deliveries()[0], status="failed", ended_at="2026", attempts=[attempt])
    [line] = invoke("deliveries", "crm").output.splitlines()
    assert line.endswith("export.completed  run-1:completed failed 500 Oops")
    assert invoke("redeliver", "crm", "run-1:completed").output == (
        "run-1:completed is sent to crm again.\n"
    )
    assert deliveries()[0].status == "pending"
    with writing() as session:
        session.get_one(WebhookRow, webhook().id).paused_until = "2099"
    assert invoke("redeliver", "crm", "run-1:completed").output == (
        "run-1:completed is sent to crm again after its pause, at 2099.\n"
    )
    assert "was never told" in invoke("redeliver", "crm", "run-2:completed", code=2).stderr


def test_a_trial(receiver: Receiver) -> None:
    registered.register(receiver.url)
    output = invoke("test", "crm").output
    assert output.startswith("crm: passed in 0.")
    assert output.endswith(" s: 200 OK\n")
    Webhook(secret()).verify(receiver.received[0].body, dict(receiver.received[0].headers))
    receiver.status = 404
    receiver.text = "no such hook"
    assert invoke("test", "crm", code=1).output.endswith(" s: 404 Not Found: no such hook\n")
    receiver.behaviour = "close"
    assert invoke("test", "crm", code=1).output.endswith(
        "s: It closed the connection without an answer.\n"
    )


def test_it_is_switched_and_removed() -> None:
    registered.register("http://127.0.0.1:9/", paused_until="2099")
    assert invoke("enable", "crm").output == "crm is enabled already.\n"
    assert webhook().paused_until is None
    assert invoke("disable", "crm").output == "crm is disabled.\n"
    assert invoke("list").output.split()[1] == "disabled"
    assert invoke("enable", "crm").output == "crm is enabled.\n"
    record(event())
    assert invoke("remove", "crm").output == "Removed crm.\n"
    assert deliveries() == []


def test_another_secret() -> None:
    registered.register("http://127.0.0.1:9/")
    before = secret()
    first, second = invoke("rotate-secret", "crm").output.splitlines()
    assert first == "The new secret of crm, which is not shown again:"
    assert second == secret() != before
