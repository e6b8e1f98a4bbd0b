"""Brings the files of an export to a platform: whole, once, the manifest last.

The manifest is named after the export, `products.manifest.json`. Where one of that name is, the
new files replace those of before: that manifest goes first, then files are replaced one by one,
then those that the new export does not have are removed. So a manifest always tells what is there.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from export_pipelines.artifacts import StagedFile
from export_pipelines.journal import Journal
from export_pipelines.platforms.base import Connection, is_hidden
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


def deliver(
    connection: Connection,
    files: Sequence[StagedFile],
    manifest: StagedFile,
    journal: Journal,
    *,
    folder: str = "",
    manifest_name: str,
    on_bytes: Callable[[int], None] = lambda done: None,
) -> int:
    """Put files, then their manifest, and return the bytes that were sent.

    Args:
        connection: the platform.
        files: whole and checksummed, in the staging area.
        manifest: the same of their manifest.
        journal: what is there already.
        folder: the folder below the platform's.
        manifest_name: the manifest's name there.
        on_bytes: told the bytes that are there by now.

    Raises:
        PlatformError: the platform fails; what is there by then stays for another try.
    """
    place = PurePosixPath(folder)
    last = str(place / manifest_name)
    before = _manifest(connection, last)
    if journal.stale is None:
        journal.begin(_stale(before, files))
    if before is not None:
        connection.delete(last)
    there = {file.name: file.bytes for file in connection.list(folder)}
    done, sent = 0, 0
    for file in files:
        name = str(place / file.name)
        if not (journal.has(file) and there.get(name) == file.bytes):
            receipt = connection.put(file, name, after(done, on_bytes))
            journal.add(file, receipt.verified)
            sent += receipt.sent
        done += file.bytes
        on_bytes(done)
    for name in journal.stale or ():
        connection.delete(str(place / name))
    connection.put(manifest, last)
    return sent


def _manifest(connection: Connection, name: str) -> Any:
    """Return what the manifest there says; None if there is none, empty if it is not one."""
    with TemporaryDirectory(prefix="export-pipelines-") as temporary:
        target = Path(temporary) / "manifest.json"
        try:
            connection.get(name, target)
        except FileNotFoundError:
            return None
        with suppress(ValueError):
            return json.loads(target.read_bytes())
    return {}


def _stale(manifest: Any, files: Sequence[StagedFile]) -> list[str]:
    """Return the files of a manifest that are not among `files`; nothing outside its folder."""
    listed = manifest.get("files", ()) if isinstance(manifest, dict) else ()
    entries = listed if isinstance(listed, list) else []
    names = [file.get("name") for file in entries if isinstance(file, dict)]
    kept = {file.name for file in files}
    return [
        name
        for name in names
        if isinstance(name, str) and name not in kept and "/" not in name and not is_hidden(name)
    ]
