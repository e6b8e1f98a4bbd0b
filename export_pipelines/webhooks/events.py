"""Events, as webhooks are told of them. The same event has the same id whenever it is made."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from export_pipelines.clock import now, written
from export_pipelines.registry.models import ScheduleRow, WebhookRow
from export_pipelines.runs.views import ExportJob, ImportJob
from export_pipelines.webhooks.topics import STALE, TEST


@dataclass(frozen=True)
class Event:
    """Something that webhooks are told of.

    Attributes:
        id: the same for each webhook and each attempt.
        topic: its kind.
        organization: whose webhooks are told.
        at: when it happened.
        data: the job as the API shows it, or the late schedule.
    """

    id: str
    topic: str
    organization: str
    at: str
    data: dict[str, Any] = field(repr=False)

    @property
    def payload(self) -> str:
        """What is sent, as JSON, but for links."""
        body = {"type": self.topic, "timestamp": self.at, "data": self.data}
        return json.dumps(body, ensure_ascii=False)


def job_event_id(run_id: str, word: str) -> str:
    """Return the id of what happened to a job: `created`, `started` and so on."""
    return f"{run_id}:{word}"


def job_event(job: ExportJob | ImportJob, word: str, at: str) -> Event:
    """Return what happened to a job.

    Args:
        job: the job as it is now, which may have gone on since.
        word: `created`, `started`, `completed`, `failed` or `cancelled`.
        at: when.
    """
    event_id = job_event_id(job.id, word)
    data = job.model_dump(mode="json")
    return Event(event_id, f"{job.kind}.{word}", job.organization, at, data)


def stale_event(row: ScheduleRow, sentence: str, due: float) -> Event:
    """Return that a schedule is late.

    Args:
        row: the schedule.
        sentence: says so to a person.
        due: the time that it has missed, in seconds since 1970.
    """
    missed = _written(due)
    data = {
        "schedule": row.name,
        "organization": row.organization,
        "detail": sentence,
        "due_at": missed,
    }
    # The text that is signed has dots between its parts, so that ids have none.
    event_id = f"{row.id}:{missed.partition('.')[0]}Z"
    late = _written(due + row.alert_after_minutes * 60)
    return Event(event_id, STALE, row.organization, late, data)


def trial_event(webhook: WebhookRow) -> Event:
    """Return an event that tells nothing but that a webhook works."""
    data = {"webhook": webhook.name, "organization": webhook.organization}
    return Event(f"{uuid4()}:test", TEST, webhook.organization, now(), data)


def _written(seconds: float) -> str:
    return written(datetime.fromtimestamp(seconds, timezone.utc))
