"""Threads for what waits for other machines: the rest of the server goes on meanwhile."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from export_pipelines.errors import ExportPipelinesError

T = TypeVar("T")

SENDERS = CapacityLimiter(20)
"""Threads that fetch files of exports from the store and read them."""

_ASKERS = CapacityLimiter(20)
_MOST_OF_ONE = 4
_asking: Counter[str] = Counter()


class TooManyCalls(ExportPipelinesError):
    """An organization has as many servers asked at once as it may."""

    code = "too_many_calls"


async def asking(organization: str, ask: Callable[[], T]) -> T:
    """Return what a server answers that an organization has chosen.

    Args:
        organization: whose platform or webhook it is.
        ask: asks it, however long that takes.

    Raises:
        TooManyCalls: four others of the organization have not answered yet.
    """
    if _asking[organization] >= _MOST_OF_ONE:
        raise TooManyCalls(
            f"{_MOST_OF_ONE} platforms or webhooks are being tried, which is the most at once: "
            "wait until one has answered."
        )
    _asking[organization] += 1
    try:
        return await to_thread.run_sync(ask, limiter=_ASKERS)
    finally:
        _asking[organization] -= 1
