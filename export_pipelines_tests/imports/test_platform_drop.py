import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.catalog.database import create_schema
from export_pipelines.errors import FileRefused, PlatformError, PlatformUnavailable, RequestError
from export_pipelines.imports import claiming, drop_folder, platform_drop, takeovers
from export_pipelines.imports.applying import apply_file
from export_pipelines.imports.artifacts import ImportRequest, Loaded
from export_pipelines.imports.origins import Origin, add_note, origins
from export_pipelines.ops import ingest
from export_pipelines_tests.contracts.platforms import assert_hides_secrets, start_target
from export_pipelines_tests.imports.platform_process import POINTS
from export_pipelines_tests.imports.watched import (
    HEADER,
    NAME,
    RESOURCE_TYPE,
    Watched,
    applied,
    local_files,
    make_shop,
    rows,
)
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.servers.targets import Target, Targets

GOOD = HEADER + b"A,Apple,live,physical\nB,Bean,draft,physical\n"
OTHER = HEADER + b"A,Ample,live,physical\nB,Beam,draft,physical\n"
"""Another content of the same size."""

BAD = HEADER + b"A,Apple,live,physical\nB,Bean,raw,physical\n"
CLAIM = drop_folder.claim_name("run", datetime(2026, 1, 31, 9, tzinfo=timezone.utc))


@pytest.fixture(params=["local", "sftp-asyncssh", "s3-seaweed", "ftp-pyftpdlib", "gdrive-emulator"])
def target(request: pytest.FixtureRequest, targets: Targets) -> Target:
    return start_target(targets, request.param)


@pytest.fixture
def local(targets: Targets) -> Target:
    return targets["local"]


@pytest.fixture
def sftp(targets: Targets) -> Target:
    return targets["sftp-asyncssh"]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as found:
        yield found


@pytest.fixture
def watched(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: Targets
) -> Watched:
    """Watch a folder of the local platform; `watch` takes another."""
    make_shop(tmp_path, monkeypatch)
    parent = f"test-{uuid4().hex[:12]}"
    found = Watched(targets["local"].platform, parent, instance, tmp_path, monkeypatch)
    found.name()
    found.rule()
    return found


def watch(watched: Watched, target: Target) -> Watched:
    watched.platform = target.platform
    watched.name()
    return watched


def ends(watched: Watched, end: str) -> list[str]:
    """Return the own names of the files in `done` or `failed` of the platform."""
    return [name.split("-", 2)[2] for name in watched.names(f"{end}/{RESOURCE_TYPE}")]


def assert_ended_once(watched: Watched, name: str = "stock.csv") -> None:
    assert watched.names("incoming") == []
    assert ends(watched, "done") == [name, f"{name}.report.json"]
    assert ends(watched, "failed") == []
    assert [found.split("-", 2)[2] for found in local_files("done")] == [name]
    assert local_files("failed") == []
    assert not list((drop_folder.root() / "processing").iterdir())
    assert applied() == 1
    assert sorted(str(row["name"]) for row in rows("products")) == ["Apple", "Bean"]


def test_a_file_ends_in_done_beside_the_folder(watched: Watched, target: Target) -> None:
    watch(watched, target)
    watched.drop("stock.csv", GOOD)
    [run] = watched.import_all()
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert_ended_once(watched)
    file, report = watched.names(f"done/{RESOURCE_TYPE}")
    assert watched.content(f"done/{RESOURCE_TYPE}/{file}") == GOOD
    assert json.loads(watched.content(f"done/{RESOURCE_TYPE}/{report}"))["created"] == 2
    assert watched.said() == "No file is ready."
    # The folder is still there, where platforms have such.
    assert [name for name, _ in rclone.files(target, watched.folder)] == [".keep"]


@pytest.mark.parametrize("name", ["local", "sftp-asyncssh", "s3-seaweed"])
def test_a_bad_file_ends_in_failed_with_its_failed_rows(
    watched: Watched, targets: Targets, name: str
) -> None:
    watch(watched, targets[name])
    watched.drop("stock.csv", BAD)
    [run] = watched.import_all()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert watched.names("incoming") == []
    assert ends(watched, "done") == []
    assert ends(watched, "failed") == [
        "stock.csv",
        "stock.csv.failed_rows.csv",
        "stock.csv.report.json",
    ]
    _, failed_rows, _ = watched.names(f"failed/{RESOURCE_TYPE}")
    assert b"'raw' is none of" in watched.content(f"failed/{RESOURCE_TYPE}/{failed_rows}")
    assert watched.said() == "No file is ready."


def test_the_options_of_the_rule_hold(watched: Watched) -> None:
    watched.rule(on_error="skip", max_error_ratio=0.5)
    watched.drop("stock.csv", BAD)
    [run] = watched.import_all()
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert ends(watched, "done")[:2] == ["stock.csv", "stock.csv.failed_rows.csv"]
    assert [row["name"] for row in rows("products")] == ["Apple"]


def test_secrets_are_in_nothing_that_is_kept(watched: Watched, target: Target) -> None:
    watch(watched, target)
    watched.drop("stock.csv", GOOD)
    [request] = watched.ready()
    taken = platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM)
    assert taken
    notes = [path.read_text() for path in taken.claim.rglob("*.json")]
    assert notes
    kept = [str(watched.cursor), json.dumps(request.run_config), str(request.tags), *notes]
    assert_hides_secrets(target, "\n".join(kept))
    assert not any(target.platform.location in each for each in kept)


def origin(watched: Watched, name: str = "stock.csv") -> Origin:
    return Origin(NAME, watched.folder, name)


def test_the_same_name_and_size_again_is_another_import(watched: Watched) -> None:
    for _ in range(4):
        watched.drop("stock.csv", GOOD)
        [run] = watched.import_all()
        assert run.status is dg.DagsterRunStatus.SUCCESS
    assert ends(watched, "done").count("stock.csv") == 4
    assert applied() == 4
    assert len({request.run_key for request in watched.requests}) == 4


@pytest.mark.parametrize("other", [OTHER, OTHER + b"C,Corn,live,physical\n"])
def test_what_replaces_a_file_meanwhile_stays_and_is_imported_next(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, other: bytes
) -> None:
    def replaced(*args: object, **options: object) -> Loaded:
        watched.drop("stock.csv", other)
        return apply_file(*args, **options)  # type: ignore[arg-type]

    watched.drop("stock.csv", GOOD)
    [request] = watched.ready()
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "apply_file", replaced)
        assert watched.run(request).status is dg.DagsterRunStatus.SUCCESS
    assert watched.names("incoming") == ["stock.csv"]
    assert watched.content("incoming/stock.csv") == other
    assert "Apple" in {row["name"] for row in rows("products")}
    [again] = watched.import_all()
    assert again.status is dg.DagsterRunStatus.SUCCESS
    assert watched.names("incoming") == []
    assert "Ample" in {row["name"] for row in rows("products")}
    assert applied() == 2


def test_a_platform_that_is_away_at_the_end_is_waited_for(
    watched: Watched, sftp: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sftp.through
    with sftp.through(free_port()) as away:

        def leave(*args: object, **options: object) -> Loaded:
            loaded = apply_file(*args, **options)  # type: ignore[arg-type]
            watched.name(away)
            return loaded

        watch(watched, sftp).drop("stock.csv", GOOD)
        [request] = watched.ready()
        with monkeypatch.context() as patched:
            patched.setattr(ingest, "apply_file", leave)
            run = watched.run(request)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["import/error_code"] == PlatformUnavailable.code
    assert run.tags["import/error"].startswith("stock.csv: ")
    for _ in range(5):
        assert watched.said().startswith(f"{NAME}: ")
    assert applied() == 1
    watched.name()
    assert watched.names("incoming") == ["stock.csv"]
    assert watched.wanted() == []
    monkeypatch.setattr(takeovers, "_FIRST_PAUSE_SECONDS", 0)
    [again] = watched.wanted()
    assert watched.run(again).status is dg.DagsterRunStatus.SUCCESS
    assert_ended_once(watched)
    assert watched.said() == "No file is ready."


@pytest.mark.parametrize("point", list(POINTS))
def test_a_killed_import_ends_once_and_is_applied_once(
    watched: Watched, sftp: Target, point: str, tmp_path: Path
) -> None:
    watch(watched, sftp).drop("stock.csv", GOOD)
    [request] = watched.ready()
    run_id = str(uuid4())
    asked = {"point": point, "job": request.job_name, "config": request.run_config}
    command = [sys.executable, "-m", "export_pipelines_tests.imports.platform_process"]
    command += [str(tmp_path / "dagster"), json.dumps({**asked, "run_id": run_id})]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = watched.names("incoming")
    assert left == ([] if point in ("deleted", "moved") else ["stock.csv"])
    # While Dagster takes the run for one that is at work, and then until the claim has ended.
    assert watched.wanted() == []
    run = watched.instance.get_run_by_id(run_id)
    assert run
    watched.instance.report_run_failed(run)
    assert [run.status for run in watched.import_all()] == (
        [] if point == "moved" else [dg.DagsterRunStatus.SUCCESS]
    )
    assert watched.said() == "No file is ready."
    assert_ended_once(watched)


def test_another_end_than_that_of_the_run_before_is_the_only_one(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    taken = platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM)
    assert taken
    beside = {".report.json": b"{}", ".failed_rows.csv": b"A"}
    platform_drop.settle(taken, "run", succeeded=False, beside=beside)
    assert len(ends(watched, "failed")) == 3
    platform_drop.settle(taken, "another", succeeded=True, beside={".report.json": b"{}"})
    assert ends(watched, "failed") == []
    assert ends(watched, "done") == ["stock.csv", "stock.csv.report.json"]


def test_a_file_that_is_given_up_ends_in_failed_on_its_platform(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    taken = platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM)
    assert taken
    create_schema(settings.database_url())
    claiming.give_up(taken, "Nobody wants it.", "2026-01-31T09:00:00Z")
    assert ends(watched, "failed") == ["stock.csv", "stock.csv.report.json"]
    assert watched.names("incoming") == []
    assert drop_folder.claims() == []


def test_of_two_runs_one_has_the_file(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    request = ImportRequest(RESOURCE_TYPE)
    now = datetime.now(timezone.utc)
    first = claiming.claim_file(request, str(origin(watched)), "one", 1, now)
    second = claiming.claim_file(request, str(origin(watched)), "two", 1, now)
    assert first
    assert first.name == "stock.csv"
    assert Path(first.path).read_bytes() == GOOD
    assert second is None
    assert len(drop_folder.claims()) == 1
    assert origins() == {origin(watched)}


def test_a_file_that_is_gone_leaves_no_claim(watched: Watched) -> None:
    assert platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM) is None
    assert drop_folder.claims() == []


def test_two_files_of_one_name_need_two_runs(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    request = ImportRequest(RESOURCE_TYPE)
    platform_drop.take(origin(watched), request, CLAIM)
    watched.parent = f"{watched.parent}/more"
    watched.drop("stock.csv", OTHER)
    with pytest.raises(RequestError, match=r"are called stock\.csv: import them by two runs\."):
        platform_drop.take(origin(watched), request, CLAIM)
    assert len(origins()) == 1


def test_a_file_that_is_too_large_is_not_copied(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.drop("stock.csv", GOOD)
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", str(len(GOOD) - 1))
    with pytest.raises(FileRefused, match=f"has {len(GOOD)} bytes; imported files may have"):
        platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM)
    assert drop_folder.claims() == []
    assert watched.names("incoming") == ["stock.csv"]


def test_a_file_that_grows_while_it_is_copied_is_not_taken(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.drop("stock.csv", GOOD)

    def grow(*args: object) -> bool:
        watched.drop("stock.csv", GOOD + b"C,Corn,live,physical\n")
        return add_note(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(platform_drop, "add_note", grow)
    with pytest.raises(PlatformUnavailable, match="changed while it was read"):
        platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM)
    assert drop_folder.claims() == []


def test_a_platform_that_refuses_at_the_end_keeps_the_file(watched: Watched, local: Target) -> None:
    watched.drop("stock.csv", GOOD)
    taken = platform_drop.take(origin(watched), ImportRequest(RESOURCE_TYPE), CLAIM)
    assert taken
    in_the_way = Path(local.platform.location) / watched.parent / "done"
    in_the_way.write_bytes(b"no folder")
    with pytest.raises(PlatformError):
        platform_drop.settle(taken, "run", succeeded=True, beside={})
    assert watched.names("incoming") == ["stock.csv"]
    assert taken.path.read_bytes() == GOOD
    in_the_way.unlink()
    platform_drop.settle(taken, "run", succeeded=True, beside={})
    assert ends(watched, "done") == ["stock.csv"]
