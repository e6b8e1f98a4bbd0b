from pathlib import Path

import pytest

from export_pipelines import settings


def test_everything_is_below_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "home"))
    home = tmp_path / "home"
    assert settings.home_folder() == home
    assert settings.exports_folder() == home / "exports"
    assert settings.staging_folder() == home / "staging"
    assert settings.dagster_folder() == home / "dagster"
    assert settings.database_url() == f"sqlite:///{home}/shop.db"
    assert not home.exists()


@pytest.mark.parametrize("value", [None, ""])
def test_the_home_folder_is_data_here_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if value is None:
        monkeypatch.delenv("EXPORT_PIPELINES_HOME")
    else:
        monkeypatch.setenv("EXPORT_PIPELINES_HOME", value)
    assert settings.home_folder() == tmp_path / "data"


def test_the_database_is_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/shop")
    assert settings.database_url() == "postgresql://h/shop"
    monkeypatch.setenv("DATABASE_URL", "")
    assert settings.database_url().startswith("sqlite:///")


@pytest.mark.parametrize(
    ("value", "level"), [("debug", "DEBUG"), ("ERROR", "ERROR"), ("", "INFO"), ("loud", "INFO")]
)
def test_an_unknown_log_level_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, value: str, level: str
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_LOG_LEVEL", value)
    assert settings.log_level() == level
