"""Which files in watched folders on platforms are ready, and which have been asked for already.

Nothing here takes a file: a run does. So it does no harm to ask twice.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Literal

from export_pipelines import settings
from export_pipelines.imports import drop_folder
from export_pipelines.imports.drop_folder import Taken
from export_pipelines.imports.origins import Note, Origin, find_note
from export_pipelines.imports.rules import PlatformRule
from export_pipelines.imports.takeovers import MAX_TRIES, Tried
from export_pipelines.imports.watching import BATCH_FILES, SINGLE_FILES, Asked
from export_pipelines.platforms.base import RemoteFile

FILES_AT_ONCE = 1_000
"""Most files of a folder that are looked at, the first by name."""

Outcome = Literal["taken", "cancelled", "failed"]
"""What became of a run before it had its files."""


@dataclass(frozen=True)
class Seen:
    """A file that was there at the last look.

    Attributes:
        bytes: its size.
        since: when it was first seen, in seconds since 1970.
        tries: how many runs were asked for.
        key: the last of them.
    """

    bytes: int
    since: float
    tries: int = 0
    key: str = ""


Memory = Mapping[str, Seen]
"""Files by their origins, kept from one look to the next."""


def memory_from_text(text: str | None) -> Memory:
    """Return what `memory_text` made; nothing is known at first."""
    return {origin: Seen(**seen) for origin, seen in json.loads(text or "{}").items()}


def memory_text(memory: Memory) -> str:
    """Return all of it as text."""
    said = {origin: asdict(seen) for origin, seen in memory.items()}
    return json.dumps(said, separators=(",", ":"))


class PlatformLook:
    """One look at the files of watched folders.

    Attributes:
        memory: what is kept for the next one.
        notes: what somebody should know, in sentences.
    """

    def __init__(
        self,
        before: Memory,
        busy: Collection[str],
        taken: Collection[Origin],
        outcome: Callable[[str], Outcome],
    ) -> None:
        """Compare with what the last look saw.

        Args:
            before: what it saw.
            busy: files that runs were queued or at work for, before folders were listed.
            taken: files that runs had taken, before folders were listed.
            outcome: tells by its key what became of a run that has ended.
        """
        self._before = before
        self._busy = busy
        self._taken = taken
        self._outcome = outcome
        self.memory: dict[str, Seen] = {}
        self.notes: list[str] = []

    def keep(self, rule: PlatformRule) -> None:
        """Remember what was in a folder that could not be listed."""
        for origin, seen in self._before.items():
            if origin.rpartition("/")[0] == str(Origin(rule.platform, rule.folder, "")).rstrip("/"):
                self.memory[origin] = seen

    def ready(self, rule: PlatformRule, files: Sequence[RemoteFile]) -> list[Asked]:
        """Return the runs that are wanted for files that have stopped growing.

        Args:
            rule: the watched folder.
            files: what is in it.
        """
        limit = settings.max_import_bytes()
        found: list[str] = []
        whole = [file for file in files if not drop_folder.is_unfinished(_last(file.name))]
        for file in whole[:FILES_AT_ONCE]:
            origin = Origin(rule.platform, rule.folder, _last(file.name))
            if not self._is_wanted(origin, file.bytes):
                continue
            if limit is not None and file.bytes > limit:
                self.notes.append(f"{origin} has {file.bytes:,} bytes, more than {limit:,}.")
                continue
            found.append(str(origin))
        return [self._asked(rule, group) for group in _groups(found)]

    def _is_wanted(self, origin: Origin, size: int) -> bool:
        """Return whether a run is wanted for a file, and remember it.

        One that a run has taken is forgotten: what is there once the run has ended is another.
        """
        if origin in self._taken:
            return False
        seen = self._before.get(str(origin))
        if seen is None or seen.bytes != size:
            self._remember(origin, size)
            return False
        self.memory[str(origin)] = seen
        if str(origin) in self._busy:
            return False
        return not seen.tries or self._is_wanted_again(origin, seen)

    def _is_wanted_again(self, origin: Origin, seen: Seen) -> bool:
        outcome = self._outcome(seen.key)
        if outcome == "taken":
            self._remember(origin, seen.bytes)
            return False
        if outcome == "cancelled":
            self.notes.append(f"{origin} was cancelled: move it away and in again to import it.")
            return False
        if seen.tries >= MAX_TRIES:
            self.notes.append(f"{origin} was asked for {seen.tries} times: see its runs.")
            return False
        return True

    def _remember(self, origin: Origin, size: int) -> None:
        self.memory[str(origin)] = Seen(size, round(time.time(), 3))

    def _asked(self, rule: PlatformRule, origins: Sequence[str]) -> Asked:
        said = [[origin, asdict(self.memory[origin])] for origin in origins]
        key = sha256(json.dumps(said).encode()).hexdigest()[:32]
        for origin in origins:
            seen = self.memory[origin]
            self.memory[origin] = replace(seen, tries=seen.tries + 1, key=key)
        return Asked(key, rule.resource_type, tuple(origins), rule.options)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _groups(origins: Sequence[str]) -> Iterator[Sequence[str]]:
    size = 1 if len(origins) <= SINGLE_FILES else BATCH_FILES
    for first in range(0, len(origins), size):
        yield origins[first : first + size]


def left_behind(
    reached: Collection[str], busy: Collection[str], tried: Callable[[str], Tried]
) -> tuple[list[Asked], list[tuple[Taken, str]]]:
    """Return runs for the files that runs have left, and the files that are given up, with why.

    A run leaves its files if it dies, or if their platform fails when they should end there: so
    another one is only wanted when the platform can be used.

    Args:
        reached: names of platforms that can be used.
        busy: files that runs are queued or at work for.
        tried: tells which runs had the files of a claim, by its name.
    """
    wanted: list[Asked] = []
    hopeless: list[tuple[Taken, str]] = []
    for claim, paths in drop_folder.abandoned():
        files = [Taken(claim, path.parent.name, path) for path in paths]
        for platform, found in _by_platform(files, busy).items():
            if platform not in reached:
                continue
            runs = tried(claim.name)
            if runs.verdict:
                hopeless += [(file, runs.verdict) for file, _ in found]
            elif runs.next <= time.time():
                key = f"{claim.name}:{platform}:{len(runs.runs)}"
                wanted.append(_asked_again(key, found))
    return wanted, hopeless


def _by_platform(
    files: Sequence[Taken], busy: Collection[str]
) -> dict[str, list[tuple[Taken, Note]]]:
    found: dict[str, list[tuple[Taken, Note]]] = {}
    for file in files:
        note = find_note(file)
        if note and not {str(file.path), str(note.origin)} & set(busy):
            found.setdefault(note.origin.platform, []).append((file, note))
    return found


def _asked_again(key: str, found: Sequence[tuple[Taken, Note]]) -> Asked:
    first, note = found[0]
    options: Mapping[str, Any] = note.options
    paths = tuple(str(file.path) for file, _ in found)
    return Asked(key, first.resource_type, paths, options, first.claim.name)
