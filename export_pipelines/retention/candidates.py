"""What may be removed, one thing after the other, and what became of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from export_pipelines.errors import ExportPipelinesError, PlatformUnavailable, StorageUnavailable

LISTED = 100
"""How many things of a kind are named; all are counted."""

_OUTAGES = 3
"""After so many failures in a row a store that does not answer is left alone until next time."""

_FAILURES = (ExportPipelinesError, OSError, SQLAlchemyError, dg.DagsterError)


@dataclass(frozen=True)
class Removed:
    """What was removed, or would be in a dry run.

    Attributes:
        count: how many things; 0 if nothing was there.
        bytes: their size, as far as they are files.
    """

    count: int = 1
    bytes: int = 0


@dataclass(frozen=True)
class Candidate:
    """Something that is old, and that nothing uses.

    Attributes:
        name: names it for people.
        remove: removes it, unless its argument says that this is a dry run, and returns what it is.
        is_old: whether that is still so. It is asked right before the removal: a run may have begun
            since it was found. A dry run does not ask. By default nothing can use it again.
    """

    name: str
    remove: Callable[[bool], Removed]
    is_old: Callable[[], bool] = lambda: True


@dataclass
class Pruned:
    """What became of the things of one kind.

    Attributes:
        kind: `exports`, `staging`, `imports`, `runs` or `ticks`.
        count: how many were removed, or would be.
        bytes: their size.
        listed: the first of them.
        failed: how many could not be removed.
        reason: the first failure, as a sentence.
        code: its stable name for programs.
    """

    kind: str
    count: int = 0
    bytes: int = 0
    listed: list[tuple[str, Removed]] = field(default_factory=list)
    failed: int = 0
    reason: str = ""
    code: str = ""

    def add(self, name: str, removed: Removed) -> None:
        """Count something that was removed, or would be."""
        self.count += removed.count
        self.bytes += removed.bytes
        if removed.count and len(self.listed) < LISTED:
            self.listed.append((name, removed))

    def fail(self, name: str, error: Exception) -> None:
        """Count something that could not be removed."""
        self.failed += 1
        if not self.reason:
            self.reason, self.code = f"{name}: {_sentence(error)}", _code(error)


def remove_all(kind: str, candidates: Iterable[Candidate], *, dry_run: bool) -> Pruned:
    """Remove things of a kind; one that cannot be removed does not keep the others.

    Args:
        kind: what they are.
        candidates: found while others are removed, so that they need not be held all at once.
        dry_run: whether to remove nothing, and only say what would be.
    """
    pruned = Pruned(kind)
    outages = 0
    try:
        for candidate in candidates:
            try:
                if dry_run or candidate.is_old():
                    pruned.add(candidate.name, candidate.remove(dry_run))
                outages = 0
            except _FAILURES as error:
                pruned.fail(candidate.name, error)
                outages = outages + 1 if isinstance(error, PlatformUnavailable) else 0
            if outages == _OUTAGES:
                break
    except _FAILURES as error:
        pruned.fail(kind, error)
    return pruned


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'The disk'}: {error.strerror or error}."
    first = str(error).partition("\n")[0]
    return first if first.endswith(".") else f"{first}."


def _code(error: Exception) -> str:
    if isinstance(error, OSError):
        return StorageUnavailable.code
    return error.code if isinstance(error, ExportPipelinesError) else ExportPipelinesError.code
