import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.catalog.sample import generate
from export_pipelines.errors import (
    ExportPipelinesError,
    NotRegistered,
    PlatformUnavailable,
    RequestError,
    StorageUnavailable,
)
from export_pipelines.platforms.local import Local
from export_pipelines.resources import ExportStore
from export_pipelines.runs.files import (
    Download,
    FilesRemoved,
    NoFiles,
    NotCompleted,
    find_download,
)
from export_pipelines.runs.views import ExportJob, JobError, JobFile
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.exports import Exporter


@dataclass(frozen=True)
class Made:
    """Exports in one store."""

    folder: Path
    one: ExportJob
    several: ExportJob

    @property
    def store(self) -> ExportStore:
        return ExportStore(folder=str(self.folder))

    def content(self, job: ExportJob, name: str) -> bytes:
        return (self.folder / job.folder / name).read_bytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Export once for all tests, which do not change what is there."""
    folder = tmp_path_factory.mktemp("made")
    url = f"sqlite:///{folder / 'shop.db'}"
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("EXPORT_PIPELINES_HOME", str(folder / "home"))
        generate(url, products=20, orders=2)
        exporter = Exporter(folder, instance)
        export = partial(exporter.job, url, "csv", resource_type="suppliers")

        yield Made(exporter.store, export(), export(max_rows_per_file=5))


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Made:
    """Copy the store, so that it can be damaged."""
    for job in (made.one, made.several):
        (tmp_path / "copied" / job.folder).mkdir(parents=True)
        for file in job.files:
            target = tmp_path / "copied" / job.folder / file.name
            target.write_bytes(made.content(job, file.name))
    return Made(tmp_path / "copied", made.one, made.several)


def changed(job: ExportJob, **values: Any) -> ExportJob:
    return job.model_copy(update=values)


def refused(kind: type[ExportPipelinesError], job: ExportJob, part: str = "") -> str:
    with pytest.raises(ExportPipelinesError) as caught:
        find_download(job, part, ExportStore(folder="/nowhere"))
    assert type(caught.value) is kind
    return str(caught.value)


def read(download: Download, file: JobFile) -> bytes:
    with download.open_file(file) as source:
        return source.read()


def open_below(folder: Path) -> list[Path]:
    """Return what this process has open in a folder."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(each.readlink())
    return [path for path in found if folder in path.parents]


def test_files_of_a_folder_are_opened_where_they_are(made: Made) -> None:
    (file,) = made.one.files
    download = find_download(made.one, "", made.store)

    assert list(download.files) == [file]
    assert (download.folder, download.link) == (made.folder / made.one.id, None)
    assert read(download, file) == made.content(made.one, file.name)
    assert open_below(made.folder) == []


def test_all_files_or_one_of_them_can_be_chosen(made: Made) -> None:
    files = made.several.files
    whole = find_download(made.several, "", made.store)
    second = find_download(made.several, files[1].name, made.store)

    assert len(files) > 2
    assert list(whole.files) == files
    assert list(second.files) == [files[1]]
    assert read(second, files[1]) == made.content(made.several, files[1].name)


def test_the_store_is_that_of_the_settings(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageUnavailable):
        find_download(made.one, "")

    settings.home_folder().mkdir()
    settings.exports_folder().symlink_to(made.folder)
    assert find_download(made.one, "").folder == settings.exports_folder() / made.one.id


def test_exports_that_have_no_files_say_why_and_what_to_do(made: Made) -> None:
    job = changed(made.one, files=[])
    running = changed(job, status="processing", state="in_progress", progress=40)
    failed = changed(
        job, status="failed", error=JobError(error_code="no_records", detail="No supplier matches.")
    )
    removed = changed(job, files_removed_at="2026-03-01T12:00:00.000Z")

    assert refused(NotCompleted, running) == (
        f"Export {job.id} is not completed yet, 40 % of it are done: read it again until its "
        "status is completed, then download it."
    )
    assert refused(NoFiles, failed) == (
        f"Export {job.id} has failed, so there is nothing to download. No supplier matches."
    )
    assert refused(NoFiles, changed(job, status="failed")).endswith("Its run has the reason.")
    assert refused(NoFiles, changed(job, status="cancelled")) == (
        f"Export {job.id} was cancelled, so there is nothing to download: start it again."
    )
    assert refused(FilesRemoved, removed) == (
        f"The files of export {job.id} were removed at 2026-03-01T12:00:00.000Z, as they were old: "
        "export again."
    )
    assert refused(NoFiles, job) == (
        f"The record of export {job.id} does not name its files: export again."
    )


@pytest.mark.parametrize(
    "part", ["suppliers.cvs", "../suppliers.csv", "manifest.json", ".", "..", "\x00", "x" * 10_000]
)
def test_a_part_that_does_not_exist_is_refused(made: Made, part: str) -> None:
    (file,) = made.one.files
    said = refused(NotRegistered, made.one, part)

    assert said.startswith("There is no file '")
    assert said.endswith(f"Choose from {file.name}.")
    assert len(said) < 300


def test_of_very_many_parts_not_all_are_named(made: Made) -> None:
    names = [f"part-{number}.csv" for number in range(2_000)]
    files = [JobFile(name=name, rows=1, bytes=1, sha256="ab") for name in names]

    assert refused(NotRegistered, changed(made.one, files=files), "part-x.csv") == (
        f"There is no file 'part-x.csv': read export {made.one.id}, which names its 2,000 files."
    )


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b", "..", "", "a\nb"])
def test_a_record_that_names_other_places_is_not_followed(made: Made, name: str) -> None:
    file = JobFile(name=name, rows=1, bytes=1, sha256="ab")

    refused(NoFiles, changed(made.one, files=[file]), name)
    refused(NoFiles, changed(made.one, files=[*made.one.files, file]))


def test_a_link_out_of_the_folder_is_not_followed(copied: Made, tmp_path: Path) -> None:
    (file,) = copied.one.files
    path = copied.folder / copied.one.id / file.name
    path.replace(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StorageUnavailable, match="is not in the export store"):
        find_download(copied.one, "", copied.store)


def test_a_missing_file_is_an_error_of_the_store(copied: Made) -> None:
    missing = copied.several.files[-1]
    (copied.folder / copied.several.id / missing.name).unlink()

    with pytest.raises(StorageUnavailable) as caught:
        find_download(copied.several, "", copied.store)
    assert str(caught.value) == (
        f"{missing.name} of export {copied.several.id} is not in the export store: it was removed "
        "there, or another store is set in EXPORT_PIPELINES_STORE or EXPORT_PIPELINES_HOME now. "
        "Put it back, or export again."
    )
    assert find_download(copied.several, copied.several.files[0].name, copied.store).files


@pytest.mark.parametrize("by", [-1, 1])
def test_a_file_of_another_size_is_an_error_of_the_store(copied: Made, by: int) -> None:
    (file,) = copied.one.files
    path = copied.folder / copied.one.id / file.name
    opened = find_download(copied.one, "", copied.store)
    os.truncate(path, file.bytes + by)

    sentence = f"has {file.bytes + by:,} bytes in the export store instead of {file.bytes:,}"
    with pytest.raises(StorageUnavailable, match=sentence):
        find_download(copied.one, "", copied.store)
    with pytest.raises(StorageUnavailable, match=sentence):
        opened.open_file(file)
    assert open_below(copied.folder) == []


def test_a_file_that_goes_before_it_is_opened_is_an_error_of_the_store(copied: Made) -> None:
    (file,) = copied.one.files
    opened = find_download(copied.one, "", copied.store)
    (copied.folder / copied.one.id / file.name).unlink()

    with pytest.raises(StorageUnavailable, match="is not in the export store"):
        opened.open_file(file)


def test_a_folder_that_cannot_be_read_is_an_error_of_the_store(
    copied: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied.folder / copied.one.id
    (path / copied.one.files[0].name).unlink()
    path.rmdir()
    path.symlink_to(path.name)

    with pytest.raises(StorageUnavailable, match="cannot be read in the export store: Too many"):
        find_download(copied.one, "", copied.store)


def on_platform(copied: Made, monkeypatch: pytest.MonkeyPatch) -> ExportStore:
    name_platforms({"archive": Local(folder=str(copied.folder))}, monkeypatch)
    monkeypatch.setattr(Local, "location", property(lambda platform: "nas://archive"))
    return ExportStore(platform="archive")


def test_a_platform_that_signs_nothing_is_read_by_way_of_a_copy(
    copied: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = on_platform(copied, monkeypatch)
    download = find_download(copied.several, "", store)

    assert (download.folder, download.link) == (None, None)
    for file in copied.several.files:
        with download.open_file(file) as source:
            assert len(open_below(settings.staging_folder())) == 1
            assert list(settings.staging_folder().iterdir()) == []
            assert source.read() == copied.content(copied.several, file.name)
        assert open_below(settings.staging_folder()) == []


def test_what_a_platform_lacks_is_an_error_of_the_store(
    copied: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = on_platform(copied, monkeypatch)
    (file,) = copied.one.files
    path = copied.folder / copied.one.id / file.name
    before = find_download(copied.one, "", store)
    os.truncate(path, 1)

    with pytest.raises(StorageUnavailable, match="has 1 bytes in the export store"):
        find_download(copied.one, "", store)
    with pytest.raises(StorageUnavailable, match="has 1 bytes in the export store"):
        before.open_file(file)
    path.unlink()
    with pytest.raises(StorageUnavailable, match="is not in the export store"):
        find_download(copied.one, "", store)
    with pytest.raises(StorageUnavailable, match="is not in the export store"):
        before.open_file(file)
    assert list(settings.staging_folder().iterdir()) == []


def test_a_copy_that_cannot_be_written_is_an_error_of_the_store(
    copied: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = find_download(copied.one, "", on_platform(copied, monkeypatch))
    settings.home_folder().mkdir()
    settings.staging_folder().touch()

    with pytest.raises(StorageUnavailable, match="Files cannot be written"):
        download.open_file(copied.one.files[0])


def test_errors_of_a_platform_are_its_own(copied: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    store = on_platform(copied, monkeypatch)

    def unavailable(*_: object) -> None:
        raise PlatformUnavailable("The server does not answer.")

    monkeypatch.setattr(Local, "connect", unavailable)
    with pytest.raises(PlatformUnavailable):
        find_download(copied.one, "", store)


def test_errors_are_told_apart_by_their_codes() -> None:
    assert issubclass(NotCompleted, RequestError)
    assert [kind.code for kind in (NotCompleted, NoFiles, FilesRemoved)] == [
        "not_completed",
        "no_files",
        "files_removed",
    ]
