"""Requests with an `Idempotency-Key`: carried out once, however often they are sent."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from export_pipelines.api.problems import Conflict
from export_pipelines.clock import seconds_of
from export_pipelines.errors import RequestError
from export_pipelines.registry import idempotency
from export_pipelines.registry.idempotency import Earlier

KEY_TAG = "api/idempotency_key"
"""The tag of runs that has the key, by which a run is found that was started and not noted."""

KEY_CHARACTERS = 255
_LOST_SECONDS = 60
"""How long a server may take to start a run; one that took longer has died over it."""


def once(
    instance: dg.DagsterInstance,
    organization: str,
    key: str | None,
    request: Mapping[str, Any],
    start: Callable[[Mapping[str, str]], str],
) -> str:
    """Start a run, or return that which the same request has started before.

    Args:
        instance: where runs are recorded.
        organization: whose request it is.
        key: the caller's name for it; without one it is carried out each time.
        request: all that makes it what it is, as JSON.
        start: starts the run with more tags, and returns its id.

    Raises:
        RequestError: the key was given to another request.
        Conflict: the same request is being carried out.
    """
    if not key:
        return start({})
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    tags = {KEY_TAG: f"{organization}:{key}"}
    earlier = idempotency.claim(organization, key, digest)
    if earlier:
        found = _outcome(instance, earlier, digest, tags)
        if found:
            idempotency.settle(organization, key, found)
            return found
    try:
        run_id = start(tags)
    except BaseException:
        idempotency.forget(organization, key)
        raise
    idempotency.settle(organization, key, run_id)
    return run_id


def _outcome(
    instance: dg.DagsterInstance, earlier: Earlier, digest: str, tags: Mapping[str, str]
) -> str:
    """Return the run of an earlier request; empty if that came to nothing."""
    if earlier.digest != digest:
        raise RequestError(
            "This Idempotency-Key was given to another request: use a new one for each."
        )
    if earlier.run_id:
        return earlier.run_id
    runs = instance.get_runs(dg.RunsFilter(tags=dict(tags)), limit=1)
    if runs:
        return runs[0].run_id
    if time.time() - seconds_of(earlier.since) < _LOST_SECONDS:
        raise Conflict("The same request is being carried out: ask again in a few seconds.")
    return ""
