"""Takes files from a folder on a platform, and puts them there where they end.

    <parent>/<watched folder>/<file>                  dropped by people and programs
    <parent>/done/<resource type>/<claim>-<file>      imported, its report beside it
    <parent>/failed/<resource type>/<claim>-<file>    not imported, its report beside it

In between a file is worked on in the local drop folder, as if it had been dropped there. All that
is done here can be done again: a run that dies or meets a platform that is away leaves its claim
to the next one.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from export_pipelines import settings
from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import FileRefused, PlatformUnavailable
from export_pipelines.imports import drop_folder
from export_pipelines.imports.artifacts import ImportRequest
from export_pipelines.imports.drop_folder import DONE, FAILED, PROCESSING, Taken
from export_pipelines.imports.origins import (
    Note,
    Origin,
    add_note,
    copy_path,
    find_note,
    origins,
    remove_note,
)
from export_pipelines.imports.report import FAILED_ENDING, REPORT_ENDING
from export_pipelines.platforms.base import Connection, file_sha256
from export_pipelines.platforms.configuration import open_platform

_KEEP = ".keep"
_ENDINGS = ("", REPORT_ENDING, f"{FAILED_ENDING}.csv", f"{FAILED_ENDING}.jsonl")
_NOT_OPTIONS = ("resource_type", "files")


def take(origin: Origin, request: ImportRequest, claim: str) -> Taken | None:
    """Copy a file from its platform into a claim; None if it is gone, or taken by another run.

    Args:
        origin: the file.
        request: how it is imported.
        claim: the claim's name.

    Raises:
        PlatformError: the platform fails, or the file changes meanwhile.
        FileRefused: the file is larger than imports may be.
        RequestError: the claim has another file of that name.
        OSError: the drop folder cannot be written to.
    """
    folder = drop_folder.root() / PROCESSING / claim
    path = folder / request.resource_type / origin.name
    file = Taken(folder, request.resource_type, path)
    options = {name: value for name, value in vars(request).items() if name not in _NOT_OPTIONS}
    with open_platform(origin.platform).connect() as connection:
        size = _size(connection, origin)
        if size is None or origin in origins():
            return None
        _require_size(origin, size)
        drop_folder.make_claim(claim)
        if not add_note(file, Note(origin, options)):
            drop_folder.release(folder)
            return None
        try:
            _copy(connection, origin, size, file)
        finally:
            if not path.exists():
                remove_note(file)
                drop_folder.release(folder)
    return file if path.exists() else None


def _size(connection: Connection, origin: Origin) -> int | None:
    sizes = {file.name: file.bytes for file in connection.list(origin.folder)}
    return sizes.get(origin.place)


def _require_size(origin: Origin, size: int) -> None:
    limit = settings.max_import_bytes()
    if limit is not None and size > limit:
        raise FileRefused(
            f"{origin} has {size:,} bytes; imported files may have {limit:,}. It stays where it "
            "is: split it, or raise EXPORT_PIPELINES_MAX_IMPORT_BYTES."
        )


def _copy(connection: Connection, origin: Origin, size: int, file: Taken) -> None:
    """Copy a file into its claim, all of it or nothing."""
    copy = copy_path(file)
    try:
        connection.get(origin.place, copy)
    except FileNotFoundError:
        return
    if copy.stat().st_size != size:
        raise PlatformUnavailable(
            f"{origin} changed while it was read. It is imported when it has stopped changing."
        )
    file.path.parent.mkdir(parents=True, exist_ok=True)
    copy.rename(file.path)


def settle(file: Taken, run_id: str, *, succeeded: bool, beside: Mapping[str, bytes]) -> None:
    """Put a file where it ends on its platform, after what is said about it, and remove it there.

    What was dropped under its name meanwhile stays; the same bytes once more are the same drop. A
    file that does not come from a platform is left alone.

    Args:
        file: the file, still in `processing`.
        run_id: who does it.
        succeeded: whether it was imported.
        beside: what to write beside it: contents by what follows its name.

    Raises:
        PlatformError: the platform fails; nothing of the file is lost, and all can be done again.
        OSError: the drop folder cannot be written to.
    """
    note = find_note(file)
    if note is None:
        return
    origin = note.origin
    done, failed = (end_folder(origin, file.resource_type, end) for end in (DONE, FAILED))
    folder = done if succeeded else failed
    name = drop_folder.end_name(file)
    with open_platform(origin.platform).connect() as connection:
        if drop_folder.run_of(file.claim) != run_id:
            kept = {f"{folder}/{name}{ending}" for ending in ("", *beside)}
            _remove_others(connection, [f"{end}/{name}" for end in (done, failed)], kept)
        for ending, content in beside.items():
            _put(connection, f"{folder}/{name}{ending}", content)
        connection.put(_staged(file.path), f"{folder}/{name}")
        _remove_original(connection, origin, file)


def end_folder(origin: Origin, resource_type: str, end: str) -> str:
    """Return the folder beside the watched one where files end.

    Args:
        origin: a file in the watched folder.
        resource_type: what it holds.
        end: `done` or `failed`.
    """
    return str(PurePosixPath(origin.folder).parent / end / resource_type)


def _remove_others(connection: Connection, names: list[str], kept: set[str]) -> None:
    """Remove what a run before this one said about the same file, if it came to another end."""
    for name in names:
        for ending in _ENDINGS:
            if f"{name}{ending}" not in kept:
                connection.delete(f"{name}{ending}")


def _put(connection: Connection, name: str, content: bytes) -> None:
    with TemporaryDirectory(prefix="export-pipelines-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        connection.put(_staged(path), name)


def _staged(path: Path) -> StagedFile:
    return StagedFile(str(path), path.name, 0, path.stat().st_size, file_sha256(path))


def _remove_original(connection: Connection, origin: Origin, file: Taken) -> None:
    """Remove a file from the watched folder, unless it is another one by now."""
    if _size(connection, origin) != file.path.stat().st_size:
        return
    copy = copy_path(file)
    try:
        connection.get(origin.place, copy)
        same = file_sha256(copy) == file_sha256(file.path)
    except FileNotFoundError:
        return
    finally:
        copy.unlink(missing_ok=True)
    if same:
        if origin.folder:
            # On some platforms a folder ends with its last file; the next one is dropped into it.
            _put(connection, f"{origin.folder}/{_KEEP}", b"")
        connection.delete(origin.place)
