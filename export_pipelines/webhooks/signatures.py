"""Signatures by which receivers know who has sent an event: those of Standard Webhooks.

A secret that was replaced signs beside the new one for a day, so that receivers can follow.
"""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from standardwebhooks import Webhook

from export_pipelines.clock import seconds_of, written

_SECRET_BYTES = 32
_OVERLAP = timedelta(days=1)


def new_secret() -> str:
    """Return a secret as receivers need it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def replaced(stored: Mapping[str, str], secret: str, moment: datetime) -> dict[str, str]:
    """Return what is stored when a secret is replaced.

    Args:
        stored: what is stored now.
        secret: the new one.
        moment: now.
    """
    end = written(moment + _OVERLAP)
    return {"secret": secret, "previous": stored["secret"], "previous_until": end}


def headers(
    stored: Mapping[str, str], event_id: str, moment: datetime, body: str
) -> dict[str, str]:
    """Return the headers of an event.

    Args:
        stored: what is stored of the webhook's secrets.
        event_id: the event's.
        moment: now.
        body: what is sent.
    """
    good = [stored["secret"]]
    if "previous" in stored and seconds_of(stored["previous_until"]) > moment.timestamp():
        good.append(stored["previous"])
    signatures = [Webhook(secret).sign(event_id, moment, body) for secret in good]
    return {
        "Content-Type": "application/json",
        "User-Agent": "export-pipelines",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
