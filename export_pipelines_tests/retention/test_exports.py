import time
from pathlib import Path
from uuid import uuid4

import pytest

from export_pipelines.errors import PlatformUnavailable, StorageUnavailable
from export_pipelines.platforms.local import open_store
from export_pipelines.resources import ExportStore
from export_pipelines.retention.exports import (
    LOCATION_TAG,
    PRUNED_TAG,
    OldExports,
    remove_export,
)
from export_pipelines.store import MANIFEST_NAME
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.retention.past import (
    DAY,
    EXPORT,
    FILES,
    POLICY,
    Past,
    Status,
    age_files,
    removed_after,
)
from export_pipelines_tests.servers.targets import Targets


def test_old_exports_go_and_new_ones_stay(past: Past) -> None:
    old, new = past.export(31), past.export(29)
    size = sum(path.stat().st_size for path in old.folder.iterdir())

    pruned = past.prune()["exports"]

    assert [name for name, _ in pruned.listed] == [old.run_id]
    assert (pruned.count, pruned.bytes, pruned.failed) == (1, size, 0)
    assert not old.folder.exists()
    assert {path.name for path in new.folder.iterdir()} == {"suppliers.csv", MANIFEST_NAME}
    assert past.tags(old.run_id)[PRUNED_TAG].startswith("20")
    assert PRUNED_TAG not in past.tags(new.run_id)
    assert past.removed("exports") == []


def test_what_is_kept_for_ever_stays(past: Past) -> None:
    old = past.stored(4_000)
    policy = POLICY.__class__(**{**vars(POLICY), "exports": None})
    assert past.removed("exports", policy=policy) == []
    assert old.folder.exists()
    assert old.run_id in past.run_ids(), "its record says where the files are"


def test_an_export_that_is_being_executed_again_stays(past: Past) -> None:
    old = past.stored(31)
    active = [status for status in Status if status not in past.ended]
    assert len(active) >= 5
    for status in active:
        again = past.record(0.1, status, job="export_csv", again=old.run_id, tags=EXPORT)
        assert past.removed("exports") == [], status
        past.instance.delete_run(again)
    assert {path.name for path in old.folder.iterdir()} == set(FILES)
    assert past.removed("exports") == [old.run_id]


@pytest.mark.parametrize("recorded", [True, False])
def test_an_export_that_is_executed_again_meanwhile_stays(past: Past, recorded: bool) -> None:
    again, other = past.stored(31), past.stored(31)
    if not recorded:
        for export in (again, other):
            past.instance.delete_run(export.run_id)
    store = ExportStore(folder=str(past.store))
    found = OldExports(past.instance, store, time.time() - 30 * DAY).candidates()

    def begin() -> None:
        past.record(0, Status.QUEUED, job="export_csv", again=again.run_id, tags=EXPORT)

    assert removed_after(found, begin) == [other.run_id]
    assert {path.name for path in again.folder.iterdir()} == set(FILES)
    assert not other.folder.exists()


def test_an_active_export_of_long_ago_stays(past: Past) -> None:
    run_id = past.record(400, Status.STARTED, job="export_csv", tags=EXPORT)
    folder = past.store / run_id
    folder.mkdir(parents=True)
    (folder / "part.csv").write_text("half")
    age_files(folder, 400)
    assert past.removed("exports") == []
    assert (folder / "part.csv").exists()


def test_files_of_a_resumed_run_are_as_old_as_the_last_that_has_them(past: Past) -> None:
    first = past.stored(400)
    tags = {**EXPORT, "export/location": str(first.folder)}
    resumed = past.record(5, job="export_csv", again=first.run_id, tags=tags)
    assert past.removed("exports") == []
    past.age(resumed, 31)
    assert past.removed("exports") == [resumed]
    assert not first.folder.exists()
    assert PRUNED_TAG in past.tags(resumed)
    assert PRUNED_TAG in past.tags(first.run_id)


def test_a_run_executed_again_whole_does_not_keep_the_files_of_the_one_before(past: Past) -> None:
    first, second = past.stored(31), past.stored(2)
    past.instance.add_run_tags(
        second.run_id,
        {"dagster/root_run_id": first.run_id, "dagster/parent_run_id": first.run_id},
    )
    assert past.removed("exports") == [first.run_id]
    assert second.folder.exists()


def test_an_inherited_tag_does_not_say_that_the_files_are_gone(past: Past) -> None:
    old = past.stored(31)
    past.instance.add_run_tags(old.run_id, {PRUNED_TAG: "2020-01-01T00:00:00.000Z"})
    assert past.removed("exports") == [old.run_id]
    assert not past.tags(old.run_id)[PRUNED_TAG].startswith("2020")


def test_an_export_in_another_store_stays_with_its_record(past: Past, tmp_path: Path) -> None:
    old = past.stored(400)
    elsewhere = ExportStore(folder=str(tmp_path / "elsewhere"))
    done = past.prune(store=elsewhere)
    assert (done["exports"].count, done["runs"].count) == (0, 0)
    assert (old.folder / MANIFEST_NAME).exists()
    assert PRUNED_TAG not in past.tags(old.run_id)
    assert past.removed("exports") == [old.run_id]


@pytest.mark.parametrize("place", ["/etc", "", "{store}", "{store}/", "{store}/..", "{store}/x"])
def test_a_location_that_is_no_folder_of_the_store_is_left_alone(past: Past, place: str) -> None:
    (past.store / "x").mkdir(parents=True)
    (past.store / "x" / "file").touch()
    location = place.format(store=past.store)
    past.record(400, job="export_csv", tags={**EXPORT, "export/location": location})
    assert past.removed("exports") == []
    assert (past.store / "x" / "file").exists()


def test_folders_without_a_record_go_by_their_files(past: Past) -> None:
    old, new = past.stored(400), past.stored(400)
    for export in (old, new):
        past.instance.delete_run(export.run_id)
    age_files(new.folder, 29)
    (past.store / "not-ours").mkdir()
    link = past.store / str(uuid4())
    link.symlink_to(past.store / "not-ours")
    age_files(past.store / "not-ours", 400)

    assert past.removed("exports") == [old.run_id]
    assert not old.folder.exists()
    assert new.folder.exists()
    assert link.is_symlink()
    assert (past.store / "not-ours").exists()
    assert past.removed("exports") == []


def test_a_folder_without_a_record_stays_while_a_run_resumes_it(past: Past) -> None:
    old = past.stored(400)
    past.instance.delete_run(old.run_id)
    again = past.record(0.1, Status.QUEUED, job="export_csv", again=old.run_id)
    assert past.removed("exports") == []
    assert old.folder.exists()
    past.instance.delete_run(again)
    tags = {**EXPORT, "export/location": str(old.folder)}
    past.record(3, job="export_csv", again=old.run_id, tags=tags)
    assert past.removed("exports") == []
    assert old.folder.exists()


def test_the_manifest_goes_first(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    old = past.stored(31)
    names = sorted(path.name for path in old.folder.iterdir())
    assert names == sorted(FILES)
    seen: list[str] = []
    unlink = Path.unlink

    def look(path: Path, missing_ok: bool = False) -> None:
        if path.parent == old.folder:
            seen.append(path.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", look)
    assert past.removed("exports") == [old.run_id]
    assert seen[0] == MANIFEST_NAME
    assert sorted(seen) == names


def test_what_a_killed_export_has_left_hidden_goes_with_its_folder(past: Past) -> None:
    old = past.stored(31)
    (old.folder / ".part-1.csv.0123456789abcdef.part").write_bytes(b"x" * 1_000)
    pruned = past.prune()["exports"]
    assert (pruned.count, pruned.bytes > 1_000) == (1, True)
    assert not old.folder.exists()


def test_a_run_that_left_nothing_is_not_counted(past: Past) -> None:
    failed = past.record(31, Status.FAILURE, job="export_csv", tags=EXPORT)
    other = past.record(31, Status.FAILURE)
    assert past.removed("exports") == []
    assert PRUNED_TAG in past.tags(failed)
    assert PRUNED_TAG not in past.tags(other)


def test_what_cannot_be_removed_is_named_and_does_not_keep_the_others(past: Past) -> None:
    blocked, fine = past.stored(400), past.stored(400)
    blocked.folder.rename(past.store / "aside")
    blocked.folder.symlink_to(past.store / "aside")

    done = past.prune()

    assert [name for name, _ in done["exports"].listed] == [fine.run_id]
    assert done["exports"].failed == 1
    assert done["exports"].reason.startswith(f"{blocked.run_id}: ")
    assert done["exports"].code == StorageUnavailable.code
    assert past.run_ids() == {blocked.run_id}


@pytest.fixture
def bucket(targets: Targets, monkeypatch: pytest.MonkeyPatch) -> ExportStore:
    name_platforms({"bucket": targets["s3-seaweed"].platform}, monkeypatch)
    return ExportStore(platform="bucket")


def in_store(store: ExportStore, run_id: str) -> list[str]:
    with store.connect() as connection:
        return [file.name.partition("/")[2] for file in connection.list(run_id)]


def test_a_bucket_as_the_store(past: Past, bucket: ExportStore) -> None:
    old, new = (past.stored(days, bucket).run_id for days in (31, 29))
    everything = in_store(bucket, old)
    assert everything == sorted(FILES)
    assert past.removed("exports", store=bucket, dry_run=True) == [old]
    assert in_store(bucket, old) == everything
    pruned = past.prune(store=bucket)["exports"]
    assert (pruned.count, pruned.bytes > 4_000) == (1, True)
    assert in_store(bucket, old) == []
    assert in_store(bucket, new) == everything
    assert past.removed("exports", store=bucket) == []


def test_a_store_that_does_not_answer_is_said_and_keeps_nothing_else(
    past: Past,
    targets: Targets,
    bucket: ExportStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = past.stored(400, bucket).run_id
    through = targets["s3-seaweed"].through
    assert through
    with through(1) as nobody:
        name_platforms({"bucket": nobody}, monkeypatch)
        away = ExportStore(platform="bucket")
        past.instance.add_run_tags(old, {LOCATION_TAG: away.location(old)})
        other = past.record(400)
        done = past.prune(store=away)
    assert done["exports"].failed
    assert done["exports"].code == PlatformUnavailable.code
    assert old in past.run_ids(), "its files are still there"
    assert other not in past.run_ids()
    name_platforms({"bucket": targets["s3-seaweed"].platform}, monkeypatch)
    assert in_store(bucket, old) == sorted(FILES)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point", ["after the manifest", "before the tag"])
def test_the_next_run_finishes_what_a_killed_one_began(
    past: Past, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    old = past.stored(31)
    past.instance.delete_run(past.stored(31).run_id)
    unlink = Path.unlink

    def die_after_the_manifest(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        if path.name == MANIFEST_NAME:
            raise Killed

    def die() -> str:
        raise Killed

    with monkeypatch.context() as patched:
        if point == "after the manifest":
            patched.setattr(Path, "unlink", die_after_the_manifest)
        else:
            patched.setattr("export_pipelines.retention.exports.now", die)
        with pytest.raises(Killed):
            past.prune()
    assert not (old.folder / MANIFEST_NAME).exists()
    if point == "after the manifest":
        assert old.folder.exists()

    past.prune()

    assert list(past.store.iterdir()) == []
    assert PRUNED_TAG in past.tags(old.run_id)
    assert past.removed("exports") == []


def test_a_half_removed_folder_without_a_record_is_as_old_as_before(past: Past) -> None:
    old = past.stored(31)
    past.instance.delete_run(old.run_id)
    (old.folder / MANIFEST_NAME).unlink()
    assert past.removed("exports") == [old.run_id]


@pytest.mark.parametrize("local", [True, False])
def test_what_is_not_there_is_nothing(tmp_path: Path, local: bool) -> None:
    with open_store(tmp_path / "store") as connection:
        folder = tmp_path / "store" / "x" if local else None
        assert remove_export(connection, "x", folder, dry_run=False).count == 0
