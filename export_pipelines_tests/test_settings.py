from pathlib import Path

import pytest

from export_pipelines import settings
from export_pipelines.errors import RequestError


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


def test_the_organization_is_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.organization() == "default"
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "")
    assert settings.organization() == "default"
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "acme")
    assert settings.organization() == "acme"


@pytest.mark.parametrize(("value", "limit"), [(None, 10), ("", 10), ("1", 1), ("250", 250)])
def test_ten_exports_at_once_unless_a_variable_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, value: str | None, limit: int
) -> None:
    if value is not None:
        monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", value)
    assert settings.max_active_exports() == limit


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "ten", " ", "1e3", "x" * 5_000])
def test_a_limit_that_is_no_whole_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS", value)
    with pytest.raises(RequestError, match=r"set it to a whole number of 1 or more\.$") as refused:
        settings.max_active_exports()
    assert str(refused.value).startswith("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS is '")
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "a\udc80"])
def test_an_organization_that_cannot_be_stored_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", "x" * 100)
    assert settings.organization() == "x" * 100
    monkeypatch.setenv("EXPORT_PIPELINES_ORGANIZATION", name)
    with pytest.raises(RequestError) as caught:
        settings.organization()
    assert str(caught.value).startswith("EXPORT_PIPELINES_ORGANIZATION is ")
    assert str(caught.value).endswith(": set it to 1 to 100 characters that can be seen.")
