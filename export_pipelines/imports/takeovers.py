"""When a file that a run has left in its claim is given to another run, and when it is given up."""

from collections.abc import Sequence
from dataclasses import dataclass

from export_pipelines.errors import (
    CatalogUnavailable,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
    StorageUnavailable,
)

MAX_TRIES = 3
"""How many runs may end without a word over a file that another has left."""

PASSING = tuple(
    kind.code
    for kind in (
        CatalogUnavailable,
        StorageUnavailable,
        PlatformUnavailable,
        PlatformMisconfigured,
        PlatformRefused,
    )
)
"""Errors that are about a database, a disk or a platform, not about the file: it waits for them."""

_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 3_600
_DOUBLINGS = 7


@dataclass(frozen=True)
class Ended:
    """A run that had a file, and left it.

    Attributes:
        at: when it ended, in seconds since 1970.
        code: of its error; empty if it ended without a word.
        reason: its error.
        cancelled: whether somebody cancelled it.
    """

    at: float
    code: str = ""
    reason: str = ""
    cancelled: bool = False


@dataclass(frozen=True)
class Tried:
    """The runs that had a file, the last one last."""

    runs: Sequence[Ended] = ()

    @property
    def next(self) -> float:
        """When another run is due, in seconds since 1970: at once after one that was killed."""
        passing = [run for run in self.runs if run.code in PASSING]
        if not passing or self.runs[-1].code not in PASSING:
            return 0
        doublings = min(len(passing) - 1, _DOUBLINGS)
        pause = min(_FIRST_PAUSE_SECONDS << doublings, _LONGEST_PAUSE_SECONDS)
        return self.runs[-1].at + pause

    @property
    def verdict(self) -> str:
        """Why there will be no other run; empty if there will."""
        if self.runs and self.runs[-1].cancelled:
            return "Somebody cancelled the import. Drop the file again to import it."
        silent = [run for run in self.runs if run.code not in PASSING]
        if len(silent) <= MAX_TRIES:
            return ""
        said = next((run.reason for run in reversed(silent) if run.reason), "")
        ended = f"{len(silent)} runs ended before they were done with this file"
        if said:
            return f"{ended}. The last one said: {said}"
        return f"{ended}, without a word. Perhaps the machine has too little memory for it."
