"""How a run takes the files it imports, and what it leaves of them in the end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from export_pipelines import settings
from export_pipelines.errors import FileRefused, Interrupted
from export_pipelines.imports import drop_folder, platform_drop
from export_pipelines.imports.artifacts import Claim, ImportRequest, Loaded
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
    claim = drop_folder.claim_name(run_id, now)
    if is_origin(file):
        taken = platform_drop.take(parse_origin(file), request, claim)
    elif drop_folder.is_waiting(path):
        taken = drop_folder.take(path, claim)
    elif drop_folder.is_taken(path):
        taken = drop_folder.take_over(path)
    else:
        key = f"{run_id}/{number}/{drop_folder.key_of(path.name)}"
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
            f"{drop_folder.plain_name(claim.name)} is worked on by another run, or was taken away: "
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
    folder = settings.imports_folder() / "reports" / run_id
    for ending, content in beside.items():
        drop_folder.write_whole(folder / f"{claim.name}{ending}", content)
    return _reported(Path(claim.path), folder / claim.name, beside)


def _end(
    taken: drop_folder.Taken, run_id: str, *, succeeded: bool, beside: Mapping[str, bytes]
) -> Path:
    """Move a file to where it ends, on its platform first, and return its new place."""
    platform_drop.settle(taken, run_id, succeeded=succeeded, beside=beside)
    end = drop_folder.finish(taken, succeeded=succeeded, beside=beside)
    remove_note(taken)
    drop_folder.leave(taken.claim)
    return end


def give_up(taken: drop_folder.Taken, finished_at: str) -> None:
    """Move a file to `failed` that several runs have ended over without a word.

    Raises:
        PlatformError: the platform that it comes from fails.
        OSError: the folder cannot be written to.
    """
    content = {
        "report_version": 1,
        "file": taken.path.name,
        "resource_type": taken.resource_type,
        "status": "failed",
        "reason": "Several runs ended while they imported this file, without a word: see the runs "
        f"of the claim {taken.claim.name}. Perhaps the machine has too little memory for it.",
        "code": Interrupted.code,
        "finished_at": finished_at,
    }
    report = (json.dumps(content, indent=2) + "\n").encode()
    _end(taken, "", succeeded=False, beside={REPORT_ENDING: report})


def _reported(file: Path, name: Path, beside: Mapping[str, bytes]) -> Reported:
    others = [ending for ending in beside if ending != REPORT_ENDING]
    failed_rows = f"{name}{others[0]}" if others else ""
    return Reported(str(file), f"{name}{REPORT_ENDING}", failed_rows)
