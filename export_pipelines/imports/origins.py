"""Which files in `processing` come from a platform, by notes beside them.

    processing/<claim>/.origins/<resource type>/<file>.json

A note is there before its file and as long as that: while there is one, nobody else takes the file
from the platform. It holds a name of `platforms.yaml`, never an address or a secret.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export_pipelines.errors import RequestError, shown
from export_pipelines.imports import drop_folder
from export_pipelines.imports.drop_folder import PROCESSING, Taken

_PREFIX = "platform:"
_FOLDER = ".origins"
_NOTE = ".json"
_COPY = ".copy"
_LOCK = ".origins.lock"


@dataclass(frozen=True)
class Origin:
    """A file on a platform.

    Attributes:
        platform: its name in `platforms.yaml`.
        folder: the folder below the platform's; empty for that itself.
        name: the file's own name.
    """

    platform: str
    folder: str
    name: str

    @property
    def place(self) -> str:
        """The file's name below the platform's folder."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    def __str__(self) -> str:
        """Return it as run config has it: `platform:partner/incoming/products/stock.csv`."""
        return f"{_PREFIX}{self.platform}/{self.place}"


@dataclass(frozen=True)
class Note:
    """What is known of a file in `processing` that comes from a platform.

    Attributes:
        origin: the file on the platform.
        options: how it is imported, as run config.
    """

    origin: Origin
    options: Mapping[str, Any]


def is_origin(file: str) -> bool:
    """Return whether a file of run config is one on a platform."""
    return file.startswith(_PREFIX)


def parse_origin(file: str) -> Origin:
    """Return the file on a platform that run config names.

    Raises:
        RequestError: it is written in another form.
    """
    platform, *folders = file.removeprefix(_PREFIX).split("/")
    if not platform or not folders or any(part in ("", ".", "..") for part in folders):
        raise RequestError(
            f"{shown(file)} names no file on a platform: write {_PREFIX}NAME/FOLDER/FILE, with a "
            "name of platforms.yaml."
        )
    return Origin(platform, "/".join(folders[:-1]), folders[-1])


def add_note(file: Taken, note: Note) -> bool:
    """Note where a file will come from; False if another has been noted to come from there.

    Raises:
        RequestError: the claim has another file of that name.
        OSError: the folder cannot be written to.
    """
    path = _note_path(file)
    with _alone():
        if note.origin in origins():
            return False
        if path.exists():
            raise RequestError(
                f"Two of the files are called {file.path.name}: import them by two runs."
            )
        drop_folder.write_whole(path, json.dumps(asdict(note)).encode())
    return True


def find_note(file: Taken) -> Note | None:
    """Return what was noted of a file; None if it does not come from a platform."""
    return _read(_note_path(file))


def remove_note(file: Taken) -> None:
    """Remove what was noted of a file, and a copy of it that was begun."""
    path = _note_path(file)
    for each in (path, copy_path(file)):
        each.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        # The notes of other files are in it, or it is gone.
        with suppress(OSError):
            folder.rmdir()


def copy_path(file: Taken) -> Path:
    """Return where a file grows while it is copied from its platform."""
    return _note_path(file).with_suffix(_COPY)


def origins() -> set[Origin]:
    """Return the files on platforms that runs have taken."""
    found = (_read(path) for path in _notes())
    return {note.origin for note in found if note}


def remove_ended() -> None:
    """Remove notes without a file: its run died before it had the file, or after its end.

    Raises:
        OSError: the folder cannot be written to.
    """
    for path in list(_notes()):
        claim, resource_type = path.parent.parent.parent, path.parent.name
        file = Taken(claim, resource_type, claim / resource_type / path.name.removesuffix(_NOTE))
        if not drop_folder.is_at_work(drop_folder.run_of(claim)) and not file.path.exists():
            remove_note(file)
            drop_folder.release(claim)


def _notes() -> Iterator[Path]:
    return (drop_folder.root() / PROCESSING).glob(f"*/{_FOLDER}/*/*{_NOTE}")


def _note_path(file: Taken) -> Path:
    return file.claim / _FOLDER / file.resource_type / f"{file.path.name}{_NOTE}"


def _read(path: Path) -> Note | None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return Note(Origin(**content["origin"]), content["options"])


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from noting the same file at the same moment."""
    drop_folder.root().mkdir(parents=True, exist_ok=True)
    with (drop_folder.root() / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
