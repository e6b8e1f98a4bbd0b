from collections.abc import Sequence

import pytest

from export_pipelines import settings
from export_pipelines.clock import now
from export_pipelines.errors import ExportPipelinesError, NameTaken, RequestError
from export_pipelines.registration import webhooks
from export_pipelines.registration.webhooks import Webhook
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import DeliveryRow, WebhookRow
from export_pipelines.registry.secrets import decrypt, rotate

ASKED = Webhook("crm", "http://127.0.0.1:9/hooks", ["export.completed"])


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_WEBHOOK_HOSTS", "127.0.0.1")


def add(asked: Webhook = ASKED, organization: str = "default") -> str:
    with writing() as session:
        return webhooks.add(session, organization, webhooks.check(asked))[1]


def stored(name: str = "crm", organization: str = "default") -> WebhookRow:
    with reading() as session:
        return rows.require(session, WebhookRow, organization, name)


def fail(**values: object) -> None:
    """Give the webhook what failures leave behind."""
    with writing() as session:
        row = rows.require(session, WebhookRow, "default", "crm")
        for name, value in {"failures": 7, "paused_until": "2099", **values}.items():
            setattr(row, name, value)


def switch(*, is_active: bool) -> bool:
    with writing() as session:
        row = rows.require(session, WebhookRow, "default", "crm")
        return webhooks.switch(session, row, is_active=is_active)


def change(url: str = ASKED.url, topics: Sequence[str] = ASKED.topics) -> None:
    with writing() as session:
        row = rows.require(session, WebhookRow, "default", "crm")
        webhooks.change(session, row, url=url, topics=topics)


def wait_for_hours() -> None:
    """Have the webhook be told of something, by and by."""
    with writing() as session:
        row = rows.require(session, WebhookRow, "default", "crm")
        values = {"organization": "default", "webhook_id": row.id, "topic": "", "payload": "{}"}
        times = {"next_attempt_at": "2099", "created_at": now()}
        attempts = {"status": "pending", "attempts": [], "attempts_count": 9}
        session.add(DeliveryRow(id="1", event_id="run:completed", **values, **times, **attempts))


def next_attempt_at() -> str:
    with reading() as session:
        return session.get_one(DeliveryRow, "1").next_attempt_at


def test_a_webhook_and_its_secret() -> None:
    secret = add()
    row = stored()
    assert secret.startswith("whsec_")
    assert webhooks.registered(row) == ASKED
    assert decrypt(row) == {"secret": secret}
    assert secret not in row.secrets
    assert (row.failures, row.paused_until, row.disabled_reason) == (0, None, "")
    assert secret.encode() not in settings.home_folder().joinpath("registry.db").read_bytes()
    assert add(Webhook("other", ASKED.url)) != secret


def test_secrets_are_encrypted_anew_with_others() -> None:
    secret = add()
    before = stored().secrets
    assert rotate() == 1
    assert stored().secrets != before
    assert decrypt(stored()) == {"secret": secret}


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        (Webhook("", ASKED.url), "webhook's name"),
        (Webhook("crm", ASKED.url, ["export.done"]), "There is no topic 'export.done'"),
        (Webhook("crm", ASKED.url, []), "needs topics"),
        (Webhook("crm", "http://127.0.0.2/"), "no public address"),
        (Webhook("crm", "http://10.0.0.1/"), "no public address"),
        (Webhook("crm", "http://nowhere.invalid/"), "has no address"),
        (Webhook("crm", "http://me:secret@127.0.0.1/"), "a user or a password"),
        (Webhook("crm", "gopher://127.0.0.1/"), "no address of a web server"),
    ],
)
def test_what_is_refused(asked: Webhook, part: str) -> None:
    with pytest.raises(RequestError) as caught:
        webhooks.check(asked)
    assert part in str(caught.value)
    assert "me:secret" not in str(caught.value)


def test_topics_are_kept_once() -> None:
    asked = Webhook("crm", ASKED.url, ["import.*", "export.failed", "import.*"])
    assert webhooks.check(asked).topics == ["export.failed", "import.*"]


def test_names_are_unique_in_an_organization() -> None:
    add()
    with pytest.raises(NameTaken):
        add()
    add(organization="north")
    assert stored(organization="north").id != stored().id


def test_changes() -> None:
    add()
    before = stored()
    change()
    assert stored().updated_at == before.updated_at
    fail()
    wait_for_hours()
    change(topics=["*"])
    assert (stored().topics, stored().failures, stored().paused_until) == (["*"], 7, "2099")
    assert next_attempt_at() == "2099"
    change("http://127.0.0.1:8/", ["*"])
    assert (stored().url, stored().failures, stored().paused_until) == (
        "http://127.0.0.1:8/",
        0,
        None,
    )
    assert next_attempt_at() <= now()
    assert stored().secrets == before.secrets
    with pytest.raises(RequestError, match="needs topics"):
        change(topics=[])


def test_enabled_again_it_gets_at_once_what_has_waited() -> None:
    add()
    wait_for_hours()
    before = stored().enabled_at
    fail()
    assert not switch(is_active=True)
    assert next_attempt_at() <= now()
    assert stored().enabled_at == before
    assert switch(is_active=False)
    assert switch(is_active=True)
    assert stored().enabled_at == stored().updated_at


def test_an_organization_may_have_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_OF_ONE", 1)
    add()
    with pytest.raises(RequestError, match="may have 1 webhooks"):
        add(Webhook("other", ASKED.url))
    add(organization="north")


def test_one_that_disabled_itself_is_enabled_again() -> None:
    add()
    fail(is_active=False, disabled_reason="It answered 410.")
    assert not switch(is_active=False)
    assert stored().disabled_reason == "It answered 410."
    assert switch(is_active=True)
    row = stored()
    assert (row.is_active, row.failures, row.paused_until, row.disabled_reason) == (
        True,
        0,
        None,
        "",
    )
    fail()
    assert not switch(is_active=True)
    assert stored().paused_until is None
    assert switch(is_active=False)
    assert not stored().is_active


def test_another_secret() -> None:
    first = add()
    with writing() as session:
        row = rows.require(session, WebhookRow, "default", "crm")
        second = webhooks.rotate(session, row)
    kept = decrypt(stored())
    assert second != first
    assert (kept["secret"], kept["previous"]) == (second, first)


def test_removal_takes_deliveries_along() -> None:
    add()
    wait_for_hours()
    with writing() as session:
        webhooks.remove(session, rows.require(session, WebhookRow, "default", "crm"))
    with reading() as session:
        assert session.get(DeliveryRow, "1") is None
    with pytest.raises(ExportPipelinesError):
        stored()
