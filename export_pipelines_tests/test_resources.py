from pathlib import Path

import pytest

from export_pipelines import settings
from export_pipelines.errors import CatalogUnavailable, RequestError
from export_pipelines.registration.platforms import Platform, add, check
from export_pipelines.registry import rows
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import PlatformRow
from export_pipelines.resources import Catalog, ExportStore, Staging


def test_empty_fields_are_filled_from_settings_when_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    catalog, store, staging = Catalog(), ExportStore(), Staging()
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "later"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/shop")
    assert (catalog.url, catalog.backend) == ("postgresql://h/shop", "postgresql")
    assert store.path == settings.exports_folder() == tmp_path / "later" / "exports"
    assert staging.run_folder("r") == tmp_path / "later" / "staging" / "r"


def test_fields_come_before_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/shop")
    monkeypatch.chdir(tmp_path)
    catalog = Catalog(database_url="sqlite:///other.db")
    assert (catalog.url, catalog.backend) == ("sqlite:///other.db", "sqlite")
    assert ExportStore(folder="here").path == tmp_path / "here"
    assert Staging(folder="here").run_folder("r") == tmp_path / "here" / "r"


def test_the_catalogue_is_opened_as_one_snapshot(shop: str) -> None:
    for count in (1, 2):
        with Catalog(database_url=shop).snapshots(count) as snapshots:
            assert len(snapshots) == count


@pytest.mark.parametrize(
    "url", ["shop.db", "mysql://root:s3cr3t@db/shop", "postgresql://u:s3cr3t@h:port/shop", "://"]
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    catalog = Catalog(database_url=url)
    with pytest.raises(CatalogUnavailable, match="postgresql://") as caught:
        _ = catalog.backend
    assert "s3cr3t" not in str(caught.value)
    with (
        pytest.raises(CatalogUnavailable, match="postgresql://") as caught,
        catalog.snapshots(),
    ):
        pass
    assert "s3cr3t" not in str(caught.value)


def test_every_field_is_described() -> None:
    for kind in (Catalog, ExportStore, Staging):
        assert kind.__doc__
        assert all(field.description for field in kind.model_fields.values())


def test_a_disabled_platform_keeps_no_exports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = check(Platform("archive", "local", {"folder": str(tmp_path / "archive")}))
    with writing() as session:
        row = add(session, "default", asked)
    monkeypatch.setenv("EXPORT_PIPELINES_STORE", "archive")
    assert ExportStore().location("run") == f"{tmp_path}/archive/run"
    with writing() as session:
        rows.switch(rows.require(session, PlatformRow, "default", row.name), is_active=False)
    for store in (ExportStore(), ExportStore(platform="archive")):
        with pytest.raises(RequestError) as caught, store.connect():
            pytest.fail("it was opened")
        assert str(caught.value) == (
            "The platform 'archive' is the export store, and is disabled: enable it, or name "
            "another one in EXPORT_PIPELINES_STORE."
        )
    assert ExportStore(folder="here").location("run").endswith("/here/run")
