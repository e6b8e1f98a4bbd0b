from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from export_pipelines import settings
from export_pipelines.cli import main
from export_pipelines.records import open_instance
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.retention.past import EXPORT, Past, Status, age_files


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prune", *arguments])


@pytest.fixture
def staged() -> Path:
    """Leave a folder in the staging area of a run that nobody knows, ten days ago."""
    folder = settings.staging_folder() / str(uuid4())
    folder.mkdir(parents=True)
    (folder / "part.csv").write_bytes(b"x" * 1_000)
    age_files(folder, 10)
    return folder


def test_a_dry_run_names_what_would_go(staged: Path) -> None:
    result = invoke("--dry-run")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output.splitlines() == [
        f"  staging: {staged.name}",
        "exports: 0 would be removed, 0 bytes.",
        "staging: 1 would be removed, 1,000 bytes.",
        "imports: 0 would be removed, 0 bytes.",
        "runs: 0 would be removed, 0 bytes.",
        "ticks: 0 would be removed.",
    ]
    assert staged.exists()


def test_pruning_says_what_was_removed(staged: Path) -> None:
    assert "staging: 0 removed, 0 bytes." in invoke("--staging-days", "11").output
    assert staged.exists()
    result = invoke("--staging-days", "9", "--runs-days", "1")
    assert result.exit_code == 0
    assert "staging: 1 removed, 1,000 bytes." in result.output
    assert not staged.exists()
    with open_instance() as instance:
        assert [run.job_name for run in instance.get_runs()] == ["prune", "prune"]


def test_what_fails_is_said_with_an_exit_code(staged: Path) -> None:
    settings.exports_folder().touch()
    with open_instance() as instance:
        past = Past(instance, Exporter(settings.home_folder(), instance), "")
        past.record(31, Status.FAILURE, job="export_csv", tags=EXPORT)
    result = invoke()
    assert result.exit_code == 5
    assert "staging: 1 removed, 1,000 bytes." in result.output
    assert result.stderr.startswith("Error: Could not be removed: 1. The first is of exports: ")


def test_wrong_variables_are_refused(staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_KEEP_RUNS_DAYS", "0")
    result = invoke()
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: EXPORT_PIPELINES_KEEP_RUNS_DAYS is '0': set it to ")
    assert staged.exists()


@pytest.mark.parametrize("days", ["0", "-1", "ever"])
def test_wrong_days_are_refused(days: str) -> None:
    assert invoke("--exports-days", days).exit_code == 2
