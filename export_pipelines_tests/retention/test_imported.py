import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from export_pipelines import settings
from export_pipelines.catalog.database import create_schema
from export_pipelines.imports import drop_folder
from export_pipelines.imports.uploads import keep_upload
from export_pipelines.retention.imported import ended_files, imported_at, old_imports
from export_pipelines_tests.importer import Importer, write_csv
from export_pipelines_tests.retention.past import (
    DAY,
    IMPORT,
    Past,
    Status,
    age_files,
    removed_after,
)


def moment(days: float) -> str:
    return f"{datetime.now(timezone.utc) - timedelta(days=days):%Y%m%dT%H%M%SZ}"


def ended(end: str, days: float, name: str = "a.csv", written: float | None = None) -> Path:
    """Leave an imported file of so many days ago, with its report."""
    folder = settings.imports_folder() / end / "products"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{moment(days)}-0a1b2c3d-{name}"
    for ending in ("", ".report.json", *([".failed_rows.csv"] if end == "failed" else [])):
        path = file.with_name(f"{file.name}{ending}")
        path.write_bytes(b"x" * 10)
        age = days if written is None else written
        stamp = datetime.now(timezone.utc).timestamp() - age * 86_400
        os.utime(path, (stamp, stamp))
    return file


def left() -> list[str]:
    root = settings.imports_folder()
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_old_files_go_with_what_is_said_about_them(past: Past) -> None:
    done, failed = ended("done", 91), ended("failed", 91)
    new = ended("done", 89)
    pruned = past.prune()["imports"]
    assert (pruned.count, pruned.bytes, pruned.failed) == (2, 50, 0)
    names = [name for name, _ in pruned.listed]
    assert names == [f"done/products/{done.name}", f"failed/products/{failed.name}"]
    assert left() == [f"done/products/{new.name}", f"done/products/{new.name}.report.json"]
    assert past.removed("imports") == []


def test_uploads_go_unless_a_run_waits_for_them(past: Past) -> None:
    old, waiting, new = (keep_upload("a.csv", iter([b"x" * 10])) for _ in range(3))
    for file in (old, waiting):
        stamp = time.time() - 91 * DAY
        os.utime(file, (stamp, stamp))
    config = {"files": [str(waiting)]}
    past.record(91, Status.QUEUED, job="import_products", config=config, tags=IMPORT)
    pruned = past.prune()["imports"]
    assert [name for name, _ in pruned.listed] == [f"uploads/{old.parent.name}"]
    assert not old.parent.exists()
    assert waiting.exists()
    assert new.exists()


def test_a_file_written_long_before_it_was_dropped_stays(past: Past) -> None:
    """Dropping keeps a file's times: nobody may lose what was imported yesterday."""
    file = ended("done", 1, written=4_000)
    assert past.removed("imports") == []
    assert file.exists()


def test_failed_rows_that_somebody_corrects_stay(past: Past) -> None:
    file = ended("failed", 400)
    rows = file.with_name(f"{file.name}.failed_rows.csv")
    rows.write_text("corrected")
    assert past.removed("imports") == []
    assert file.exists()


def test_what_is_left_of_a_half_removed_file_goes(past: Past) -> None:
    file = ended("failed", 91)
    file.unlink()
    assert past.removed("imports") == [f"failed/products/{file.name}.report.json"]
    assert left() == []


def test_files_that_wait_or_are_worked_on_stay(past: Past) -> None:
    root = settings.imports_folder()
    for place in ("incoming/products", f"processing/{moment(400)}-{uuid4()}/products"):
        (root / place).mkdir(parents=True)
        (root / place / f"{moment(400)}-0a1b2c3d-a.csv").touch()
    age_files(root, 400)
    before = left()
    assert past.removed("imports") == []
    assert left() == before
    assert len(before) == 2


def test_files_of_other_names_stay(past: Past) -> None:
    folder = settings.imports_folder() / "done" / "products"
    folder.mkdir(parents=True)
    for name in ("mine.csv", "99999999T999999Z-0a1b2c3d-a.csv", "20200101T000000Z-a"):
        (folder / name).touch()
    (folder / "20200101T000000Z-0a1b2c3d-link.csv").symlink_to(folder / "mine.csv")
    (folder / "20200101T000000Z-0a1b2c3d-folder.csv").mkdir()
    age_files(folder, 400)
    before = left()
    assert past.removed("imports") == []
    assert left() == before


def test_a_file_that_an_active_run_imports_once_more_stays(past: Past) -> None:
    file = ended("done", 400)
    config = {"files": [str(file)]}
    run = past.record(0, Status.QUEUED, job="import_products", config=config, tags=IMPORT)
    assert past.removed("imports") == []
    past.instance.delete_run(run)
    assert past.removed("imports") == [f"done/products/{file.name}"]


def test_a_file_that_is_imported_once_more_meanwhile_stays(past: Past) -> None:
    file, other = ended("done", 91), ended("done", 91, "b.csv")

    def begin() -> None:
        config = {"files": [str(file)]}
        past.record(0, Status.QUEUED, job="import_products", config=config, tags=IMPORT)

    found = old_imports(past.instance, time.time() - 90 * DAY)
    assert removed_after(found, begin) == [f"done/products/{other.name}"]
    assert file.exists()


def test_reports_that_are_written_meanwhile_stay(past: Past) -> None:
    reports = settings.imports_folder() / "reports"
    written, other = str(uuid4()), str(uuid4())
    for run_id in (written, other):
        (reports / run_id).mkdir(parents=True)
        (reports / run_id / "a.csv.report.json").write_bytes(b"{}")
        age_files(reports / run_id, 91)
    found = old_imports(past.instance, time.time() - 90 * DAY)
    removed = removed_after(found, lambda: age_files(reports / written, 0))
    assert removed == [f"reports/{other}"]
    assert (reports / written / "a.csv.report.json").exists()


def test_reports_of_other_files(past: Past) -> None:
    reports = settings.imports_folder() / "reports"
    old, new, at_work = str(uuid4()), str(uuid4()), past.record(400, Status.STARTED)
    for run_id in (old, new, at_work, "mine"):
        (reports / run_id / "2").mkdir(parents=True)
        (reports / run_id / "2" / "a.csv.report.json").write_bytes(b"{}")
        age_files(reports / run_id, 89 if run_id == new else 91)
    assert past.removed("imports") == [f"reports/{old}"]
    assert {path.name for path in reports.iterdir()} == {new, at_work, "mine"}


def test_a_real_import_is_found_where_it_ended(past: Past, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    create_schema(url)
    incoming = settings.imports_folder() / "incoming" / "suppliers"
    incoming.mkdir(parents=True)
    dropped = write_csv(incoming / "s.csv", ["code", "name"], ["A", "Acme"])
    importer = Importer(tmp_path, past.instance)
    importer.succeed(url, "suppliers", dropped)
    other = write_csv(tmp_path / "t.csv", ["code", "name"], ["B", "Bee"])
    importer.succeed(url, "suppliers", other)
    age_files(settings.imports_folder() / "reports", 91)
    age_files(settings.imports_folder() / "done", 91)
    kept = left()
    assert [name.partition("/")[0] for name in kept] == ["done", "done", "reports"]
    assert len(past.removed("imports")) == 1, "the dropped one was imported today"
    assert left() == kept[:2]
    for path in list((settings.imports_folder() / "done" / "suppliers").iterdir()):
        path.rename(path.with_name(f"{moment(91)}{path.name[16:]}"))
    assert len(past.removed("imports")) == 1
    assert left() == []
    assert other.exists()


@given(st.lists(st.sampled_from(["", ".report.json", ".failed_rows.csv", ".failed_rows.jsonl"])))
def test_each_file_is_met_once_whatever_is_beside_it(endings: list[str]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        names = {f"20200101T000000Z-0a1b2c3d-{stem}{end}" for stem in "ab" for end in endings}
        for each in names:
            (folder / each).touch()
        found = [file.name for files in ended_files(folder) for file in files]
        assert sorted(found) == sorted(names)
        assert len(list(ended_files(folder))) == 2 * bool(endings)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=200))
def test_names_of_imports_tell_when_and_others_nothing(name: str) -> None:
    run = str(uuid4())
    claim = drop_folder.claim_name(run, datetime(2026, 1, 31, 9, tzinfo=timezone.utc))
    taken = drop_folder.Taken(Path(claim), "products", Path(claim, f"x{name}"))
    end = Path(drop_folder.end_name(taken))
    assert imported_at(end) == datetime(2026, 1, 31, 9, tzinfo=timezone.utc).timestamp()
    assert imported_at(Path(f"x{name}")) is None
