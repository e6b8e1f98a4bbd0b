from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from export_pipelines.definitions import defs
from export_pipelines.maintenance import prune_daily


def test_pruning_is_due_each_night_without_anybody_asking() -> None:
    assert prune_daily.default_status is dg.DefaultScheduleStatus.RUNNING
    assert prune_daily.job_name == "prune"
    assert (prune_daily.cron_schedule, prune_daily.execution_timezone) == ("30 3 * * *", "UTC")
    assert prune_daily.description


def test_a_tick_asks_for_a_run_with_the_defaults() -> None:
    moment = datetime(2026, 1, 31, 3, 30, tzinfo=ZoneInfo("UTC"))
    context = dg.build_schedule_context(
        scheduled_execution_time=moment, repository_def=defs.get_repository_def()
    )
    [request] = prune_daily.evaluate_tick(context).run_requests or []
    assert request.run_config == {}
    assert dg.validate_run_config(defs.resolve_job_def("prune"), {})


def test_the_job_waits_behind_exports_and_runs_in_one_process() -> None:
    job = defs.resolve_job_def("prune")
    assert job.tags["dagster/priority"] == "-10"
    assert job.executor_def.name == "in_process"
    assert job.description
    assert job.config_mapping
    fields = job.config_mapping.config_schema.config_type.fields  # type: ignore[union-attr]
    days = [f"{kind}_days" for kind in ("exports", "staging", "imports", "runs", "ticks")]
    assert {name: field.default_value for name, field in fields.items()} == {
        **dict.fromkeys(days),
        "dry_run": False,
    }
    assert all(field.description for field in fields.values())
