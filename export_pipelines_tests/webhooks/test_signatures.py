import base64
from datetime import datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from export_pipelines.webhooks.signatures import headers, new_secret, replaced

BODY = '{"type": "export.completed", "data": {"name": "Größe ✓"}}'


def now() -> datetime:
    return datetime.now(timezone.utc)


def test_secrets_are_32_random_bytes() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_the_reference_library_verifies() -> None:
    secret = new_secret()
    signed = headers({"secret": secret}, "run:completed", now(), BODY)
    assert Webhook(secret).verify(BODY.encode(), signed)["type"] == "export.completed"
    assert signed["Content-Type"] == "application/json"
    assert signed["User-Agent"] == "export-pipelines"
    assert signed["webhook-id"] == "run:completed"


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_what_was_changed_is_not_verified(changed: str) -> None:
    secret = new_secret()
    signed = headers({"secret": secret}, "run:completed", now(), BODY)
    if changed.startswith("webhook-"):
        signed[changed] = "1" + signed[changed][1:-1] + "0"
    body = BODY.replace("completed", "failed") if changed == "body" else BODY
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret() if changed == "secret" else secret).verify(body, signed)


def test_a_replaced_secret_signs_for_a_day() -> None:
    old, new = new_secret(), new_secret()
    stored = replaced({"secret": old}, new, now())
    signed = headers(stored, "run:completed", now(), BODY)
    assert len(signed["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(BODY, signed)
    later = replaced({"secret": old}, new, now() - timedelta(hours=24, seconds=1))
    signed = headers(later, "run:completed", now(), BODY)
    Webhook(new).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(BODY, signed)
