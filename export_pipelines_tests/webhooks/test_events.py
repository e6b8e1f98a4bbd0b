import json

from export_pipelines.clock import seconds_of
from export_pipelines.registry.models import ScheduleRow, WebhookRow
from export_pipelines.runs.views import ExportJob
from export_pipelines.webhooks import events

AT = "2099-11-30T09:00:00.000Z"


def test_a_job() -> None:
    job = ExportJob(
        id="1f2e",
        status="failed",
        state="failed",
        resource_type="products",
        organization="north",
        progress=20,
        created_at=AT,
        format="csv",
        warnings=["Größe"],
    )
    made = events.job_event(job, "failed", AT)
    assert (made.id, made.topic, made.organization) == ("1f2e:failed", "export.failed", "north")
    assert json.loads(made.payload) == {
        "type": "export.failed",
        "timestamp": AT,
        "data": job.model_dump(mode="json"),
    }
    assert "Größe" in made.payload


def test_a_late_schedule() -> None:
    row = ScheduleRow(id="5c5c", name="Weekly", organization="north", alert_after_minutes=30)
    made = events.stale_event(row, "Weekly is late.", seconds_of(AT))
    assert (made.id, made.topic) == ("5c5c:2099-11-30T09:00:00Z", "schedule.stale")
    assert made.at == "2099-11-30T09:30:00.000Z"
    assert made.data == {
        "schedule": "Weekly",
        "organization": "north",
        "detail": "Weekly is late.",
        "due_at": AT,
    }


def test_a_trial_is_another_event_each_time() -> None:
    row = WebhookRow(name="crm", organization="north")
    made = events.trial_event(row)
    assert (made.topic, made.data["webhook"]) == ("webhook.test", "crm")
    assert made.id != events.trial_event(row).id
