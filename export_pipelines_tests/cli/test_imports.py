import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from export_pipelines.catalog.database import create_schema
from export_pipelines.cli import main
from export_pipelines_tests.importer import write_csv
from export_pipelines_tests.stored import dump, rows

HEADER = ["sku", "name", "status", "commodity_type"]
APPLE = ["A", "Apple", "live", "physical"]
BEAN = ["B", "Bean", "live", "physical"]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Set a catalogue without rows, and go to a folder of one's own."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    create_schema(url)
    monkeypatch.setenv("DATABASE_URL", url)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return url


def import_(*arguments: str | Path, entity: str = "products") -> Result:
    asked = ["import", *map(str, arguments), "--entity", entity]
    return CliRunner().invoke(main, asked)


def reports(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def report_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "home" / "imports" / "reports").glob("*/*.report.json"))


def test_what_was_imported_is_said(shop: str, tmp_path: Path) -> None:
    write_csv(Path("stock.csv"), HEADER, APPLE, BEAN)
    result = import_("stock.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    [report] = report_files(tmp_path)
    first, second, last = result.stdout.splitlines()
    assert first == "stock.csv: 2 rows: 2 created, 0 updated, 0 unchanged, 0 failed."
    assert second == f"  report: {report}"
    assert last.endswith(" s.")
    assert rows(shop, "products", "sku", by="sku") == [("A",), ("B",)]
    assert Path("stock.csv").exists()


def test_dry_run_writes_nothing(shop: str) -> None:
    write_csv(Path("stock.csv"), HEADER, APPLE)
    before = dump(shop)
    result = import_("stock.csv", "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        "stock.csv: 1 rows: 1 would be created, 0 would be updated, 0 unchanged, 0 failed.\n"
    )
    assert dump(shop) == before


def test_reports_as_json(shop: str) -> None:
    write_csv(Path("stock.csv"), HEADER, APPLE)
    write_csv(Path("more.csv"), HEADER, APPLE, BEAN)
    result = import_("stock.csv", "more.csv", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = reports(result)
    assert [(each["file"], each["created"], each["unchanged"]) for each in found] == [
        ("stock.csv", 1, 0),
        ("more.csv", 1, 1),
    ]
    assert found[0]["report_version"] == 1


def test_rows_that_are_wrong(shop: str, tmp_path: Path) -> None:
    bad = [[f"S{number}", "Thing", "new", "physical"] for number in range(12)]
    write_csv(Path("stock.csv"), HEADER, APPLE, *bad)
    before = dump(shop)
    result = import_("stock.csv")
    assert result.exit_code == 11
    lines = result.stderr.splitlines()
    assert lines[0] == (
        "Error: stock.csv: 12 of 13 rows are wrong, so nothing was imported: correct them, or "
        "import with on_error skip."
    )
    assert lines[1] == "  row 3: status: 'new' is none of draft and live."
    assert len(lines) == 12
    assert lines[-1] == "  and 2 more, in the report"
    [report] = report_files(tmp_path)
    failed = report.with_name("stock.csv.failed_rows.csv")
    report_line, failed_line, _ = result.stdout.splitlines()
    assert report_line == f"  report: {report}"
    assert failed_line == f"  failed rows, to correct and import again: {failed}"
    assert len(failed.read_text("utf-8-sig").splitlines()) == 13
    assert dump(shop) == before


def test_rows_that_are_left_out(shop: str) -> None:
    write_csv(Path("stock.csv"), HEADER, APPLE, ["B", "Bean", "new", "physical"])
    result = import_("stock.csv", "--on-error", "skip", "--max-error-ratio", "0.5")
    assert result.exit_code == 0
    assert result.stderr == "  row 3: status: 'new' is none of draft and live.\n"
    assert result.stdout.startswith("stock.csv: 2 rows: 1 created, 0 updated, 0 unchanged, 1 fail")
    assert rows(shop, "products", "sku") == [("A",)]


def test_one_of_several_files_is_wrong(shop: str) -> None:
    write_csv(Path("bad.csv"), ["sku", "nme"], ["A", "Apple"])
    write_csv(Path("good.csv"), HEADER, APPLE)
    result = import_("bad.csv", "good.csv", "missing.csv")
    assert result.exit_code == 11
    first, second = result.stderr.splitlines()
    assert first.startswith("Error: bad.csv: There is no products field 'nme'. Did you mean name")
    assert second == f"Error: missing.csv: There is no file {Path('missing.csv').absolute()}."
    assert "good.csv: 1 rows: 1 created" in result.stdout
    assert rows(shop, "products", "sku") == [("A",)]
    found = reports(import_("bad.csv", "good.csv", "--json"))
    assert [each["status"] for each in found] == ["failed", "done"]


@pytest.mark.parametrize(
    ("entity", "sentence"),
    [
        ("product", "There is no resource type for imports 'product'. Did you mean products"),
        ("orders; DROP TABLE", "There is no resource type for imports 'orders; DROP TABLE'."),
    ],
)
def test_what_cannot_be_imported(shop: str, tmp_path: Path, entity: str, sentence: str) -> None:
    write_csv(Path("stock.csv"), HEADER, APPLE)
    result = import_("stock.csv", entity=entity)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert report_files(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no mapping file"),
        ("columns: {sku: Artikel}", "fills 'sku' from 'Artikel', a header that the file does not"),
        ("resource_type: prices\ncolumns: {sku: sku}\nignore: ['*']", "maps prices, not products"),
        ("columns: [", "mapping.yaml"),
    ],
)
def test_mappings_that_are_wrong(shop: str, content: str | None, sentence: str) -> None:
    if content is not None:
        Path("mapping.yaml").write_text(content)
    write_csv(Path("stock.csv"), HEADER, APPLE)
    before = dump(shop)
    result = import_("stock.csv", "--mapping", "mapping.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: stock.csv: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert dump(shop) == before


def test_options_are_those_of_the_job(shop: str) -> None:
    columns = {"sku": "Artikel", "name": "Titel", "status": {"constant": "live"}}
    columns |= {"commodity_type": {"constant": "digital"}, "created_at": "Seit"}
    Path("mapping.yaml").write_text(yaml.safe_dump({"columns": columns}))
    Path("stock.txt").write_bytes("Artikel|Titel|Seit\n'=A|Thé|31/01/2026\n".encode("latin-1"))
    result = import_(
        "stock.txt", "--mapping", "mapping.yaml", "--format", "csv", "--encoding", "latin-1",
        "--delimiter", "|", "--locale", "en-GB", "--sanitized", "--json",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    [report] = reports(result)
    assert (report["format"], report["created"]) == ("csv", 1)
    [(sku, name, created)] = rows(shop, "products", "sku", "name", "created_at")
    assert (sku, name, created.isoformat()[:10]) == ("=A", "Thé", "2026-01-31")


@pytest.mark.parametrize(
    "arguments",
    [
        ["stock.csv", "--format", "xml"],
        ["stock.csv", "--max-error-ratio", "2"],
        ["stock.csv", "--on-error", "perhaps"],
        ["stock.csv", "--locale", "de-DE"],
        ["stock.csv", "--colour", "red"],
        [],
    ],
)
def test_arguments_that_are_wrong_start_nothing(
    shop: str, tmp_path: Path, arguments: list[str]
) -> None:
    result = import_(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not (tmp_path / "home").exists()


def test_an_entity_is_required(shop: str) -> None:
    result = CliRunner().invoke(main, ["import", "stock.csv"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Missing option '--entity'" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "code", "sentence"),
    [
        ("DATABASE_URL", "sqlite:////nowhere/shop.db", 4, "There is no SQLite database at /nowhe"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@127.0.0.1:1/x", 4, "Cannot open the database"),
        ("EXPORT_PIPELINES_MAX_IMPORT_ROWS", "many", 2, "EXPORT_PIPELINES_MAX_IMPORT_ROWS is 'm"),
        ("EXPORT_PIPELINES_TIME_ZONE", "Mars/Crater", 2, "EXPORT_PIPELINES_TIME_ZONE is 'Mars/Cr"),
        ("EXPORT_PIPELINES_CURRENCY", "euro", 2, "EXPORT_PIPELINES_CURRENCY is 'euro': set it to"),
        ("EXPORT_PIPELINES_HOME", "/dev/null/x", 5, "The home folder /dev/null/x cannot be writt"),
    ],
)
def test_what_is_not_there(
    shop: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    code: int,
    sentence: str,
) -> None:
    write_csv(Path("stock.csv"), HEADER, APPLE)
    monkeypatch.setenv(variable, value)
    result = import_("stock.csv")
    assert result.exit_code == code
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "s3cr3t" not in result.output


def test_a_file_of_the_drop_folder_is_taken_from_it(shop: str, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "imports" / "incoming" / "products"
    folder.mkdir(parents=True)
    path = write_csv(folder / "stock.csv", HEADER, APPLE)
    result = import_(path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not path.exists()
    done = tmp_path / "home" / "imports" / "done" / "products"
    assert [each.name.split("-", 2)[2] for each in sorted(done.iterdir())] == [
        "stock.csv",
        "stock.csv.report.json",
    ]
    again = import_(path)
    assert again.exit_code == 11
    assert again.stderr == f"Error: There is no file {path} to take: another run may have it.\n"


@pytest.mark.parametrize("name", ["line\nbreak \x1b[31m.csv", os.fsdecode(b"caf\xe9.csv")])
def test_the_program_itself(shop: str, name: str) -> None:
    """Names are printed so that a terminal takes them, whatever bytes they are of."""
    write_csv(Path(name), HEADER, ["A", "Apple", "new", "physical"])
    found = shutil.which("export-pipelines", path=str(Path(sys.executable).parent))
    assert found
    asked = [found.encode(), b"import", os.fsencode(name), b"--entity", b"products"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(asked, capture_output=True, check=False, env=environment)
    out, error = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 11, error
    assert "Traceback" not in error
    assert "\x1b" not in out + error
    assert [line[:7] for line in error.splitlines()] == ["Error: ", "  row 2"]
    assert out.splitlines()[0].startswith("  report: '")
