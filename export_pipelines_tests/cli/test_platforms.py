import json
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from export_pipelines import settings
from export_pipelines.cli import main
from export_pipelines.platforms.local import Local
from export_pipelines_tests.deliveries import name_platforms
from export_pipelines_tests.servers.targets import Targets


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def north(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a platform north, which is a folder, and south, whose folder is missing."""
    folder = tmp_path / "north"
    folder.mkdir()
    platforms = {
        "north": Local(folder=str(folder)),
        "south": Local(folder=str(tmp_path / "south")),
    }
    name_platforms(platforms, monkeypatch)
    return folder


def test_platforms_are_listed_with_what_is_wrong(north: Path) -> None:
    with settings.platforms_file().open("a", encoding="utf-8") as file:
        file.write("  east: {sftp: {host: files.example, password: {env: NOT_SET_ANYWHERE}}}\n")
        file.write("  west: 5\n")
    result = invoke("platforms", "list")
    assert result.exit_code == 0
    first, second, third, fourth = result.output.splitlines()
    assert first.split() == ["north", "local", "in", "file", str(north)]
    assert second.split()[:4] == ["south", "local", "in", "file"]
    assert third.split()[:4] == ["east", "sftp", "in", "file"]
    assert "the variable NOT_SET_ANYWHERE is not set" in third
    assert fourth.startswith("west")
    assert "write one type of" in fourth


def test_no_platforms() -> None:
    result = invoke("platforms", "list")
    assert result.exit_code == 0
    assert result.output == (
        "No platform is registered. See: export-pipelines platforms add --help\n"
    )
    assert not settings.home_folder().exists()


def test_a_check_that_passes(north: Path) -> None:
    result = invoke("platforms", "check", "north")
    assert result.exit_code == 0
    head, *steps = result.output.splitlines()
    assert head == f"north: {north}"
    assert [step.split()[:2] for step in steps] == [
        [name, "passed"] for name in ("connect", "write", "list", "read", "delete")
    ]
    assert list(north.iterdir()) == []


def test_a_check_that_fails_says_where(north: Path) -> None:
    result = invoke("platforms", "check", "south")
    assert result.exit_code == 9
    [_, step] = result.output.splitlines()
    assert step.startswith("  connect  folder: there is no folder ")


@pytest.mark.parametrize("name", ["norht", "../north"])
def test_an_unknown_platform(north: Path, name: str) -> None:
    result = invoke("platforms", "check", name)
    assert result.exit_code == 9
    assert result.output.startswith(f"Error: There is no platform '{name}'.")


def test_a_check_shows_no_secret(targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets["sftp-asyncssh"]
    name_platforms({"partner": target.platform}, monkeypatch)
    passed = invoke("platforms", "check", "partner")
    assert passed.exit_code == 0, passed.output
    listed = invoke("platforms", "list")
    for secret in target.secrets:
        assert secret not in passed.output + listed.output


def test_an_export_says_where_it_was_delivered(
    north: Path, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    result = invoke("export", "csv", "products", "--field", "id", "--platform", "north")
    assert result.exit_code == 0, result.output
    assert f"Delivered to north: {north}\n" in result.output
    assert {path.name for path in north.iterdir()} == {"products.csv", "products.csv.manifest.json"}


def test_a_bucket_as_the_store_gives_links(
    targets: Targets, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = targets["minio-seaweed"]
    name_platforms({"bucket": target.platform}, monkeypatch)
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", "bucket")
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    result = invoke("export", "csv", "suppliers", "--field", "code")
    assert result.exit_code == 0, result.output
    [_, file, link] = result.output.splitlines()
    assert file.startswith(f"  {target.platform.location}/")
    assert link.startswith("  for 5 minutes at http://127.0.0.1:")
    with urlopen(link.split()[-1], timeout=10) as served:
        assert served.read().startswith(b"\xef\xbb\xbfcode\n")
        assert "suppliers.csv" in served.headers["Content-Disposition"]
    answer = json.loads(invoke("export", "csv", "suppliers", "--field", "code", "--json").output)
    with urlopen(answer["links"]["suppliers.csv"], timeout=10) as served:
        assert len(served.read()) == answer["files"][0]["bytes"]
    for secret in target.secrets:
        assert secret not in result.output


def test_a_failed_delivery_ends_with_its_sentence_and_says_where_the_files_are(
    north: Path, sqlite_shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    result = invoke("export", "csv", "--field", "id", "--platform", "south", "--platform", "north")
    assert result.exit_code == 9
    [store] = settings.exports_folder().iterdir()
    first, second = result.output.splitlines()
    assert first.startswith("Error: south: folder: there is no folder ")
    assert second == f"The files are whole, and stay in {store}"
    assert [path.name for path in store.iterdir()] == ["products.csv"]
    assert (north / "products.csv.manifest.json").exists()
