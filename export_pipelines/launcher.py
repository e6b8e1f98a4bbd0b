"""How runs are launched, and how those whose process is gone are found; `dagster.yaml` names it.

The daemon asks about each run that has started, every few seconds. A process that cannot be judged
is taken to be at work: its code server is reached by network, and may be on another machine or in
another container, its machine or its PID namespace is another one, or an earlier version of this
project started the run.
"""

import json
from collections.abc import Mapping

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

from export_pipelines.errors import ExportPipelinesError, WorkerLost
from export_pipelines.limits import FORMAT_TAG
from export_pipelines.processes import Machine, is_gone, this_machine

MACHINE_TAG = ".dagster/export_machine"
"""The tag that says where the process of a run is. The UI does not show tags that begin so."""

_IMPORT_TAG = "import/queue"


class ExportRunLauncher(DefaultRunLauncher):
    """Launches runs by their code server, and fails those whose process is gone."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: the daemon asks about runs that have started."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return how a run's process is. If it is gone, the run has ended in FAILURE by then.

        Dagster's daemon would put words of its own around the sentence; it leaves a run alone
        that has ended meanwhile.
        """
        if not is_lost(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        current = self._instance.get_run_by_id(run.run_id)
        if current is None or current.is_finished:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        error = worker_lost(run)
        self._instance.add_run_tags(run.run_id, error_tags(run, error))
        self._instance.report_run_failed(run, str(error))
        return CheckRunHealthResult(WorkerStatus.FAILED, str(error))


def machine_tag() -> dict[str, str]:
    """Return the tag of a run whose process is on this machine, and in this PID namespace."""
    return {MACHINE_TAG: this_machine().to_text()}


def is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether the process of a run has ended for certain; False if nobody can tell."""
    current = instance.get_run_by_id(run.run_id) or run
    machine = current.tags.get(MACHINE_TAG)
    if not machine or not _is_local(current.tags):
        return False
    worker = worker_of(instance, run.run_id)
    return worker is not None and is_gone(*worker, Machine.from_text(machine))


def _is_local(tags: Mapping[str, str]) -> bool:
    """Return whether the process is on the machine that launched it; a terminal's always is."""
    server = tags.get(GRPC_INFO_TAG)
    return server is None or "socket" in json.loads(server)


def worker_of(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Return the number of a run's process, and when it was first seen; None if it never was."""
    seen = [
        (number, entry.timestamp)
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        if (number := number_in(entry))
    ]
    if not seen:
        return None
    pid, _ = seen[-1]
    return pid, min(at for number, at in seen if number == pid)


def number_in(entry: dg.EventLogEntry) -> int | None:
    """Return the number of a run's process, if an event says it; those of steps are others."""
    event = entry.dagster_event
    if event is None or event.event_type is not dg.DagsterEventType.ENGINE_EVENT or event.step_key:
        return None
    number = event.engine_event_data.metadata.get("pid")
    return int(str(number.value)) if number else None


def worker_lost(run: dg.DagsterRun) -> WorkerLost:
    """Return what a run is failed with whose process is gone."""
    if _IMPORT_TAG in run.tags:
        return WorkerLost(
            "The process of this import is gone: it was killed, or the machine went down. All rows "
            "of a file are imported, or none. Files of a drop folder are imported by another run; "
            "import others again."
        )
    return WorkerLost(
        f"The process of this {_noun(run)} is gone: it was killed, or the machine went down. "
        "Nothing is half-published: start it again, or resume it."
    )


def worker_missing(run: dg.DagsterRun) -> WorkerLost:
    """Return what a run is failed with whose process did not begin in time."""
    return WorkerLost(
        f"The process of this {_noun(run)} did not begin in time: it was killed, or the machine "
        "went down or has too much to do. Start it again."
    )


def worker_refused(run: dg.DagsterRun) -> WorkerLost:
    """Return what a run is failed with for which no process could be started."""
    return WorkerLost(
        f"No process could be started for this {_noun(run)}: its code server does not answer, or "
        "failed to start one, as the run's last events say. See that it is up, and start the "
        f"{_noun(run)} again."
    )


def error_tags(run: dg.DagsterRun, error: ExportPipelinesError) -> dict[str, str]:
    """Return the tags that say why a run ended."""
    sentence, code = _error_tags(run)
    return {sentence: str(error), code: error.code}


def settled_tags(run: dg.DagsterRun) -> dict[str, str]:
    """Return the tags that take back that a run's process is gone; none if nobody said that."""
    sentence, code = _error_tags(run)
    return {sentence: "", code: ""} if run.tags.get(code) == WorkerLost.code else {}


def _error_tags(run: dg.DagsterRun) -> tuple[str, str]:
    prefix = "import" if _IMPORT_TAG in run.tags else "export"
    return f"{prefix}/error", f"{prefix}/error_code"


def _noun(run: dg.DagsterRun) -> str:
    if _IMPORT_TAG in run.tags:
        return "import"
    return "export" if FORMAT_TAG in run.tags else "run"
