import io
import zipfile
from pathlib import Path
from typing import Any

from export_pipelines_tests.contracts.formats import CUT, FormatContract
from export_pipelines_tests.contracts.reference import Row
from export_pipelines_tests.exports import Exporter
from export_pipelines_tests.formats.test_csv import as_text, parse_table

_KINDS_AS_THEMSELVES = ("int", "float", "bool")


class TestZip(FormatContract):
    name = "zip"
    cut_names = ("products.zip",)

    def tables(self, file: Path, kinds: dict[str, str]) -> list[tuple[list[str], list[Row]]]:
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            texts = [archive.read(name).decode("utf-8-sig") for name in archive.namelist()]
        return [parse_table(text, kinds) for text in texts]

    def as_read(self, value: Any, kind: str) -> Any:
        return value if kind in _KINDS_AS_THEMSELVES and value is not None else as_text(value)


def test_members_are_the_csv_exports_files(exporter: Exporter, shop: str) -> None:
    options = {"delimiter": ";", "utf8_bom": False, "max_rows_per_file": CUT, "file_name": "goods"}
    zipped = exporter.succeed(shop, "zip", **options)
    plain = exporter.succeed(shop, "csv", **options)
    assert [file.name for file in zipped.files] == ["goods.zip"]
    with zipfile.ZipFile(zipped.files[0]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert list(members) == ["goods-00001.csv", "goods-00002.csv", "goods-00003.csv"]
    assert members == {file.name: file.read_bytes() for file in plain.files}


def test_a_small_export_is_one_numbered_member(exporter: Exporter, sqlite_shop: str) -> None:
    exported = exporter.succeed(sqlite_shop, "zip", resource_type="orders")
    with zipfile.ZipFile(io.BytesIO(exported.files[0].read_bytes())) as archive:
        assert archive.namelist() == ["orders-00001.csv"]
    assert exported.manifest["files"][0]["rows"] == 160
    assert exported.manifest["max_rows_per_file"] == 30_000
