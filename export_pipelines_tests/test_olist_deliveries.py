"""A real catalogue on every platform: one run delivers it to all, and rclone looks at each."""

import json
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from export_pipelines.definitions import defs
from export_pipelines_tests import olist
from export_pipelines_tests.contracts.platforms import start_target
from export_pipelines_tests.deliveries import as_delivered, below, name_platforms
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.targets import TARGETS, Target, Targets

PRODUCTS = 32_951
FORMATS = {"csv": 1, "excel": 1, "zip": 1}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    name = f"sqlite:///{tmp_path_factory.mktemp('olist') / 'shop.db'}"
    olist.load(name)
    return name


@pytest.fixture(scope="module")
def everywhere(targets: Targets) -> dict[str, Target]:
    return {name: start_target(targets, name) for name in TARGETS}


def everything_below(folder: Path) -> bytes:
    """Return the bytes of all files, with their names."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


@pytest.mark.parametrize("format_name", FORMATS)
def test_one_run_delivers_to_all_platforms(
    format_name: str,
    everywhere: Mapping[str, Target],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What arrives is the same to the byte, the manifest is last, and no secret is anywhere."""
    subfolder = "olist/{resource_type}/{format}"
    name_platforms(
        {name: below(target.platform, subfolder) for name, target in everywhere.items()},
        monkeypatch,
    )
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("EXPORT_PIPELINES_LOG_LEVEL", "DEBUG")
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        result = defs.resolve_job_def(f"export_{format_name}").execute_in_process(
            run_config={"platforms": list(everywhere), "exclude_fields": ["template:*"]},
            instance=instance,
        )
        run = instance.get_run_by_id(result.run_id)
        assert run
        assert run.tags["export/records_count"] == str(PRODUCTS)
    finished = result.output_for_node("finish")
    assert {one["platform"] for one in finished["deliveries"]} == set(everywhere)
    expected = as_delivered(Path(finished["location"]), tmp_path / "expected")
    assert len(list(expected.iterdir())) == FORMATS[format_name] + 1
    for target in everywhere.values():
        rclone.check(expected, target, f"olist/products/{format_name}")
        times = rclone.times(target, f"olist/products/{format_name}")
        [manifest] = [name for name in times if name.endswith(".manifest.json")]
        assert times[manifest] == max(times.values())
    seen = everything_below(home) + "".join(capfd.readouterr()).encode()
    seen += json.dumps([run.run_config, dict(run.tags)]).encode()
    assert b"deliver" in seen
    for target in everywhere.values():
        for secret in target.secrets:
            assert secret.encode() not in seen
            assert json.dumps(secret)[1:-1].encode() not in seen
