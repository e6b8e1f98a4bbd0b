"""Requests with an `Idempotency-Key`: carried out once, however often they are sent."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from export_pipelines.api.problems import InProgress
from export_pipelines.clock import seconds_of
from export_pipelines.errors import RequestError
from export_pipelines.limits import ORGANIZATION_TAG
from export_pipelines.registry import idempotency
from export_pipelines.registry.idempotency import Claim

KEY_TAG = "api/idempotency_key"
"""The tag of runs that has the key, by which a run is found that was started and not noted."""

KEY_CHARACTERS = 255
_LOST_SECONDS = 600
"""How long a server may take to start a run, a long file included; after that it has died."""


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
        start: starts the run with tags that say whose it is, and returns its id.

    Raises:
        RequestError: the key was given to another request.
        InProgress: the same request is being carried out.
    """
    if not key:
        return start({ORGANIZATION_TAG: organization})
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    claim = idempotency.claim(organization, key, digest)
    if not claim.is_new:
        if claim.digest != digest:
            raise RequestError(
                "This Idempotency-Key was given to another request: use a new one for each."
            )
        run_id = claim.run_id or _started(instance, claim)
        if run_id:
            idempotency.settle(claim, run_id)
            return run_id
        claim = _taken_over(claim)
    try:
        run_id = start(_tags(claim))
    except BaseException:
        # A run may be there all the same: then the next request of that name finds it.
        if not _started(instance, claim):
            idempotency.forget(claim)
        raise
    idempotency.settle(claim, run_id)
    return run_id


def _tags(claim: Claim) -> dict[str, str]:
    return {ORGANIZATION_TAG: claim.organization, KEY_TAG: f"{claim.since} {claim.key}"}


def _started(instance: dg.DagsterInstance, claim: Claim) -> str:
    """Return the run that a request has started; empty if there is none."""
    # Runs that go on with it may have inherited its tags.
    runs = instance.get_runs(dg.RunsFilter(tags=_tags(claim)), limit=1, ascending=True)
    return runs[0].run_id if runs else ""


def _taken_over(claim: Claim) -> Claim:
    """Return the claim of a request whose server has died over it."""
    is_lost = time.time() - seconds_of(claim.since) >= _LOST_SECONDS
    taken = idempotency.take_over(claim) if is_lost else None
    if taken is None:
        raise InProgress("The same request is being carried out: ask again in a few seconds.")
    return taken
