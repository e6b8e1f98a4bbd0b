"""How a run takes the files it imports, and what it leaves of them in the end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from export_pipelines import settings
from export_pipelines.errors import FileRefused, Interrupted
from export_pipelines.imports import drop_folder, platform_drop
from export_pipelines.imports.applying import was_applied
from export_pipelines.imports.artifacts import Claim, ImportRequest, Loaded
from export_pipelines.imports.file_names import key_of, plain_name, short_name
from export_pipelines.imports.origins import is_origin, parse_origin, remove_note
from export_pipelines.imports.report import REPORT_ENDING, report_files


@dataclass(frozen=True)
class Reported:
    """What was left of a file.

    Attributes:
        file: where it is now.
        report: its report.
        failed_rows: its failed rows, empty without any.
    """

    file: str
    report: str
    failed_rows: str


def claim_file(
    request: ImportRequest, file: str, run_id: str, number: int, now: datetime
) -> Claim | None:
    """Take a file; None if another run has it.

    Args:
        request: how it is imported.
        file: its path. In the drop folder it is moved; elsewhere it is left where it is. One on a
            platform, `platform:NAME/FOLDER/FILE`, is copied into the drop folder.
        run_id: who takes it.
        number: which of the run's files it is.
        now: the time.

    Raises:
        PlatformError: the file's platform fails.
        FileRefused: it is too large to be copied from there.
        RequestError: it is no place on a platform, or there are two of its name.
        OSError: the drop folder cannot be written to.
    """
    path = Path(file).absolute()
    # The drop folder's own path has no links in it.
    path = path.parent.resolve() / path.name
    claim = drop_folder.claim_name(run_id, now)
    if is_origin(file):
        taken = platform_drop.take(parse_origin(file), request, claim)
    elif drop_folder.is_waiting(path):
        taken = drop_folder.take(path, claim)
    elif drop_folder.is_taken(path):
        taken = drop_folder.take_over(path)
    else:
        key = f"{run_id}/{number}/{key_of(path.name)}"
        return Claim(key, path.name, str(path), request)
    if taken is None:
        return None
    return Claim(taken.key, taken.path.name, str(taken.path), request, str(taken.claim))


def require_claim(claim: Claim, run_id: str) -> None:
    """Check that this process, which is at work for a run, has a file of the drop folder.

    Raises:
        FileRefused: another has it.
    """
    drop_folder.begin_work(run_id)
    if claim.folder and drop_folder.take_over(Path(claim.path)) is None:
        raise FileRefused(
            f"{plain_name(claim.name)} is worked on by another run, or was taken away: "
            "look for it in the drop folder's done, failed and processing."
        )


def report_file(loaded: Loaded, run_id: str, finished_at: str) -> Reported:
    """Write a file's report and its failed rows, and move it to where it ends.

    Raises:
        PlatformError: the platform that it comes from fails; it is then still in `processing`.
        OSError: that cannot be written; a dropped file is then still in `processing`.
    """
    claim = loaded.claim
    beside = report_files(loaded, run_id, finished_at)
    if claim.folder:
        path = Path(claim.path)
        taken = drop_folder.Taken(Path(claim.folder), path.parent.name, path)
        end = _end(taken, run_id, succeeded=not loaded.refused, beside=beside)
        return _reported(end, end, beside)
    name = _report_name(claim, run_id)
    for ending, content in beside.items():
        drop_folder.write_whole(name.with_name(f"{name.name}{ending}"), content)
    return _reported(Path(claim.path), name, beside)


def _report_name(claim: Claim, run_id: str) -> Path:
    """Return where the reports of a file that stays where it is begin."""
    folder, name = settings.imports_folder() / "reports" / run_id, short_name(claim.name)
    if not (folder / f"{name}{REPORT_ENDING}").exists():
        return folder / name
    # Another of the run's files has the same name: its number tells them apart.
    return folder / claim.key.split("/")[1] / name


def _end(
    taken: drop_folder.Taken, run_id: str, *, succeeded: bool, beside: Mapping[str, bytes]
) -> Path:
    """Move a file to where it ends, on its platform first, and return its new place."""
    platform_drop.settle(taken, run_id, succeeded=succeeded, beside=beside)
    end = drop_folder.finish(taken, succeeded=succeeded, beside=beside)
    remove_note(taken)
    drop_folder.leave(taken.claim)
    return end


def give_up(taken: drop_folder.Taken, reason: str, finished_at: str) -> None:
    """Move a file to where it ends that no run will be given any more.

    That is `failed`, unless a run had written its rows before it ended.

    Args:
        taken: the file.
        reason: why it is given up.
        finished_at: the time, ISO 8601 in UTC.

    Raises:
        CatalogUnavailable: whether its rows were written cannot be found out.
        PlatformError: the platform that it comes from fails.
        OSError: the folder cannot be written to.
    """
    applied = was_applied(settings.database_url(), taken.key)
    if applied:
        reason = f"{reason} Its rows are in the catalogue."
    content = {
        "report_version": 1,
        "file": taken.path.name,
        "resource_type": taken.resource_type,
        "status": "done" if applied else "failed",
        "applied": applied,
        "reason": f"{reason} See the runs with the tag import/claim {taken.claim.name}.",
        "code": Interrupted.code,
        "finished_at": finished_at,
    }
    report = (json.dumps(content, indent=2) + "\n").encode()
    _end(taken, "", succeeded=applied, beside={REPORT_ENDING: report})


def _reported(file: Path, name: Path, beside: Mapping[str, bytes]) -> Reported:
    others = [ending for ending in beside if ending != REPORT_ENDING]
    failed_rows = f"{name}{others[0]}" if others else ""
    return Reported(str(file), f"{name}{REPORT_ENDING}", failed_rows)
