"""Whether Dagster runs a registered schedule, and since when.

Dagster begins to count where a schedule's state says that it was started. Written when a schedule
is registered, this makes the first due time count, however late its definition is loaded. The UI's
switch writes the same state.
"""

import time
from collections.abc import Callable

import dagster as dg
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    InstigatorType,
    ScheduleInstigatorData,
)

from export_pipelines.code_location import LOCATION, REPOSITORY, repository_origin


def write_state(
    instance: dg.DagsterInstance, key: str, cron: str, *, is_active: bool
) -> Callable[[], None]:
    """Start a schedule from now on, or stop it, and return what takes that back.

    Args:
        instance: where Dagster's states are kept.
        key: the schedule's name in Dagster.
        cron: its expression.
        is_active: whether it is to run.
    """
    status = InstigatorStatus.RUNNING if is_active else InstigatorStatus.STOPPED
    data = ScheduleInstigatorData(cron, time.time())
    stored = _stored(instance, key)
    if stored is None:
        state = InstigatorState(_origin(key), InstigatorType.SCHEDULE, status, data)
        instance.add_instigator_state(state)
        return lambda: _delete(instance, state)
    instance.update_instigator_state(stored.with_status(status).with_data(data))
    return lambda: _restore(instance, stored)


def delete_state(instance: dg.DagsterInstance, key: str) -> Callable[[], None]:
    """Forget whether a schedule runs, and return what takes that back; its ticks stay."""
    stored = _stored(instance, key)
    if stored is None:
        return lambda: None
    _delete(instance, stored)
    return lambda: _restore_deleted(instance, stored)


def _delete(instance: dg.DagsterInstance, state: InstigatorState) -> None:
    instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)


def _restore(instance: dg.DagsterInstance, state: InstigatorState) -> None:
    instance.update_instigator_state(state)


def _restore_deleted(instance: dg.DagsterInstance, state: InstigatorState) -> None:
    instance.add_instigator_state(state)


def is_registered(instance: dg.DagsterInstance, key: str) -> bool:
    """Return whether a schedule was started or stopped, and not removed since."""
    stored = _stored(instance, key)
    return stored is not None and stored.status is not InstigatorStatus.DECLARED_IN_CODE


def has_history(instance: dg.DagsterInstance, key: str) -> bool:
    """Return whether there are ticks of a schedule, perhaps of one that was removed."""
    return bool(last_ticks(instance, key, 1))


def is_running(instance: dg.DagsterInstance, key: str, *, default: bool) -> bool:
    """Return whether Dagster runs a schedule; the default where nobody has ever switched it."""
    stored = _stored(instance, key)
    if stored is None or stored.status is InstigatorStatus.DECLARED_IN_CODE:
        return default
    return stored.status is InstigatorStatus.RUNNING


def running_since(instance: dg.DagsterInstance, key: str) -> float | None:
    """Return when a schedule was started, in seconds since 1970; None if it is not running."""
    stored = _stored(instance, key)
    if stored is None or stored.status is InstigatorStatus.STOPPED:
        return None
    data = stored.instigator_data
    return data.start_timestamp if isinstance(data, ScheduleInstigatorData) else None


def adopt_states(instance: dg.DagsterInstance) -> None:
    """Bring states under the home folder's code server that were written by way of another one.

    Lists in the UI show the history of those only.
    """
    origin = repository_origin()
    for state in instance.all_instigator_state():
        known = state.origin.repository_origin
        if known.code_location_origin.location_name == LOCATION and known != origin:
            own = RemoteInstigatorOrigin(
                repository_origin=origin, instigator_name=state.instigator_name
            )
            instance.update_instigator_state(
                InstigatorState(own, state.instigator_type, state.status, state.instigator_data)
            )


def last_ticks(instance: dg.DagsterInstance, key: str, limit: int) -> list[InstigatorTick]:
    """Return the latest ticks of a schedule, the newest first."""
    return list(instance.get_ticks(_origin(key).get_id(), _selector(key).get_id(), limit=limit))


def _stored(instance: dg.DagsterInstance, key: str) -> InstigatorState | None:
    return instance.get_instigator_state(_origin(key).get_id(), _selector(key).get_id())


def _selector(key: str) -> InstigatorSelector:
    return InstigatorSelector(location_name=LOCATION, repository_name=REPOSITORY, name=key)


def _origin(key: str) -> RemoteInstigatorOrigin:
    return RemoteInstigatorOrigin(repository_origin=repository_origin(), instigator_name=key)
