"""Files of an export, brought to where somebody wants them: whole and right, or not there.

A file grows under a hidden name beside its own, and gets that when its size and its SHA-256 are
those of the manifest.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from export_pipelines.errors import PlatformUnavailable, RequestError, shown, unknown
from export_pipelines.naming import is_file_name

Job = Mapping[str, Any]
"""A job as the API shows it."""

_PIECE_BYTES = 1 << 20


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


def chosen_files(job: Job, part: str | None) -> list[Mapping[str, Any]]:
    """Return the files of an export that are asked for.

    Args:
        job: the job.
        part: the name of one; None for all.

    Raises:
        RequestError: it has none, or none of that name.
    """
    if job["kind"] != "export":
        raise RequestError(f"Job {job['id']} is an import: it has no files to download.")
    if job["status"] != "completed":
        raise RequestError(
            f"Export {job['id']} is {job['status']}: only a completed one has files to download."
        )
    if job.get("files_removed_at"):
        raise RequestError(
            f"The files of export {job['id']} were removed at {job['files_removed_at']}, as they "
            "were old: export again."
        )
    files: list[Mapping[str, Any]] = list(job["files"])
    odd = [file["name"] for file in files if not is_file_name(str(file["name"]))]
    if odd:
        raise RequestError(f"{shown(odd[0])} of export {job['id']} is no name for a file.")
    if part is None:
        return files
    found = [file for file in files if file["name"] == part]
    if not found:
        raise RequestError(unknown("file", part, [str(file["name"]) for file in files]))
    return found


def targets(files: Sequence[Mapping[str, Any]], output: str | None) -> list[Path]:
    """Return where files go.

    Args:
        files: of an export.
        output: a folder, which is made if need be, or the path of a single file; None for the
            current folder.

    Raises:
        RequestError: it is a file, and there are several.
    """
    path = Path(output or ".")
    is_folder = path.is_dir() or (output or "").endswith(os.sep)
    if len(files) == 1 and not is_folder:
        return [path]
    if path.exists() and not path.is_dir():
        raise RequestError(
            f"{path} is a file, and the export has {len(files):,}: name a folder, or choose one "
            "with --part."
        )
    return [path / str(file["name"]) for file in files]


def bring(
    job: Job,
    file: Mapping[str, Any],
    target: Path,
    fetch: Callable[[Job, Mapping[str, Any], Path], None],
    *,
    force: bool,
) -> bool:
    """Bring a file to its place, and return whether it was not there already.

    Args:
        job: the export.
        file: one of its files.
        target: its place.
        fetch: writes it into a file that may hold the beginning of it already.
        force: whether a different file there is replaced.

    Raises:
        RequestError: a different file is there.
        PlatformUnavailable: something else came than the manifest says.
        OSError: it cannot be written.
    """
    from export_pipelines.platforms.base import file_sha256, hidden_name

    if _is_there(file, target, force=force):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(hidden_name(target.name, str(file["sha256"])))
    fetch(job, file, partial)
    beside = partial.with_name(f"{partial.name}.etag")
    if partial.stat().st_size != file["bytes"] or file_sha256(partial) != file["sha256"]:
        partial.unlink()
        beside.unlink(missing_ok=True)
        raise PlatformUnavailable(
            f"{file['name']} of export {job['id']} is not what the manifest says: it was changed "
            "or damaged where it is kept, or on its way. Download it again."
        )
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    _is_there(file, target, force=force)
    partial.replace(target)
    beside.unlink(missing_ok=True)
    return True


def _is_there(file: Mapping[str, Any], target: Path, *, force: bool) -> bool:
    """Return whether the same file is there.

    Raises:
        RequestError: another one is, and is not to be replaced.
    """
    from export_pipelines.platforms.base import file_sha256

    if target.is_dir():
        raise RequestError(f"{target} is a folder: name a file.")
    if not target.exists():
        return False
    if target.stat().st_size == file["bytes"] and file_sha256(target) == file["sha256"]:
        return True
    if not force:
        raise RequestError(f"{target} is there already, and is different: --force replaces it.")
    return False


def fetched_bytes(partial: Path, file: Mapping[str, Any]) -> int:
    """Return how much there is of a file; none if that is more than it has."""
    have = partial.stat().st_size if partial.is_file() else 0
    return have if have <= file["bytes"] else 0


def copy_rest(source: Readable, partial: Path, file: Mapping[str, Any], *, goes_on: bool) -> None:
    """Copy bytes until there are as many as there should be, and one more if there are more.

    Args:
        source: has them.
        partial: where they go.
        file: says how many there should be.
        goes_on: whether they follow what is there; otherwise that is replaced.
    """
    with partial.open("ab" if goes_on else "wb") as target:
        room = file["bytes"] + 1 - target.tell()
        while room > 0 and (piece := source.read(min(room, _PIECE_BYTES))):
            target.write(piece)
            room -= len(piece)
