"""How many requests an API key may make: a bucket of them, which fills up again evenly.

Each server process counts for itself.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from export_pipelines import settings
from export_pipelines.errors import ExportPipelinesError

_MINUTE = 60
_SMALLEST_BURST = 20
_BURSTS_PER_MINUTE = 10


@dataclass(frozen=True)
class Allowance:
    """What a key may still ask for.

    Attributes:
        limit: requests in a minute.
        remaining: requests that it may make at once.
    """

    limit: int
    remaining: int


class TooManyRequests(ExportPipelinesError):
    """A key has made as many requests as it may for now.

    Attributes:
        allowance: what it may ask for.
        seconds: in how many it may ask again.
    """

    code = "rate_limit_exceeded"

    def __init__(self, allowance: Allowance, seconds: int) -> None:
        super().__init__(
            f"This API key may make {allowance.limit:,} requests a minute, and has made them: try "
            f"again in {seconds} s. EXPORT_PIPELINES_REQUESTS_PER_MINUTE raises the limit."
        )
        self.allowance = allowance
        self.seconds = seconds


class RateLimits:
    """The buckets of keys: a tenth of a minute's requests, but 20 at least, may come at once.

    Args:
        clock: tells seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> Allowance | None:
        """Count a request, and return what is left; None if there is no limit.

        Raises:
            TooManyRequests: nothing was left.
            RequestError: the limit in the environment is no number.
        """
        limit = settings.requests_per_minute()
        if limit is None:
            return None
        burst = max(limit // _BURSTS_PER_MINUTE, _SMALLEST_BURST)
        now = self._clock()
        left, counted_at = self._buckets.get(key_id, (float(burst), now))
        left = min(burst, left + (now - counted_at) * limit / _MINUTE)
        is_allowed = left >= 1
        self._buckets[key_id] = (left - is_allowed, now)
        allowance = Allowance(limit, int(left - is_allowed))
        if not is_allowed:
            raise TooManyRequests(allowance, max(1, math.ceil((1 - left) * _MINUTE / limit)))
        return allowance
