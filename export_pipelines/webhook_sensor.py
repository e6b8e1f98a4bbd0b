"""The sensors of webhooks: they record events and send them; they start no runs."""

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import dagster as dg

from export_pipelines.clock import seconds_of
from export_pipelines.cron import last_time
from export_pipelines.registry import deliveries
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import WebhookRow
from export_pipelines.registry.schedules import all_schedules
from export_pipelines.staleness import late_schedules
from export_pipelines.webhooks import changes, couriers, outbox
from export_pipelines.webhooks.delivering import Tally
from export_pipelines.webhooks.events import Event, stale_event
from export_pipelines.webhooks.jobs import event_ids, job_events
from export_pipelines.webhooks.patience import KEPT
from export_pipelines.webhooks.topics import STALE

SECONDS = 1
"""Less than the five seconds after which the daemon looks for sensors that are due."""

PATIENCE_SECONDS = 2.0
"""How long a tick waits for receivers; those that take longer are served beside later ticks."""

_FIRST_LOOK_SECONDS = (KEPT - timedelta(days=1)) / timedelta(seconds=1)
_CHORES_SECONDS = 60.0
_NOBODY = "No webhook is registered and enabled."


@dg.sensor(
    name="webhooks",
    description="Tells webhooks of what becomes of exports and imports: records each event, and "
    "sends it for the first time.",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def webhooks(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Tells webhooks of what becomes of exports and imports."""
    moment = time.time()
    registered = [row for row in _registered() if row.is_active]
    if not registered:
        context.update_cursor("")
        return dg.SkipReason(_NOBODY)
    cursor = changes.from_text(context.cursor) or _begin(registered, moment)
    found, cursor = changes.read(context.instance, cursor, moment)
    recorded = _record_changes(context.instance, registered, found, moment)
    context.update_cursor(changes.to_text(cursor))
    return _deliver(recorded, only_first=True)


@dg.sensor(
    name="webhook_retries",
    description="Sends webhooks again what they did not take, tells them of late schedules, and "
    "removes old deliveries.",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def webhook_retries(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Sends webhooks again what they did not take."""
    moment = time.time()
    registered = _registered()
    if not registered:
        return dg.SkipReason(_NOBODY)
    recorded = 0
    try:
        if moment - _last_chores(context.cursor) >= _CHORES_SECONDS:
            with writing() as session:
                deliveries.prune(session, _utc(moment) - KEPT)
            recorded = _record_late(context.instance, registered, moment)
            context.update_cursor(json.dumps(moment))
    finally:
        # What is wrong with a schedule keeps no webhook waiting.
        said = _deliver(recorded, only_first=False)
    return said


def _registered() -> list[WebhookRow]:
    with reading() as session:
        return deliveries.webhooks(session)


def _begin(registered: Sequence[WebhookRow], moment: float) -> changes.Cursor:
    """Return where to begin: what was told long ago is no longer known, and not told again."""
    oldest = min(seconds_of(row.enabled_at) for row in registered)
    return changes.begin(max(oldest, moment - _FIRST_LOOK_SECONDS))


def _record_changes(
    instance: dg.DagsterInstance,
    registered: Sequence[WebhookRow],
    found: Sequence[changes.Change],
    moment: float,
) -> int:
    if not found:
        return 0
    with reading() as session:
        known = deliveries.recorded(session, event_ids(found))
    events = job_events(
        instance,
        found,
        known,
        lambda organization, topic: outbox.is_wanted(registered, organization, [topic]),
        moment,
    )
    return _record(events, moment)


def _record_late(
    instance: dg.DagsterInstance, registered: Sequence[WebhookRow], moment: float
) -> int:
    """Record the times that schedules have missed, but for those that are older than the log."""
    rows = [
        row for row, _ in all_schedules() if outbox.is_wanted(registered, row.organization, [STALE])
    ]
    events = []
    for late in late_schedules(instance, rows, moment):
        row = late.row
        patience = row.alert_after_minutes * 60
        due = last_time(row.cron_expression, row.timezone, moment - patience)
        if due + patience > moment - KEPT / timedelta(seconds=1):
            events.append(stale_event(row, late.sentence, due))
    if not events:
        return 0
    with reading() as session:
        known = deliveries.recorded(session, [event.id for event in events])
    return _record([event for event in events if event.id not in known], moment)


def _record(events: Sequence[Event], moment: float) -> int:
    if not events:
        return 0
    with writing() as session:
        return outbox.record(session, events, _utc(moment))


def _deliver(recorded: int, *, only_first: bool) -> dg.SkipReason:
    with reading() as session:
        due = deliveries.due(session, _utc(time.time()), only_first=only_first)
    tally, going_on = couriers.serve(due, only_first=only_first, patience=PATIENCE_SECONDS)
    return dg.SkipReason(_sentence(recorded, tally, going_on))


def _sentence(recorded: int, tally: Tally, going_on: int) -> str:
    counts = [
        f"{recorded} event{'' if recorded == 1 else 's'} recorded" if recorded else "",
        f"{tally.delivered} delivered" if tally.delivered else "",
        f"{going_on} webhook{'' if going_on == 1 else 's'} being served" if going_on else "",
        f"{tally.failed} failed: {tally.reason}" if tally.failed else "",
    ]
    return ", ".join(filter(None, counts)) or "Nothing is due."


def _last_chores(cursor: str | None) -> float:
    try:
        return float(cursor or 0)
    except ValueError:
        return 0.0


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
