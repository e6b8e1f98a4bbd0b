"""How far a run is, as tags that any face of it can read while it works.

`export/stage` is the op at work, `export/progress` the percentage done of the whole export and
`export/parts` the files done of all files, such as `37/100`. Those of imports begin with `import/`.
"""

import time
from collections.abc import Callable, Mapping

_SHARES = {
    "chunk": (0, 40),
    "serialize": (40, 35),
    "compress": (75, 20),
    "upload": (95, 2),
    "deliver": (97, 2),
    "read": (0, 20),
    "validate": (20, 20),
    "load": (40, 55),
}
"""Where each stage begins and how much it is of the whole, in percent, as measured."""

_SECONDS_BETWEEN = 0.5


class Progress:
    """Publishes the progress of one stage, not more often than is worth its cost."""

    def __init__(
        self,
        stage: str,
        total: int,
        publish: Callable[[Mapping[str, str]], None],
        clock: Callable[[], float] = time.monotonic,
        kind: str = "export",
    ) -> None:
        """Announce a stage.

        Args:
            stage: the op's name.
            total: how much there is to do, in any unit.
            publish: takes the tags.
            clock: seconds, for the time between two reports.
            kind: `export` or `import`.
        """
        self._stage = stage
        self._total = max(1, total)
        self._publish = publish
        self._clock = clock
        self._kind = kind
        self._last = float("-inf")
        self.report(0)

    def report(self, done: int, parts: str = "") -> None:
        """Say how much is done, and how many files of all files if that is known."""
        now = self._clock()
        if done < self._total and now - self._last < _SECONDS_BETWEEN:
            return
        self._last = now
        start, share = _SHARES[self._stage]
        percent = start + share * min(done, self._total) // self._total
        kind = self._kind
        tags = {f"{kind}/stage": self._stage, f"{kind}/progress": str(percent)}
        self._publish({**tags, f"{kind}/parts": parts} if parts else tags)


def after(before: int, report: Callable[[int], None]) -> Callable[[int], None]:
    """Return a report for one of several files, which counts what was done before it too."""
    return lambda done: report(before + done)
