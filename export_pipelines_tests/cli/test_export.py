import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from export_pipelines.catalog.sample import generate
from export_pipelines.cli import main


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, sqlite_shop: str, tmp_path: Path) -> Path:
    """Set the sample shop as the catalogue, and name the home folder."""
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def export(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments])


def exported(*arguments: str) -> tuple[dict[str, Any], list[Path]]:
    result = export(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    manifest = json.loads(result.stdout)
    folder = Path(os.environ["EXPORT_PIPELINES_HOME"]) / "exports" / manifest["run_id"]
    assert json.loads((folder / "manifest.json").read_text()).items() <= manifest.items()
    assert manifest["status"] == "SUCCESS"
    return manifest, [folder / file["name"] for file in manifest["files"]]


def test_csv(home: Path) -> None:
    manifest, (path,) = exported(
        "csv", "orders", "--field", "status", "--field", "id", "--delimiter", ";", "--no-utf8-bom",
        "--sanitize-formulas", "--file-name", "my orders",
    )  # fmt: skip
    assert manifest["options"] == {
        "utf8_bom": False,
        "delimiter": ";",
        "sanitize_formulas": True,
    }
    assert path.name == "my orders.csv"
    assert path.read_text(encoding="utf-8").startswith("status;id\n")
    assert home in path.parents


def test_json(home: Path) -> None:
    manifest, paths = exported(
        "json", "--json-lines", "--no-pretty", "--max-rows-per-file", "500", "--exclude-field",
        "id", "--exclude-field", "description", "--filter", "is_active=true", "--filter",
        "status=live",
    )  # fmt: skip
    records = [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]
    assert len(records) == manifest["records_count"] > 0
    assert {(record["is_active"], record["status"]) for record in records} == {(True, "live")}
    assert not {"id", "description"} & set(records[0])
    assert manifest["filters"] == {"is_active": "true", "status": "live"}


def test_headers_and_fixed_columns(home: Path) -> None:
    _, (path,) = exported(
        "json", "--field", "sku", "--field", "b", "--field", "name",
        "--rename", "sku=Item = number", "--rename", "name=Title",
        "--filter", "sku_start=OUT-000", "--fixed", "b=text = x",
        "--fixed", "a=5", "--fixed", "c=true", "--fixed", "d=null", "--fixed", 'e="5"',
        "--fixed", "f=007", "--fixed", "g=-1.5", "--fixed", "h=", "--fixed", "i=[1]",
        "--fixed", "j=NaN",
    )  # fmt: skip
    records = json.loads(path.read_text())
    assert records
    for record in records:
        assert list(record) == ["Item = number", "b", "Title", *"acdefghij"]
        assert record["Item = number"].startswith("OUT-000")
        assert [record[name] for name in "bacdefghij"] == [
            "text = x", 5, True, None, "5", "007", -1.5, "", "[1]", "NaN",
        ]  # fmt: skip


def test_excel(home: Path) -> None:
    _, (path,) = exported(
        "excel", "suppliers", "--include-sheets", "suppliers", "--include-sheets", "markets",
        "--no-formatting", "--field", "code",
    )  # fmt: skip
    book = openpyxl.load_workbook(path, read_only=True)
    assert book.sheetnames == ["suppliers", "markets"]
    book.close()


def test_zip(home: Path) -> None:
    _, (path,) = exported("zip", "--max-rows-per-file", "700", "--field", "sku")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["products-00001.csv", "products-00002.csv"]


def test_parquet(home: Path) -> None:
    _, (path,) = exported("parquet", "--compression", "gzip", "--filter", "brand=null")
    assert parquet.read_metadata(path).row_group(0).column(0).compression == "GZIP"


def test_what_was_written_is_reported(home: Path) -> None:
    result = export("csv", "--field", "id", "--max-rows-per-file", "100")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Exported 1,145 products as CSV: 12 files, ")
    assert len(lines) == 12
    place, rest = lines[1].strip().split("  ")
    assert not place.startswith("/")
    assert Path(place).is_file()
    assert rest.startswith("100 rows, ")
    assert lines[-1].startswith("  and 2 more, all listed in ")
    assert Path(lines[-1].split(" in ")[1]).is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["csv", "product"], 2, "There is no resource type 'product'. Did you mean products"),
        (["csv", "--field", "colour"], 2, "fields: There is no products field 'colour'."),
        (["csv", "--filter", "is_active=yes"], 2, "Filter 'is_active': 'yes' is not true or false"),
        (["csv", "--filter", "name=none such"], 3, "No products match {'name': 'none"),
        (["json", "--file-name", "a/b"], 2, "file_name 'a/b' cannot be a file's name"),
        (["csv", "--rename", "skuu=a"], 2, "rename: There is no exported column 'skuu'. Did you"),
        (["csv", "--rename", "sku="], 2, "rename.sku: '' cannot be a header: write 1 to 1,000"),
        (["csv", "--fixed", "a=1e999"], 2, "fixed_columns.a: inf cannot be the value of a column"),
        (["csv", "--fixed", "sku=a"], 2, "fixed_columns: 'sku' is also the header of the field"),
    ],
)
def test_what_cannot_be_exported(
    home: Path, arguments: list[str], code: int, sentence: str
) -> None:
    result = export(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not (home / "exports").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["xml"],
        ["csv", "--filter", "is_active"],
        ["csv", "--filter", "sku=a", "--filter", "sku=b"],
        ["csv", "--rename", "sku"],
        ["csv", "--rename", "sku=a", "--rename", "sku=b"],
        ["csv", "--fixed", "a"],
        ["csv", "--fixed", "a=1", "--fixed", "a=1"],
        ["csv", "--compression", "lz4"],
        ["csv", "--delimiter", "x"],
        ["csv", "--max-rows-per-file", "0"],
        ["csv", "--max-rows-per-file", "-1"],
        ["csv", "--colour", "red"],
        ["json", "--utf8-bom"],
        ["csv", "products", "orders"],
    ],
)
def test_arguments_that_are_wrong_start_nothing(home: Path, arguments: list[str]) -> None:
    result = export(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not home.exists()


@pytest.mark.parametrize(
    ("variable", "value", "code", "sentence"),
    [
        (
            "DATABASE_URL",
            "sqlite:////nowhere/shop.db",
            4,
            "There is no SQLite database at /nowhere",
        ),
        ("DATABASE_URL", "postgresql://u:s3cr3t@127.0.0.1:1/x", 4, "Cannot open the database"),
        (
            "EXPORT_PIPELINES_HOME",
            "/dev/null/x",
            5,
            "The home folder /dev/null/x cannot be written",
        ),
    ],
)
def test_what_is_not_there(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv(variable, value)
    result = export("csv")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert "s3cr3t" not in result.output


def test_a_store_that_cannot_be_written(home: Path) -> None:
    home.mkdir()
    (home / "exports").touch()
    result = export("csv")
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr.startswith(f"Error: Files cannot be written at {home / 'exports'}")
    assert list((home / "staging").rglob("*.csv")) == []


def program() -> str:
    found = shutil.which("export-pipelines", path=str(Path(sys.executable).parent))
    assert found
    return found


def test_the_program_itself(home: Path) -> None:
    """Arguments that are no UTF-8 come from shells only."""
    arguments = [program().encode(), b"export", b"csv", b"--filter", b"name=\xff"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "Error: Filter 'name': '\\udcff' is not a text of at most 10,000 characters "
        "that a database can hold, which name needs here.\n"
    )


def test_an_interrupted_export_publishes_nothing(home: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'large.db'}"
    generate(url, products=30_000, orders=0)
    process = subprocess.Popen(
        [program(), "export", "json", "--max-rows-per-file", "20"],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not any(home.glob("staging/*/spool/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), error
    assert error == "Error: Interrupted: the export is not finished.\n"
    assert not list(home.glob("exports/*/*"))
    assert not list(home.glob("staging/*/spool/*"))
