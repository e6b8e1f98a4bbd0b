import csv
import gzip
import hashlib
import json
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from export_pipelines.catalog.database import begin
from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.formats import FORMATS
from export_pipelines_tests.exports import Exported, Exporter


def test_every_format_exports_the_sample_shop(shop: str, exporter: Exporter) -> None:
    for name in FORMATS:
        exported = exporter.succeed(shop, name)
        assert exported.manifest["records_count"] == 1_145
        assert all(file.is_file() for file in exported.files)


@pytest.mark.parametrize("name", [name for name, known in ENTITIES.items() if not known.listing])
def test_every_resource_type_exports_all_its_rows(
    sqlite_shop: str, exporter: Exporter, name: str
) -> None:
    bundles = " WHERE NOT is_bundle" if name == "products" else ""
    with begin(sqlite_shop) as connection:
        count = connection.scalar(text(f"SELECT count(*) FROM {name}{bundles}"))
    custom = ["template:*"] if name == "products" else []
    exported = exporter.succeed(sqlite_shop, "csv", resource_type=name, exclude_fields=custom)
    assert exported.manifest["records_count"] == count
    with exported.files[0].open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(ENTITIES[name].fields)
    assert len(rows) == count


def metadata(exported: Exported) -> dict[str, dict[str, Any]]:
    """Return the output metadata of each op by the op's name."""
    found: dict[str, dict[str, Any]] = {}
    for event in exported.result.all_events:
        if event.event_type is dg.DagsterEventType.STEP_OUTPUT and event.node_name:
            entries = event.step_output_data.metadata
            values = {name: value.value for name, value in entries.items()}
            found.setdefault(event.node_name, {}).update(values)
    return found


def test_a_run_says_what_it_did(shop: str, exporter: Exporter) -> None:
    exported = exporter.succeed(
        shop,
        "csv",
        fields=["id", "price", "name", "weight", "created_at"],
        max_rows_per_file=500,
        filters={"is_active": True},
    )
    count = exported.manifest["records_count"]
    assert 0 < count < 1_145
    tags = {name: value for name, value in exported.tags.items() if name.startswith("export/")}
    files = len(exported.files)
    assert tags == {
        "export/format": "csv",
        "export/resource_type": "products",
        "export/records_count": str(count),
        "export/location": str(exported.folder),
        "export/stage": "upload",
        "export/progress": "100",
        "export/parts": f"{files}/{files}",
    }
    said = metadata(exported)
    assert set(said) == {"query", "filter", "chunk", "serialize", "compress", "upload", "finish"}
    assert said["query"]["columns"] == ["id", "price", "name", "weight", "created_at"]
    assert "```sql\nSELECT" in said["query"]["sql"]
    assert "products.is_active" in said["filter"]["sql"]
    assert said["filter"]["records_count"] == count
    size = sum(file.stat().st_size for file in exported.files)
    for op in ("serialize", "compress", "upload"):
        assert (said[op]["files"], said[op]["bytes"]) == (files, size)
        assert len(said[op]["file_list"]) == files
    assert said["chunk"]["parts"] == files
    assert said["chunk"]["bytes"] > count * 36
    for op in ("filter", "chunk", "serialize", "compress", "upload"):
        assert said[op]["rows"] == count
        assert said[op]["seconds"] >= 0
        assert said[op]["rows_per_second"] > 0


def test_the_preview_is_the_first_ten_rows_as_they_are_written(
    shop: str, exporter: Exporter
) -> None:
    fields = ["price", "id", "description", "created_at", "is_active"]
    exported = exporter.succeed(shop, "csv", fields=fields, utf8_bom=False)
    events = exported.result.events_for_node("chunk")
    (preview,) = (
        event.step_output_data.metadata["preview"]
        for event in events
        if event.event_type is dg.DagsterEventType.STEP_OUTPUT
        and "preview" in event.step_output_data.metadata
    )
    assert isinstance(preview, dg.TableMetadataValue)
    assert [column.name for column in preview.schema.columns] == fields
    with exported.files[0].open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))[:10]
    assert len(preview.records) == 10
    for record, row in zip(preview.records, written, strict=True):
        assert list(record.data) == fields
        assert record.data["id"] == row["id"]
        assert str(record.data["price"]) == (row["price"] or "None")
        assert str(record.data["is_active"]).lower() == row["is_active"]
        assert len(str(record.data["description"])) <= 81


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_finished_export_is_an_asset_materialization(
    sqlite_shop: str, exporter: Exporter, name: str
) -> None:
    exported = exporter.succeed(sqlite_shop, name, resource_type="orders")
    (event,) = (
        event
        for event in exported.result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    assert event.asset_key == dg.AssetKey(["exports", "orders", name])
    said = event.materialization.metadata
    assert said["records"].value == 160
    assert said["bytes"].value == sum(file.stat().st_size for file in exported.files)
    assert said["files"].value == 1
    assert 0 <= float(str(said["seconds"].value)) < 60
    assert said["folder"].value == str(exported.folder)


@pytest.mark.parametrize("address", ["https://shop.example", "shop.example"])
def test_a_wrong_address_of_the_web_server_takes_the_link_only(
    sqlite_shop: str, exporter: Exporter, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_PUBLIC_URL", address)
    exported = exporter.succeed(sqlite_shop, "csv", resource_type="suppliers")
    [made] = exported.result.asset_materializations_for_node("finish")
    path = f"/api/v1/exports/jobs/{exported.result.run_id}/download"
    is_right = address.startswith("https://")
    assert made.metadata.get("download") == (
        dg.MetadataValue.url(address + path) if is_right else None
    )


def test_the_manifest_can_be_checked(shop: str, exporter: Exporter) -> None:
    exported = exporter.succeed(
        shop, "json", max_rows_per_file=500, compression="gzip", pretty=False, file_name="all"
    )
    manifest = exported.manifest
    assert manifest["options"] == {"pretty": False, "json_lines": False}
    names = [column["name"] for column in manifest["columns"]]
    assert [name for name in names if ":" not in name] == list(ENTITIES["products"].fields)
    assert len([name for name in names if name.startswith("template:")]) == 12
    assert [file["rows"] for file in manifest["files"]] == [500, 500, 145]
    assert manifest["started_at"] < manifest["finished_at"]
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        "all-00001.json.gz",
        "all-00002.json.gz",
        "all-00003.json.gz",
        "manifest.json",
    ]
    for file, path in zip(manifest["files"], exported.files, strict=True):
        data = path.read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert len(json.loads(gzip.decompress(data))) == file["rows"]
    assert not (exporter.staging / manifest["run_id"]).exists()
