"""Brings the files of an export to a platform: whole, once, the manifest last.

Where an export of the same name is, the new one replaces it: its manifest goes first, then files
are replaced one by one, then those that the new export does not have are removed. So a manifest
always tells what is there. Meanwhile a hidden file beside it says whose files these become, and
which may be there, in case that delivery never ends.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformUnavailable
from export_pipelines.journal import Journal
from export_pipelines.naming import is_file_name
from export_pipelines.platforms.base import Connection
from export_pipelines.progress import after


@dataclass(frozen=True)
class Delivery:
    """What one platform got.

    Attributes:
        platform: what people call it.
        location: where it is, without secrets.
        files: how many, the manifest not counted.
        bytes: their size.
        sent: bytes that went over the line in the last try.
        verified: what was compared with what the server holds, such as `sha256`; sorted.
    """

    platform: str
    location: str
    files: int
    bytes: int
    sent: int
    verified: tuple[str, ...]


@dataclass(frozen=True)
class Shipment:
    """What is delivered, and as what.

    Attributes:
        run_id: whose files these are.
        files: whole and checksummed, in the staging area.
        manifest: their manifest, in the staging area.
        folder: the folder below the platform's; empty for that itself.
        manifest_name: the manifest's name there.
    """

    run_id: str
    files: Sequence[StagedFile]
    manifest: StagedFile
    folder: str
    manifest_name: str

    def place(self, name: str) -> str:
        """Return where a file of the shipment goes, below the platform's folder."""
        return str(PurePosixPath(self.folder) / name)

    @property
    def manifest_place(self) -> str:
        """Where the manifest goes."""
        return self.place(self.manifest_name)

    @property
    def pending_place(self) -> str:
        """Where a hidden file says that the shipment is on its way."""
        return self.place(f".{self.manifest_name}.pending")


def deliver(
    connection: Connection,
    shipment: Shipment,
    journal: Journal,
    on_bytes: Callable[[int], None] = lambda done: None,
) -> int:
    """Put files, then their manifest, and return the bytes that were sent.

    Args:
        connection: the platform.
        shipment: what goes there.
        journal: which files are there already.
        on_bytes: told the bytes that are there by now.

    Raises:
        PlatformError: the platform fails; what is there by then stays for another try.
    """
    stale = _announce(connection, shipment, journal)
    connection.delete(shipment.manifest_place)
    sent = _send_files(connection, shipment, journal, on_bytes)
    for name in stale:
        connection.delete(shipment.place(name))
    if _read(connection, shipment.pending_place).get("run_id") != shipment.run_id:
        raise PlatformUnavailable(
            "Another export of the same name was delivered there at the same moment."
        )
    connection.put(shipment.manifest, shipment.manifest_place)
    connection.delete(shipment.pending_place)
    return sent


def _announce(connection: Connection, shipment: Shipment, journal: Journal) -> list[str]:
    """Say on the platform whose files these become, and return which are there from before."""
    pending = _read(connection, shipment.pending_place)
    names = _names(pending)
    if pending.get("run_id") != shipment.run_id:
        # What this run has put there before, another has replaced by now.
        journal.begin()
        names |= _names(_read(connection, shipment.manifest_place))
        names |= {file.name for file in shipment.files}
        _put_pending(connection, shipment, names)
    return sorted(names - {file.name for file in shipment.files})


def _put_pending(connection: Connection, shipment: Shipment, names: Iterable[str]) -> None:
    content = {"run_id": shipment.run_id, "files": [{"name": name} for name in sorted(names)]}
    data = json.dumps(content).encode()
    with TemporaryDirectory(prefix="export-pipelines-") as temporary:
        path = Path(temporary) / "pending.json"
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        file = StagedFile(str(path), path.name, 0, len(data), digest)
        connection.put(file, shipment.pending_place)


def _send_files(
    connection: Connection,
    shipment: Shipment,
    journal: Journal,
    on_bytes: Callable[[int], None],
) -> int:
    there = {file.name: file.bytes for file in connection.list(shipment.folder)}
    done = sent = 0
    for file in shipment.files:
        name = shipment.place(file.name)
        if not (journal.has(file) and there.get(name) == file.bytes):
            receipt = connection.put(file, name, after(done, on_bytes))
            journal.add(file, receipt.verified)
            sent += receipt.sent
        done += file.bytes
        on_bytes(done)
    return sent


def _read(connection: Connection, name: str) -> dict[str, Any]:
    """Return what a file of JSON on a platform says; nothing if it is not there or is another."""
    with TemporaryDirectory(prefix="export-pipelines-") as temporary:
        target = Path(temporary) / "file.json"
        # It may be anybody's, and anything.
        with suppress(FileNotFoundError, ValueError, RecursionError):
            connection.get(name, target)
            content = json.loads(target.read_bytes())
            return content if isinstance(content, dict) else {}
    return {}


def _names(manifest: dict[str, Any]) -> set[str]:
    """Return the files that a manifest lists; nothing outside its folder, nothing hidden."""
    listed = manifest.get("files")
    entries = listed if isinstance(listed, list) else []
    names = [file.get("name") for file in entries if isinstance(file, dict)]
    return {name for name in names if isinstance(name, str) and is_file_name(name)}
