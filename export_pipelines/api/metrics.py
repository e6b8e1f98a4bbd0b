"""Figures for Prometheus: jobs by state and format, what exports made, the queue, and latency."""

import time
from collections import Counter
from collections.abc import Iterator
from threading import Lock
from typing import Any

import dagster as dg
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export_pipelines.formats import FORMATS
from export_pipelines.limits import ACTIVE, FORMAT_TAG, IMPORT_TAG
from export_pipelines.runs.views import made, state_of

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCH = 100
_ENDS: tuple[Any, ...] = (
    dg.DagsterEventType.PIPELINE_SUCCESS,
    dg.DagsterEventType.PIPELINE_FAILURE,
    dg.DagsterEventType.PIPELINE_CANCELED,
)


def metrics_registry(instance: dg.DagsterInstance) -> tuple[CollectorRegistry, Histogram]:
    """Return what is scraped, and the histogram of the API's answers.

    Args:
        instance: where runs are recorded.
    """
    registry = CollectorRegistry()
    latency = Histogram(
        "export_pipelines_api_request_seconds",
        "How long answers of the API took.",
        ("method", "route", "status"),
        buckets=_SECONDS,
        registry=registry,
    )
    registry.register(_Jobs(instance))
    return registry, latency


class _Jobs(Collector):
    """What runs say: those that are going on now, and those that have ended since the start."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._lock = Lock()
        self._cursors = {kind: _newest(instance, kind) for kind in _ENDS}
        self._ended: Counter[tuple[str, str, str]] = Counter()
        self._made = {name: dict.fromkeys(FORMATS, 0.0) for name in ("rows", "bytes", "seconds")}

    def collect(self) -> Iterator[Any]:
        """Yield the figures as they are now."""
        with self._lock:
            self._catch_up()
            active = self._instance.get_runs(dg.RunsFilter(statuses=ACTIVE))
            yield _family(
                GaugeMetricFamily,
                "export_pipelines_jobs_active",
                "Jobs that wait or work.",
                ("kind", "name", "state"),
                Counter((*_names(run), state_of(run)) for run in active if _names(run)[0]),
            )
            queued = sum(run.status is dg.DagsterRunStatus.QUEUED for run in active)
            depth = GaugeMetricFamily("export_pipelines_queue_depth", "Runs in the queue.")
            depth.add_metric([], queued)
            yield depth
            yield _family(
                CounterMetricFamily,
                "export_pipelines_jobs",
                "Jobs that have ended since this server was started.",
                ("kind", "name", "state"),
                self._ended,
            )
            for what, counted in self._made.items():
                yield _family(
                    CounterMetricFamily,
                    f"export_pipelines_export_{what}",
                    f"The {what} of completed exports since this server was started.",
                    ("format",),
                    {(name,): count for name, count in counted.items()},
                )

    def _catch_up(self) -> None:
        for kind in _ENDS:
            while True:
                changes = self._instance.fetch_run_status_changes(
                    dg.RunStatusChangeRecordsFilter(
                        event_type=kind, after_storage_id=self._cursors[kind]
                    ),
                    limit=_BATCH,
                    ascending=True,
                ).records
                for change in changes:
                    self._cursors[kind] = change.storage_id
                    self._count(change.run_id)
                if len(changes) < _BATCH:
                    break

    def _count(self, run_id: str) -> None:
        record = self._instance.get_run_record_by_id(run_id)
        if record is None or not _names(record.dagster_run)[0]:
            return
        run = record.dagster_run
        kind, name = _names(run)
        self._ended[kind, name, state_of(run)] += 1
        if kind == "export" and run.status is dg.DagsterRunStatus.SUCCESS:
            manifest, _ = made(self._instance, run_id)
            files = manifest.get("files", [])
            self._made["rows"][name] += sum(file["rows"] for file in files)
            self._made["bytes"][name] += sum(file["bytes"] for file in files)
            seconds = (record.end_time or 0) - (record.start_time or 0)
            self._made["seconds"][name] += max(0.0, seconds)


def _names(run: dg.DagsterRun) -> tuple[str, str]:
    """Return `export` with its format or `import` with its resource type; empty for other runs."""
    if FORMAT_TAG in run.tags:
        return "export", run.tags[FORMAT_TAG]
    if IMPORT_TAG in run.tags:
        return "import", run.tags[IMPORT_TAG]
    return "", ""


def _newest(instance: dg.DagsterInstance, kind: dg.DagsterEventType) -> int:
    found = instance.fetch_run_status_changes(kind, limit=1, ascending=False).records
    return found[0].storage_id if found else 0


def _family(kind: Any, name: str, text: str, labels: tuple[str, ...], values: Any) -> Any:
    family = kind(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric([str(each) for each in key], value)
    return family


class Timed:
    """Measures how long answers of the API take, by the route that gave them."""

    def __init__(self, app: ASGIApp, latency: Histogram) -> None:
        """Measure an application.

        Args:
            app: the API.
            latency: where it is noted.
        """
        self._app = app
        self._latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        mount = scope.get("route")
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route: Any = scope.get("route")
            path = "none" if route is mount else route.path
            labels = (scope["method"], path, str(status))
            self._latency.labels(*labels).observe(time.perf_counter() - began)
