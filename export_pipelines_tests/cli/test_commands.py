import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from export_pipelines.catalog.entities import ENTITIES
from export_pipelines.cli import main


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *path, name)


ALL = dict(commands(main))


@pytest.mark.parametrize("path", list(ALL), ids="-".join)
def test_help_names_every_option_and_says_what_it_does(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    command = ALL[path]
    assert command.help
    assert " ".join(command.get_short_help_str(200).split()[:3]) in text
    for option in command.params:
        for name in (*option.opts, *option.secondary_opts):
            if isinstance(option, click.Option):
                assert name in text
    if isinstance(command, click.Group):
        assert all(name in text for name in command.commands)


def test_options_are_described() -> None:
    for path, command in ALL.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in ("products", "help"):
                assert option.help, (path, option.name)


def test_the_help_tells_exit_codes_and_variables() -> None:
    text = invoke("--help").output
    for word in ("Exit codes: 0 done; 2", "EXPORT_PIPELINES_HOME", "DATABASE_URL", "130"):
        assert word in text


def test_resource_types_are_listed() -> None:
    result = invoke("resource-types")
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == list(ENTITIES)
    assert all(line.endswith(ENTITIES[line.split()[0]].description) for line in lines)


@pytest.mark.parametrize("name", list(ENTITIES))
def test_fields_are_listed(name: str) -> None:
    known = ENTITIES[name]
    said = sections(invoke("resource-types", name).output)
    assert [line.split()[:2] for line in said["Fields"]] == [
        [found.name, found.type.value] for found in known.fields.values()
    ]
    assert said.get("Included with them on request", []) == list(known.includes)
    relations = said.get("Relations, for filters such as customer_email_end", [])
    assert [line.split()[0] for line in relations] == list(known.relations)
    assert said["A range of dates is about"] == [known.date_field]


def sections(output: str) -> dict[str, list[str]]:
    """Return the lines below each title."""
    found: dict[str, list[str]] = {}
    for block in output.split("\n\n")[1:]:
        title, *lines = block.splitlines()
        found[title.removesuffix(":")] = [line.removeprefix("  ") for line in lines]
    return found


def test_a_resource_type_is_described() -> None:
    said = sections(invoke("resource-types", "products").output)
    status = "status                             string    one of draft and live; never empty"
    assert status in said["Fields"]
    assert "weight                             number    grams" in said["Fields"]
    assert (
        "supplier                           one       suppliers"
        in (said["Relations, for filters such as customer_email_end"])
    )
    assert said["Always"] == ["is_bundle = false"]
    assert "list      present, blank, null, not_null, jcont" in said["Matchers of filters, by type"]


def test_an_unknown_resource_type_is_refused() -> None:
    result = invoke("resource-types", "product")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: There is no resource type 'product'. Did you mean prod")


def test_a_sample_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path / "my home"))
    result = invoke("sample", "--products", "5", "--orders", "2", "--seed", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Made a sample shop with 5 products in ")
    before = (tmp_path / "my home" / "shop.db").read_bytes()
    again = invoke("sample", "--products", "5")
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr.startswith("Error: ")
    assert "Traceback" not in again.stderr
    assert (tmp_path / "my home" / "shop.db").read_bytes() == before


@pytest.mark.parametrize(
    ("variable", "value", "code", "words"),
    [
        (
            "EXPORT_PIPELINES_HOME",
            "/dev/null/x",
            5,
            "Files cannot be written at /dev/null/x: Not a",
        ),
        ("DATABASE_URL", "shop.db", 4, "The database URL cannot be read; it looks like"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h:port/x", 4, "The database URL cannot be read;"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@127.0.0.1:1/x", 4, "Cannot open the database"),
    ],
)
def test_a_sample_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, code: int, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = invoke("sample", "--products", "5")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"Error: {words}")
    assert "s3cr3t" not in result.output


def test_a_sample_for_which_the_disk_is_too_small(tmp_path: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000000, 2000000)); "
        "from export_pipelines.cli import main; main(['sample', '--products', '20000'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "EXPORT_PIPELINES_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("Error: The database does not take the sample shop: ")
    assert done.stderr.count("\n") == 1
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (0,)


@pytest.mark.parametrize(
    "arguments", [["sample", "--products", "0"], ["nope"], ["dev", "--port", "x"]]
)
def test_arguments_that_are_wrong(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_run_makes_a_shop_once_and_exports_it_every_time(tmp_path: Path) -> None:
    program = shutil.which("export-pipelines", path=str(Path(sys.executable).parent))
    assert program
    environment = {**os.environ, "EXPORT_PIPELINES_HOME": "home"}
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [program, "run", "--products", "30"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout)
    assert outputs[0].startswith("Made a sample shop with 30 products in ")
    assert outputs[1].startswith("Exported 29 products as CSV: 1 file, ")
    for output in outputs:
        (place,) = (line.split()[0] for line in output.splitlines() if "products.csv" in line)
        assert (tmp_path / place).is_file()
        assert "Next:" in output
    assert len(list((tmp_path / "home" / "exports").iterdir())) == 2
