import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import pytest

from export_pipelines.artifacts import (
    Column,
    ExportPlan,
    ExportRequest,
    FieldType,
    Sheet,
    StagedFile,
    Statement,
)
from export_pipelines.errors import PlatformUnavailable, StorageUnavailable
from export_pipelines.platforms.local import open_store
from export_pipelines.store import (
    MANIFEST_NAME,
    manifest_content,
    read_manifest,
    stage_manifest,
    store_files,
    stored_name,
)

PLAN = ExportPlan(
    run_id="run-1",
    format="csv",
    options={"utf8_bom": True, "delimiter": ","},
    sheets=(
        Sheet(
            "products",
            (Column("id", FieldType.STRING), Column("price", FieldType.NUMBER)),
            (),
            (),
            Statement("SELECT 1", (("p", "bound"),)),
            records_count=3,
        ),
        Sheet(
            "suppliers",
            (Column("id", FieldType.STRING),),
            (),
            (),
            Statement("SELECT 2"),
            records_count=7,
        ),
    ),
    request=ExportRequest(
        "csv", filters={"name": "naïve"}, includes=["supplier"], skip_ids=True, date_to="2026-01-30"
    ),
    time_zone="UTC",
    extensions=(),
    max_rows_per_file=2,
    compression="gzip",
    file_name="products",
    part_name="products-{part:05d}",
    started_at="2026-01-31T09:00:00.000Z",
    warnings=("One level only.",),
)
FINISHED = "2026-01-31T09:00:01.500Z"


def stage(folder: Path, count: int = 3) -> list[StagedFile]:
    folder.mkdir()
    files = []
    for number in range(1, count + 1):
        path = folder / f"products-{number:05}.csv"
        data = f"part {number}\n".encode() * number * 1_000
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(StagedFile(str(path), path.name, number, len(data), digest, ("odd value",)))
    return files


def publish(files: list[StagedFile], store: Path, staging: Path) -> dict[str, Any]:
    """Put files, then the manifest, as the ops do; return what the manifest says."""
    content = manifest_content(PLAN, files, FINISHED)
    with open_store(store) as connection:
        store_files(connection, PLAN.run_id, files)
        manifest = stage_manifest(content, staging)
        connection.put(manifest, stored_name(PLAN.run_id, MANIFEST_NAME))
    return content


def put(tmp_path: Path, store: Path) -> dict[str, Any]:
    return publish(stage(tmp_path / "staging"), store, tmp_path / "manifest")


@pytest.fixture(params=["same disk", "another disk"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Name a store on the staging area's disk and one on another, where files must be copied."""
    if request.param == "same disk":
        yield tmp_path / "store"
        return
    shared_memory = Path("/dev/shm")
    if shared_memory.is_dir() and shared_memory.stat().st_dev != tmp_path.stat().st_dev:
        folder = Path(tempfile.mkdtemp(dir=shared_memory))
        yield folder / "store"
        shutil.rmtree(folder)
        return
    replace = Path.replace

    def refuse_other_folders(source: Path, target: Path) -> Path:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", refuse_other_folders)
    yield tmp_path / "store"


def test_files_and_manifest_are_all_there_is(tmp_path: Path, store: Path) -> None:
    manifest = put(tmp_path, store)
    folder = store / "run-1"
    assert read_manifest(folder / MANIFEST_NAME) == manifest
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        *(file["name"] for file in manifest["files"]),
    ]
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        assert file["bytes"] == len(data)
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(list((tmp_path / "staging").iterdir())) == len(manifest["files"])


def test_the_manifest_says_everything(tmp_path: Path) -> None:
    files = stage(tmp_path / "staging", 2)
    assert json.loads(json.dumps(manifest_content(PLAN, files, FINISHED))) == {
        "manifest_version": 1,
        "run_id": "run-1",
        "resource_type": "products",
        "format": "csv",
        "options": {"utf8_bom": True, "delimiter": ","},
        "filters": {"name": "naïve"},
        "date_to": "2026-01-30",
        "includes": ["supplier"],
        "skip_ids": True,
        "compression": "gzip",
        "max_rows_per_file": 2,
        "records_count": 3,
        "columns": [{"name": "id", "type": "string"}, {"name": "price", "type": "number"}],
        "sheets": [
            {"resource_type": "products", "records_count": 3},
            {"resource_type": "suppliers", "records_count": 7},
        ],
        "files": [
            {"name": file.name, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for file in files
        ],
        "warnings": ["One level only.", *(f"{file.name}: odd value" for file in files)],
        "started_at": "2026-01-31T09:00:00.000Z",
        "finished_at": "2026-01-31T09:00:01.500Z",
    }


def test_nothing_has_its_name_before_it_is_whole_and_the_manifest_is_last(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stage(tmp_path / "staging")
    whole = {file.name: Path(file.path).read_bytes() for file in files}
    seen: list[set[str]] = []
    fsync = os.fsync

    def look(handle: int) -> None:
        fsync(handle)
        there = {path.name for path in (store / "run-1").iterdir() if path.name[0] != "."}
        for name in there - {MANIFEST_NAME}:
            assert (store / "run-1" / name).read_bytes() == whole[name]
        seen.append(there)

    monkeypatch.setattr(os, "fsync", look)
    publish(files, store, tmp_path / "manifest")
    assert len(seen) >= len(files) + 2
    for there in seen:
        assert MANIFEST_NAME not in there or there == {*whole, MANIFEST_NAME}
    assert seen[0] == set()


def test_a_missing_file_takes_back_those_before_it(tmp_path: Path, store: Path) -> None:
    files = stage(tmp_path / "staging")
    Path(files[2].path).unlink()
    with pytest.raises(FileNotFoundError):
        publish(files, store, tmp_path)
    assert list(store.iterdir()) == []


def test_what_cannot_be_put_takes_back_what_was(tmp_path: Path, store: Path) -> None:
    files = stage(tmp_path / "staging")
    in_the_way = store / "run-1" / files[1].name / "folder"
    in_the_way.mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match="irectory"):
        publish(files, store, tmp_path)
    assert [path.name for path in (store / "run-1").iterdir()] == [files[1].name]


def test_a_full_disk_under_the_manifest_leaves_only_whole_files(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stage(tmp_path / "staging")
    fsync = os.fsync

    def refuse_the_manifest(handle: int) -> None:
        if MANIFEST_NAME in Path(f"/proc/self/fd/{handle}").readlink().name:
            raise OSError(errno.ENOSPC, "No space left on device", "disk")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_the_manifest)
    with pytest.raises(StorageUnavailable, match="The disk is full at disk"):
        publish(files, store, tmp_path / "manifest")
    there = {path.name: path.read_bytes() for path in (store / "run-1").iterdir()}
    assert there == {file.name: Path(file.path).read_bytes() for file in files}


def test_a_folder_that_cannot_be_flushed_takes_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network disks refuse to flush folders, which comes after a file's name."""
    store = tmp_path / "store"
    fsync = os.fsync

    def refuse_folders(handle: int) -> None:
        if S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with pytest.raises(StorageUnavailable, match="Invalid argument"):
        put(tmp_path, store)
    assert list(store.iterdir()) == []


def test_what_was_put_stays_when_another_try_may_succeed(tmp_path: Path) -> None:
    files = stage(tmp_path / "staging")
    store = tmp_path / "store"

    def break_off(done: int) -> None:
        if done > files[0].bytes:
            raise PlatformUnavailable("gone")

    with open_store(store) as connection:
        with pytest.raises(PlatformUnavailable):
            store_files(connection, "run-1", files, break_off)
        assert [file.name for file in connection.list("run-1")] == [
            f"run-1/{file.name}" for file in files[:2]
        ]
        store_files(connection, "run-1", files)
        assert len(connection.list("run-1")) == len(files)


def test_a_store_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="Not a directory"):
        put(tmp_path, tmp_path / "file" / "store")


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from export_pipelines_tests.test_store import publish, stage

staging, store, moment = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
fsync, calls = os.fsync, []

def die_later(handle):
    fsync(handle)
    calls.append(handle)
    if len(calls) == moment:
        os.kill(os.getpid(), signal.SIGKILL)

def die_in_the_middle(source, target):
    data = Path(source).read_bytes()
    if len(calls) + 1 < moment:
        return Path(target).write_bytes(data)
    Path(target).write_bytes(data[:len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

os.fsync = die_later
if sys.argv[4] == "copy":
    shutil.copyfile = die_in_the_middle
publish(stage(staging), store, staging / 'manifest')
"""


@pytest.mark.parametrize(
    ("moment", "where"), [(1, "flush"), (3, "flush"), (4, "flush"), (3, "copy")]
)
def test_a_killed_process_leaves_no_manifest_and_only_whole_files(
    tmp_path: Path, store: Path, moment: int, where: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "staging", store, str(moment), where],
        check=False,
        capture_output=True,
        text=True,
    )
    named = {path.name: path for path in (store / "run-1").glob("[!.]*")}
    expected = {file.name: file for file in stage(tmp_path / "again")}
    if done.returncode == 0:
        # Nothing is copied on the same disk.
        assert where == "copy"
        assert len(named) == len(expected) + 1
        return
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert set(named) <= set(expected)
    for name, path in named.items():
        assert path.read_bytes() == Path(expected[name].path).read_bytes()
