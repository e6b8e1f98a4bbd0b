"""Runs that deliver: what is where afterwards, what is tried again, what a failure leaves."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import pytest

from export_pipelines import settings
from export_pipelines.definitions import defs
from export_pipelines.platforms.local import Local
from export_pipelines.platforms.minio import Minio
from export_pipelines_tests.deliveries import as_delivered, below, name_platforms
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.platforms.test_faults import SIZES
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.faults import Fault, proxy_of, reached_through
from export_pipelines_tests.servers.targets import Targets

PARTS = ["products-00001.csv", "products-00002.csv", "products-00003.csv"]
MANIFEST = "products.csv.manifest.json"
CUT = {"fields": ["id", "name"], "max_rows_per_file": 500}


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Name two platforms that are folders."""
    made = {name: tmp_path / name for name in ("north", "south")}
    for folder in made.values():
        folder.mkdir()
    platforms = {name: Local(folder=str(folder)) for name, folder in made.items()}
    name_platforms(platforms, monkeypatch)
    return made


@pytest.fixture
def refused() -> Iterator[int]:
    """Name a port that refuses connections: taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def unreachable(port: int) -> Minio:
    return Minio(
        endpoint_url=f"http://127.0.0.1:{port}",
        bucket="exports",
        access_key="user",
        secret_key="password",
    )


def test_every_platform_gets_all_files_and_the_manifest(
    exporter: Exporter, sqlite_shop: str, folders: dict[str, Path]
) -> None:
    exported = exporter.succeed(sqlite_shop, "csv", platforms=["north", "south"], **CUT)
    manifest = (exported.folder / "manifest.json").read_bytes()
    for folder in folders.values():
        assert names(folder) == [*PARTS, MANIFEST]
        assert (folder / MANIFEST).read_bytes() == manifest
        for name in PARTS:
            assert (folder / name).read_bytes() == (exported.folder / name).read_bytes()
    finished = exported.result.output_for_node("finish")
    assert [(one["platform"], one["files"]) for one in finished["deliveries"]] == [
        ("north", 3),
        ("south", 3),
    ]
    assert names(exporter.staging) == []
    assert exported.tags["export/progress"] == "100"


def test_deliveries_are_steps_that_say_what_they_did(
    exporter: Exporter, sqlite_shop: str, folders: dict[str, Path]
) -> None:
    exported = exporter.succeed(
        sqlite_shop, "csv", platforms=["north", {"local": {"folder": str(folders["south"])}}], **CUT
    )
    said = {
        event.step_key: {
            label: entry.value for label, entry in event.step_output_data.metadata.items()
        }
        for event in exported.result.all_node_events
        if event.is_successful_output and str(event.step_key).startswith("deliver")
    }
    size = sum(file.stat().st_size for file in exported.files)
    assert said.keys() == {"deliver[north]", "deliver[local]"}
    for one in said.values():
        assert (one["files"], one["bytes"], one["sent"]) == (3, size, size)
        assert one["verified"] == "sha256"
    assert said["deliver[north]"]["location"] == str(folders["north"])


def test_names_and_folders_follow_patterns(
    exporter: Exporter, sqlite_shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    platform = Local(folder=str(there), subfolder="{resource_type}/{run_id}")
    name_platforms({"there": platform}, monkeypatch)
    exported = exporter.succeed(
        sqlite_shop,
        "csv",
        platforms=["there"],
        file_name="{resource_type}-{run_id}-{part:03d}.{ext}",
        compression="gzip",
        **CUT,
    )
    run = exported.result.run_id
    assert names(there) == [
        *(f"products/{run}/products-{run}-00{part}.csv.gz" for part in (1, 2, 3)),
        f"products/{run}/products-{run}.csv.gz.manifest.json",
    ]


def test_an_export_of_the_same_name_replaces_the_one_before(
    exporter: Exporter, sqlite_shop: str, folders: dict[str, Path]
) -> None:
    north = folders["north"]
    exporter.succeed(sqlite_shop, "csv", platforms=["north"], **CUT)
    config = {**CUT, "max_rows_per_file": 1_000}
    exporter.succeed(sqlite_shop, "csv", platforms=["north"], **config)
    assert names(north) == [*PARTS[:2], MANIFEST]
    exporter.succeed(sqlite_shop, "csv", platforms=["north"], resource_type="suppliers")
    assert names(north) == [*PARTS[:2], MANIFEST, "suppliers.csv", "suppliers.csv.manifest.json"]


def test_exports_in_two_formats_leave_each_other_alone(
    exporter: Exporter, sqlite_shop: str, folders: dict[str, Path]
) -> None:
    for format_name in ("csv", "json", "zip"):
        exporter.succeed(sqlite_shop, format_name, platforms=["north"], fields=["id"])
    assert names(folders["north"]) == [
        "products.csv",
        "products.csv.manifest.json",
        "products.json",
        "products.json.manifest.json",
        "products.zip",
        "products.zip.manifest.json",
    ]


def test_a_platform_that_fails_fails_the_run_and_no_other_platform(
    exporter: Exporter, sqlite_shop: str, folders: dict[str, Path]
) -> None:
    folders["south"].rmdir()
    exported = exporter.run(sqlite_shop, "csv", platforms=["south", "north"], **CUT)
    assert not exported.result.success
    assert exported.tags["export/error_code"] == "platform_misconfigured"
    assert exported.error.startswith(f"south: folder: there is no folder {folders['south']}")
    assert names(folders["north"]) == [*PARTS, MANIFEST]
    assert names(exported.folder) == PARTS


def test_all_platforms_that_fail_are_named(
    exporter: Exporter, sqlite_shop: str, folders: dict[str, Path]
) -> None:
    for folder in folders.values():
        folder.rmdir()
    exported = exporter.run(sqlite_shop, "csv", platforms=["south", "north"], **CUT)
    assert exported.error.startswith("south: folder: there is no folder ")
    assert " north: folder: there is no folder " in exported.error


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (["east"], "platform_misconfigured", "There is no platform 'east'."),
        (["north", "north"], "request_invalid", "platforms names north more than once."),
    ],
)
def test_wrong_platforms_are_refused_before_anything_is_read(
    exporter: Exporter,
    sqlite_shop: str,
    folders: dict[str, Path],
    asked: Any,
    code: str,
    words: str,
) -> None:
    exported = exporter.run(sqlite_shop, "csv", platforms=asked, **CUT)
    assert (exported.tags["export/error_code"], exported.error[: len(words)]) == (code, words)
    assert "export/records_count" not in exported.tags
    assert not exported.folder.exists()


# PySocks leaves the socket of a broken handshake with an HTTPS proxy to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socks.socksocket:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("kind", ["reset", "stall"])
@pytest.mark.parametrize("name", list(SIZES))
def test_a_network_that_fails_for_a_moment_is_tried_again(
    exporter: Exporter,
    sqlite_shop: str,
    targets: Targets,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: Literal["reset", "stall"],
) -> None:
    target = targets[name]
    with (
        proxy_of(target) as proxy,
        reached_through(proxy, target, 2) as platform,
    ):
        name_platforms({"partner": below(platform, f"moment-{kind}")}, monkeypatch)
        proxy.order(Fault(kind, at=200_000))
        exported = exporter.succeed(
            sqlite_shop, "csv", platforms=["partner"], max_rows_per_file=500
        )
        assert proxy.fired == 1
    expected = as_delivered(exported.folder, exporter.folder / "expected")
    rclone.check(expected, target, f"moment-{kind}")
    assert "export/error" not in exported.tags


def test_a_try_again_is_an_event_of_the_run(
    exporter: Exporter, sqlite_shop: str, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = targets["sftp-asyncssh"]
    with (
        proxy_of(target) as proxy,
        reached_through(proxy, target, 5) as platform,
    ):
        name_platforms({"partner": platform}, monkeypatch)
        proxy.order(Fault("reset", at=20_000))
        exported = exporter.succeed(
            sqlite_shop, "csv", platforms=["partner"], file_name="again", **CUT
        )
    kinds = [event.event_type_value for event in exported.result.all_node_events]
    assert kinds.count("STEP_UP_FOR_RETRY") == 1
    assert "export/error" not in exported.tags


def test_a_platform_that_stays_away_is_reported_at_last(
    exporter: Exporter,
    sqlite_shop: str,
    refused: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name_platforms({"away": unreachable(refused)}, monkeypatch)
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda policy, attempt: 0)
    exported = exporter.run(sqlite_shop, "csv", platforms=["away"], **CUT)
    kinds = [event.event_type_value for event in exported.result.all_node_events]
    assert kinds.count("STEP_UP_FOR_RETRY") == 5
    assert exported.tags["export/error_code"] == "platform_unavailable"
    assert exported.error.startswith("away: ")
    assert names(exported.folder) == PARTS


def csv_job() -> dg.JobDefinition:
    return defs.resolve_job_def("export_csv")


def test_a_failed_delivery_resumes_with_what_is_missing(
    sqlite_shop: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    south = folders["south"]
    # A folder in the place of the second file lets the first one through.
    (south / PARTS[1] / "in the way").mkdir(parents=True)
    config = {**CUT, "platforms": ["north", "south"]}
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        job = dg.reconstructable(csv_job)
        with dg.execute_job(job, instance, run_config=config) as first:
            failed = [event.step_key for event in first.all_events if event.is_step_failure]
            assert failed == ["deliver[south]"]
        assert names(south) == [f".{MANIFEST}.pending", PARTS[0]]
        [store] = settings.exports_folder().iterdir()
        assert names(store) == PARTS
        sent_first = (south / PARTS[0]).stat().st_mtime_ns
        (south / PARTS[1] / "in the way").rmdir()
        (south / PARTS[1]).rmdir()
        options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        with dg.execute_job(
            job, instance, run_config=config, reexecution_options=options
        ) as second:
            done = [event.step_key for event in second.all_events if event.is_step_success]
            assert second.success
        assert done == ["deliver[south]", "finish"]
    assert (south / PARTS[0]).stat().st_mtime_ns == sent_first
    assert names(south) == [*PARTS, MANIFEST]
    assert names(store) == ["manifest.json", *PARTS]
    assert names(settings.staging_folder()) == []


def test_the_store_can_be_a_bucket(
    exporter: Exporter, sqlite_shop: str, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = targets["minio-seaweed"]
    name_platforms({"bucket": target.platform}, monkeypatch)
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", "bucket")
    job = defs.resolve_job_def("export_csv")
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    result = job.execute_in_process(run_config=CUT, instance=exporter.instance)
    finished = result.output_for_node("finish")
    there = dict(rclone.files(target, result.run_id))
    assert sorted(there) == ["manifest.json", *PARTS]
    assert finished["location"] == f"{target.platform.location}/{result.run_id}"
    stored = json.loads(rclone.cat(target, f"{result.run_id}/manifest.json"))
    assert stored == finished["manifest"]
    assert [file["bytes"] for file in stored["files"]] == [there[name] for name in PARTS]
    assert not settings.exports_folder().exists()


def test_a_store_that_is_away_is_tried_again_then_fails_the_run(
    sqlite_shop: str, refused: int, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_platforms({"bucket": unreachable(refused)}, monkeypatch)
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", "bucket")
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda policy, attempt: 0)
    result = defs.resolve_job_def("export_csv").execute_in_process(
        run_config=CUT, instance=exporter.instance, raise_on_error=False
    )
    run = exporter.instance.get_run_by_id(result.run_id)
    assert run
    assert not result.success
    assert run.tags["export/error_code"] == "platform_unavailable"


def test_check_platform_passes_and_leaves_nothing(
    exporter: Exporter, folders: dict[str, Path]
) -> None:
    result = defs.resolve_job_def("check_platform").execute_in_process(
        run_config={"platform": "north"}, instance=exporter.instance
    )
    [output] = [event for event in result.all_node_events if event.is_successful_output]
    table = output.step_output_data.metadata["steps"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(row.data["step"], row.data["outcome"]) for row in table.records] == [
        (step, "passed") for step in ("connect", "write", "list", "read", "delete")
    ]
    assert names(folders["north"]) == []


def test_check_platform_says_which_step_fails(exporter: Exporter, folders: dict[str, Path]) -> None:
    folders["north"].rmdir()
    result = defs.resolve_job_def("check_platform").execute_in_process(
        run_config={"platform": "north"}, instance=exporter.instance, raise_on_error=False
    )
    run = exporter.instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags["export/error"].startswith("north: connect: folder: there is no folder ")
    assert run.tags["export/error_code"] == "platform_misconfigured"
