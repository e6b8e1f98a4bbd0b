import os
import time
from pathlib import Path
from uuid import uuid4

import pytest

from export_pipelines.retention.staging import old_staging
from export_pipelines_tests.retention.past import (
    DAY,
    IMPORT,
    Past,
    Status,
    age_files,
    removed_after,
)


def test_folders_of_runs_that_ended_long_ago_go(past: Past) -> None:
    old, new = (past.record(days, Status.FAILURE) for days in (8, 6))
    for run_id in (old, new):
        past.stage(run_id, 100)
    pruned = past.prune()["staging"]
    assert ([name for name, _ in pruned.listed], pruned.bytes) == ([old], 100)
    assert [path.name for path in past.staging.iterdir()] == [new]
    assert past.removed("staging") == []


def test_folders_without_a_record_go_by_their_files(past: Past) -> None:
    old, new = (past.stage(str(uuid4()), days) for days in (8, 6))
    half = past.stage(str(uuid4()), 8)
    os.utime(half, (time.time(), time.time()))
    empty = past.stage(str(uuid4()), 8)
    (empty / "files_1" / "part.csv").unlink()
    age_files(empty, 8)
    assert past.removed("staging") == sorted([old.name, half.name, empty.name])
    assert new.exists()


def test_what_a_run_works_on_stays(past: Past) -> None:
    for status in set(Status) - set(past.ended):
        past.stage(past.record(400, status), 400)
    assert past.removed("staging") == []
    assert len(list(past.staging.iterdir())) >= 5


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED])
def test_what_an_active_run_resumes_stays(past: Past, recorded: bool, status: Status) -> None:
    """A run that is resumed twice works in the folder of the first, whose record may be gone."""
    first = past.record(400, Status.FAILURE)
    second = past.record(300, Status.FAILURE, again=first)
    third = past.record(400, status, again=second, root=first)
    for run_id in (first, second):
        past.stage(run_id, 400)
        if not recorded:
            past.instance.delete_run(run_id)
    assert past.removed("staging") == []
    past.instance.delete_run(third)
    assert past.removed("staging") == sorted([first, second])


def test_what_a_run_resumes_that_begins_meanwhile_stays(past: Past) -> None:
    resumed, other = (past.record(8, Status.FAILURE) for _ in range(2))
    for run_id in (resumed, other):
        past.stage(run_id, 8)
    found = old_staging(past.instance, past.staging, time.time() - 7 * DAY)
    removed = removed_after(found, lambda: past.record(0, Status.STARTED, again=resumed))
    assert removed == [other]
    assert (past.staging / resumed / "files_1" / "part.csv").exists()


def test_what_is_written_meanwhile_stays(past: Past) -> None:
    written, other = (past.stage(str(uuid4()), 8) for _ in range(2))
    found = old_staging(past.instance, past.staging, time.time() - 7 * DAY)
    assert removed_after(found, lambda: age_files(written, 0)) == [other.name]
    assert written.exists()


def test_what_imports_have_left_stays_if_one_of_that_age_goes_on_meanwhile(past: Past) -> None:
    left = past.stage(f"import-{'0a' * 8}", 8)

    def go_on() -> None:
        config = {"files": ["a.csv"]}
        past.record(10, Status.STARTED, job="import_products", config=config, tags=IMPORT)

    found = old_staging(past.instance, past.staging, time.time() - 7 * DAY)
    assert removed_after(found, go_on) == []
    assert left.exists()


def test_what_can_still_be_resumed_stays(past: Past) -> None:
    first = past.record(400, Status.FAILURE)
    past.stage(first, 400)
    again = past.record(6, Status.FAILURE, again=first)
    assert past.removed("staging") == []
    past.age(again, 8)
    assert past.removed("staging") == [first]


def test_what_dead_imports_have_left_goes_unless_one_of_that_age_is_active(past: Past) -> None:
    name = f"import-{'0a' * 8}"
    past.stage(name, 8)
    young = past.stage(f"import-{'0b' * 8}", 6)
    config = {"files": ["a.csv"]}
    past.record(3, Status.STARTED, job="import_products", config=config, tags=IMPORT)
    at_work = past.record(10, Status.STARTED, job="import_products", config=config, tags=IMPORT)
    assert past.removed("staging") == []
    past.instance.delete_run(at_work)
    assert past.removed("staging") == [name]
    assert young.exists()


RUN = "39275e4d-2bde-407a-b5ef-7f7c353a2d27"


@pytest.mark.parametrize("name", ["other", "import-1", RUN.upper(), f"{RUN}.bak"])
def test_what_is_not_of_a_run_stays(past: Past, name: str) -> None:
    past.stage(name, 400)
    (past.staging / str(uuid4())).symlink_to(past.staging / name)
    (past.staging / "file").touch()
    assert past.removed("staging") == []
    assert (past.staging / name / "files_1" / "part.csv").exists()


def test_without_a_staging_area_there_is_nothing(past: Past) -> None:
    assert past.removed("staging") == []
    assert not past.staging.exists()


def test_a_folder_that_cannot_be_removed_does_not_keep_the_others(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [past.stage(str(uuid4()), 8) for _ in range(3)]
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if Path(f"/proc/self/fd/{dir_fd}").readlink().is_relative_to(folders[1]):
            raise PermissionError(13, "Permission denied", path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    pruned = past.prune()["staging"]
    assert (pruned.count, pruned.failed) == (2, 1)
    assert pruned.reason == f"{folders[1].name}: part.csv: Permission denied."
    monkeypatch.undo()
    assert past.removed("staging") == [folders[1].name]
