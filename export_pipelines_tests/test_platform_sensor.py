from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
import yaml

from export_pipelines import settings
from export_pipelines.config import IMPORT_OPTIONS
from export_pipelines.imports import (
    drop_folder,
    platform_drop,
    platform_watching,
    takeovers,
    watching,
)
from export_pipelines.imports.artifacts import ImportRequest
from export_pipelines.imports.drop_folder import Taken
from export_pipelines.imports.origins import Origin
from export_pipelines.imports.takeovers import Ended, Tried
from export_pipelines.platform_sensor import SECONDS, import_platforms
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.imports.watched import (
    HEADER,
    NAME,
    RESOURCE_TYPE,
    Watched,
    make_shop,
    tags_of,
)
from export_pipelines_tests.recorded_runs import record_run
from export_pipelines_tests.servers.process import free_port
from export_pipelines_tests.servers.targets import Target, Targets

GOOD = HEADER + b"A,Apple,live,physical\n"
MORE = GOOD + b"B,Bean,live,physical\n"
CLAIM = f"20260131T090000Z-{uuid4()}"


@pytest.fixture
def watched(targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    make_shop(tmp_path, monkeypatch)
    parent = f"test-{uuid4().hex[:12]}"
    with dg.DagsterInstance.ephemeral() as instance:
        found = Watched(targets["local"].platform, parent, instance, tmp_path, monkeypatch)
        found.name()
        found.rule()
        yield found


@pytest.fixture
def sftp(targets: Targets) -> Target:
    return targets["sftp-asyncssh"]


def origin(watched: Watched, name: str = "stock.csv") -> str:
    return str(Origin(NAME, watched.folder, name))


def files(requests: list[dg.RunRequest]) -> list[list[str]]:
    return [request.run_config["files"] for request in requests]


def record(watched: Watched, request: dg.RunRequest, status: str, **more: str) -> None:
    """Record a run that was asked for, as Dagster does before it begins."""
    config = request.run_config
    run = record_run(watched.instance, str(request.job_name), status=status, config=config)
    tags = {**tags_of(request), "import/queue": "imports", **more}
    watched.instance.add_run_tags(run.run_id, tags)


def test_it_runs_by_itself() -> None:
    assert import_platforms.name == "import_platforms"
    assert import_platforms.minimum_interval_seconds == SECONDS == 30
    assert import_platforms.default_status is dg.DefaultSensorStatus.RUNNING


def test_it_does_nothing_without_a_rule(watched: Watched) -> None:
    settings.imports_file().unlink()
    assert watched.said() == "imports.yaml names no folder on a platform."
    assert watched.cursor == "{}"
    assert not drop_folder.root().exists()


def test_a_file_that_grows_waits(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    assert watched.wanted() == []
    watched.drop("stock.csv", MORE)
    assert watched.wanted() == []
    [request] = watched.wanted()
    assert request.job_name == f"import_{RESOURCE_TYPE}"
    assert request.run_config == {"files": [origin(watched)]}
    assert request.tags["import/file"] == "stock.csv"
    assert request.tags["import/source"] == "platform"


def test_unfinished_and_hidden_files_are_left_alone(watched: Watched) -> None:
    for name in ("stock.csv.part", "stock.TMP", "~stock.xlsx", "stock.csv.crdownload"):
        watched.drop(name, GOOD)
    assert watched.ready() == []
    assert watched.cursor == "{}"


def test_files_in_folders_of_the_folder_are_left_alone(watched: Watched) -> None:
    watched.drop("inner/stock.csv", GOOD)
    assert watched.ready() == []


@pytest.mark.parametrize("status", ["NOT_STARTED", "QUEUED", "STARTED", "CANCELING"])
def test_a_file_that_a_run_is_there_for_is_not_asked_for_again(
    watched: Watched, status: str
) -> None:
    watched.drop("stock.csv", GOOD)
    [request] = watched.ready()
    record(watched, request, status)
    assert [watched.wanted() for _ in range(4)] == [[]] * 4


def test_runs_that_never_had_the_file_are_asked_for_three_times(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    assert watched.wanted() == []
    for _ in range(3):
        [request] = watched.wanted()
        record(watched, request, "FAILURE")
    assert watched.said() == f"{origin(watched)} was asked for 3 times: see its runs."
    assert len({request.run_key for request in watched.requests}) == 3
    watched.drop("stock.csv", MORE)
    assert len(watched.ready()) == 1


def test_a_cancelled_run_is_not_asked_for_again(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    [request] = watched.ready()
    record(watched, request, "CANCELED")
    for _ in range(3):
        assert watched.said().startswith(f"{origin(watched)} was cancelled: move it away")
    with watched.connect() as connection:
        connection.delete(f"{watched.folder}/stock.csv")
    assert watched.said() == "No file is ready."
    watched.drop("stock.csv", GOOD)
    [again] = watched.ready()
    assert again.run_key != request.run_key


def test_a_file_that_is_too_large_stays(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", str(len(GOOD)))
    watched.drop("large.csv", MORE)
    watched.drop("stock.csv", GOOD)
    assert files(watched.ready()) == [[origin(watched)]]
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES", str(len(GOOD) - 1))
    record(watched, watched.requests[0], "STARTED")
    assert watched.said() == (
        f"{origin(watched, 'large.csv')} has {len(MORE)} bytes, more than {len(GOOD) - 1}."
    )
    monkeypatch.delenv("EXPORT_PIPELINES_MAX_IMPORT_BYTES")
    assert files(watched.wanted()) == [[origin(watched, "large.csv")]]


def test_many_files_share_runs(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_watching, "SINGLE_FILES", 2)
    monkeypatch.setattr(platform_watching, "BATCH_FILES", 3)
    names = [f"{number}.csv" for number in range(5)]
    folder = Path(watched.platform.location) / watched.folder
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(GOOD)
    requests = watched.ready()
    places = [origin(watched, name) for name in names]
    assert files(requests) == [places[:3], places[3:]]
    assert [request.tags["import/file"] for request in requests] == ["3 files", "2 files"]
    [first, _] = requests
    assert watched.run(first).status is dg.DagsterRunStatus.SUCCESS
    assert watched.names("incoming") == names[3:]
    assert drop_folder.claims() == []


def test_a_platform_that_is_away_keeps_no_other_from_being_looked_at(
    watched: Watched, sftp: Target
) -> None:
    assert sftp.through
    far = Watched(
        sftp.platform, watched.parent, watched.instance, watched.scratch, watched.monkeypatch
    )
    rules = [
        {"platform": name, "folder": watched.folder, "resource_type": RESOURCE_TYPE}
        for name in ("far", NAME)
    ]
    settings.imports_file().write_text(yaml.safe_dump({"platforms": rules}))
    both = {"far": sftp.platform, NAME: watched.platform}
    name_platforms(both, watched.monkeypatch)
    far.drop("far.csv", GOOD)
    assert watched.wanted() == []
    with sftp.through(free_port()) as away:
        name_platforms({**both, "far": away}, watched.monkeypatch)
        assert watched.said().startswith("far: ")
        watched.drop("stock.csv", GOOD)
        assert files(watched.ready()) == [[origin(watched)]]
    name_platforms(both, watched.monkeypatch)
    record(watched, watched.requests[0], "STARTED")
    # What had been seen before it was away is still known.
    assert files(watched.wanted()) == [[str(Origin("far", watched.folder, "far.csv"))]]


def test_a_wrong_file_of_rules_is_named_and_nothing_is_forgotten(watched: Watched) -> None:
    watched.drop("stock.csv", GOOD)
    assert watched.wanted() == []
    known = watched.cursor
    written = settings.imports_file().read_text()
    settings.imports_file().write_text("platforms: {}\nothers: []")
    assert watched.said() == (
        f"{settings.imports_file()} may have two keys, files and platforms, each with a list of "
        "rules."
    )
    assert watched.cursor == known
    settings.imports_file().write_text(written)
    assert len(watched.wanted()) == 1


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"format": "pdf"}, "imports.yaml does not fit"),
        ({"resource_type": "planets"}, "planets cannot be imported."),
        ({"platform": "partnr"}, "There is no platform 'partnr'. Did you mean partner?"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_named(
    watched: Watched, rule: dict[str, str], sentence: str
) -> None:
    watched.rule(**rule)
    watched.drop("stock.csv", GOOD)
    watched.look()
    assert sentence in watched.said()


@pytest.fixture
def left(watched: Watched) -> Taken:
    """Leave a file in its claim, as a run does that is killed."""
    watched.drop("stock.csv", GOOD)
    place = Origin(NAME, watched.folder, "stock.csv")
    taken = platform_drop.take(place, ImportRequest(RESOURCE_TYPE, on_error="skip"), CLAIM)
    assert taken
    drop_folder.release(taken.claim)
    return taken


def test_the_other_sensor_leaves_it_alone(left: Taken) -> None:
    assert left.path.exists()
    assert watching.left_behind(lambda claim: Tried(), [], IMPORT_OPTIONS) == ([], [])
    silent = Tried([Ended(0)] * 50)
    assert watching.left_behind(lambda claim: silent, [], IMPORT_OPTIONS) == ([], [])


def test_it_is_taken_over_without_a_rule_too(watched: Watched, left: Taken) -> None:
    settings.imports_file().unlink()
    [request] = watched.wanted()
    assert request.tags["import/claim"] == CLAIM
    assert watched.run(request).status is dg.DagsterRunStatus.SUCCESS
    assert watched.names("incoming") == []
    assert not left.claim.exists()


def test_runs_that_failed_because_of_the_platform_give_nothing_up(
    watched: Watched, left: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeovers, "_FIRST_PAUSE_SECONDS", 0)
    for _ in range(5):
        [request] = watched.wanted()
        record(watched, request, "FAILURE", **{"import/error_code": "platform_refused"})
    assert left.path.exists()


def test_a_file_that_every_run_dies_over_is_given_up_on_its_platform(
    watched: Watched, left: Taken
) -> None:
    for number in range(4):
        [request] = watched.wanted()
        assert request.run_config["files"] == [str(left.path)]
        assert request.run_config["on_error"] == "skip"
        assert request.run_key == f"{CLAIM}:{NAME}:{number}"
        record(watched, request, "FAILURE")
    assert watched.said().startswith("stock.csv was given up: 4 runs ended")
    assert watched.names("incoming") == []
    names = [name.split("-", 2)[2] for name in watched.names(f"failed/{RESOURCE_TYPE}")]
    assert names == ["stock.csv", "stock.csv.report.json"]
    assert drop_folder.claims() == []
    assert watched.said() == "No file is ready."
