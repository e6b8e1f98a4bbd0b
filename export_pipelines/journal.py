"""What a platform has got of an export, noted on this machine, so that a new try sends the rest.

A server need not be able to tell what its files contain. The notes are lines of JSON in the
staging area, written when a file is there and verified.
"""

import json
from pathlib import Path

from export_pipelines.artifacts import StagedFile


class Journal:
    """The notes of one delivery.

    Attributes:
        verified: how its files were compared with what the server holds, such as `sha256`.
    """

    def __init__(self, path: Path, location: str) -> None:
        """Read the notes, if there are any of a delivery to the same place.

        Args:
            path: the file; made when something is noted.
            location: where the files go. Notes of another place do not count.
        """
        self._path = path
        self._location = location
        self._digests: dict[str, str] = {}
        self.verified: set[str] = set()
        counts = False
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            try:
                note = json.loads(line)
            except ValueError:
                # The process died while it wrote.
                continue
            if "location" in note:
                counts = note["location"] == location
                self._forget()
            elif counts:
                self._digests[note["name"]] = note["sha256"]
                self.verified.add(note["verified"])

    def begin(self) -> None:
        """Note that the delivery begins, and that nothing of it is there."""
        self._forget()
        self._note(location=self._location)

    def add(self, file: StagedFile, verified: str) -> None:
        """Note that a file is there, and how it was compared with what the server holds."""
        self._digests[file.name] = file.sha256
        self.verified.add(verified)
        self._note(name=file.name, sha256=file.sha256, verified=verified)

    def has(self, file: StagedFile) -> bool:
        """Return whether a file with this content was there."""
        return self._digests.get(file.name) == file.sha256

    def _forget(self) -> None:
        self._digests = {}
        self.verified = set()

    def _note(self, **values: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as notes:
            # A new line first: the last one may be torn.
            notes.write("\n" + json.dumps(values) + "\n")
