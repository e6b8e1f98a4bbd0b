"""Which files of the drop folder are ready, and which have been asked for already.

Nothing here takes a file: a run does. So it does no harm to ask twice.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from export_pipelines.imports import drop_folder
from export_pipelines.imports.file_names import plain_name
from export_pipelines.imports.origins import find_note
from export_pipelines.imports.rules import rule_for
from export_pipelines.imports.takeovers import MAX_TRIES, Tried

SINGLE_FILES = 20
"""Up to this many files that are ready together get a run each."""

BATCH_FILES = 50
"""Most files of one run if there are more."""

_Stamp = list[int]


@dataclass
class Memory:
    """What is kept from one look to the next.

    Attributes:
        seen: size, times and number of each waiting file at the last look, by its place.
        asked: the same of files that runs were asked for, how often, and the last one's key.
    """

    seen: dict[str, _Stamp] = field(default_factory=dict)
    asked: dict[str, tuple[_Stamp, int, str]] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str | None) -> "Memory":
        """Return what `to_text` made; nothing is known at first."""
        found = json.loads(text or "{}")
        asked = {place: tuple(each) for place, each in found.get("asked", {}).items()}
        return cls(found.get("seen", {}), asked)

    def to_text(self) -> str:
        """Return all of it as text."""
        return json.dumps({"seen": self.seen, "asked": self.asked}, separators=(",", ":"))


@dataclass(frozen=True)
class Asked:
    """A run that is wanted.

    Attributes:
        key: the same for the same try at the same files, otherwise another.
        resource_type: what the files hold.
        files: their paths.
        options: how they are imported, as run config.
        claim: the claim that the files are in, if a run has taken them before.
    """

    key: str
    resource_type: str
    files: tuple[str, ...]
    options: Mapping[str, Any]
    claim: str = ""

    @property
    def label(self) -> str:
        """What the run is about, in a few words."""
        if len(self.files) > 1:
            return f"{len(self.files)} files"
        return plain_name(Path(self.files[0]).name)


class Look:
    """One look at the files that wait."""

    def __init__(self, memory: Memory, options: Mapping[str, Any]) -> None:
        """Compare with what the last look saw.

        Args:
            memory: what it saw.
            options: the options that imports have.
        """
        self._before = memory
        self._options = options
        self.memory = Memory()
        self.notes: list[str] = []

    def ready(self, busy: Collection[str], given_up: Collection[str]) -> list[Asked]:
        """Return the runs that are wanted for files that have stopped growing.

        Args:
            busy: files that runs are queued or at work for.
            given_up: keys of runs that somebody cancelled before they took their files.

        Raises:
            RequestError: `imports.yaml` is wrong.
        """
        found: dict[str, list[tuple[Path, int]]] = {}
        for path in drop_folder.waiting():
            tries = self._tries(path, busy, given_up)
            if tries is None:
                continue
            name, options = rule_for(path.parent.name, path.name, self._options)
            group = json.dumps([name, options], sort_keys=True, default=str)
            found.setdefault(group, []).append((path, tries))
        for path in drop_folder.astray():
            name = plain_name(path.name)
            self.notes.append(f"{name} lies beside the folders of incoming: move it into one.")
        together = sum(map(len, found.values()))
        size = 1 if together <= SINGLE_FILES else BATCH_FILES
        return [
            self._asked(group, files)
            for group, paths in found.items()
            for files in _chunks(paths, size)
        ]

    def _tries(self, path: Path, busy: Collection[str], given_up: Collection[str]) -> int | None:
        """Return how often runs were asked for a file; None if none is wanted now."""
        try:
            stamp = _stamp(path)
        except FileNotFoundError:
            return None
        place = _place(path)
        self.memory.seen[place] = stamp
        asked, tries, key = self._before.asked.get(place, (stamp, 0, ""))
        if asked != stamp:
            tries = 0
        elif tries:
            self.memory.asked[place] = (stamp, tries, key)
        if str(path) in busy or self._before.seen.get(place) != stamp:
            return None
        said = plain_name(place)
        if tries and key in given_up:
            self.notes.append(f"{said} was cancelled: move it away and in again to import it.")
            return None
        if tries >= MAX_TRIES:
            self.notes.append(f"{said} was asked for {tries} times: see its runs.")
            return None
        return tries

    def _asked(self, group: str, files: Sequence[tuple[Path, int]]) -> Asked:
        name, options = json.loads(group)
        key = _key(files)
        for path, tries in files:
            self.memory.asked[_place(path)] = (self.memory.seen[_place(path)], tries + 1, key)
        return Asked(key, name, tuple(str(path) for path, _ in files), options)

    def forget(self, asked: Asked) -> None:
        """Take back that a run was asked for, where none can be made."""
        for file in asked.files:
            self.memory.asked.pop(_place(Path(file)), None)


def _chunks(files: Iterable[tuple[Path, int]], size: int) -> Iterator[Sequence[tuple[Path, int]]]:
    rest = iter(files)
    while chunk := list(islice(rest, size)):
        yield chunk


def _stamp(path: Path) -> _Stamp:
    """Return what changes if a file grows, or if another one is dropped under its name."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _key(files: Sequence[tuple[Path, int]]) -> str:
    """Return what names a try at files, whatever became of them since."""
    said = [[_place(path), _stamp_or_none(path), tries] for path, tries in files]
    return sha256(json.dumps(said).encode()).hexdigest()[:32]


def _stamp_or_none(path: Path) -> _Stamp | None:
    try:
        return _stamp(path)
    except FileNotFoundError:
        return None


def left_behind(
    tried: Callable[[str], Tried], busy: Collection[str], options: Mapping[str, Any]
) -> tuple[list[Asked], list[tuple[drop_folder.Taken, str]]]:
    """Return runs for the files that runs have left, and the files that are given up, with why.

    Those that come from platforms have to wait until these answer; they are not meant here.

    Args:
        tried: tells which runs had the files of a claim, by its name.
        busy: files that runs are queued or at work for.
        options: the options that imports have.

    Raises:
        RequestError: `imports.yaml` is wrong.
    """
    wanted: list[Asked] = []
    hopeless: list[tuple[drop_folder.Taken, str]] = []
    for claim, paths in drop_folder.abandoned():
        taken = [drop_folder.Taken(claim, path.parent.name, path) for path in paths]
        files = [file for file in taken if str(file.path) not in busy and not find_note(file)]
        runs = tried(claim.name)
        if runs.verdict:
            hopeless += [(file, runs.verdict) for file in files]
        elif runs.next <= time.time():
            wanted += _asked_again(claim, files, len(runs.runs), options)
    return wanted, hopeless


def _asked_again(
    claim: Path, files: Sequence[drop_folder.Taken], times: int, options: Mapping[str, Any]
) -> Iterator[Asked]:
    groups: dict[str, list[str]] = {}
    for file in files:
        name, found = rule_for(file.resource_type, file.path.name, options)
        group = json.dumps([name, found], sort_keys=True, default=str)
        groups.setdefault(group, []).append(str(file.path))
    for number, (group, paths) in enumerate(groups.items()):
        name, found = json.loads(group)
        yield Asked(f"{claim.name}:{times}:{number}", name, tuple(paths), found, claim.name)
